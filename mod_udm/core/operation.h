/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * operation.h: the table of operations. A row says all of one: its name, its handler in httpd/
 * (udm_handle_...), the versions that have it, method, path below the version, which credentials it
 * asks for (of v10; v4 and v3 know no token, and ask for the key), and whether it answers in JSON.
 *
 * core/route.c makes routes of it, httpd/handler.h declares the handlers, httpd/dispatch.c calls them.
 * The path has at most one {parameter}; "GET" answers HEAD too; BESIDE stands beside the versions.
 */
#ifndef UDM_CORE_OPERATION_H
#define UDM_CORE_OPERATION_H

/* clang-format off */
#define UDM_OPERATIONS(X)                                                                          \
    X(CERTIFICATE_GET, certificate_get, V10_V3, "GET", "/cipher", BOTH, true)                      \
    X(CERTIFICATE_UPLOAD, certificate_upload, V10_V3, "POST",                                      \
      "/cipher/{certificatefilename}", BOTH, true)                                                 \
    X(ATTRIBUTE_LIST, attribute_list, V10, "GET", "/data/attributes", BOTH, true)                  \
    X(STATUS_LIST, status_list, V10_V3, "GET", "/data/job-statuses", BOTH, true)                   \
    X(SOURCE_LIST, source_list, V10_V3, "GET", "/data/sources", BOTH, true)                        \
    X(SUB_TYPE_LIST, sub_type_list, V10_V3, "GET", "/data/sub-types", BOTH, true)                  \
    X(TYPE_LIST, type_list, V10_V3, "GET", "/data/types", BOTH, true)                              \
    X(RUN_LIST, run_list, V10_V4, "GET", "/export/history", BOTH, true)                            \
    X(RUN_DELETE_MANY, run_delete_many, V10_V4, "DELETE", "/export/history", BOTH, false)          \
    X(RUN_GET, run_get, V10_V4, "GET", "/export/history/{id}", BOTH, true)                         \
    X(RUN_DELETE, run_delete, V10_V4, "DELETE", "/export/history/{id}", BOTH, false)               \
    X(RUN_PROGRESS, run_progress, V10_V4, "GET", "/export/history/{id}/progress", BOTH, true)      \
    X(JOB_LIST, job_list, V10_V4, "GET", "/export/jobs", BOTH, true)                               \
    X(JOB_CREATE, job_create, V10_V4, "POST", "/export/jobs", BOTH, true)                          \
    X(JOB_DELETE_MANY, job_delete_many, V10_V4, "DELETE", "/export/jobs", BOTH, false)             \
    X(JOB_CANCEL, job_cancel, V10_V4, "POST", "/export/jobs/cancel/{id}", BOTH, false)             \
    X(JOB_RESUME, job_resume, V10_V4, "POST", "/export/jobs/resume/{id}", BOTH, true)              \
    X(JOB_SUSPEND, job_suspend, V10_V4, "POST", "/export/jobs/suspend/{id}", BOTH, true)           \
    X(JOB_GET, job_get, V10_V4, "GET", "/export/jobs/{id}", BOTH, true)                            \
    X(JOB_REPLACE, job_replace, V10_V4, "PUT", "/export/jobs/{id}", BOTH, true)                    \
    X(JOB_DELETE, job_delete, V10_V4, "DELETE", "/export/jobs/{id}", BOTH, false)                  \
    X(FILE_LIST, file_list, V10_V3, "GET", "/file-metadatas", BOTH, true)                          \
    X(FILE_LINK_MANY, file_link_many, V10_V3, "GET", "/files", BOTH, true)                         \
    X(FILE_DELETE_MANY, file_delete_many, V10_V3, "DELETE", "/files", BOTH, false)                 \
    X(FILE_LINK, file_link, V10_V3, "GET", "/files/{filename}", BOTH, false)                       \
    X(FILE_DELETE, file_delete, V10_V3, "DELETE", "/files/{filename}", BOTH, false)                \
    X(LABELS, labels, V10, "GET", "/resources/labels", OPTIONAL, true)                             \
    X(VERSION, version, V10_V3, "GET", "/version", KEY, true)                                      \
    X(FILE_DOWNLOAD, file_download, BESIDE, "GET", "/download/{name}", NONE, false)                \
    X(OPENAPI, openapi, BESIDE, "GET", "/openapi.json", NONE, true)

/* What is done, whichever version asks for it. */
typedef enum {
#define UDM_OPERATION(operation, ...) UDM_OP_##operation,
    UDM_OPERATIONS(UDM_OPERATION)
#undef UDM_OPERATION
} udm_operation;
/* clang-format on */

#endif
