/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.c: finds credentials in a text, and writes it without them.
 *
 * The search sees the text as whoever decodes it would; a map leads from there to the text as it is.
 * Each byte is looked at a bounded number of times: a word that was measured is passed over, or is
 * short.
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "core/apikey.h"
#include "core/artifact.h"
#include "core/redact.h"

#define DECODINGS    4  /* a URL within a URL within a URL is encoded once for each */
#define VARIED       8  /* so many different characters has what is random, at least */
#define HEX_RUN      33 /* so many hex digits in a row are a piece of a secret: ids have 32 */
#define OPAQUE_RUN   80 /* likewise of base64url, which the signature of a token is */
#define TOKEN_MIN    16 /* "eyJ" and what follows, with a dot in it */
#define TOKEN_PIECE  40 /* the same without */
#define GLUE_MAX     8  /* what somebody may have put between the id and the secret of a key */
#define SECRET_PIECE 8  /* so many hex digits behind that are a piece of the secret */
#define WHOLE_SECRET 16 /* a key in another application's text has at least so many */
#define PROTOCOL_MAX 9  /* " HTTP/1.1" */
#define LEAST        11 /* "signature=" and one more byte: nothing shorter is of any use */

/* A text as it is searched: decoded, and where each byte of it begins in the text as it is. */
typedef struct view_t {
    const char *text;
    apr_size_t size;
    const apr_uint32_t *map; /* NULL: it is the text as it is */
} view_t;

/* A piece of a view that is hidden. */
typedef struct span_t {
    apr_size_t from, to;
} span_t;

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Decodes in place what is percent-encoded, and says where it stood. APR's would give up at the
 * first thing that is broken. @return false when nothing was
 */
static bool decode(char *text, apr_size_t *size, apr_uint32_t *map)
{
    apr_size_t from, to = 0;
    bool changed = false;

    for (from = 0; from < *size; to++) {
        map[to] = map[from];
        if (text[from] == '%' && *size - from > 2 && hex_value(text[from + 1]) >= 0 &&
            hex_value(text[from + 2]) >= 0) {
            text[to] = (char)(hex_value(text[from + 1]) << 4 | hex_value(text[from + 2]));
            from += 3;
            changed = true;
        }
        else {
            text[to] = text[from++];
        }
    }
    map[to] = map[*size];
    *size = to;
    return changed;
}

/* How a text is searched. */
static view_t view_of(apr_pool_t *p, const char *text)
{
    view_t view = {text, strlen(text), NULL};
    apr_uint32_t *map;
    apr_size_t i;
    char *copy;
    int turn;

    /* a text of 4 GB is no line of a log */
    if (!memchr(text, '%', view.size) || view.size >= APR_UINT32_MAX) {
        return view;
    }
    copy = apr_pstrmemdup(p, text, view.size);
    map = apr_palloc(p, (view.size + 1) * sizeof(*map));
    for (i = 0; i <= view.size; i++) {
        map[i] = (apr_uint32_t)i;
    }
    for (turn = 0; turn < DECODINGS && decode(copy, &view.size, map); turn++) {
    }
    view.text = copy;
    view.map = map;
    return view;
}

/* @return true when `word`, in lower case, stands at `at` in any case */
static bool is_at(const view_t *v, apr_size_t at, const char *word)
{
    for (; *word; word++, at++) {
        if (at >= v->size || apr_tolower(v->text[at]) != *word) {
            return false;
        }
    }
    return true;
}

/* What counts as blank in a URL, too. */
static bool is_blank(char c)
{
    return c == '+' || c == '\0' || apr_isspace(c);
}

/* Ends a word: what stands between the parts of a URL, or quotes it. */
static bool is_delimiter(char c)
{
    return is_blank(c) || apr_iscntrl(c) || strchr("\"'<>()[]{}?&#;,/\\|", c);
}

static bool is_base64url(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
           c == '_';
}

static apr_size_t hex_end(const view_t *v, apr_size_t at)
{
    for (; at < v->size && hex_value(v->text[at]) >= 0; at++) {
    }
    return at;
}

/* Where the word that has begun ends. */
static apr_size_t word_end(const view_t *v, apr_size_t at)
{
    for (; at < v->size && !is_delimiter(v->text[at]); at++) {
    }
    return at;
}

/* The end of what can be a credential: the protocol at the end of a request line is none. */
static apr_size_t text_end(const view_t *v)
{
    apr_size_t at, least = v->size > PROTOCOL_MAX ? v->size - PROTOCOL_MAX : 0;

    for (at = v->size; at > least; at--) {
        if (v->text[at - 1] == ' ' && is_at(v, at, "http/")) {
            return at - 1;
        }
    }
    return v->size;
}

/* @return true where the path of a link begins, with as many slashes in it as a server puts up with */
static bool is_link(const view_t *v, apr_size_t at)
{
    static const char folder[] = "/download";

    if (!is_at(v, at, folder)) {
        return false;
    }
    for (at += sizeof(folder) - 1; is_at(v, at, "//") || is_at(v, at, "/./"); at++) {
        at += v->text[at + 1] == '.';
    }
    return is_at(v, at, "/" UDM_ARTIFACT_PREFIX);
}

/* "signature=": it ends its URL, so all that follows goes, whatever was put between its digits. */
static bool find_signature(span_t *span, const view_t *v, apr_size_t at)
{
    static const char name[] = "signature";

    if (!is_at(v, at, name)) {
        return false;
    }
    for (at += sizeof(name) - 1; at < v->size && is_blank(v->text[at]); at++) {
    }
    if (at == v->size || (v->text[at] != '=' && v->text[at] != ':')) {
        return false;
    }
    span->to = text_end(v);
    for (at++; at < span->to && is_blank(v->text[at]); at++) {
    }
    span->from = at;
    return span->from < span->to;
}

/* "udm_<id>_<secret>": the id stays. */
static bool find_key(span_t *span, const view_t *v, apr_size_t at, udm_redact_scope scope)
{
    apr_size_t id = at + 4, glue, i;

    if (!is_at(v, at, "udm_") || v->size - id <= UDM_APIKEY_ID_SIZE) {
        return false;
    }
    for (i = 0; i < UDM_APIKEY_ID_SIZE; i++) {
        if (hex_value(v->text[id + i]) < 0) {
            return false;
        }
    }
    at = id + UDM_APIKEY_ID_SIZE;
    span->from = at;
    if (scope != UDM_REDACT_OURS) {
        if (v->text[at] != '_' || hex_end(v, at + 1) - at <= WHOLE_SECRET) {
            return false;
        }
        span->to = word_end(v, at);
        return true;
    }
    if (v->text[at] == '_' || apr_isalnum(v->text[at])) {
        span->to = word_end(v, at);
    }
    else {
        span->to = at;
    }
    /* the rest of it behind something that does not belong there */
    for (glue = span->to;
         glue < v->size && glue - span->to < GLUE_MAX && !apr_isalnum(v->text[glue]); glue++) {
    }
    i = hex_end(v, glue);
    if (i - glue >= SECRET_PIECE) {
        span->to = i;
    }
    return span->to > span->from;
}

/* A JSON Web Token, or a piece of one: its parts begin with "eyJ", for '{"'. */
static bool find_token(span_t *span, const view_t *v, apr_size_t at)
{
    apr_size_t to;
    bool dotted = false;

    if (v->size - at < TOKEN_MIN || memcmp(v->text + at, "eyJ", 3) != 0) {
        return false;
    }
    for (to = at;
         to < v->size && (is_base64url(v->text[to]) || v->text[to] == '.' || v->text[to] == '=');
         to++) {
        dotted = dotted || v->text[to] == '.';
    }
    span->from = at;
    span->to = to;
    return to - at >= (dotted ? TOKEN_MIN : TOKEN_PIECE);
}

/* Where the run ends that was measured, and the hex digits in it; `end` of a short one is not said. */
typedef struct runs_t {
    apr_size_t known, end, hex;
} runs_t;

/* What is random has many different characters; a long name that somebody tries has not. */
static bool is_varied(const view_t *v, apr_size_t at, apr_size_t to)
{
    unsigned char seen[UCHAR_MAX + 1] = {0};
    int different = 0;

    for (; at < to && different < VARIED; at++) {
        different += !seen[(unsigned char)v->text[at]];
        seen[(unsigned char)v->text[at]] = 1;
    }
    return different >= VARIED;
}

/* A run so long that it is a secret, or a piece of one. */
static bool find_run(span_t *span, const view_t *v, apr_size_t at, runs_t *run)
{
    apr_size_t to = at;

    if (at >= run->known) {
        for (; to < v->size && is_base64url(v->text[to]); to++) {
        }
        run->known = to + 1;
        run->end = to - at >= HEX_RUN ? to : at;
        if (to - at >= OPAQUE_RUN && is_varied(v, at, to)) {
            span->from = at;
            span->to = to;
            return true;
        }
    }
    if (at >= run->end || at < run->hex) {
        return false;
    }
    span->from = at;
    span->to = hex_end(v, at);
    run->hex = span->to;
    return span->to - at >= HEX_RUN;
}

/* All that is to be hidden, in order and without overlaps; NULL for nothing. */
static apr_array_header_t *find_all(apr_pool_t *p, const view_t *v, udm_redact_scope scope)
{
    apr_array_header_t *spans = NULL;
    bool ours = scope == UDM_REDACT_OURS, link = ours;
    runs_t run = {0, 0, 0};
    apr_size_t at = 0;
    span_t span;

    while (at < v->size) {
        bool found = false;

        switch (v->text[at]) {
        case 's':
        case 'S':
            found = link && find_signature(&span, v, at);
            break;
        case 'u':
        case 'U':
            found = find_key(&span, v, at, scope);
            break;
        case 'e':
            found = scope != UDM_REDACT_OTHERS && find_token(&span, v, at);
            break;
        case '/':
            link = link || is_link(v, at);
            break;
        default:
            break;
        }
        /* what has a name is looked for first: the run may hold the name */
        if (!found && ours) {
            found = find_run(&span, v, at, &run);
        }
        if (found) {
            spans = spans ? spans : apr_array_make(p, 2, sizeof(span_t));
            APR_ARRAY_PUSH(spans, span_t) = span;
            at = span.to;
        }
        else {
            at++;
        }
    }
    return spans;
}

const char *udm_redact(apr_pool_t *p, const char *text, udm_redact_scope scope)
{
    apr_array_header_t *spans;
    apr_size_t done = 0;
    view_t view;
    char *made, *to;
    int i;

    if (!text || strlen(text) < LEAST) {
        return text;
    }
    view = view_of(p, text);
    spans = find_all(p, &view, scope);
    if (!spans) {
        return text;
    }
    made = to = apr_palloc(p, strlen(text) + (apr_size_t)spans->nelts * strlen(UDM_REDACTED) + 1);
    for (i = 0; i < spans->nelts; i++) {
        span_t span = APR_ARRAY_IDX(spans, i, span_t);
        apr_size_t from = view.map ? view.map[span.from] : span.from;

        memcpy(to, text + done, from - done);
        to += from - done;
        memcpy(to, UDM_REDACTED, strlen(UDM_REDACTED));
        to += strlen(UDM_REDACTED);
        done = view.map ? view.map[span.to] : span.to;
    }
    memcpy(to, text + done, strlen(text + done) + 1);
    return made;
}
