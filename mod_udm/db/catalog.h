/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.h: sources and data types: what the API shows of them, and what the worker needs.
 */
#ifndef UDM_DB_CATALOG_H
#define UDM_DB_CATALOG_H

#include "core/job.h"
#include "core/principal.h"
#include "db.h"

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

/* One data type by source (name or alias) and name. @return UDM_E_NOT_FOUND */
udm_error_t *udm_catalog_type(udm_data_type_t **type, apr_pool_t *p, udm_db_t *db,
                              const char *source, const char *name);

/*
 * All types of a source (name or alias), by name, and all contact centres: arrays of const char *.
 * `canonical` gets the name of the source.
 * @return UDM_E_NOT_FOUND, with the names that there are
 */
udm_error_t *udm_catalog_all_of(const char **canonical, apr_array_header_t **types,
                                apr_array_header_t **centres, apr_pool_t *p, udm_db_t *db,
                                const char *source);

/* Sources of which the principal may read a type: array of udm_value_t (value = name, label). */
udm_error_t *udm_catalog_sources(apr_array_header_t **sources, apr_pool_t *p, udm_db_t *db,
                                 const udm_principal_t *who);

typedef struct udm_type_name_t {
    const char *name;
    const char *source;
} udm_type_name_t;

/* Types that the principal may read, of one source (name or alias; NULL: of all). */
udm_error_t *udm_catalog_types(apr_array_header_t **types, apr_pool_t *p, udm_db_t *db,
                               const udm_principal_t *who, const char *source);

typedef struct udm_sub_type_t {
    const char *name;
    const char *label;
    const char *source;
    const char *type;
    bool enabled;
} udm_sub_type_t;

/*
 * Sub-types (of udm_sub_type_t) of the types that the principal may read; `source` (name or alias)
 * and `type` narrow them, NULL does not.
 * @return UDM_E_INVALID for a source or type that is unknown or not visible, naming those that are
 */
udm_error_t *udm_catalog_sub_types(apr_array_header_t **sub_types, apr_pool_t *p, udm_db_t *db,
                                   const udm_principal_t *who, const char *source,
                                   const char *type);

/*
 * Attributes (of udm_attribute_t) of the types and sub-types in `entities` (const char *), each pair
 * of entity and name once; NULL: of all types. What is unknown or not visible adds nothing.
 */
udm_error_t *udm_catalog_attributes(apr_array_header_t **attributes, apr_pool_t *p, udm_db_t *db,
                                    const udm_principal_t *who, const apr_array_header_t *entities);

/* The words for what the principal may read: arrays of udm_value_t (value = name, label). */
typedef struct udm_labels_t {
    apr_array_header_t *types;
    apr_array_header_t *sources;
    apr_array_header_t *media;
} udm_labels_t;

udm_error_t *udm_catalog_labels(udm_labels_t *labels, apr_pool_t *p, udm_db_t *db,
                                const udm_principal_t *who);

#endif
