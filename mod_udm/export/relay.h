/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h: a second thread for an export: one reads and encodes, the other compresses, encrypts and
 * writes. Between them goes a bounded number of blocks, so memory does not depend on who is faster.
 */
#ifndef UDM_RELAY_H
#define UDM_RELAY_H

#include "archive.h"

typedef struct udm_relay_t udm_relay_t;

/*
 * Starts the thread. Until udm_relay_finish the archive, and the pool it was made with, are the
 * thread's alone; that pool must not share its allocator with another one.
 * Every relay that was started must be finished.
 */
udm_error_t *udm_relay_start(udm_relay_t **relay, apr_pool_t *p, udm_archive_t *archive);

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
