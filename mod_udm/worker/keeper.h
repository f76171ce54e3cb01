/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h: the main thread: leases, due jobs, hints from the database, signals and the supervisor.
 */
#ifndef UDM_WORKER_KEEPER_H
#define UDM_WORKER_KEEPER_H

#include "worker/settings.h"

/* The exit status where schema udm is not of the version that the program is made for: EX_CONFIG of
 * sysexits.h. Starting it again does not help. */
#define UDM_EXIT_SCHEMA 78

/*
 * Runs the worker until it is told to end. With `supervised`, stdin tells: a line "stop" hands what
 * runs back to the queue, its end lets it finish. SIGTERM and SIGINT hand back; the caller must have
 * blocked both before any thread exists.
 * @return the exit status of the program
 */
int udm_keeper_run(apr_pool_t *p, const udm_settings_t *settings, bool supervised);

#endif
