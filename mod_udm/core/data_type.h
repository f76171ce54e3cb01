/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * data_type.h: a data type of a source, as it was registered: where its rows are and what they mean.
 */
#ifndef UDM_CORE_DATA_TYPE_H
#define UDM_CORE_DATA_TYPE_H

#include <stdbool.h>

#include <apr_tables.h>

#include "core/filter.h"

/* A value of the subtype or media column, and the name the API uses. */
typedef struct udm_value_t {
    const char *value;
    const char *name;
    const char *label;
} udm_value_t;

/* An attribute that jobs may filter by. */
typedef struct udm_attribute_t {
    const char *name;
    const char *column; /* NULL where only the API's view was read */
    const char *label;
    const char *entity; /* the type or sub-type it was asked for by; NULL in udm_data_type_t */
    udm_attribute_kind kind;
} udm_attribute_t;

/* One data type, whole. Members that the catalog leaves NULL are NULL. */
typedef struct udm_data_type_t {
    const char *source; /* canonical, not the alias */
    const char *source_label;
    const char *family;
    bool records; /* one file per row instead of JSON Lines */
    const char *connection;
    const char *name;
    const char *label;
    const char *relation_schema;
    const char *relation_name;
    const char *tenant_column;   /* exactly one of this */
    apr_array_header_t *tenants; /* and this is not NULL */
    const char *key_column;
    const char *time_column;
    const char *subtype_column;
    const char *media_column;
    apr_array_header_t *columns;   /* of const char *; NULL: all */
    const char *attachment_schema; /* NULL: the type has no attachments; then so are the rest */
    const char *attachment_relation;
    const char *attachment_tenant_column;
    const char *attachment_id_column;
    const char *attachment_entity_column;
    const char *attachment_name_column;
    const char *attachment_mime_column;
    const char *attachment_content_column;
    bool attachments_removed;        /* it had attachments, and has none any more */
    apr_array_header_t *sub_types;   /* of udm_value_t, by value */
    apr_array_header_t *media;       /* of udm_value_t, by value */
    apr_array_header_t *attributes;  /* of udm_attribute_t, by name */
    bool row_security;               /* the policies of the source's database are meant */
    apr_array_header_t *search_path; /* of schemas, for functions that need it; NULL: none */
    bool moving_window;              /* jobs may take what came since their last run */
} udm_data_type_t;

#endif
