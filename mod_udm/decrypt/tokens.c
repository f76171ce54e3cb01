/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.c: one state for what may come next, one for the string or number under way.
 */
#include <stdint.h>
#include <string.h>

#include "core/text.h"
#include "decrypt/tokens.h"

typedef enum {
    NEXT_VALUE,
    NEXT_VALUE_OR_END, /* behind [ */
    NEXT_NAME,
    NEXT_NAME_OR_END, /* behind { */
    NEXT_COLON,
    NEXT_COMMA_OR_END,
    NEXT_NOTHING
} next_t;

typedef enum { IN_NONE, IN_STRING, IN_ESCAPE, IN_UNICODE, IN_PLAIN } inside_t;

struct udm_tokens_t {
    apr_pool_t *pool;
    udm_token_fn *listener;
    void *context;
    next_t next;
    inside_t inside;
    bool name; /* the string under way is one of a member */
    int depth;
    bool object[UDM_TOKENS_DEPTH];
    uint32_t unit; /* of a \u under way */
    int unit_digits;
    uint32_t high; /* the first half of a surrogate pair, or 0 */
    bool cut;      /* the text is longer than what is kept of it */
    apr_size_t size;
    char text[UDM_TOKENS_TEXT + 1];
};

udm_tokens_t *udm_tokens_make(apr_pool_t *p, udm_token_fn *listener, void *context)
{
    udm_tokens_t *t = apr_pcalloc(p, sizeof(*t));

    t->pool = p;
    t->listener = listener;
    t->context = context;
    return t;
}

static udm_error_t *broken(udm_tokens_t *t)
{
    return udm_error_make(t->pool, UDM_E_UNPROCESSABLE, "the manifest is no JSON document");
}

static udm_error_t *tell(udm_tokens_t *t, udm_token_kind kind)
{
    t->text[t->size] = '\0';
    return t->listener(t->context, kind, t->depth, t->text, t->size);
}

static void add(udm_tokens_t *t, char c)
{
    if (t->size == UDM_TOKENS_TEXT) {
        t->cut = true;
    }
    else {
        t->text[t->size++] = c;
    }
}

/* A code point as UTF-8. */
static udm_error_t *add_point(udm_tokens_t *t, uint32_t c)
{
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    add(t, (char)(lead[more] | c >> (6 * more)));
    while (more-- > 0) {
        add(t, (char)(0x80 | (c >> (6 * more) & 0x3f)));
    }
    return NULL;
}

/* Behind the four digits of a \u. */
static udm_error_t *end_unit(udm_tokens_t *t)
{
    uint32_t unit = t->unit;

    t->inside = IN_STRING;
    if (t->high != 0) {
        uint32_t high = t->high;

        t->high = 0;
        return unit >= 0xdc00 && unit < 0xe000
                   ? add_point(t, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00))
                   : broken(t);
    }
    if (unit >= 0xd800 && unit < 0xdc00) {
        t->high = unit;
        return NULL;
    }
    return unit != 0 && !(unit >= 0xdc00 && unit < 0xe000) ? add_point(t, unit) : broken(t);
}

static void after_value(udm_tokens_t *t)
{
    t->next = t->depth == 0 ? NEXT_NOTHING : NEXT_COMMA_OR_END;
}

static udm_error_t *end_string(udm_tokens_t *t)
{
    udm_error_t *error;

    t->inside = IN_NONE;
    /* What is cut may end inside of a character. */
    if (!t->cut && !udm_text_is_utf8(t->text, t->size)) {
        return broken(t);
    }
    error = tell(t, t->name ? UDM_TOKEN_NAME : UDM_TOKEN_STRING);
    if (t->name) {
        t->next = NEXT_COLON;
    }
    else {
        after_value(t);
    }
    return error;
}

static udm_error_t *in_string(udm_tokens_t *t, char c)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found;

    switch (t->inside) {
    case IN_ESCAPE:
        if (c == 'u') {
            t->inside = IN_UNICODE;
            t->unit = 0;
            t->unit_digits = 0;
            return NULL;
        }
        found = c != '\0' ? strchr(from, c) : NULL;
        if (found == NULL || t->high != 0) {
            return broken(t);
        }
        t->inside = IN_STRING;
        add(t, to[found - from]);
        return NULL;
    case IN_UNICODE:
        found = c != '\0' ? strchr("0123456789abcdef", c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (found == NULL) {
            return broken(t);
        }
        t->unit =
            t->unit << 4 | (uint32_t)(c <= '9' ? c - '0' : (c >= 'a' ? c - 'a' : c - 'A') + 10);
        return ++t->unit_digits == 4 ? end_unit(t) : NULL;
    default:
        if (c == '\\') {
            t->inside = IN_ESCAPE;
            return NULL;
        }
        if (t->high != 0 || (unsigned char)c < 0x20) {
            return broken(t);
        }
        if (c == '"') {
            return end_string(t);
        }
        add(t, c);
        return NULL;
    }
}

static const char *digits(const char *text)
{
    return text + strspn(text, "0123456789");
}

static bool is_number(const char *text)
{
    const char *end;

    text += *text == '-';
    end = digits(text);
    if (end == text || (*text == '0' && end - text > 1)) {
        return false;
    }
    if (*end == '.') {
        text = end + 1;
        end = digits(text);
        if (end == text) {
            return false;
        }
    }
    if (*end == 'e' || *end == 'E') {
        text = end + 1;
        text += *text == '+' || *text == '-';
        end = digits(text);
        if (end == text) {
            return false;
        }
    }
    return *end == '\0';
}

/* A number or a word has ended. */
static udm_error_t *end_plain(udm_tokens_t *t)
{
    udm_error_t *error;
    bool word;

    t->text[t->size] = '\0';
    word = strcmp(t->text, "true") == 0 || strcmp(t->text, "false") == 0 ||
           strcmp(t->text, "null") == 0;
    /* What is cut may be no number behind that. */
    if (t->cut || strlen(t->text) != t->size || (!word && !is_number(t->text))) {
        return broken(t);
    }
    t->inside = IN_NONE;
    error = tell(t, word ? UDM_TOKEN_WORD : UDM_TOKEN_NUMBER);
    after_value(t);
    return error;
}

static udm_error_t *begin(udm_tokens_t *t, bool object)
{
    udm_error_t *error;

    if (t->depth == UDM_TOKENS_DEPTH) {
        return broken(t);
    }
    t->size = 0;
    error = tell(t, object ? UDM_TOKEN_OBJECT : UDM_TOKEN_ARRAY);
    t->object[t->depth++] = object;
    t->next = object ? NEXT_NAME_OR_END : NEXT_VALUE_OR_END;
    return error;
}

static udm_error_t *end(udm_tokens_t *t, bool object)
{
    udm_error_t *error;

    if (t->depth == 0 || t->object[t->depth - 1] != object) {
        return broken(t);
    }
    t->depth--;
    t->size = 0;
    error = tell(t, object ? UDM_TOKEN_OBJECT_END : UDM_TOKEN_ARRAY_END);
    after_value(t);
    return error;
}

/* A character outside of strings and numbers. */
static udm_error_t *outside(udm_tokens_t *t, char c)
{
    bool value = t->next == NEXT_VALUE || t->next == NEXT_VALUE_OR_END;
    bool name = t->next == NEXT_NAME || t->next == NEXT_NAME_OR_END;

    switch (c) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        return NULL;
    case '{':
    case '[':
        return value ? begin(t, c == '{') : broken(t);
    case '}':
        return t->next == NEXT_NAME_OR_END || t->next == NEXT_COMMA_OR_END ? end(t, true)
                                                                           : broken(t);
    case ']':
        return t->next == NEXT_VALUE_OR_END || t->next == NEXT_COMMA_OR_END ? end(t, false)
                                                                            : broken(t);
    case ':':
        if (t->next != NEXT_COLON) {
            return broken(t);
        }
        t->next = NEXT_VALUE;
        return NULL;
    case ',':
        if (t->next != NEXT_COMMA_OR_END) {
            return broken(t);
        }
        t->next = t->object[t->depth - 1] ? NEXT_NAME : NEXT_VALUE;
        return NULL;
    case '"':
        if (!value && !name) {
            return broken(t);
        }
        t->inside = IN_STRING;
        t->name = name;
        t->cut = false;
        t->size = 0;
        return NULL;
    default:
        if (!value) {
            return broken(t);
        }
        t->inside = IN_PLAIN;
        t->cut = false;
        t->size = 0;
        add(t, c);
        return NULL;
    }
}

udm_error_t *udm_tokens_write(udm_tokens_t *tokens, const char *data, apr_size_t size)
{
    udm_error_t *error = NULL;

    for (apr_size_t i = 0; error == NULL && i < size; i++) {
        char c = data[i];

        if (tokens->inside == IN_PLAIN) {
            if (c != '\0' && strchr(" \t\r\n,]}", c) == NULL) {
                add(tokens, c);
                continue;
            }
            error = end_plain(tokens);
        }
        if (error == NULL) {
            error = tokens->inside == IN_NONE ? outside(tokens, c) : in_string(tokens, c);
        }
    }
    return error;
}

udm_error_t *udm_tokens_finish(udm_tokens_t *tokens)
{
    udm_error_t *error = tokens->inside == IN_PLAIN ? end_plain(tokens) : NULL;

    if (error == NULL && (tokens->next != NEXT_NOTHING || tokens->inside != IN_NONE)) {
        error = broken(tokens);
    }
    return error;
}
