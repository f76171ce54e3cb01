/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h: the definition of an export as a client sends it, and the rules for one that hold without
 * a database: shape, time frame, schedule, sizes.
 */
#ifndef UDM_CORE_JOB_H
#define UDM_CORE_JOB_H

#include <stdbool.h>

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>

#include "core/encryption.h"
#include "core/error.h"
#include "core/filter.h"
#include "core/json.h"
#include "core/route.h"
#include "core/schedule.h"

/* What a job may have at most: characters (code points) of a text, elements of an array. */
#define UDM_NAME_MAX        255 /* source, type, jobParams.type, one medium */
#define UDM_TITLE_MAX       255
#define UDM_DESCRIPTION_MAX 4000
#define UDM_MEDIA_MAX       1000 /* media */
#define UDM_SPLIT_SIZE_MAX  32
#define UDM_CRON_MAX        1000
#define UDM_RUNS_MAX        32

#define UDM_SPLIT_MIN 65536 /* bytes: the smallest fileSplitSize */

typedef enum { UDM_SCHEDULE_NOW, UDM_SCHEDULE_ONCE, UDM_SCHEDULE_RECURRING } udm_schedule_type;

typedef struct udm_job_t {
    const char *family; /* "UCS" or "DataSync"; NULL when absent, as v4 may */
    const char *source; /* as sent; the catalog resolves an alias */
    const char *type;   /* jobParams.type */
    const char *title;
    const char *description; /* NULL when absent */
    bool time_all; /* no bound in time; without it and without dates: up to the scheduled time */
    apr_time_t date_from;      /* UDM_NO_TIME when absent */
    apr_time_t date_to;        /* UDM_NO_TIME when absent; exclusive */
    apr_array_header_t *media; /* of const char *; empty means all */
    bool export_attachments;
    const char *file_split_size;  /* as sent, without leading zeros; NULL when absent */
    apr_int64_t file_split_bytes; /* 0 when absent */
    apr_array_header_t *filters;  /* of udm_job_filter_t */
    /* v4 shows neither of these two, so a job that it replaces keeps what its body does not say */
    bool keeps_attachments, keeps_filters;
    bool suspended;
    udm_encryption encryption; /* what holds where the job was sent to; no part of the body */
    udm_schedule_type schedule_type;
    udm_schedule_t schedule;
    apr_time_t schedule_since; /* when it was accepted; see udm_schedule_parse */
    apr_interval_time_t apart; /* between two runs of it, at least; 0: nothing says so */
    const char *apart_text;    /* the same for a person */
    const char *schedule_json; /* schedulerParam, compact: what is known of it, as sent, but a
                                  number in runs without leading zeros */
    const char *etag;          /* of one that is stored, as GET of v4 shows it; else NULL */
} udm_job_t;

/*
 * Reads a job from the body of POST or PUT in one version's form, as accepted at `now`. Unknown
 * members are ignored.
 * @return UDM_E_INVALID with every fault of the body, each with its JSON Pointer
 */
udm_error_t *udm_job_parse(udm_job_t **job, apr_pool_t *p, const json_t *body, udm_version version,
                           apr_time_t now);

/*
 * Whether each run of the job takes what came since the last one: it recurs, and its time frame has
 * no end (decisions 2.3). Where such a window begins and ends, udm.make_runs() says, which has this
 * rule, too.
 */
bool udm_job_window_moves(const udm_job_t *job);

/*
 * The definition of a job with its id, as GET of v4 shows it, with no member that v4 does not document;
 * a new reference. Of `job` the schedule is taken from schedule_json, its startDate in the form of all
 * instants.
 */
json_t *udm_job_json(apr_pool_t *p, const udm_job_t *job, apr_int64_t id);

/* JobInfo: a job or a run as the API shows it. Strings are never NULL where not said otherwise. */
typedef struct udm_job_info_t {
    apr_int64_t id;
    apr_int64_t parent_id; /* of a run: its job; 0 on a job */
    const char *type;
    const char *source;
    const char *title;
    const char *file_split_size; /* "" when absent */
    const char *file_name;       /* NULL until there is a file */
    apr_int64_t file_size;
    const char *status;
    const char *status_reason; /* NULL when there is nothing to say; never of what is COMPLETED */
    apr_time_t created;
    apr_time_t date_from; /* UDM_NO_TIME when open */
    apr_time_t date_to;
    const char *description;   /* "" when absent */
    apr_array_header_t *media; /* of const char * */
    int progress;              /* 0 to 100 */
    bool export_attachments;
    const char
        *etag; /* of a job that was asked for by its id, or made: as GET shows it; else NULL */
} udm_job_info_t;

/* The JobInfo of one version (only v10 has exportAttachments); a new reference. */
json_t *udm_job_info_json(apr_pool_t *p, const udm_job_info_t *info, udm_version version);

/* The same as compact text, in `p`, or behind what is in `out`. */
const char *udm_job_info_text(apr_pool_t *p, const udm_job_info_t *info, udm_version version);
void udm_job_info_put(udm_json_out_t *out, apr_pool_t *p, const udm_job_info_t *info,
                      udm_version version);

/* The words of the API for schedule types. */
const char *udm_schedule_type_name(udm_schedule_type type);
udm_schedule_type udm_schedule_type_of(const udm_schedule_t *schedule);

#endif
