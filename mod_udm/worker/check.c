/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: --check-source: what each type of a source is read as, and whether it can be.
 */
#include "worker/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "db/catalog.h"
#include "db/installation.h"
#include "source/source.h"
#include "worker/keeper.h"

#define MISFITS_MAX 20 /* contact centres, before a type is given up */

/* What is registered, and what sources call their columns, may hold anything: nothing of it is to act
 * on a terminal. */
static void print_to(FILE *file, const char *indent, const char *text)
{
    const unsigned char *c;

    fputs(indent, file);
    for (c = (const unsigned char *)text; *c; c++) {
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
            c++;
            putc('?', file);
        }
        else {
            putc(*c < ' ' || *c == 127 ? '?' : *c, file);
        }
    }
    putc('\n', file);
}

static void print(const char *indent, const char *text)
{
    print_to(stdout, indent, text);
}

static void print_all(apr_pool_t *p, const char *prefix, const apr_array_header_t *lines)
{
    int i;

    for (i = 0; i < lines->nelts; i++) {
        print("    ", apr_pstrcat(p, prefix, APR_ARRAY_IDX(lines, i, const char *), NULL));
    }
}

static const char *listed(apr_pool_t *p, const apr_array_header_t *names)
{
    apr_array_header_t *pieces = apr_array_make(p, 2 * names->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < names->nelts; i++) {
        if (i > 0) {
            APR_ARRAY_PUSH(pieces, const char *) = ", ";
        }
        APR_ARRAY_PUSH(pieces, const char *) = APR_ARRAY_IDX(names, i, const char *);
    }
    return apr_array_pstrcat(p, pieces, 0);
}

static void print_trial(apr_pool_t *p, const udm_source_trial_t *trial, const char *ccid)
{
    print("    ", apr_psprintf(p, "read as %s in database \"%s\" of a PostgreSQL %s", trial->reader,
                               trial->database, trial->server));
    print("    ", apr_psprintf(p, "relation: %s, about %" APR_INT64_T_FMT " rows of \"%s\"",
                               trial->relation, trial->estimate, ccid));
    print_all(p, "", trial->roles);
    print("    ", apr_pstrcat(p, "leaves: ", listed(p, trial->columns), NULL));
    print_all(p, "warning: ", trial->warnings);
}

/* Tries the type for one contact centre, with connections that end with the try. */
static udm_error_t *try_centre(apr_pool_t *p, const udm_settings_t *settings,
                               const udm_data_type_t *type, const char *ccid)
{
    udm_source_trial_t trial;
    udm_error_t *error;
    apr_pool_t *own;

    apr_pool_create(&own, p);
    error = udm_source_try(&trial, own, settings->source_dir, type, ccid);
    if (!error) {
        print_trial(own, &trial, ccid);
    }
    error = udm_error_copy(p, error);
    apr_pool_destroy(own);
    return error;
}

/*
 * An id may be none that the tenant column can hold, while others are: so much is said, and another
 * contact centre tried.
 */
static udm_error_t *check_type(apr_pool_t *p, const udm_settings_t *settings,
                               const udm_data_type_t *type, const apr_array_header_t *centres)
{
    const apr_array_header_t *those = type->tenants ? type->tenants : centres;
    udm_error_t *error;
    bool misfit;
    int i = 0;

    print("  ", apr_pstrcat(p, "type \"", type->name, "\"", NULL));
    do {
        const char *ccid = i < those->nelts ? APR_ARRAY_IDX(those, i, const char *) : "";

        error = try_centre(p, settings, type, ccid);
        misfit = error && strncmp(error->sqlstate, "22", 2) == 0;
        if (misfit) {
            print("    ",
                  apr_pstrcat(p, "warning: contact centre \"", ccid, "\": ", error->reason, NULL));
        }
    } while (misfit && ++i < those->nelts && i < MISFITS_MAX);
    if (error) {
        print("    ", apr_pstrcat(p, "error: ", error->reason, NULL));
        if (error->detail) {
            print("      ", error->detail);
        }
    }
    return error;
}

int udm_check_run(apr_pool_t *p, const udm_settings_t *settings, const char *source)
{
    apr_array_header_t *types, *centres;
    udm_error_t *error;
    udm_pg_t *db;
    bool good = true;
    int i;

    error = udm_pg_connect(&db, p, settings->database, "udm-worker", UDM_E_DATABASE, NULL);
    error = error ? error : udm_installation_check(p, db);
    if (error && udm_installation_wrong_schema(error)) {
        print_to(stderr, "udm-worker: ", error->detail);
        return UDM_EXIT_SCHEMA;
    }
    error = error ? error : udm_pg_begin(p, db, "READ ONLY");
    error = error ? error : udm_catalog_all_of(&source, &types, &centres, p, db, source);
    if (error) {
        print_to(stderr, "udm-worker: ", udm_error_line(p, error));
        return EXIT_FAILURE;
    }
    print("", apr_pstrcat(p, "source \"", source, "\"", NULL));
    if (types->nelts == 0) {
        print("  ", "no type is registered for it");
    }
    for (i = 0; i < types->nelts; i++) {
        udm_data_type_t *type;
        apr_pool_t *own;

        apr_pool_create(&own, p);
        error = udm_catalog_type(&type, own, db, source, APR_ARRAY_IDX(types, i, const char *));
        if (error) {
            print("  ", apr_pstrcat(own, "error: ", udm_error_line(own, error), NULL));
        }
        good = !error && !check_type(own, settings, type, centres) && good;
        apr_pool_destroy(own);
    }
    return good && types->nelts > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
