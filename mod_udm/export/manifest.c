/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.c: the manifest, one line for each entry.
 */
#include "config.h"
#include "core/calendar.h"
#include "export/manifest.h"
#include "export/spool.h"

struct udm_manifest_t {
    apr_pool_t *pool;
    udm_spool_t *entries;
    udm_buffer_t *line;
    apr_int64_t count;
};

udm_error_t *udm_manifest_open(udm_manifest_t **manifest, apr_pool_t *p, const char *spool_dir)
{
    udm_manifest_t *m = apr_pcalloc(p, sizeof(*m));

    m->pool = p;
    m->line = udm_buffer_make(p);
    *manifest = m;
    return udm_spool_open(&m->entries, p, spool_dir);
}

/* "name":"value" or "name":null, with a comma behind it. */
static void add_text(udm_buffer_t *out, const char *name, const char *value)
{
    udm_buffer_format(out, "\"%s\":", name);
    if (value == NULL) {
        udm_buffer_text(out, "null");
    }
    else {
        udm_buffer_string(out, value, strlen(value));
    }
    udm_buffer_char(out, ',');
}

udm_error_t *udm_manifest_add(udm_manifest_t *manifest, const char *name,
                              const udm_entry_sum_t *sum, apr_int64_t rows)
{
    udm_buffer_t *line = manifest->line;

    line->size = 0;
    udm_buffer_text(line, manifest->count++ == 0 ? "\n{" : ",\n{");
    add_text(line, "name", name);
    udm_buffer_text(line, "\"sha256\":\"");
    udm_buffer_hex(line, sum->sha256, UDM_SHA256_SIZE);
    udm_buffer_format(line, "\",\"size\":%" APR_INT64_T_FMT ",\"rows\":%" APR_INT64_T_FMT "}",
                      sum->size, rows);
    return udm_spool_write(manifest->entries, line->data, line->size);
}

udm_error_t *udm_manifest_write(udm_manifest_t *manifest, const udm_manifest_head_t *head,
                                const udm_sink_t *sink)
{
    const udm_run_t *run = head->run;
    udm_buffer_t *line = manifest->line;
    udm_error_t *error;

    line->size = 0;
    udm_buffer_char(line, '{');
    add_text(line, "product", PACKAGE_NAME);
    add_text(line, "version", PACKAGE_VERSION);
    add_text(line, "exportId", run->export_id);
    udm_buffer_format(line, "\"jobId\":%" APR_INT64_T_FMT ",\"runId\":%" APR_INT64_T_FMT ",",
                      run->job_id, run->id);
    add_text(line, "source", run->source);
    add_text(line, "type", run->type);
    udm_buffer_format(line, "\"window\":{\"all\":%s,", run->window_all ? "true" : "false");
    add_text(line, "from",
             run->window_all ? NULL : udm_calendar_text(manifest->pool, run->window_from));
    add_text(line, "to",
             run->window_all ? NULL : udm_calendar_text(manifest->pool, run->window_to));
    line->size--;
    udm_buffer_text(line, "},");
    /* JSON already: it comes out of the database as it is. */
    if (run->filters != NULL && strcmp(run->filters, "[]") != 0) {
        udm_buffer_format(line, "\"filters\":%s,", run->filters);
    }
    add_text(line, "snapshot", head->snapshot);
    add_text(line, "certificate", head->fingerprint);
    add_text(line, "created", udm_calendar_text(manifest->pool, head->created));
    udm_buffer_format(line, "\"rows\":%" APR_INT64_T_FMT ",\n\"entries\":[", head->rows);
    error = sink->write(sink->context, line->data, line->size);
    if (error == NULL) {
        error = udm_spool_empty(manifest->entries, sink);
    }
    if (error == NULL) {
        error = sink->write(sink->context, "]}\n", 3);
    }
    udm_spool_close(manifest->entries);
    return error;
}
