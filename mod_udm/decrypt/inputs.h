/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * inputs.h: the files that were given: which part of which export each of them is.
 */
#ifndef UDM_DECRYPT_INPUTS_H
#define UDM_DECRYPT_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "decrypt/mime.h"

typedef struct udm_input_t {
    const char *path;
    uint32_t number; /* from 1, of a part that is not the last; UDM_INPUT_LAST; 0: not known */
    bool has_sum;
    unsigned char sha256[UDM_SHA256_SIZE]; /* that it must have */
} udm_input_t;

#define UDM_INPUT_LAST UINT32_MAX

typedef struct udm_inputs_t {
    udm_input_t *list;
    uint32_t count;
    char export_id[UDM_UUID_SIZE + 1]; /* "" when the names do not tell */
} udm_inputs_t;

/*
 * Puts the parts in order by their names. When no name tells anything, the order stays as it is.
 * @return UDM_E_UNPROCESSABLE that names a part that is missing, there twice, or of another export
 */
udm_error_t *udm_inputs_order(udm_inputs_t *inputs, apr_pool_t *p);

/* Fails, naming those that are missing, unless the export has as many parts as there are inputs. */
udm_error_t *udm_inputs_check_total(const udm_inputs_t *inputs, apr_pool_t *p, uint32_t total);

/* Compares the SHA-256 of every file that must have one, before anything else is read of them. */
udm_error_t *udm_inputs_check_sums(const udm_inputs_t *inputs, apr_pool_t *p,
                                   const volatile sig_atomic_t *stop);

/* The error of a file whose SHA-256 is not the one that was given. */
udm_error_t *udm_inputs_wrong_sum(apr_pool_t *p, const udm_input_t *input);

#endif
