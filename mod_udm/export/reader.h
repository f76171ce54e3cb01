/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h: reads a source to its end and puts what its rows and attachments are in JSON, block by
 * block, into the relay.
 */
#ifndef UDM_EXPORT_READER_H
#define UDM_EXPORT_READER_H

#include "core/data_type.h"
#include "core/run.h"
#include "export/relay.h"
#include "export/watch.h"
#include "source/source.h"

/*
 * A row of more than `max_row` bytes is a lasting UDM_E_SOURCE. `rows` gets how many rows were read, also
 * after an error. Reports progress to `watch`, and ends with UDM_E_STOPPED when that says so, or when the relay has failed, which then knows why.
 */
udm_error_t *udm_reader_run(apr_int64_t *rows, apr_pool_t *p, udm_source_t *source,
                            udm_relay_t *relay, const udm_data_type_t *type, const udm_run_t *run,
                            udm_export_watch_t *watch, apr_int64_t max_row);

#endif
