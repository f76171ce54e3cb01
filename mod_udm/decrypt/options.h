/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h: the command line of udm-decrypt.
 */
#ifndef UDM_DECRYPT_OPTIONS_H
#define UDM_DECRYPT_OPTIONS_H

#include "decrypt/inputs.h"
#include "decrypt/output.h"

typedef enum { UDM_ASKED_WORK, UDM_ASKED_HELP, UDM_ASKED_VERSION } udm_asked;

typedef struct udm_options_t {
    udm_asked asked;
    udm_output_kind kind;
    const char *target; /* of -o or --zip; NULL: made of the export's id */
    bool list;
    const char *key;
    const char *passphrase_file;
    bool has_sums;
    udm_inputs_t inputs; /* in the order of the command line */
} udm_options_t;

extern const char udm_options_usage[];

/* @return UDM_E_INVALID when the command line is wrong */
udm_error_t *udm_options_read(udm_options_t *options, apr_pool_t *p, int argc,
                              const char *const *argv);

#endif
