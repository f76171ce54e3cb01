/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: finds headers, which may stand at the beginning of the next volume.
 */
#include "decrypt/walk.h"

udm_error_t *udm_walk_damaged(udm_walk_t *walk, const char *what)
{
    return udm_error_make(walk->pool, UDM_E_UNPROCESSABLE,
                          "%s: is damaged or forged: %s (at byte %" APR_INT64_T_FMT
                          " of the archive in it)",
                          udm_joined_path(walk->joined), what, udm_joined_offset(walk->joined));
}

udm_error_t *udm_walk_header(const unsigned char **data, udm_walk_t *walk, apr_size_t want)
{
    while (true) {
        apr_size_t size;
        udm_error_t *error = udm_joined_peek(data, &size, walk->joined, want);
        apr_int64_t offset = udm_joined_offset(walk->joined);

        if (error != NULL || size >= want) {
            return error;
        }
        /* A byte that keeps a volume's size from being a multiple. */
        if (size == 1 && **data == 0 && offset != 0 && offset % UDM_ZIP_VOLUME_BLOCK == 0 &&
            !udm_joined_is_last(walk->joined)) {
            udm_joined_skip(walk->joined, 1);
            size = 0;
        }
        if (size != 0 || offset == 0) {
            return udm_walk_damaged(walk, "it is cut short, or something stands where a header "
                                          "must");
        }
        error = udm_joined_next(walk->joined);
        if (error != NULL) {
            return error;
        }
    }
}

udm_error_t *udm_walk_whole(const unsigned char **data, udm_walk_t *walk, apr_size_t want)
{
    apr_size_t size;
    udm_error_t *error = udm_joined_peek(data, &size, walk->joined, want);

    return error != NULL || size >= want ? error : udm_walk_damaged(walk, "a header is cut short");
}
