/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h: the main thread: starts the others, hears signals and the supervisor, and ends it all.
 */
#ifndef UDM_WORKER_KEEPER_H
#define UDM_WORKER_KEEPER_H

#include "worker/worker.h"

/*
 * Runs the worker until it is told to end. With `supervised`, stdin tells: a line "stop" hands what
 * runs back to the queue, its end lets it finish. SIGTERM and SIGINT hand back; the caller must have
 * blocked both before any thread exists.
 * @return the exit status of the program
 */
int udm_keeper_run(apr_pool_t *p, const udm_settings_t *settings, bool supervised);

#endif
