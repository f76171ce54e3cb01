/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * weak_rsa.c: looks at the modulus alone, in some milliseconds.
 */
#include "core/weak_rsa.h"

#include <string.h>

#define FERMAT_STEPS 100
#define SMALL_END    65536
#define SMALL_ROOT   256

bool udm_weak_rsa_is_roca(const BIGNUM *n)
{
    static const unsigned char primes[] = {
        3,  5,  7,  11, 13, 17,  19,  23,  29,  31,  37,  41,  43,  47,  53,  59,  61,  67,  71,
        73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
    size_t i;

    for (i = 0; i < sizeof(primes); i++) {
        unsigned prime = primes[i], rest = (unsigned)BN_mod_word(n, prime), power = 1;

        while (power != rest) {
            power = power * (65537 % prime) % prime;
            if (power == 1) {
                return false; /* as for nearly all others after a few primes */
            }
        }
    }
    return true;
}

/* The square root, rounded down, of a number above 0. @return false when memory is out */
static bool square_root(BIGNUM *root, const BIGNUM *n, BN_CTX *context)
{
    BIGNUM *next;
    bool good;

    BN_CTX_start(context);
    next = BN_CTX_get(context);
    BN_zero(root);
    /* Newton's method, from above: it falls until it is there */
    good = next && BN_set_bit(root, (BN_num_bits(n) + 1) / 2) &&
           BN_div(next, NULL, n, root, context) && BN_add(next, next, root) &&
           BN_rshift1(next, next);
    while (good && BN_cmp(next, root) < 0) {
        good = BN_copy(root, next) && BN_div(next, NULL, n, root, context) &&
               BN_add(next, next, root) && BN_rshift1(next, next);
    }
    BN_CTX_end(context);
    return good;
}

/* What a square can leave of 16, 9, 5 and 7; few other numbers pass. */
static bool may_be_square(const BIGNUM *n)
{
    static const struct {
        unsigned modulus, squares;
    } tests[] = {{16, 0x0213}, {9, 0x093}, {5, 0x13}, {7, 0x17}};
    size_t i;

    for (i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        if (!(tests[i].squares >> BN_mod_word(n, tests[i].modulus) & 1)) {
            return false;
        }
    }
    return true;
}

bool udm_weak_rsa_is_close(const BIGNUM *n)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *a, *rest, *root, *square;
    bool good, close = false;
    int i;

    if (!context) {
        return false;
    }
    BN_CTX_start(context);
    a = BN_CTX_get(context);
    rest = BN_CTX_get(context);
    root = BN_CTX_get(context);
    square = BN_CTX_get(context);
    /* n = a^2 - b^2 with the smallest a: whether a^2 - n is a square */
    good = square && !BN_is_zero(n) && square_root(a, n, context);
    for (i = 0; good && !close && i < FERMAT_STEPS; i++) {
        good =
            (i == 0 || BN_add_word(a, 1)) && BN_sqr(square, a, context) && BN_sub(rest, square, n);
        if (good && BN_is_zero(rest)) {
            close = true;
        }
        else if (good && !BN_is_negative(rest) && may_be_square(rest)) {
            good = square_root(root, rest, context) && BN_sqr(square, root, context);
            close = good && BN_cmp(square, rest) == 0;
        }
    }
    BN_CTX_end(context);
    BN_CTX_free(context);
    return close;
}

bool udm_weak_rsa_has_small_factor(const BIGNUM *n)
{
    bool composite[SMALL_END];
    unsigned i, k;

    memset(composite, 0, sizeof(composite));
    for (i = 2; i < SMALL_ROOT; i++) {
        for (k = i * i; !composite[i] && k < SMALL_END; k += i) {
            composite[k] = true;
        }
    }
    for (i = 2; i < SMALL_END; i++) {
        if (!composite[i] && BN_mod_word(n, i) == 0) {
            return true;
        }
    }
    return false;
}
