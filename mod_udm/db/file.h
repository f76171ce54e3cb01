/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h: files by name: links and deletion. Everything filters by the principal's tenant and rights:
 * what is not visible does not exist.
 */
#ifndef UDM_DB_FILE_H
#define UDM_DB_FILE_H

#include "core/file.h"
#include "db/tenant.h"

#define UDM_FILES_MAX 100 /* links in one request */

/*
 * A file by name, for a link; writes the audit ("file.link").
 * @return UDM_E_NOT_FOUND, or UDM_E_GONE for one past its retention
 */
udm_error_t *udm_file_link(udm_file_info_t **info, apr_pool_t *p, udm_pg_t *db, const char *name,
                           const udm_audit_t *audit);

/*
 * Many files by name (const char *), in one statement. Either all can be linked, and each is
 * audited once, or `missing` gets those that cannot, in the order asked, and nothing is audited.
 * An expired file is missing, too. `missing` is never NULL.
 */
udm_error_t *udm_file_link_many(apr_array_header_t **missing, apr_pool_t *p, udm_pg_t *db,
                                const apr_array_header_t *names, const udm_audit_t *audit);

/*
 * Deletes files: from now on none is listed, linked or downloaded, and a worker takes them out of
 * the store. Each is audited ("file.delete"). `left` gets the names that were not deleted, in the
 * order asked: unknown, gone already, or outside the right to write. A name asked for twice is
 * deleted once.
 */
udm_error_t *udm_file_delete_many(apr_array_header_t **left, apr_pool_t *p, udm_pg_t *db,
                                  const apr_array_header_t *names, const udm_audit_t *audit);

#endif
