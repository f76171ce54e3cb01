/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction.c: BEGIN, COMMIT, ROLLBACK, and another try where others were in the way.
 */
#include "pg/transaction.h"

#include <string.h>

#define TRIES 10

#define SQLSTATE_SERIALIZATION "40001"
#define SQLSTATE_DEADLOCK      "40P01"

udm_error_t *udm_transaction_again(apr_pool_t *p)
{
    udm_error_t *error = udm_error_make(p, UDM_E_DATABASE,
                                        "others are changing the same at this moment; try again "
                                        "later");

    memcpy(error->sqlstate, SQLSTATE_SERIALIZATION, sizeof(error->sqlstate));
    return error;
}

bool udm_transaction_passes(const udm_error_t *error)
{
    return strcmp(error->sqlstate, SQLSTATE_SERIALIZATION) == 0 ||
           strcmp(error->sqlstate, SQLSTATE_DEADLOCK) == 0;
}

/* Every statement looks anew: what a lock waited for is seen by the one after it. */
static udm_error_t *attempt(apr_pool_t *p, udm_pg_t *db, udm_transaction_body *body, void *baton)
{
    udm_error_t *error = udm_pg_exec(p, db, "BEGIN ISOLATION LEVEL READ COMMITTED");

    if (!error) {
        error = body(p, db, baton);
    }
    if (!error) {
        error = udm_pg_exec(p, db, "COMMIT");
    }
    if (error && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
        /* What this says is no news: a connection that is gone has rolled back already. */
        udm_pg_exec(p, db, "ROLLBACK");
    }
    return error;
}

udm_error_t *udm_transaction(apr_pool_t *p, udm_pg_t *db, udm_transaction_body *body, void *baton)
{
    udm_error_t *error = NULL;
    int tries;

    for (tries = 0; tries < TRIES; tries++) {
        error = attempt(p, db, body, baton);
        if (!error || !udm_transaction_passes(error)) {
            return error;
        }
    }
    return error;
}
