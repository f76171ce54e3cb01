/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c: reads the definition of an export, collecting every fault, and writes it and JobInfo.
 */
#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>

#include "core/calendar.h"
#include "core/job.h"
#include "core/json.h"
#include "core/text.h"

/* What is carried through the reading of one body. */
typedef struct {
    apr_pool_t *p;
    udm_version version;
    apr_time_t now;
    udm_error_t *error; /* all faults so far */
} reader;

#define FAULT(r, ...) udm_error_fault(&(r)->error, (r)->p, __VA_ARGS__)

/* A member, or NULL when it is absent; null counts as absent. */
static json_t *member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_null(value) ? NULL : value;
}

/* The last part of a JSON Pointer: the member's name. */
static const char *key_of(const char *pointer)
{
    return strrchr(pointer, '/') + 1;
}

/* A member that must be an object. @return NULL after a fault */
static const json_t *read_object(reader *r, const json_t *parent, const char *pointer)
{
    const json_t *value = member(parent, key_of(pointer));

    if (!value) {
        FAULT(r, pointer, "is required");
    }
    else if (!json_is_object(value)) {
        FAULT(r, pointer, "must be an object");
        value = NULL;
    }
    return value;
}

/* @return false after a fault: the text has more than `most` characters */
static bool fits(reader *r, const char *pointer, const char *text, int most)
{
    if (udm_text_characters(text) > (apr_size_t)most) {
        FAULT(r, pointer, "must have at most %d characters", most);
        return false;
    }
    return true;
}

/*
 * A string member of at most `most` characters. Nothing of one that is longer is copied.
 * @return NULL when it is absent (a fault if `required`), no string, or too long
 */
static const char *read_string(reader *r, const json_t *parent, const char *pointer, bool required,
                               int most)
{
    const json_t *value = member(parent, key_of(pointer));

    if (!value) {
        if (required) {
            FAULT(r, pointer, "is required");
        }
        return NULL;
    }
    if (!json_is_string(value)) {
        FAULT(r, pointer, "must be a string");
        return NULL;
    }
    if (!fits(r, pointer, json_string_value(value), most)) {
        return NULL;
    }
    return apr_pstrdup(r->p, json_string_value(value));
}

/* A required string with something in it. */
static const char *read_name(reader *r, const json_t *parent, const char *pointer, int most)
{
    const char *text = read_string(r, parent, pointer, true, most);

    if (text && text[strspn(text, " \t\r\n")] == '\0') {
        FAULT(r, pointer, "must not be empty");
        return NULL;
    }
    return text;
}

/* A boolean member; `fallback` when it is absent. */
static bool read_boolean(reader *r, const json_t *parent, const char *pointer, bool fallback)
{
    const json_t *value = member(parent, key_of(pointer));

    if (value && !json_is_boolean(value)) {
        FAULT(r, pointer, "must be true or false, without quotes");
    }
    return value ? json_is_true(value) : fallback;
}

/* An instant; UDM_NO_TIME when it is absent or none. */
static apr_time_t read_time(reader *r, const json_t *parent, const char *pointer)
{
    const json_t *value = member(parent, key_of(pointer));
    const char *text = json_string_value(value);
    apr_time_t when = UDM_NO_TIME;

    if (value && !text) {
        FAULT(r, pointer, "must be a string");
    }
    if (text && !udm_calendar_parse(&when, text)) {
        FAULT(r, pointer,
              "must be an RFC 3339 date or instant, like 2026-11-24 or 2026-11-24T06:00:00Z");
        when = UDM_NO_TIME;
    }
    return when;
}

static void read_title(reader *r, udm_job_t *job, const json_t *body)
{
    job->title = read_name(r, body, "/title", UDM_TITLE_MAX);
    if (job->title && udm_text_has_control(job->title)) {
        FAULT(r, "/title", "must not hold control characters");
    }
}

static void read_description(reader *r, udm_job_t *job, const json_t *body)
{
    job->description = read_string(r, body, "/description", false, UDM_DESCRIPTION_MAX);
}

/*
 * The family: v10 asks for it. In v4 it may be missing, and what is documented as "type of job" holds
 * the data type with some clients: what names no family says nothing there.
 */
static void read_family(reader *r, udm_job_t *job, const json_t *body)
{
    const char *text = read_string(r, body, "/type", r->version == UDM_V10, UDM_NAME_MAX);

    if (text && (strcmp(text, "UCS") == 0 || strcmp(text, "DataSync") == 0)) {
        job->family = text;
    }
    else if (text && r->version == UDM_V10) {
        FAULT(r, "/type", "must be UCS or DataSync; the data type belongs in jobParams.type");
    }
}

/* v10 takes a boolean; v4 documents it as a string, and its clients send either. */
static void read_suspended(reader *r, udm_job_t *job, const json_t *body)
{
    const json_t *value = member(body, "suspended");

    if (!value) {
        FAULT(r, "/suspended", "is required");
        return;
    }
    if (r->version == UDM_V4 && json_is_string(value)) {
        const char *text = json_string_value(value);

        job->suspended = apr_cstr_casecmp(text, "true") == 0;
        if (!job->suspended && apr_cstr_casecmp(text, "false") != 0) {
            FAULT(r, "/suspended", "must be true or false");
        }
        return;
    }
    job->suspended = read_boolean(r, body, "/suspended", false);
}

static void read_time_frame(reader *r, udm_job_t *job, const json_t *body)
{
    const json_t *frame = read_object(r, body, "/timeFrame");
    bool all;

    job->date_from = job->date_to = UDM_NO_TIME;
    if (!frame) {
        return;
    }
    all = read_boolean(r, frame, "/timeFrame/all", false);
    job->date_from = read_time(r, frame, "/timeFrame/dateFrom");
    job->date_to = read_time(r, frame, "/timeFrame/dateTo");
    if (all && (member(frame, "dateFrom") || member(frame, "dateTo"))) {
        FAULT(r, "/timeFrame/all", "cannot stand beside dateFrom or dateTo: send one or the other");
    }
    else if (job->date_from != UDM_NO_TIME && job->date_to != UDM_NO_TIME &&
             job->date_to <= job->date_from) {
        FAULT(r, "/timeFrame/dateTo",
              "must be later than dateFrom, for dateTo itself is not exported");
    }
    job->time_all = all;
}

/* A schedule that was read, with nothing but what it is documented to have, as text. */
static const char *schedule_text(const reader *r, const udm_schedule_t *read,
                                 const json_t *schedule)
{
    static const char *const keys[] = {"immediately", "cron", "runs", "startDate"};
    json_t *known = json_object();
    const char *text;
    apr_size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = member(schedule, keys[i]);

        if (value) {
            json_object_set(known, keys[i], value);
        }
    }
    if (read->runs_max > 0) {
        json_object_set_new(known, "runs", json_string(apr_itoa(r->p, read->runs_max)));
    }
    text = udm_json_text(r->p, known);
    json_decref(known);
    return text;
}

static void read_schedule(reader *r, udm_job_t *job, const json_t *body)
{
    const json_t *schedule = read_object(r, body, "/schedulerParam");
    const char *cron = schedule ? json_string_value(member(schedule, "cron")) : NULL;
    const char *runs = schedule ? json_string_value(member(schedule, "runs")) : NULL;
    bool fitting;

    job->schedule_since = r->now;
    if (!schedule) {
        return;
    }
    /* not among the rules of schedules: what was stored before there were limits is still read */
    fitting = !cron || fits(r, "/schedulerParam/cron", cron, UDM_CRON_MAX);
    fitting &= !runs || fits(r, "/schedulerParam/runs", runs, UDM_RUNS_MAX);
    if (fitting &&
        udm_schedule_parse(&job->schedule, &r->error, r->p, "/schedulerParam", schedule, r->now)) {
        job->schedule_json = schedule_text(r, &job->schedule, schedule);
        job->schedule_type = udm_schedule_type_of(&job->schedule);
    }
}

static void read_media(reader *r, udm_job_t *job, const json_t *params)
{
    const json_t *media = member(params, "media"), *item;
    size_t i;

    job->media = apr_array_make(r->p, 4, sizeof(const char *));
    if (!media) {
        FAULT(r, "/jobParams/media", "is required; an empty array means all media");
        return;
    }
    if (!json_is_array(media)) {
        FAULT(r, "/jobParams/media", "must be an array of strings");
        return;
    }
    if (json_array_size(media) > UDM_MEDIA_MAX) {
        FAULT(r, "/jobParams/media", "must have at most %d media", UDM_MEDIA_MAX);
        return;
    }
    json_array_foreach(media, i, item)
    {
        const char *name = json_string_value(item);

        if (udm_error_is_full(r->error)) {
            return;
        }
        if (!name || !*name || udm_text_characters(name) > UDM_NAME_MAX) {
            FAULT(r, apr_psprintf(r->p, "/jobParams/media/%d", (int)i),
                  "must be a string that is not empty, of at most %d characters", UDM_NAME_MAX);
            continue;
        }
        APR_ARRAY_PUSH(job->media, const char *) = apr_pstrdup(r->p, name);
    }
}

/*
 * v4 has the size at two places, that in jobParams wins; "" is what the API shows for none, so a
 * client that reads a job, sets one of the two and sends it back means the one it has set.
 */
static void read_split_size(reader *r, udm_job_t *job, const json_t *body, const json_t *params)
{
    const char *pointer = "/jobParams/fileSplitSize";
    const char *text = params ? read_string(r, params, pointer, false, UDM_SPLIT_SIZE_MAX) : NULL;

    if (r->version == UDM_V4 && !(text && *text)) {
        pointer = "/fileSplitSize";
        text = read_string(r, body, pointer, false, UDM_SPLIT_SIZE_MAX);
    }
    if (!text || !*text) {
        return;
    }
    job->file_split_size = text + strspn(text, "0");
    if (!udm_text_parse_size(&job->file_split_bytes, text)) {
        FAULT(r, pointer,
              "must be a number of bytes, or of KB, MB, GB, KiB, MiB or GiB, like \"100 MB\"");
    }
    else if (job->file_split_bytes < UDM_SPLIT_MIN) {
        FAULT(r, pointer, "must be at least %d bytes (64 KiB)", UDM_SPLIT_MIN);
    }
}

static void read_params(reader *r, udm_job_t *job, const json_t *body)
{
    const json_t *params = read_object(r, body, "/jobParams");

    if (params) {
        job->type = read_name(r, params, "/jobParams/type", UDM_NAME_MAX);
        job->export_attachments = read_boolean(r, params, "/jobParams/exportAttachments", false);
        read_media(r, job, params);
    }
    job->keeps_attachments = r->version == UDM_V4 && params && !member(params, "exportAttachments");
    job->keeps_filters = r->version == UDM_V4 && params && !member(params, "filters");
    udm_filter_parse(&job->filters, &r->error, r->p, "/jobParams/filters",
                     params ? member(params, "filters") : NULL);
    read_split_size(r, job, body, params);
}

udm_error_t *udm_job_parse(udm_job_t **job, apr_pool_t *p, const json_t *body, udm_version version,
                           apr_time_t now)
{
    reader r = {p, version, now, NULL};
    udm_job_t *made = apr_pcalloc(p, sizeof(*made));

    *job = NULL;
    if (!json_is_object(body)) {
        udm_error_fault(&r.error, p, "", "must be a JSON object");
        return r.error;
    }
    made->source = read_name(&r, body, "/source", UDM_NAME_MAX);
    read_family(&r, made, body);
    read_title(&r, made, body);
    read_time_frame(&r, made, body);
    read_description(&r, made, body);
    read_schedule(&r, made, body);
    read_params(&r, made, body);
    read_suspended(&r, made, body);
    if (!r.error) {
        *job = made;
    }
    return r.error;
}

/* Sets a member to text, or to null when there is none. */
static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text ? json_string(text) : json_null());
}

/* The same, where the API has "" for none. */
static void set_plain_text(json_t *object, const char *key, const char *text)
{
    set_text(object, key, text ? text : "");
}

static void put_plain(udm_json_out_t *out, const char *text)
{
    udm_json_put_string(out, text ? text : "");
}

/* What media a job or a run names. */
static json_t *media_json(const apr_array_header_t *media)
{
    json_t *json = json_array();
    int i;

    for (i = 0; media && i < media->nelts; i++) {
        json_array_append_new(json, json_string(APR_ARRAY_IDX(media, i, const char *)));
    }
    return json;
}

/* The time frame: "all" always, of the bounds those that there are. */
static json_t *time_frame_json(apr_pool_t *p, const udm_job_t *job)
{
    json_t *json = json_object();

    json_object_set_new(json, "all", json_boolean(job->time_all));
    if (job->date_from != UDM_NO_TIME) {
        set_text(json, "dateFrom", udm_calendar_text(p, job->date_from));
    }
    if (job->date_to != UDM_NO_TIME) {
        set_text(json, "dateTo", udm_calendar_text(p, job->date_to));
    }
    return json;
}

/* A schedule as it was sent, but with its instant as the API writes them. */
static json_t *schedule_json(apr_pool_t *p, const char *text)
{
    json_t *schedule = text ? json_loads(text, 0, NULL) : NULL;
    const char *start = json_string_value(json_object_get(schedule, "startDate"));
    apr_time_t when;

    if (start && udm_calendar_parse(&when, start)) {
        set_text(schedule, "startDate", udm_calendar_text(p, when));
    }
    return schedule ? schedule : json_object();
}

json_t *udm_job_json(apr_pool_t *p, const udm_job_t *job, apr_int64_t id)
{
    json_t *json = json_object(), *params = json_object();

    set_plain_text(params, "fileSplitSize", job->file_split_size);
    set_plain_text(params, "type", job->type);
    json_object_set_new(params, "media", media_json(job->media));
    json_object_set_new(json, "id", json_integer(id));
    set_plain_text(json, "source", job->source);
    set_plain_text(json, "title", job->title);
    json_object_set_new(json, "timeFrame", time_frame_json(p, job));
    set_plain_text(json, "fileSplitSize", job->file_split_size);
    set_plain_text(json, "description", job->description);
    json_object_set_new(json, "schedulerParam", schedule_json(p, job->schedule_json));
    json_object_set_new(json, "jobParams", params);
    set_text(json, "suspended", job->suspended ? "true" : "false");
    return json;
}

void udm_job_info_put(udm_json_out_t *out, apr_pool_t *p, const udm_job_info_t *info,
                      udm_version version)
{
    int i;

    udm_json_put(out, "{\"id\":");
    udm_json_put_int(out, info->id);
    udm_json_put(out, ",\"type\":");
    put_plain(out, info->type);
    udm_json_put(out, ",\"source\":");
    put_plain(out, info->source);
    udm_json_put(out, ",\"title\":");
    put_plain(out, info->title);
    udm_json_put(out, ",\"fileSplitSize\":");
    put_plain(out, info->file_split_size);
    udm_json_put(out, ",\"fileName\":");
    udm_json_put_string(out, info->file_name);
    udm_json_put(out, ",\"fileSize\":");
    udm_json_put_int(out, info->file_size);
    udm_json_put(out, ",\"status\":");
    put_plain(out, info->status);
    udm_json_put(out, ",\"createdDate\":");
    udm_json_put_string(out, udm_calendar_text(p, info->created));
    udm_json_put(out, ",\"dateFrom\":");
    udm_json_put_string(out, udm_calendar_text(p, info->date_from));
    udm_json_put(out, ",\"dateTo\":");
    udm_json_put_string(out, udm_calendar_text(p, info->date_to));
    udm_json_put(out, ",\"description\":");
    put_plain(out, info->description);
    udm_json_put(out, ",\"media\":[");
    for (i = 0; info->media && i < info->media->nelts; i++) {
        udm_json_put(out, i > 0 ? "," : "");
        udm_json_put_string(out, APR_ARRAY_IDX(info->media, i, const char *));
    }
    udm_json_put(out, "],\"progress\":");
    udm_json_put_int(out, info->progress);
    udm_json_put(out, ",\"parentId\":");
    udm_json_put_int(out, info->parent_id);
    if (version == UDM_V10) {
        udm_json_put(out, ",\"exportAttachments\":");
        udm_json_put(out, info->export_attachments ? "true" : "false");
    }
    if (info->status_reason) {
        udm_json_put(out, ",\"statusReason\":");
        udm_json_put_string(out, info->status_reason);
    }
    udm_json_put(out, "}");
}

const char *udm_job_info_text(apr_pool_t *p, const udm_job_info_t *info, udm_version version)
{
    udm_json_out_t *out = udm_json_out(p, 1024);

    udm_job_info_put(out, p, info, version);
    return udm_json_out_text(out);
}

json_t *udm_job_info_json(apr_pool_t *p, const udm_job_info_t *info, udm_version version)
{
    return json_loads(udm_job_info_text(p, info, version), 0, NULL);
}

bool udm_job_window_moves(const udm_job_t *job)
{
    return job->schedule_type == UDM_SCHEDULE_RECURRING && !job->time_all &&
           job->date_to == UDM_NO_TIME;
}

udm_schedule_type udm_schedule_type_of(const udm_schedule_t *schedule)
{
    return schedule->recurs                  ? UDM_SCHEDULE_RECURRING
           : schedule->kind == UDM_RUNS_ONCE ? UDM_SCHEDULE_ONCE
                                             : UDM_SCHEDULE_NOW;
}

const char *udm_schedule_type_name(udm_schedule_type type)
{
    switch (type) {
    case UDM_SCHEDULE_NOW:
        return "immediately";
    case UDM_SCHEDULE_ONCE:
        return "once";
    case UDM_SCHEDULE_RECURRING:
        break;
    }
    return "recurring";
}
