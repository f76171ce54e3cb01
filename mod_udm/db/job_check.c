/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job_check.c: holds a job that a client sent against the catalog, its rights and its certificate.
 */
#include <string.h>

#include <apr_strings.h>

#include "core/calendar.h"
#include "core/json.h"
#include "db/job_check.h"
#include "db/quota.h"
#include "db/tenant.h"

#define NAMES_SHOWN 50 /* of what is legal, in one fault */

/* Always one row; what is unknown is NULL. What belongs to other tenants is unknown. */
/* clang-format off */
static const udm_statement_t check_select = {
    "udm_job_check",
    "SELECT s.name, s.family, t.name, t.time_column IS NOT NULL, t.media_column IS NOT NULL,"
    " (SELECT to_json(array_agg(m.name ORDER BY m.name)) FROM udm.media m"
    " WHERE m.source = t.source AND m.type = t.name)::text,"
    " (SELECT json_agg(json_build_object('name', a.name, 'kind', a.kind) ORDER BY a.name)"
    " FROM udm.attribute a WHERE a.source = t.source AND a.type = t.name)::text,"
    " c.ccid IS NOT NULL, coalesce(c.not_after <= now(), false)," UDM_PG_TIME("c.not_after") ","
    UDM_PG_TIME("now()") ", c.pem, (SELECT encryption FROM udm.tenant WHERE ccid = $3),"
    " t.moving_window,"
    " EXISTS (SELECT FROM udm.tenant WHERE ccid = $3 AND ending_since IS NULL),"
    " t.attachments_removed_at IS NOT NULL," UDM_QUOTA_APART("q")
    " FROM (SELECT) one"
    " LEFT JOIN LATERAL (SELECT name, family FROM udm.source o WHERE (name = $1 OR alias = $1)"
    " AND EXISTS (SELECT FROM udm.data_type d WHERE d.source = o.name"
    " AND (d.tenants IS NULL OR $3 = ANY (d.tenants)))"
    " ORDER BY name = $1 DESC LIMIT 1) s ON true"
    " LEFT JOIN udm.data_type t ON t.source = s.name AND t.name = $2"
    " AND (t.tenants IS NULL OR $3 = ANY (t.tenants))"
    " LEFT JOIN udm.certificate c ON c.ccid = $3"
    " LEFT JOIN udm.quota q ON q.ccid = $3"};
/* clang-format on */

enum {
    CHECK_SOURCE,
    CHECK_FAMILY,
    CHECK_TYPE,
    CHECK_HAS_TIME,
    CHECK_HAS_MEDIA,
    CHECK_MEDIA,
    CHECK_ATTRIBUTES,
    CHECK_HAS_CERTIFICATE,
    CHECK_EXPIRED,
    CHECK_NOT_AFTER,
    CHECK_NOW,
    CHECK_PEM,
    CHECK_ENCRYPTION,
    CHECK_MAY_MOVE,
    CHECK_HAS_TENANT,
    CHECK_LOST_ATTACHMENTS,
    CHECK_APART,
    CHECK_APART_TEXT
};

/*
 * The names, comma-separated, or what to say when there are none. Not more of them than a person
 * reads, for each fault of a body has this text.
 */
static const char *list_of(apr_pool_t *p, const apr_array_header_t *names)
{
    int shown = names->nelts < NAMES_SHOWN ? names->nelts : NAMES_SHOWN, i;
    apr_array_header_t *pieces = apr_array_make(p, 2 * shown + 1, sizeof(const char *));

    if (shown == 0) {
        return "there is none that you may export";
    }
    for (i = 0; i < shown; i++) {
        APR_ARRAY_PUSH(pieces, const char *) = i > 0 ? ", " : "it must be one of ";
        APR_ARRAY_PUSH(pieces, const char *) = APR_ARRAY_IDX(names, i, const char *);
    }
    if (shown < names->nelts) {
        APR_ARRAY_PUSH(pieces, const char *) =
            apr_psprintf(p, ", or one of %d more", names->nelts - shown);
    }
    return apr_array_pstrcat(p, pieces, 0);
}

/* Where `any_case` is good enough, the very same name is still better. */
static int find(const apr_array_header_t *names, const char *name, bool any_case)
{
    int alike = -1;
    int i;

    for (i = 0; i < names->nelts; i++) {
        const char *has = APR_ARRAY_IDX(names, i, const char *);

        if (strcmp(has, name) == 0) {
            return i;
        }
        if (any_case && alike < 0 && strcasecmp(has, name) == 0) {
            alike = i;
        }
    }
    return alike;
}

/* What the principal may write: sources, or the types of one source. */
static apr_array_header_t *writable(apr_pool_t *p, const udm_principal_t *who, const char *source)
{
    apr_array_header_t *names = apr_array_make(p, 8, sizeof(const char *));
    int i;

    for (i = 0; i < who->rights->nelts; i++) {
        const udm_right_t *right = &APR_ARRAY_IDX(who->rights, i, udm_right_t);
        const char *name = source ? right->type : right->source;

        if (right->write && !right->gone && (!source || strcmp(right->source, source) == 0) &&
            find(names, name, false) < 0) {
            APR_ARRAY_PUSH(names, const char *) = name;
        }
    }
    return names;
}

/* Media as the catalog spells them, each once; a fault for each that the type does not have. */
static apr_array_header_t *check_media(udm_error_t **error, apr_pool_t *p, const udm_job_t *job,
                                       const udm_result_t *row)
{
    apr_array_header_t *legal = udm_result_array(p, row, 0, CHECK_MEDIA);
    apr_array_header_t *media = apr_array_make(p, 4, sizeof(const char *));
    const char *choice = NULL; /* made once, for the first that needs it */
    int i;

    if (job->media->nelts > 0 && !udm_result_bool(row, 0, CHECK_HAS_MEDIA)) {
        udm_error_fault(error, p, "/jobParams/media",
                        "data of type \"%s\" has no media: send an empty array", job->type);
        return media;
    }
    for (i = 0; i < job->media->nelts && !udm_error_is_full(*error); i++) {
        const char *name = APR_ARRAY_IDX(job->media, i, const char *);
        int at = find(legal, name, true);

        if (at < 0) {
            if (!choice) {
                choice = legal->nelts > 0 ? list_of(p, legal) : "send an empty array";
            }
            udm_error_fault(error, p, apr_psprintf(p, "/jobParams/media/%d", i),
                            "there is no medium \"%s\" for this type; %s", name, choice);
            continue;
        }
        name = APR_ARRAY_IDX(legal, at, const char *);
        if (find(media, name, false) < 0) {
            APR_ARRAY_PUSH(media, const char *) = name;
        }
    }
    return media;
}

/* The attributes of the type: their names in `names`, their kinds in `kinds`. */
static void read_attributes(apr_array_header_t *names, apr_array_header_t *kinds, apr_pool_t *p,
                            const udm_result_t *row)
{
    const char *text = udm_result_text(row, 0, CHECK_ATTRIBUTES);
    json_t *json = text ? udm_json_own(p, json_loads(text, 0, NULL)) : NULL;
    json_t *attribute;
    size_t i;

    json_array_foreach(json, i, attribute)
    {
        const char *kind = json_string_value(json_object_get(attribute, "kind"));
        udm_attribute_kind known;

        if (kind && udm_attribute_kind_parse(&known, kind)) {
            APR_ARRAY_PUSH(kinds, udm_attribute_kind) = known;
            APR_ARRAY_PUSH(names, const char *) =
                json_string_value(json_object_get(attribute, "name"));
        }
    }
}

/* A fault for each filter by what is no attribute, or with a value that does not fit. */
static void check_filters(udm_error_t **error, apr_pool_t *p, const udm_job_t *job,
                          const udm_result_t *row)
{
    apr_array_header_t *names = apr_array_make(p, 16, sizeof(const char *));
    apr_array_header_t *kinds = apr_array_make(p, 16, sizeof(udm_attribute_kind));
    const char *choice = NULL;
    int i;

    read_attributes(names, kinds, p, row);
    for (i = 0; job->filters && i < job->filters->nelts; i++) {
        const udm_job_filter_t *filter = &APR_ARRAY_IDX(job->filters, i, udm_job_filter_t);
        const char *pointer = apr_psprintf(p, "/jobParams/filters/%d", i);
        int at = find(names, filter->attribute, false);

        if (at >= 0) {
            udm_filter_values(error, p, pointer, filter,
                              APR_ARRAY_IDX(kinds, at, udm_attribute_kind));
            continue;
        }
        if (!choice) {
            choice = names->nelts > 0 ? list_of(p, names) : "it has none to filter by";
        }
        udm_error_fault(error, p, apr_pstrcat(p, pointer, "/attribute", NULL),
                        "there is no attribute \"%s\" of this type; %s", filter->attribute, choice);
    }
}

/*
 * Reads the schedule again, as accepted at the instant that the database's clock shows. One that asks for
 * more runs than the contact centre may have will not do so less after some time, so it is a fault.
 */
static void check_schedule(udm_error_t **error, apr_pool_t *p, udm_job_t *job,
                           const udm_result_t *row)
{
    apr_time_t now = udm_result_time(row, 0, CHECK_NOW);
    json_t *schedule = job->schedule_json
                           ? json_loads(job->schedule_json, JSON_DECODE_INT_AS_REAL, NULL)
                           : json_object();

    job->schedule_since = now;
    job->apart = udm_result_int(row, 0, CHECK_APART);
    job->apart_text = udm_result_text(row, 0, CHECK_APART_TEXT);
    if (udm_schedule_parse(&job->schedule, error, p, "/schedulerParam", udm_json_own(p, schedule),
                           now) &&
        udm_schedule_is_denser(&job->schedule, now, job->apart)) {
        udm_error_fault(
            error, p,
            job->schedule.kind == UDM_RUNS_CRON ? "/schedulerParam/cron" : "/schedulerParam/runs",
            "asks for a run too soon after another one: %s", udm_quota_put_off(p, job->apart_text));
    }
    job->schedule_type = udm_schedule_type_of(&job->schedule);
}

/* There is a certificate, it is not over, and how to encrypt for it is known. */
static udm_error_t *read_cipher(udm_job_cipher_t *cipher, apr_pool_t *p, const udm_job_t *job,
                                const udm_result_t *row)
{
    const char *of_tenant = udm_result_text(row, 0, CHECK_ENCRYPTION);

    if (!udm_result_bool(row, 0, CHECK_HAS_CERTIFICATE)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "there is no certificate to encrypt the export for: upload one with "
                              "POST .../cipher/{name}");
    }
    if (udm_result_bool(row, 0, CHECK_EXPIRED)) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the certificate to encrypt the export for expired at %s: upload a "
                              "new one with POST .../cipher/{name}",
                              udm_calendar_text(p, udm_result_time(row, 0, CHECK_NOT_AFTER)));
    }
    cipher->pem = udm_result_text(row, 0, CHECK_PEM);
    cipher->encryption = job->encryption;
    cipher->now = udm_result_time(row, 0, CHECK_NOW);
    if (of_tenant && !udm_encryption_parse(&cipher->encryption, of_tenant)) {
        return udm_error_make(p, UDM_E_INTERNAL,
                              "the encryption of the contact center is not known here");
    }
    return NULL;
}

udm_error_t *udm_job_check_cipher(udm_certificate_t **certificate, apr_pool_t *p,
                                  const udm_job_cipher_t *cipher)
{
    udm_error_t *error = udm_certificate_parse(certificate, p, cipher->pem, strlen(cipher->pem),
                                               cipher->encryption, cipher->now);

    if (error && error->kind == UDM_E_INVALID) {
        error = udm_error_make(p, UDM_E_INVALID,
                               "the export cannot be encrypted for the certificate that is stored: "
                               "%s. Upload another one with POST .../cipher/{name}",
                               error->reason);
    }
    return error;
}

/* The answer to whoever may read such data but not change it. */
static udm_error_t *forbidden(apr_pool_t *p, const char *source, const char *type)
{
    return udm_error_make(p, UDM_E_FORBIDDEN,
                          "this needs a role that may export data of type \"%s\" of source \"%s\"",
                          type, source);
}

udm_error_t *udm_job_check(udm_job_t **checked, udm_job_cipher_t *cipher, apr_pool_t *p,
                           udm_pg_t *db, const udm_job_t *job, const udm_principal_t *who)
{
    const char *values[3] = {job->source, job->type, who->ccid};
    const char *source;
    const char *family;
    const char *type;
    udm_result_t *row;
    udm_error_t *error;

    error = udm_pg_query(&row, p, db, &check_select, 3, values);
    if (error) {
        return error;
    }
    if (!udm_result_bool(row, 0, CHECK_HAS_TENANT)) {
        return udm_tenant_unknown(p); /* what was shown was remembered from before */
    }
    source = udm_result_text(row, 0, CHECK_SOURCE);
    family = udm_result_text(row, 0, CHECK_FAMILY);
    type = udm_result_text(row, 0, CHECK_TYPE);
    if (type && !udm_principal_may(who, source, type, true)) {
        return forbidden(p, source, type);
    }
    *checked = apr_pmemdup(p, job, sizeof(*job));
    if (!source) {
        udm_error_fault(&error, p, "/source", "there is no source \"%s\"; %s", job->source,
                        list_of(p, writable(p, who, NULL)));
        return error;
    }
    (*checked)->source = source;
    (*checked)->family = family;
    if (job->family && strcmp(job->family, family) != 0) {
        udm_error_fault(&error, p, "/type", "source \"%s\" is of family %s, not %s", source, family,
                        job->family);
    }
    if (!type) {
        udm_error_fault(&error, p, "/jobParams/type",
                        "there is no data type \"%s\" in source \"%s\"; %s", job->type, source,
                        list_of(p, writable(p, who, source)));
        return error;
    }
    if (!job->time_all && !udm_result_bool(row, 0, CHECK_HAS_TIME)) {
        udm_error_fault(&error, p, "/timeFrame",
                        "data of type \"%s\" has no time to choose by: send {\"all\":true}", type);
    }
    /* Of a type that never had any, to ask for them means nothing. */
    if (job->export_attachments && udm_result_bool(row, 0, CHECK_LOST_ATTACHMENTS)) {
        udm_error_fault(&error, p, "/jobParams/exportAttachments",
                        "attachments of type \"%s\" are not registered any more: send false", type);
    }
    (*checked)->media = check_media(&error, p, job, row);
    check_schedule(&error, p, *checked, row);
    if (udm_job_window_moves(*checked) && !udm_result_bool(row, 0, CHECK_MAY_MOVE)) {
        udm_error_fault(
            &error, p, "/timeFrame",
            "a job cannot take what came since its last run of data of type \"%s\": send a "
            "dateTo, or {\"all\":true}",
            type);
    }
    check_filters(&error, p, job, row);
    return error ? error : read_cipher(cipher, p, job, row);
}
