/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h: one more thread for an export. What the caller hands over is taken in by the other thread,
 * in order; a bounded number of blocks goes between the two, so memory does not depend on who is
 * faster.
 */
#ifndef UDM_EXPORT_RELAY_H
#define UDM_EXPORT_RELAY_H

#include "export/block.h"

typedef struct udm_relay_t udm_relay_t;

/*
 * A pool that shares nothing with other ones, so that the other thread may use it beside them. It goes
 * with `p`.
 */
apr_pool_t *udm_relay_pool(apr_pool_t *p);

/* Takes in a block, in the other thread. After an error it is not called again. */
typedef udm_error_t *(*udm_relay_fn)(void *context, const udm_block_t *block);

/*
 * Starts the thread. Until udm_relay_finish all that `take` touches is the thread's alone, also the
 * pool of its errors (udm_relay_pool).
 * Every relay that was started must be finished before `p` goes.
 */
udm_error_t *udm_relay_start(udm_relay_t **relay, apr_pool_t *p, udm_relay_fn take, void *context);

/*
 * An empty block to be filled, in the pool of the relay. Of those that were put, some come back here:
 * there are never more than the caller holds and some ten.
 */
udm_block_t *udm_relay_block(udm_relay_t *relay);

/*
 * Hands a filled block on. @return false when the other thread has failed: then end, and
 * udm_relay_finish says why
 */
bool udm_relay_put(udm_relay_t *relay, udm_block_t *block);

/* Whether the other thread has failed, for whoever has nothing to put for a while. */
bool udm_relay_failed(const udm_relay_t *relay);

/*
 * Waits until all blocks went through, and ends the thread. With `abort`, what was not taken yet is
 * dropped. @return the other thread's error
 */
udm_error_t *udm_relay_finish(udm_relay_t *relay, bool abort);

#endif
