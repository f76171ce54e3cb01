/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * inputs.c: reads names as the export gives them and as browsers change them:
 * "export-<uuid>.z01.smime", "export-<uuid>.z01 (1).smime", "export-<uuid>.z01.smime.txt".
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "core/artifact.h"
#include "decrypt/inputs.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Reads a UUID in either case; "" when there is none. */
static void read_id(char id[UDM_UUID_SIZE + 1], const char *at)
{
    apr_cpystrn(id, at, UDM_UUID_SIZE + 1);
    for (char *c = id; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    if (!udm_text_is_uuid(id) || isxdigit((unsigned char)at[UDM_UUID_SIZE])) {
        id[0] = '\0';
    }
}

/* The number in ".z01" or UDM_INPUT_LAST for ".zip", when the name goes on with something else. */
static uint32_t read_number(const char *text)
{
    for (; (text = strchr(text, '.')) != NULL; text++) {
        uint32_t number = 0;
        const char *at = text + 2;

        if (text[1] != 'z' && text[1] != 'Z') {
            continue;
        }
        if (strncasecmp(at, "ip", 2) == 0 && !isalnum((unsigned char)at[2])) {
            return UDM_INPUT_LAST;
        }
        while (isdigit((unsigned char)*at) && number <= UDM_ARTIFACT_PART_MAX) {
            number = number * 10 + (uint32_t)(*at++ - '0');
        }
        if (at - text >= 4 && !isalnum((unsigned char)*at) && number > 0 &&
            number <= UDM_ARTIFACT_PART_MAX) {
            return number;
        }
    }
    return 0;
}

/* What a name says; an empty id or number 0 where it says nothing. */
static void read_name(char id[UDM_UUID_SIZE + 1], uint32_t *number, const char *path)
{
    const char *name = base_name(path);
    const char *at = name;

    id[0] = '\0';
    while (id[0] == '\0' && (at = strstr(at, UDM_ARTIFACT_PREFIX)) != NULL) {
        at += strlen(UDM_ARTIFACT_PREFIX);
        read_id(id, at);
        name = id[0] != '\0' ? at + UDM_UUID_SIZE : name;
    }
    *number = read_number(name);
}

static int by_number(const void *a, const void *b)
{
    const udm_input_t *x = a;
    const udm_input_t *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* "export-<uuid>.z03", or "part 3". */
static const char *part_name(const udm_inputs_t *inputs, apr_pool_t *p, uint32_t number)
{
    if (inputs->export_id[0] == '\0') {
        return apr_psprintf(p, "part %u (.z%02u)", number, number);
    }
    return udm_artifact_volume(p, inputs->export_id, (int)number);
}

/* Names up to a few of the parts from `first` to `last`. */
static udm_error_t *missing(const udm_inputs_t *inputs, apr_pool_t *p, uint32_t first,
                            uint32_t last)
{
    const char *names = part_name(inputs, p, first);
    uint32_t i;

    for (i = first + 1; i <= last && i < first + 5; i++) {
        names = apr_pstrcat(p, names, ", ", part_name(inputs, p, i), NULL);
    }
    if (i <= last) {
        names = apr_psprintf(p, "%s and %u more", names, last - i + 1);
    }
    return udm_error_make(p, UDM_E_UNPROCESSABLE, "parts of the export are missing: %s", names);
}

/* The parts that stand in order: each number once, without a gap, and the last one. */
static udm_error_t *check_order(const udm_inputs_t *inputs, apr_pool_t *p)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        const udm_input_t *input = &inputs->list[i];

        if (i > 0 && input->number == input[-1].number) {
            return udm_error_make(p, UDM_E_UNPROCESSABLE, "%s and %s are the same part",
                                  input[-1].path, input->path);
        }
        if (input->number != UDM_INPUT_LAST && input->number != i + 1) {
            return missing(inputs, p, i + 1, input->number - 1);
        }
    }
    if (inputs->list[inputs->count - 1].number != UDM_INPUT_LAST) {
        return udm_error_make(p, UDM_E_UNPROCESSABLE,
                              "parts of the export are missing: the last one (.zip)");
    }
    return NULL;
}

udm_error_t *udm_inputs_order(udm_inputs_t *inputs, apr_pool_t *p)
{
    const udm_input_t *named = NULL;
    const udm_input_t *nameless = NULL;
    const udm_input_t *known = NULL;

    inputs->export_id[0] = '\0';
    for (uint32_t i = 0; i < inputs->count; i++) {
        udm_input_t *input = &inputs->list[i];
        char id[UDM_UUID_SIZE + 1];

        read_name(id, &input->number, input->path);
        if (input->number == 0) {
            nameless = input;
        }
        else {
            known = input;
        }
        if (id[0] == '\0') {
            continue;
        }
        if (named != NULL && strcmp(inputs->export_id, id) != 0) {
            return udm_error_make(p, UDM_E_UNPROCESSABLE, "%s and %s are of different exports",
                                  named->path, input->path);
        }
        named = input;
        memcpy(inputs->export_id, id, sizeof(id));
    }
    /* A file alone is looked into, whatever it is called. */
    if (known == NULL || (inputs->count == 1 && known->number == UDM_INPUT_LAST)) {
        return NULL;
    }
    if (nameless != NULL) {
        return udm_error_make(p, UDM_E_UNPROCESSABLE,
                              "%s: its name does not tell which part it is: a part is called "
                              "export-<uuid>.z01.smime, and so on, and the last one .zip.smime",
                              nameless->path);
    }
    qsort(inputs->list, inputs->count, sizeof(*inputs->list), by_number);
    return check_order(inputs, p);
}

udm_error_t *udm_inputs_check_total(const udm_inputs_t *inputs, apr_pool_t *p, uint32_t total)
{
    if (total == inputs->count) {
        return NULL;
    }
    if (total > inputs->count) {
        return missing(inputs, p, inputs->count, total - 1);
    }
    return udm_error_make(p, UDM_E_UNPROCESSABLE,
                          "the export has %s, and more were given (%u): one is of another export",
                          udm_text_count(p, total, "part"), inputs->count);
}

udm_error_t *udm_inputs_wrong_sum(apr_pool_t *p, const udm_input_t *input)
{
    return udm_error_make(p, UDM_E_UNPROCESSABLE,
                          "%s: is damaged or forged: its SHA-256 is not the one that was given",
                          input->path);
}

udm_error_t *udm_inputs_check_sums(const udm_inputs_t *inputs, apr_pool_t *p,
                                   const volatile sig_atomic_t *stop)
{
    udm_error_t *error = NULL;

    for (uint32_t i = 0; error == NULL && i < inputs->count; i++) {
        const udm_input_t *input = &inputs->list[i];
        unsigned char digest[UDM_SHA256_SIZE];

        if (input->has_sum) {
            error = udm_mime_hash_file(digest, p, input->path, stop);
            if (error == NULL && memcmp(digest, input->sha256, sizeof(digest)) != 0) {
                error = udm_inputs_wrong_sum(p, input);
            }
        }
    }
    return error;
}
