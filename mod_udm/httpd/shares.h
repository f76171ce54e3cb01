/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * shares.h: how much of a child's pool of connections the requests of one contact centre may hold at once.
 * Whoever's rows are locked by somebody waits with a connection in hand, and must not have them all.
 */
#ifndef UDM_HTTPD_SHARES_H
#define UDM_HTTPD_SHARES_H

#include <stdbool.h>

#include <apr_pools.h>

typedef struct udm_shares_t udm_shares_t;

/* `most`: connections for each at the same time, at least 1. Good as long as `pchild` is. */
udm_shares_t *udm_shares_create(apr_pool_t *pchild, int most);

/*
 * Takes one for `ccid`, and waits up to a second for it. Any thread.
 * @return false when there was none in that time; otherwise udm_shares_give() is to follow
 */
bool udm_shares_take(udm_shares_t *shares, const char *ccid);
void udm_shares_give(udm_shares_t *shares, const char *ccid);

#endif
