/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * weak_rsa.h: RSA moduli whose factors anybody finds, because of how some programs and chips chose
 * them. What certificate authorities must look for (CA/Browser Forum, 6.1.1.3).
 */
#ifndef UDM_CORE_WEAK_RSA_H
#define UDM_CORE_WEAK_RSA_H

#include <stdbool.h>

#include <openssl/bn.h>

/* Primes of Infineon's library (CVE-2017-15361, ROCA): powers of 65537 modulo every small prime. */
bool udm_weak_rsa_is_roca(const BIGNUM *n);

/*
 * Two primes so near to each other that Fermat's method finds them in 100 steps (CVE-2022-26320).
 * @return also false when memory is out
 */
bool udm_weak_rsa_is_close(const BIGNUM *n);

/* A factor below 2^16, beside which the rest may be the other prime. */
bool udm_weak_rsa_has_small_factor(const BIGNUM *n);

#endif
