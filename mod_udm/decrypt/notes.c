/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * notes.c: the file. Names that are there twice are found in as many passes over it as there are
 * millions of entries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "decrypt/notes.h"

/* How much of a hash is compared: a forger who made two names of one hash would harm himself. */
#define KEY_SIZE 16

/* Keys that are sorted in one pass: 4 MiB of them, half of which a pass is expected to have. */
#define PASS_MOST ((apr_size_t)1 << 18)

struct udm_notes_t {
    apr_pool_t *pool;
    FILE *file;
    apr_int64_t count;
    bool reading;
};

static udm_error_t *io_error(apr_pool_t *p, const char *what)
{
    return udm_error_make(p, UDM_E_STORE, "a temporary file cannot be %s: %s", what,
                          strerror(errno));
}

static apr_status_t notes_free(void *data)
{
    fclose(((udm_notes_t *)data)->file);
    return APR_SUCCESS;
}

udm_error_t *udm_notes_open(udm_notes_t **notes, apr_pool_t *p, const char *dir)
{
    udm_notes_t *n = apr_pcalloc(p, sizeof(*n));
    char *path = apr_pstrcat(p, dir, "/.udm-decrypt-XXXXXX", NULL);
    int fd = mkstemp(path);

    n->pool = p;
    if (fd < 0) {
        return udm_error_make(p, UDM_E_STORE, "no temporary file can be made in %s: %s", dir,
                              strerror(errno));
    }
    unlink(path);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    n->file = fdopen(fd, "w+b");
    if (n->file == NULL) {
        close(fd);
        return io_error(p, "opened");
    }
    apr_pool_cleanup_register(p, n, notes_free, apr_pool_cleanup_null);
    *notes = n;
    return NULL;
}

udm_error_t *udm_notes_add(udm_notes_t *notes, const udm_note_t *note)
{
    if (notes->reading && fseek(notes->file, 0, SEEK_END) != 0) {
        return io_error(notes->pool, "written");
    }
    notes->reading = false;
    notes->count++;
    return fwrite(note, sizeof(*note), 1, notes->file) == 1 ? NULL
                                                            : io_error(notes->pool, "written");
}

apr_int64_t udm_notes_count(const udm_notes_t *notes)
{
    return notes->count;
}

udm_error_t *udm_notes_rewind(udm_notes_t *notes)
{
    notes->reading = true;
    return fflush(notes->file) == 0 && fseek(notes->file, 0, SEEK_SET) == 0
               ? NULL
               : io_error(notes->pool, "written");
}

udm_error_t *udm_notes_read(udm_note_t *note, udm_notes_t *notes)
{
    return fread(note, sizeof(*note), 1, notes->file) == 1 ? NULL : io_error(notes->pool, "read");
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, KEY_SIZE);
}

/* Sorts the keys of one share of all names. */
static udm_error_t *check_pass(udm_notes_t *notes, unsigned char (*keys)[KEY_SIZE], uint32_t share,
                               uint32_t shares)
{
    apr_size_t count = 0;
    udm_error_t *error = udm_notes_rewind(notes);

    for (apr_int64_t i = 0; error == NULL && i < notes->count; i++) {
        udm_note_t note;
        uint32_t pick;

        error = udm_notes_read(&note, notes);
        memcpy(&pick, note.folded + KEY_SIZE, sizeof(pick));
        if (error == NULL && pick % shares == share) {
            if (count == PASS_MOST) {
                return udm_error_make(notes->pool, UDM_E_UNPROCESSABLE,
                                      "the names of the entries are too much alike");
            }
            memcpy(keys[count++], note.folded, KEY_SIZE);
        }
    }
    if (error != NULL) {
        return error;
    }
    qsort(keys, count, KEY_SIZE, compare_keys);
    for (apr_size_t i = 1; i < count; i++) {
        if (memcmp(keys[i - 1], keys[i], KEY_SIZE) == 0) {
            return udm_error_make(notes->pool, UDM_E_UNPROCESSABLE,
                                  "two entries of the archive have the same name");
        }
    }
    return NULL;
}

udm_error_t *udm_notes_check_unique(udm_notes_t *notes)
{
    uint32_t shares = (uint32_t)(notes->count / (apr_int64_t)(PASS_MOST / 2)) + 1;
    apr_size_t most = notes->count < (apr_int64_t)PASS_MOST ? (apr_size_t)notes->count : PASS_MOST;
    unsigned char(*keys)[KEY_SIZE] = malloc((most + 1) * KEY_SIZE);
    udm_error_t *error = NULL;

    if (keys == NULL) {
        return udm_error_make(notes->pool, UDM_E_INTERNAL, "there is no memory");
    }
    for (uint32_t i = 0; error == NULL && i < shares; i++) {
        error = check_pass(notes, keys, i, shares);
    }
    free(keys);
    return error;
}
