/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * job_check.h: whether a job that a client sent can be stored, and its runs be encrypted.
 */
#ifndef UDM_DB_JOB_CHECK_H
#define UDM_DB_JOB_CHECK_H

#include "core/certificate.h"
#include "core/encryption.h"
#include "core/job.h"
#include "core/principal.h"
#include "pg/client.h"

/* Whom a job is to be encrypted for, how, and the time by the database's clock. */
typedef struct udm_job_cipher_t {
    const char *pem;
    udm_encryption encryption;
    apr_time_t now;
} udm_job_cipher_t;

/*
 * Holds a job against the catalog (source, type, family, media, time column, attributes of filters),
 * the principal's right to write it and the tenant's certificate, which must be there and not be over.
 * `checked` gets a copy with the canonical family, source and media; `cipher` what
 * udm_job_check_cipher() is to look at.
 * @return UDM_E_INVALID with the faults; UDM_E_FORBIDDEN for data outside the role
 */
udm_error_t *udm_job_check(udm_job_t **checked, udm_job_cipher_t *cipher, apr_pool_t *p,
                           udm_pg_t *db, const udm_job_t *job, const udm_principal_t *who);

/*
 * The certificate must be one that a run of the job could encrypt for, as things are. `certificate`
 * gets what was read of it. What is found depends on nothing but `cipher`.
 * @return UDM_E_INVALID
 */
udm_error_t *udm_job_check_cipher(udm_certificate_t **certificate, apr_pool_t *p,
                                  const udm_job_cipher_t *cipher);

#endif
