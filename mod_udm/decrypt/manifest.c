/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.c: {"exportId":"...", ..., "entries":[{"name":,"sha256":,"size":,"rows":}, ...]}, the
 * entries in the order of the archive. Members that are not known are passed over.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/sha.h>

#include "core/text.h"
#include "decrypt/manifest.h"
#include "decrypt/tokens.h"

typedef enum { OTHER, EXPORT_ID, ENTRIES, NAME, SHA256_OF, SIZE, ROWS, MEMBERS } member_t;

/* Where members stand: in the document, in an entry. */
#define DEPTH_DOCUMENT 1
#define DEPTH_ENTRY    3

struct udm_manifest_t {
    apr_pool_t *pool;
    udm_tokens_t *tokens;
    udm_notes_t *notes;
    FILE *list;
    apr_int64_t expected;
    apr_int64_t read;
    bool in_entries;
    member_t member;
    bool seen[MEMBERS];
    char export_id[64];
    /* The entry under way. */
    char name[UDM_TOKENS_TEXT + 1];
    unsigned char sha256[UDM_SHA256_SIZE];
    apr_int64_t size;
    apr_int64_t rows;
};

static udm_error_t *damaged(udm_manifest_t *m, const char *what)
{
    return udm_error_make(m->pool, UDM_E_UNPROCESSABLE, "the manifest does not fit the archive: %s",
                          what);
}

static member_t find_member(int depth, bool in_entries, const char *name)
{
    static const struct {
        const char *name;
        int depth;
        member_t member;
    } known[] = {{"exportId", DEPTH_DOCUMENT, EXPORT_ID},
                 {"entries", DEPTH_DOCUMENT, ENTRIES},
                 {"name", DEPTH_ENTRY, NAME},
                 {"sha256", DEPTH_ENTRY, SHA256_OF},
                 {"size", DEPTH_ENTRY, SIZE},
                 {"rows", DEPTH_ENTRY, ROWS}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].depth == depth && (depth != DEPTH_ENTRY || in_entries) &&
            strcmp(known[i].name, name) == 0) {
            return known[i].member;
        }
    }
    return OTHER;
}

/* A whole number that is not negative. */
static bool read_count(apr_int64_t *count, const char *text)
{
    char *end;

    if (text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    *count = apr_strtoi64(text, &end, 10);
    return *end == '\0' && *count != APR_INT64_MAX;
}

/* The value of a member that we know. */
static udm_error_t *take_value(udm_manifest_t *m, udm_token_kind kind, const char *text,
                               apr_size_t size)
{
    bool string = kind == UDM_TOKEN_STRING;
    bool good = true;

    switch (m->member) {
    case EXPORT_ID:
        good = string && size < sizeof(m->export_id);
        if (good) {
            memcpy(m->export_id, text, size + 1);
        }
        break;
    case NAME:
        good = string;
        memcpy(m->name, text, size + 1);
        break;
    case SHA256_OF:
        good = string && udm_text_unhex(m->sha256, sizeof(m->sha256), text);
        break;
    case SIZE:
        good = kind == UDM_TOKEN_NUMBER && read_count(&m->size, text);
        break;
    case ROWS:
        good = kind == UDM_TOKEN_NUMBER && read_count(&m->rows, text);
        break;
    case ENTRIES:
        good = false;
        break;
    default:
        break;
    }
    m->member = OTHER;
    return good ? NULL : damaged(m, "a value in it is of the wrong kind");
}

/* An entry has been read: it must be the next one of the archive. */
static udm_error_t *check_entry(udm_manifest_t *m)
{
    unsigned char hash[UDM_SHA256_SIZE];
    udm_note_t note;
    udm_error_t *error;

    if (!m->seen[NAME] || !m->seen[SHA256_OF] || !m->seen[SIZE]) {
        return damaged(m, "an entry in it lacks name, sha256 or size");
    }
    if (m->read == m->expected) {
        return damaged(m, "it lists an entry that the archive does not have");
    }
    error = udm_notes_read(&note, m->notes);
    if (error != NULL) {
        return error;
    }
    m->read++;
    SHA256((const unsigned char *)m->name, strlen(m->name), hash);
    if (memcmp(hash, note.name, sizeof(hash)) != 0) {
        return udm_error_make(m->pool, UDM_E_UNPROCESSABLE,
                              "the manifest does not fit the archive: entry %" APR_INT64_T_FMT
                              " has another name in it",
                              m->read);
    }
    /* The name is that of an entry, so it is a harmless one. */
    if (note.size != m->size || memcmp(note.sha256, m->sha256, sizeof(note.sha256)) != 0) {
        return udm_error_make(m->pool, UDM_E_UNPROCESSABLE,
                              "%s is damaged: its SHA-256 or size is not what the manifest says",
                              m->name);
    }
    if (m->list != NULL) {
        if (m->seen[ROWS]) {
            fprintf(m->list, "%14" APR_INT64_T_FMT " %12" APR_INT64_T_FMT "  %s\n", m->size,
                    m->rows, m->name);
        }
        else {
            fprintf(m->list, "%14" APR_INT64_T_FMT " %12s  %s\n", m->size, "-", m->name);
        }
    }
    return NULL;
}

static udm_error_t *token(void *context, udm_token_kind kind, int depth, const char *text,
                          apr_size_t size)
{
    udm_manifest_t *m = context;
    udm_error_t *error = NULL;

    switch (kind) {
    case UDM_TOKEN_NAME:
        m->member = find_member(depth, m->in_entries, text);
        if (m->member != OTHER) {
            if (m->seen[m->member]) {
                return damaged(m, "a member of it is there twice");
            }
            m->seen[m->member] = true;
        }
        break;
    case UDM_TOKEN_OBJECT:
    case UDM_TOKEN_ARRAY:
        if (depth == 0 && kind != UDM_TOKEN_OBJECT) {
            return damaged(m, "it is no object");
        }
        if (m->member == ENTRIES && kind == UDM_TOKEN_ARRAY) {
            m->in_entries = true;
        }
        else if (m->member != OTHER) {
            return damaged(m, "a value in it is of the wrong kind");
        }
        else if (m->in_entries && depth == DEPTH_ENTRY - 1) {
            if (kind != UDM_TOKEN_OBJECT) {
                return damaged(m, "an entry in it is no object");
            }
            m->seen[NAME] = m->seen[SHA256_OF] = m->seen[SIZE] = m->seen[ROWS] = false;
        }
        m->member = OTHER;
        break;
    case UDM_TOKEN_OBJECT_END:
        if (m->in_entries && depth == DEPTH_ENTRY - 1) {
            error = check_entry(m);
        }
        break;
    case UDM_TOKEN_ARRAY_END:
        if (m->in_entries && depth == DEPTH_DOCUMENT) {
            m->in_entries = false;
        }
        break;
    default:
        if (depth == 0 || (m->in_entries && depth == DEPTH_ENTRY - 1)) {
            return damaged(m, "a value in it is of the wrong kind");
        }
        error = take_value(m, kind, text, size);
        break;
    }
    return error;
}

udm_error_t *udm_manifest_open(udm_manifest_t **manifest, apr_pool_t *p, udm_notes_t *notes,
                               FILE *list)
{
    udm_manifest_t *m = apr_pcalloc(p, sizeof(*m));

    m->pool = p;
    m->notes = notes;
    m->list = list;
    m->expected = udm_notes_count(notes);
    m->tokens = udm_tokens_make(p, token, m);
    *manifest = m;
    return udm_notes_rewind(notes);
}

udm_error_t *udm_manifest_write(udm_manifest_t *manifest, const void *data, apr_size_t size)
{
    return udm_tokens_write(manifest->tokens, data, size);
}

udm_error_t *udm_manifest_finish(udm_manifest_t *manifest, const char *export_id)
{
    udm_error_t *error = udm_tokens_finish(manifest->tokens);

    if (error != NULL) {
        return error;
    }
    if (!manifest->seen[ENTRIES] || manifest->read != manifest->expected) {
        return damaged(manifest, "the archive has an entry that it does not list");
    }
    if (export_id[0] != '\0' && strcmp(export_id, manifest->export_id) != 0) {
        return udm_error_make(manifest->pool, UDM_E_UNPROCESSABLE,
                              "the files have the name of another export than the one in them");
    }
    return NULL;
}
