/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * type.h: the types of PostgreSQL that are read in their binary form. Their numbers never change
 * (pg_type.dat).
 */
#ifndef UDM_SOURCE_TYPE_H
#define UDM_SOURCE_TYPE_H

enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_CHAR = 18,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMP = 1114,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_NUMERIC = 1700,
    TYPE_UUID = 2950,
    TYPE_JSONB = 3802
};

/* Others that are told apart. */
enum {
    TYPE_JSONB_ARRAY = 3807,
    TYPE_NUMRANGE = 3906,
    TYPE_NUMRANGE_ARRAY = 3907,
    TYPE_JSONPATH = 4072,
    TYPE_JSONPATH_ARRAY = 4073,
    TYPE_NUMMULTIRANGE = 4532,
    TYPE_NUMMULTIRANGE_ARRAY = 6151
};

#endif
