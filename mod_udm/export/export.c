/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c: one run from beginning to end: whom to encrypt for, the source, the archive, and the two
 * threads between them.
 *
 * This thread reads. While it does, everything behind the relay belongs to the other one, which has
 * a pool of its own for that; before and after, there is only this one.
 */
#include <apr_strings.h>

#include "core/certificate.h"
#include "core/job.h"
#include "core/text.h"
#include "export/archive.h"
#include "export/export.h"
#include "export/parts.h"
#include "export/reader.h"
#include "export/relay.h"

typedef struct export_t {
    apr_pool_t *pool;         /* of this thread */
    apr_pool_t *archive_pool; /* of the other one while it runs */
    const udm_export_settings_t *settings;
    const udm_data_type_t *type;
    const udm_run_t *run;
    udm_export_watch_t *watch;
    udm_archive_t *archive;
    apr_int64_t count;    /* rows read */
    apr_int64_t expected; /* rows that the source expects */
} export_t;

static udm_error_t *take(void *context, const udm_block_t *block)
{
    return udm_archive_take(context, block);
}

/* Reads the open source, in two threads. */
static udm_error_t *relay_source(export_t *x, udm_source_t *source)
{
    udm_relay_t *relay;
    udm_error_t *error = udm_relay_start(&relay, x->pool, take, x->archive);
    udm_error_t *other;

    if (error != NULL) {
        return error;
    }
    error = udm_reader_run(&x->count, x->pool, source, relay, x->type, x->run, x->watch,
                           x->settings->max_row);
    other = udm_relay_finish(relay, error != NULL);
    /* The reader that found the relay broken only says that it stopped. */
    return other != NULL && (error == NULL || error->kind == UDM_E_STOPPED) ? other : error;
}

/* Everything that needs the source open. `snapshot` gets the snapshot that was read. */
static udm_error_t *read_source(const char **snapshot, export_t *x)
{
    apr_pool_t *source_pool;
    udm_source_t *source;
    udm_error_t *error;

    apr_pool_create(&source_pool, x->pool);
    error = udm_source_open_held(&source, source_pool, x->settings->source_dir, x->type, x->run,
                                 &x->watch->stop, x->settings->hold, x->settings->max_row);
    if (error == NULL) {
        *snapshot = apr_pstrdup(x->pool, udm_source_snapshot(source));
        x->expected = udm_source_estimate(source);
        error = relay_source(x, source);
    }
    error = error != NULL ? udm_error_copy(x->pool, error) : NULL;
    apr_pool_destroy(source_pool);
    return error;
}

/* Tries the certificate out, unless the last run did, for that takes longer than a small export. */
static udm_error_t *try_certificate(export_t *x, const udm_certificate_t *certificate)
{
    udm_export_tried_t *tried = x->settings->tried;
    udm_error_t *error;

    if (tried != NULL && tried->encryption == x->run->encryption &&
        strcmp(tried->fingerprint, certificate->fingerprint) == 0) {
        return NULL;
    }
    error = udm_certificate_try(x->pool, certificate, x->run->encryption);
    if (error == NULL && tried != NULL) {
        apr_cpystrn(tried->fingerprint, certificate->fingerprint, sizeof(tried->fingerprint));
        tried->encryption = x->run->encryption;
    }
    return error;
}

/*
 * Whom to encrypt for: the certificate is looked at again, for it may have expired since, by the clock
 * that counted when the job was made.
 */
static udm_error_t *read_certificate(udm_certificate_t **certificate, udm_recipient_t **recipient,
                                     export_t *x)
{
    const char *pem = x->run->certificate_pem;
    udm_error_t *error;

    if (pem == NULL) {
        return udm_error_make(x->pool, UDM_E_CERTIFICATE,
                              "there is no certificate to encrypt for: upload one and repeat the "
                              "export");
    }
    error = udm_certificate_parse(certificate, x->pool, pem, strlen(pem), x->run->encryption,
                                  x->run->now);
    if (error == NULL) {
        error = try_certificate(x, *certificate);
    }
    if (error != NULL) {
        return udm_error_detail(x->pool,
                                udm_error_make(x->pool, UDM_E_CERTIFICATE,
                                               "the certificate cannot be used: %s", error->reason),
                                "%s", error->detail != NULL ? error->detail : "");
    }
    return udm_recipient_make(recipient, x->archive_pool, (*certificate)->pem, x->run->encryption);
}

/* The largest file to make, from what was asked for and what is allowed. */
static apr_int64_t file_limit(const export_t *x)
{
    apr_int64_t limit = x->settings->max_part_size;

    if (x->run->file_split_bytes > 0 && x->run->file_split_bytes < limit) {
        limit = x->run->file_split_bytes;
    }
    return limit < UDM_SPLIT_MIN ? UDM_SPLIT_MIN : limit;
}

/*
 * The reason of an export of too many files. How large the whole would have been is known from how far
 * it came: by the rows where the source expected more than were read, and with a quarter more.
 */
static udm_error_t *too_many_parts(const export_t *x, apr_int64_t capacity)
{
    const udm_export_settings_t *settings = x->settings;
    apr_int64_t rows;
    double archive = 1.25 * (double)udm_archive_size(&rows, x->archive);
    double file;
    const char *way = "export less at a time, with a shorter time frame or with filters";

    if (rows > 0 && x->expected > rows) {
        archive *= (double)x->expected / (double)rows;
    }
    /* One part is the marker; what does not fit into the others fits into larger ones. */
    file = archive / (settings->max_parts > 2 ? settings->max_parts - 2 : 1) *
           ((double)file_limit(x) / (double)capacity);
    if (file < 1.25 * (double)file_limit(x)) {
        file = 1.25 * (double)file_limit(x);
    }
    if (file_limit(x) < settings->max_part_size) {
        way = file < (double)settings->max_part_size
                  ? apr_psprintf(x->pool,
                                 "by what was read so far, a fileSplitSize of %s would do, or none",
                                 udm_text_size(x->pool, (apr_int64_t)file))
                  : "ask for no fileSplitSize";
    }
    return udm_error_make(x->pool, UDM_E_INVALID,
                          "the export would have more than %d files of up to %s, and no more are "
                          "allowed here: %s",
                          settings->max_parts, udm_text_size(x->pool, file_limit(x)), way);
}

/* The whole of it, up to but not including the end of the run. */
static udm_error_t *run_export(apr_array_header_t **published, apr_pool_t *p, export_t *x,
                               udm_store_t *store)
{
    udm_manifest_head_t head = {x->run, NULL, NULL, x->run->now, 0};
    udm_certificate_t *certificate;
    udm_recipient_t *recipient;
    udm_volume_target_t target;
    udm_parts_t *parts;
    apr_int64_t capacity;
    udm_error_t *error;

    error = read_certificate(&certificate, &recipient, x);
    if (error != NULL) {
        return error;
    }
    capacity = udm_recipient_capacity(recipient, file_limit(x));
    if (capacity < UDM_VOLUME_MIN) {
        return udm_error_make(
            x->pool, UDM_E_CERTIFICATE,
            "the certificate is too large for files of %" APR_INT64_T_FMT " bytes", file_limit(x));
    }
    head.fingerprint = certificate->fingerprint;
    parts = udm_parts_make(x->archive_pool, store, x->run->export_id, recipient, file_limit(x),
                           x->settings->max_parts);
    target = udm_parts_target(parts);
    error = udm_archive_open(&x->archive, x->archive_pool, &target, capacity,
                             x->settings->spool_dir, head.created, &x->watch->stop);
    if (error == NULL) {
        error = read_source(&head.snapshot, x);
    }
    head.rows = x->count;
    if (error == NULL) {
        error = udm_archive_finish(x->archive, &head);
    }
    if (error != NULL && udm_parts_are_too_many(parts)) {
        error = too_many_parts(x, capacity);
    }
    return error != NULL ? error : udm_parts_publish(published, p, parts);
}

udm_error_t *udm_export_run(apr_array_header_t **parts, apr_int64_t *rows, apr_pool_t *p,
                            const udm_export_settings_t *settings, const udm_data_type_t *type,
                            const udm_run_t *run, udm_store_t *store, udm_export_watch_t *watch)
{
    apr_pool_t *pool;
    export_t *x;
    udm_error_t *error;

    apr_pool_create(&pool, p);
    x = apr_pcalloc(pool, sizeof(*x));
    x->pool = pool;
    x->settings = settings;
    x->type = type;
    x->run = run;
    x->watch = watch;
    x->archive_pool = udm_relay_pool(pool);
    error = run_export(parts, p, x, store);
    *rows = x->count;
    if (error == NULL) {
        atomic_store(&watch->percent, 100);
    }
    else {
        /* Whatever a stop broke off, and however, it is a stop. */
        error = udm_stop_raised(&watch->stop)
                    ? udm_error_make(p, UDM_E_STOPPED, "the export was stopped")
                    : udm_error_copy(p, error);
    }
    apr_pool_destroy(pool);
    if (error != NULL) {
        udm_error_t *left = store->remove_export(store, p, run->export_id);

        if (left != NULL) {
            udm_error_detail(p, error, "%s; what was written is still there: %s",
                             error->detail != NULL ? error->detail : "", udm_error_line(p, left));
        }
    }
    return error;
}
