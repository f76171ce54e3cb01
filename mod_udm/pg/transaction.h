/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction.h: several statements as one change, whole or not at all. Private to db/.
 */
#ifndef UDM_PG_TRANSACTION_H
#define UDM_PG_TRANSACTION_H

#include "pg/client.h"

/* What is done between BEGIN and COMMIT. It may run more than once. */
typedef udm_error_t *udm_transaction_body(apr_pool_t *p, udm_pg_t *db, void *baton);

/*
 * Runs `body` in a transaction of its own, which an error of it undoes. After a deadlock, or when
 * it returns udm_transaction_again(), it is run once more, ten times at most. Afterwards `db` is in
 * no transaction, whatever happened.
 */
udm_error_t *udm_transaction(apr_pool_t *p, udm_pg_t *db, udm_transaction_body *body, void *baton);

/* Whether an error is that others were in the way for a moment: begun anew, the same may go well. */
bool udm_transaction_passes(const udm_error_t *error);

/* The error by which a body asks to begin anew, because others were quicker. */
udm_error_t *udm_transaction_again(apr_pool_t *p);

#endif
