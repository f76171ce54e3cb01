/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c: reads and writes JSON with jansson, in pools, and makes problem documents and envelopes.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/text.h"

static apr_status_t release_json(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

json_t *udm_json_own(apr_pool_t *p, json_t *json)
{
    if (json) {
        apr_pool_cleanup_register(p, json, release_json, apr_pool_cleanup_null);
    }
    return json;
}

/* Line and column (in characters, from 1) of a place in well-formed text. */
static const char *place(apr_pool_t *p, const char *text, apr_size_t at)
{
    int line = 1, column = 1;
    apr_size_t i;

    for (i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        }
        else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    return apr_psprintf(p, "line %d, column %d", line, column);
}

/* @return true when what stands behind an opening bracket is not the closing one */
static bool has_content(const char *text, apr_size_t size)
{
    apr_size_t i;

    for (i = 0; i < size && strchr(" \t\r\n", text[i]); i++) {
    }
    return i < size && text[i] != ']' && text[i] != '}';
}

/*
 * Looks for the first bracket that opens too deep a level, or the first bracket or comma that is one
 * value too many, outside of strings. This comes before jansson, which descends by recursion and takes
 * memory for every value. @return its offset, or `size`; `deep` says which it was
 */
static apr_size_t too_much(bool *deep, const char *text, apr_size_t size)
{
    bool in_string = false;
    apr_size_t i;
    int depth = 0, values = 1;

    for (i = 0; i < size; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\') {
                i++;
            }
            else if (c == '"') {
                in_string = false;
            }
        }
        else if (c == '"') {
            in_string = true;
        }
        else if (c == '{' || c == '[' || c == ',') {
            *deep = c != ',' && ++depth > UDM_JSON_MAX_DEPTH;
            values += c == ',' || has_content(text + i + 1, size - i - 1);
            if (*deep || values > UDM_JSON_MAX_VALUES) {
                return i;
            }
        }
        else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return size;
}

udm_error_t *udm_json_parse(json_t **json, apr_pool_t *p, const char *text, apr_size_t size)
{
    json_error_t error;
    apr_size_t at;
    bool deep;

    *json = NULL;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3; /* RFC 8259 lets a reader ignore a byte order mark */
        size -= 3;
    }
    at = udm_text_utf8_prefix(text, size);
    if (at < size) {
        return udm_error_make(p, UDM_E_INVALID, "not valid JSON: at %s: %s", place(p, text, at),
                              text[at] == '\0' ? "a NUL byte" : "a byte that is not UTF-8");
    }
    for (at = 0; at < size && strchr(" \t\r\n", text[at]); at++) {
    }
    if (at == size) {
        return udm_error_make(p, UDM_E_INVALID, "not valid JSON: the document is empty");
    }
    at = too_much(&deep, text, size);
    if (at < size && !deep) {
        return udm_error_make(p, UDM_E_INVALID,
                              "the JSON document has too many values: at %s: at most %d are taken",
                              place(p, text, at), UDM_JSON_MAX_VALUES);
    }
    if (at < size) {
        return udm_error_make(p, UDM_E_INVALID,
                              "not valid JSON: at %s: nested more than %d levels deep",
                              place(p, text, at), UDM_JSON_MAX_DEPTH);
    }
    *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!*json) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            return udm_error_status(p, UDM_E_INTERNAL, APR_ENOMEM, "out of memory");
        }
        return udm_error_make(
            p, UDM_E_INVALID, "not valid JSON: at line %d, column %d: %s", error.line, error.column,
            json_error_code(&error) == json_error_null_character ? "a string must not hold \\u0000"
                                                                 : error.text);
    }
    udm_json_own(p, *json);
    return NULL;
}

const char *udm_json_text(apr_pool_t *p, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *copy = apr_pstrdup(p, text);

    free(text);
    return copy;
}

udm_json_out_t *udm_json_out(apr_pool_t *p, apr_size_t capacity)
{
    udm_json_out_t *out = apr_palloc(p, sizeof(*out));

    out->pool = p;
    out->text = apr_palloc(p, capacity);
    out->size = 0;
    out->capacity = capacity;
    return out;
}

/* Makes room for `more` bytes; returns where they go. */
static char *room(udm_json_out_t *out, apr_size_t more)
{
    if (out->capacity - out->size < more) {
        char *larger;

        out->capacity = 2 * (out->size + more);
        larger = apr_palloc(out->pool, out->capacity);
        memcpy(larger, out->text, out->size);
        out->text = larger;
    }
    return out->text + out->size;
}

void udm_json_put(udm_json_out_t *out, const char *raw)
{
    apr_size_t size = strlen(raw);

    memcpy(room(out, size), raw, size);
    out->size += size;
}

/* The escape of a character that must not stand in a string. */
static char *put_escape(char *at, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *found = c ? strchr(from, c) : NULL;

    *at++ = '\\';
    if (found) {
        *at++ = to[found - from];
        return at;
    }
    memcpy(at, "u00", 3);
    at[3] = digits[c >> 4];
    at[4] = digits[c & 15];
    return at + 5;
}

void udm_json_put_string(udm_json_out_t *out, const char *text)
{
    apr_size_t size = text ? strlen(text) : 0, i;
    char *at;

    if (!text) {
        udm_json_put(out, "null");
        return;
    }
    at = room(out, 6 * size + 2);
    *at++ = '"';
    for (i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == '"' || c == '\\') {
            at = put_escape(at, c);
        }
        else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    out->size = (apr_size_t)(at - out->text);
}

void udm_json_put_int(udm_json_out_t *out, apr_int64_t value)
{
    apr_uint64_t left = value < 0 ? -(apr_uint64_t)value : (apr_uint64_t)value;
    char digits[24], *at = digits + sizeof(digits);

    *--at = '\0';
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        *--at = '-';
    }
    udm_json_put(out, at);
}

const char *udm_json_out_text(udm_json_out_t *out)
{
    *room(out, 1) = '\0';
    return out->text;
}

/* A string value of any text: what is not UTF-8 becomes '?', for jansson would refuse it all. */
static json_t *lenient_string(apr_pool_t *p, const char *text)
{
    apr_size_t size = strlen(text), at = udm_text_utf8_prefix(text, size);
    char *clean;

    if (at == size) {
        return json_string_nocheck(text);
    }
    clean = apr_pstrmemdup(p, text, size);
    while (at < size) {
        clean[at++] = '?';
        at += udm_text_utf8_prefix(clean + at, size - at);
    }
    return json_string_nocheck(clean);
}

json_t *udm_json_problem(apr_pool_t *p, const udm_error_t *error)
{
    int status = udm_error_http_status(error), i;
    json_t *problem = json_object();

    json_object_set_new(problem, "type", json_string("about:blank"));
    json_object_set_new(problem, "title", json_string(udm_json_title(status)));
    json_object_set_new(problem, "status", json_integer(status));
    json_object_set_new(problem, "detail", lenient_string(p, error->reason));
    if (error->faults && error->faults->nelts > 0) {
        json_t *faults = json_array();

        for (i = 0; i < error->faults->nelts; i++) {
            const udm_fault_t *fault = &APR_ARRAY_IDX(error->faults, i, udm_fault_t);
            json_t *item = json_object();

            json_object_set_new(item, "pointer", lenient_string(p, fault->pointer));
            json_object_set_new(item, "detail", lenient_string(p, fault->detail));
            json_array_append_new(faults, item);
        }
        json_object_set_new(problem, "errors", faults);
    }
    return problem;
}

/* The "status" of an envelope. Takes over `detail`. */
static json_t *envelope_status(int code, json_t *detail, const char *message)
{
    json_t *status = json_object();

    json_object_set_new(status, "code", json_integer(code));
    json_object_set_new(status, "detail", detail);
    json_object_set_new(status, "message", json_string(message));
    return status;
}

json_t *udm_json_success(void)
{
    json_t *envelope = json_object();

    json_object_set_new(envelope, "status", envelope_status(0, json_object(), "successful"));
    return envelope;
}

json_t *udm_json_envelope(json_t *bare)
{
    json_t *envelope = udm_json_success();

    json_object_set_new(envelope, "data", bare);
    return envelope;
}

json_t *udm_json_error_envelope(int http_status, json_t *problem, json_t *data)
{
    const char *title = json_string_value(json_object_get(problem, "title"));
    json_t *envelope = json_object();

    json_object_set_new(envelope, "status",
                        envelope_status(http_status, problem ? problem : json_object(),
                                        title ? title : udm_json_title(http_status)));
    if (data) {
        json_object_set_new(envelope, "data", data);
    }
    return envelope;
}

const char *udm_json_title(int http_status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {{200, "OK"},
                  {201, "Created"},
                  {202, "Accepted"},
                  {204, "No Content"},
                  {303, "See Other"},
                  {304, "Not Modified"},
                  {400, "Bad Request"},
                  {401, "Unauthorized"},
                  {403, "Forbidden"},
                  {404, "Not Found"},
                  {405, "Method Not Allowed"},
                  {406, "Not Acceptable"},
                  {408, "Request Timeout"},
                  {409, "Conflict"},
                  {410, "Gone"},
                  {411, "Length Required"},
                  {412, "Precondition Failed"},
                  {413, "Content Too Large"},
                  {414, "URI Too Long"},
                  {415, "Unsupported Media Type"},
                  {416, "Range Not Satisfiable"},
                  {417, "Expectation Failed"},
                  {422, "Unprocessable Content"},
                  {429, "Too Many Requests"},
                  {431, "Request Header Fields Too Large"},
                  {500, "Internal Server Error"},
                  {501, "Not Implemented"},
                  {502, "Bad Gateway"},
                  {503, "Service Unavailable"},
                  {504, "Gateway Timeout"},
                  {507, "Insufficient Storage"}};
    apr_size_t i;

    for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == http_status) {
            return titles[i].title;
        }
    }
    return http_status < 400 ? "Success" : "Error";
}
