/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * download_batch.h: the database's part of downloads that come at the same time, done together.
 */
#ifndef UDM_HTTPD_DOWNLOAD_BATCH_H
#define UDM_HTTPD_DOWNLOAD_BATCH_H

#include <httpd.h>

#include "db/download.h"

/* Of one child. */
typedef struct udm_download_batch_t udm_download_batch_t;

udm_download_batch_t *udm_download_batch_create(apr_pool_t *pchild);

/*
 * udm_download_many for one, or for it and others. `batch` may be NULL.
 * @return download->error, or that of the database
 */
udm_error_t *udm_download_note(udm_download_batch_t *batch, request_rec *r,
                               udm_download_t *download);

#endif
