/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c: a row as JSON, each value exactly as to_json of PostgreSQL gives it; the exceptions are
 * timestamptz (UTC, always microseconds, a Z), bytea (base64), and U+0085, U+2028 and U+2029, which are
 * escaped so that a row is one line to every reader.
 *
 * What a column needs is chosen once, when the encoder is made: its name as `,"name":` and the
 * function for its type.
 */
#include <stdint.h>

#include <apr_strings.h>

#include "export/encode.h"
#include "export/number.h"
#include "source/source.h"
#include "source/type.h"

/* Deepest array that PostgreSQL makes. */
#define ARRAY_DEPTH_MAX 6

/* Bytes of a long value that are written at a time, and of a row before it is handed on. */
#define LONG_PART 65536

/* Writes one value. @return NULL, or what is wrong with it: "holds ..." */
typedef const char *(*value_fn)(udm_buffer_t *out, const unsigned char *data, apr_size_t size);

typedef struct column_t {
    const char *name;
    const char *prefix; /* ,"name": */
    apr_size_t prefix_size;
    value_fn value;   /* of the column, or NULL for an array */
    value_fn element; /* of an array */
} column_t;

struct udm_encoder_t {
    int count;
    column_t *columns;
    udm_field_t *fields; /* of the row: UDM_ROW_COLUMNS more than columns */
};

static const char *const bad_form = "holds a value in a form that is not known";
static const char *const bad_utf8 = "holds text that is not UTF-8";

static uint16_t get16(const unsigned char *data)
{
    return (uint16_t)((data[0] << 8) | data[1]);
}

static uint32_t get32(const unsigned char *data)
{
    return ((uint32_t)data[0] << 24) | ((uint32_t)data[1] << 16) | ((uint32_t)data[2] << 8) |
           data[3];
}

static uint64_t get64(const unsigned char *data)
{
    return ((uint64_t)get32(data) << 32) | get32(data + 4);
}

static const char *value_bool(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 1) {
        return bad_form;
    }
    udm_buffer_text(out, data[0] != 0 ? "true" : "false");
    return NULL;
}

static const char *value_int2(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 2) {
        return bad_form;
    }
    udm_number_int(out, (int16_t)get16(data));
    return NULL;
}

static const char *value_int4(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 4) {
        return bad_form;
    }
    udm_number_int(out, (int32_t)get32(data));
    return NULL;
}

static const char *value_int8(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 8) {
        return bad_form;
    }
    udm_number_int(out, (int64_t)get64(data));
    return NULL;
}

/* To to_json an oid is no number. */
static const char *value_oid(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 4) {
        return bad_form;
    }
    udm_buffer_format(out, "\"%u\"", (unsigned)get32(data));
    return NULL;
}

static const char *value_numeric(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    return udm_number_numeric(out, data, size) ? NULL : bad_form;
}

static const char *value_float4(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    uint32_t bits;
    float value;

    if (size != 4) {
        return bad_form;
    }
    bits = get32(data);
    memcpy(&value, &bits, sizeof(value));
    udm_number_float4(out, value);
    return NULL;
}

static const char *value_float8(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    uint64_t bits;
    double value;

    if (size != 8) {
        return bad_form;
    }
    bits = get64(data);
    memcpy(&value, &bits, sizeof(value));
    udm_number_float8(out, value);
    return NULL;
}

static const char *value_date(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 4) {
        return bad_form;
    }
    udm_number_date(out, (int32_t)get32(data));
    return NULL;
}

static const char *value_timestamp(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 8) {
        return bad_form;
    }
    udm_number_timestamp(out, (int64_t)get64(data));
    return NULL;
}

static const char *value_timestamptz(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 8) {
        return bad_form;
    }
    udm_number_timestamptz(out, (int64_t)get64(data));
    return NULL;
}

static const char *value_uuid(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    static const char hex[] = "0123456789abcdef";
    char *to;

    if (size != 16) {
        return bad_form;
    }
    udm_buffer_reserve(out, 38);
    to = out->data + out->size;
    *to++ = '"';
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = hex[data[i] >> 4];
        *to++ = hex[data[i] & 15];
    }
    *to = '"';
    out->size += 38;
    return NULL;
}

static const char *value_text(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    return udm_buffer_string(out, (const char *)data, size) ? NULL : bad_utf8;
}

/*
 * One byte; zero stands for the empty text. Above 0x7f it is no character of UTF-8: PostgreSQL 16 and
 * later write its octal digits behind a backslash, older ones write the byte, which no reader of JSON
 * takes.
 */
static const char *value_char(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size != 1) {
        return bad_form;
    }
    if (data[0] > 0x7f) {
        udm_buffer_format(out, "\"\\\\%03o\"", (unsigned)data[0]);
        return NULL;
    }
    return value_text(out, data, data[0] != 0);
}

static const char *value_bytea(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    udm_buffer_char(out, '"');
    udm_buffer_base64(out, data, size);
    udm_buffer_char(out, '"');
    return NULL;
}

static const char *value_json(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size == 0) {
        return bad_form;
    }
    return udm_buffer_json(out, (const char *)data, size) ? NULL : bad_utf8;
}

/* The text form behind its version. */
static const char *value_jsonb(udm_buffer_t *out, const unsigned char *data, apr_size_t size)
{
    if (size < 2 || data[0] != 1) {
        return bad_form;
    }
    return value_json(out, data + 1, size - 1);
}

static value_fn value_of(Oid type)
{
    switch (type) {
    case TYPE_BOOL:
        return value_bool;
    case TYPE_BYTEA:
        return value_bytea;
    case TYPE_CHAR:
        return value_char;
    case TYPE_INT2:
        return value_int2;
    case TYPE_INT4:
        return value_int4;
    case TYPE_INT8:
        return value_int8;
    case TYPE_OID:
        return value_oid;
    case TYPE_NUMERIC:
        return value_numeric;
    case TYPE_FLOAT4:
        return value_float4;
    case TYPE_FLOAT8:
        return value_float8;
    case TYPE_DATE:
        return value_date;
    case TYPE_TIMESTAMP:
        return value_timestamp;
    case TYPE_TIMESTAMPTZ:
        return value_timestamptz;
    case TYPE_UUID:
        return value_uuid;
    case TYPE_NAME:
    case TYPE_TEXT:
    case TYPE_BPCHAR:
    case TYPE_VARCHAR:
        return value_text;
    case TYPE_JSON:
        return value_json;
    case TYPE_JSONB:
        return value_jsonb;
    default:
        return NULL;
    }
}

/* Where a row goes while it is written. */
typedef struct writer_t {
    udm_buffer_t *out;
    apr_size_t mark; /* of out: how much there is when it is handed on */
    udm_encoder_full_fn full;
    void *context;
    udm_error_t *error; /* of `full`: nothing more is to be written */
} writer_t;

/* @return whether the writing goes on */
static bool hand_on(writer_t *w)
{
    w->error = w->full(&w->out, w->context);
    w->mark = w->out->size + LONG_PART;
    return w->error == NULL;
}

/* Where a part of a text may end: with a character. */
static apr_size_t text_part(const unsigned char *data)
{
    apr_size_t take = LONG_PART;

    while (take > LONG_PART - 4 && (data[take] & 0xc0) == 0x80) {
        take--;
    }
    return take;
}

/* A long value, part by part. @return what is wrong with it */
static const char *write_long(writer_t *w, value_fn value, const unsigned char *data,
                              apr_size_t size)
{
    bool quoted = value == value_text || value == value_bytea;

    if (value == value_jsonb) {
        if (data[0] != 1) {
            return bad_form;
        }
        data++;
        size--;
    }
    if (quoted) {
        udm_buffer_char(w->out, '"');
    }
    while (size != 0) {
        apr_size_t take = size;
        bool good = true;

        if (value == value_bytea) { /* whole groups of base64 */
            take = size < LONG_PART / 3 * 3 ? size : LONG_PART / 3 * 3;
            udm_buffer_base64(w->out, data, take);
        }
        else {
            take = size <= LONG_PART ? size : text_part(data);
            good = value == value_text ? udm_buffer_escaped(w->out, (const char *)data, take)
                                       : udm_buffer_json(w->out, (const char *)data, take);
        }
        if (!good) {
            return bad_utf8;
        }
        data += take;
        size -= take;
        if (!hand_on(w)) {
            return NULL;
        }
    }
    if (quoted) {
        udm_buffer_char(w->out, '"');
    }
    return NULL;
}

static bool has_parts(value_fn value)
{
    return value == value_text || value == value_bytea || value == value_json ||
           value == value_jsonb;
}

/* One value, in parts if it is long. @return what is wrong with it */
static const char *write_value(writer_t *w, value_fn value, const unsigned char *data,
                               apr_size_t size)
{
    if (size > LONG_PART && has_parts(value)) {
        return write_long(w, value, data, size);
    }
    return value(w->out, data, size);
}

/* What is left of an array while its elements are written. */
typedef struct array_t {
    const unsigned char *data;
    apr_size_t size;
    uint32_t depth;
    uint32_t length[ARRAY_DEPTH_MAX];
    value_fn element;
} array_t;

static const char *array_level(writer_t *w, array_t *array, uint32_t level)
{
    udm_buffer_char(w->out, '[');
    for (uint32_t i = 0; i < array->length[level]; i++) {
        const char *fault = NULL;

        if (i != 0) {
            udm_buffer_char(w->out, ',');
        }
        if (level + 1 < array->depth) {
            fault = array_level(w, array, level + 1);
        }
        else {
            uint32_t size;

            if (array->size < 4) {
                return bad_form;
            }
            size = get32(array->data);
            array->data += 4;
            array->size -= 4;
            if (size == UINT32_MAX) {
                udm_buffer_text(w->out, "null");
            }
            else if (size > array->size) {
                fault = bad_form;
            }
            else {
                fault = write_value(w, array->element, array->data, size);
                array->data += size;
                array->size -= size;
            }
        }
        if (fault != NULL || w->error != NULL || (w->out->size >= w->mark && !hand_on(w))) {
            return fault;
        }
    }
    udm_buffer_char(w->out, ']');
    return NULL;
}

/* Depth, whether it has NULLs, type of the elements; length and lower bound of each level. */
static const char *write_array(writer_t *w, value_fn element, const unsigned char *data,
                               apr_size_t size)
{
    array_t array;
    const char *fault;
    bool empty;

    if (size < 12) {
        return bad_form;
    }
    array.depth = get32(data);
    array.element = element;
    /* int2vector and oidvector have one level also when they are empty. */
    empty = array.depth == 0;
    if (array.depth > ARRAY_DEPTH_MAX || size < 12 + 8 * (apr_size_t)array.depth) {
        return bad_form;
    }
    for (uint32_t i = 0; i < array.depth; i++) {
        array.length[i] = get32(data + 12 + 8 * i);
        empty = empty || array.length[i] == 0;
        if (array.length[i] > size) {
            return bad_form;
        }
    }
    array.data = data + 12 + 8 * (apr_size_t)array.depth;
    array.size = size - 12 - 8 * (apr_size_t)array.depth;
    if (empty) {
        udm_buffer_text(w->out, "[]");
        return array.size == 0 ? NULL : bad_form;
    }
    fault = array_level(w, &array, 0);
    return fault != NULL || w->error != NULL || array.size == 0 ? fault : bad_form;
}

udm_error_t *udm_tuple_read(udm_field_t *fields, int count, apr_pool_t *p,
                            const unsigned char *tuple, apr_size_t size)
{
    const unsigned char *end = tuple + size;
    int i = 0;

    if (size >= 2 && get16(tuple) == count) {
        tuple += 2;
        for (i = 0; i < count && end - tuple >= 4; i++) {
            uint32_t length = get32(tuple);

            tuple += 4;
            if (length == UINT32_MAX) {
                fields[i].data = NULL;
                fields[i].size = -1;
                continue;
            }
            if (length > (apr_size_t)(end - tuple)) {
                break;
            }
            fields[i].data = tuple;
            fields[i].size = (apr_ssize_t)length;
            tuple += length;
        }
    }
    if (i != count || tuple != end) {
        return udm_error_detail(
            p, udm_error_make(p, UDM_E_SOURCE, "a row of the source came in an unknown form"),
            "a tuple of %" APR_SIZE_T_FMT " bytes, expected %d fields", size, count);
    }
    return NULL;
}

udm_error_t *udm_encoder_make(udm_encoder_t **encoder, apr_pool_t *p,
                              const apr_array_header_t *columns)
{
    udm_encoder_t *e = apr_pcalloc(p, sizeof(*e));
    udm_buffer_t *name = udm_buffer_make(p);

    e->count = columns->nelts;
    e->columns = apr_pcalloc(p, sizeof(*e->columns) * (apr_size_t)(e->count + 1));
    e->fields = apr_pcalloc(p, sizeof(*e->fields) * (apr_size_t)(e->count + UDM_ROW_COLUMNS));
    for (int i = 0; i < e->count; i++) {
        const udm_column_t *from = &APR_ARRAY_IDX(columns, i, udm_column_t);
        column_t *column = &e->columns[i];

        column->name = apr_pstrdup(p, from->name);
        if (from->element != 0) {
            column->element = value_of(from->element);
        }
        else {
            column->value =
                from->json && from->type != TYPE_JSONB ? value_json : value_of(from->type);
        }
        name->size = 0;
        udm_buffer_text(name, i == 0 ? "{" : ",");
        if (!udm_buffer_string(name, from->name, strlen(from->name))) {
            return udm_error_make(p, UDM_E_SOURCE, "the name of column %d is not UTF-8", i + 1);
        }
        udm_buffer_char(name, ':');
        column->prefix = apr_pmemdup(p, name->data, name->size);
        column->prefix_size = name->size;
        if (column->value == NULL && column->element == NULL) {
            return udm_error_detail(p,
                                    udm_error_make(p, UDM_E_SOURCE,
                                                   "column \"%s\" is of a type that cannot be read",
                                                   column->name),
                                    "type %u, element %u", from->type, from->element);
        }
    }
    *encoder = e;
    return NULL;
}

udm_error_t *udm_encoder_read(const udm_field_t **fields, udm_encoder_t *encoder, apr_pool_t *p,
                              const unsigned char *tuple, apr_size_t size)
{
    *fields = encoder->fields;
    return udm_tuple_read(encoder->fields, encoder->count + UDM_ROW_COLUMNS, p, tuple, size);
}

udm_error_t *udm_encoder_write(udm_buffer_t *out, udm_encoder_t *encoder, apr_pool_t *p,
                               udm_encoder_full_fn full, void *context)
{
    const udm_field_t *field = encoder->fields + UDM_ROW_COLUMNS;
    writer_t w = {out, out->size + LONG_PART, full, context, NULL};
    apr_size_t before = out->size;
    udm_error_t *error;

    for (int i = 0; i < encoder->count; i++, field++) {
        const column_t *column = &encoder->columns[i];
        const char *fault = NULL;

        udm_buffer_add(w.out, column->prefix, column->prefix_size);
        if (field->size < 0) {
            udm_buffer_add(w.out, "null", 4);
        }
        else if (column->value != NULL) {
            fault = write_value(&w, column->value, field->data, (apr_size_t)field->size);
        }
        else {
            fault = write_array(&w, column->element, field->data, (apr_size_t)field->size);
        }
        if (w.error != NULL || (fault == NULL && w.out->size >= w.mark && !hand_on(&w))) {
            return w.error;
        }
        if (fault != NULL) {
            error = udm_error_make(p, UDM_E_SOURCE, "column \"%s\" %s", column->name, fault);
            /* It stays so, however often it is tried again (udm_source_permanent). */
            error->status = APR_EINVAL;
            if (w.out == out && out->size > before) {
                out->size = before;
            }
            return error;
        }
    }
    udm_buffer_text(w.out, encoder->count == 0 ? "{}" : "}");
    return NULL;
}
