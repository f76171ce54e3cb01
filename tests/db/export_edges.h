/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * export_edges.h: the values at the edges of every type that PostgreSQL has built in, and of kinds of
 * types that somebody may make. What is expected of each is what to_json says, but where `text` says
 * otherwise.
 */
#ifndef UDM_EXPORT_EDGES_H
#define UDM_EXPORT_EDGES_H

/* Made before the values, in schema demo; each type is the kind of one that an admin may have. */
static const char edge_types[] =
    "CREATE TYPE demo.mood AS ENUM ('', 'a\"b', 'щ');"
    "CREATE DOMAIN demo.whole AS integer CHECK (VALUE <> 13);"
    "CREATE DOMAIN demo.wholes AS integer[];"
    "CREATE DOMAIN demo.more_wholes AS demo.wholes;"
    "CREATE DOMAIN demo.blob AS bytea;"
    "CREATE DOMAIN demo.bill AS numeric(1000, 3);"
    "CREATE TYPE demo.pair AS (n numeric, t text, a integer[]);"
    "CREATE TYPE demo.pairs AS (p demo.pair, q demo.pair[], d demo.whole);"
    "CREATE TYPE demo.span AS RANGE (subtype = float8);"
    "CREATE EXTENSION hstore SCHEMA demo; CREATE EXTENSION citext SCHEMA demo;"
    "CREATE EXTENSION cube SCHEMA demo;"
    "GRANT USAGE ON TYPE demo.mood, demo.whole, demo.wholes, demo.more_wholes, demo.blob,"
    " demo.bill, demo.pair, demo.pairs, demo.span TO udm_test_reader;";

/* Of those the `text` takes the value as %s: a time in UTC, base64, one line, one byte. */
#define EDGE_TIME                                                                                  \
    "(SELECT CASE WHEN NOT isfinite(v) THEN to_json(v)::text ELSE to_json(regexp_replace("         \
    "to_json(v AT TIME ZONE 'UTC') #>> '{}', '^([^ .]*)(\\.[0-9]+)?( BC)?$', '\\1') || '.' || "    \
    "to_char(v AT TIME ZONE 'UTC', 'US') || 'Z' || CASE WHEN v < '0001-01-01 00:00+00' "           \
    "THEN ' BC' ELSE '' END)::text END FROM (SELECT %s) x (v))"
#define EDGE_BYTES "to_json(translate(encode(%s, 'base64'), E'\\n', ''))::text"
#define EDGE_LINE  "translate((%s)::text, E'\\r\\n', '  ')"
#define EDGE_ESCAPED                                                                               \
    "replace(replace(replace(to_json(%s)::text, U&'\\0085', '\\u0085'), "                          \
    "U&'\\2028', '\\u2028'), U&'\\2029', '\\u2029')"

typedef struct edge_t {
    const char *type;  /* as pg_type.typname; in parentheses what is not built in */
    const char *value; /* in SQL */
    const char *text;  /* of the JSON in SQL, with %s for the value; NULL: to_json */
} edge_t;

static const edge_t edges[] = {
    {"bool", "true", NULL},
    {"bool", "false", NULL},
    {"int2", "'-32768'::int2", NULL},
    {"int2", "32767::int2", NULL},
    {"int4", "'-2147483648'::int4", NULL},
    {"int4", "2147483647", NULL},
    {"int8", "'-9223372036854775808'::int8", NULL},
    {"int8", "9223372036854775807", NULL},
    {"oid", "0::oid", NULL},
    {"oid", "4294967295::oid", NULL},
    {"numeric", "0::numeric", NULL},
    {"numeric", "'-0.000'::numeric", NULL},
    {"numeric", "'NaN'::numeric", NULL},
    {"numeric", "'Infinity'::numeric", NULL},
    {"numeric", "'-Infinity'::numeric", NULL},
    {"numeric", "repeat('9', 131068)::numeric", NULL},
    {"numeric", "repeat('9', 131069)::numeric", NULL},
    {"numeric", "repeat('9', 131072)::numeric", NULL},
    {"numeric", "('-' || repeat('9', 131072) || '.' || repeat('9', 16383))::numeric", NULL},
    {"numeric", "('0.' || repeat('0', 16382) || '1')::numeric", NULL},
    {"numeric", "('1e131071')::numeric", NULL},
    {"numeric", "('1e-16383')::numeric", NULL},
    {"numeric", "'0.0001'::numeric", NULL},
    {"numeric", "'10000.00010000'::numeric", NULL},
    {"float4", "'NaN'::float4", NULL},
    {"float4", "'-Infinity'::float4", NULL},
    {"float4", "'-0'::float4", NULL},
    {"float4", "'1e-45'::float4", NULL},
    {"float4", "'3.4028235e38'::float4", NULL},
    {"float4", "'1e6'::float4", NULL},
    {"float8", "'NaN'::float8", NULL},
    {"float8", "'Infinity'::float8", NULL},
    {"float8", "'-0'::float8", NULL},
    {"float8", "'5e-324'::float8", NULL},
    {"float8", "'1.7976931348623157e308'::float8", NULL},
    {"float8", "'1e15'::float8", NULL},
    {"float8", "'0.0001'::float8", NULL},
    {"float8", "'0.00001'::float8", NULL},
    {"money", "'-92233720368547758.08'::money", NULL},
    {"money", "'1.5'::money", NULL},
    {"char", "'\\000'::\"char\"", NULL},
    {"char", "'0'::\"char\"", NULL},
    {"char", "'\"'::\"char\"", NULL},
    {"char", "'\\'::\"char\"", NULL},
    {"char", "E'\\n'::\"char\"", NULL},
    {"char", "E'\\x7f'::\"char\"", NULL},
    {"char", "(-128)::\"char\"", "'\"\\\\200\"'"},
    {"char", "(-23)::\"char\"", "'\"\\\\351\"'"},
    {"char", "(-1)::\"char\"", "'\"\\\\377\"'"},
    {"name", "''::name", NULL},
    {"name", "repeat('n', 63)::name", NULL},
    {"name", "repeat('щ', 40)::name", NULL},
    {"text", "''::text", NULL},
    {"text", "E'\\x01\\x08\\t\\n\\x0b\\f\\r\\x1c\\x1d\\x1e\\x1f\\x7f\"\\\\/'::text", NULL},
    {"text", "U&'a\\0085b\\2028c\\2029d'::text", EDGE_ESCAPED},
    {"text", "U&'\\2028'::text", EDGE_ESCAPED},
    {"text", "repeat(U&'\\2029', 3000)", EDGE_ESCAPED},
    {"text", "U&'\\0084\\0086\\2027\\202a\\00a0\\feff\\fffe\\ffff'::text", NULL},
    {"text", "U&'\\+010ffff\\+01f600'::text", NULL},
    {"varchar", "'v'::varchar(1)", NULL},
    {"bpchar", "'v'::char(5)", NULL},
    {"bpchar", "''::bpchar", NULL},
    {"bytea", "''::bytea", EDGE_BYTES},
    {"bytea", "'\\x00'::bytea", EDGE_BYTES},
    {"bytea", "'\\xff00ff'::bytea", EDGE_BYTES},
    {"bytea", "decode(repeat('00ff', 40000), 'hex')", EDGE_BYTES},
    {"bit", "B'0'", NULL},
    {"bit", "B'101'", NULL},
    {"varbit", "''::varbit", NULL},
    {"varbit", "repeat('10', 500)::varbit", NULL},
    {"date", "'infinity'::date", NULL},
    {"date", "'-infinity'::date", NULL},
    {"date", "'4713-01-01 BC'::date", NULL},
    {"date", "'5874897-12-31'::date", NULL},
    {"date", "'0001-12-31 BC'::date", NULL},
    {"date", "'2000-02-29'::date", NULL},
    {"time", "'00:00'::time", NULL},
    {"time", "'24:00'::time", NULL},
    {"time", "'23:59:59.999999'::time", NULL},
    {"timetz", "'24:00+15:59:59'::timetz", NULL},
    {"timetz", "'00:00-15:59'::timetz", NULL},
    {"timestamp", "'infinity'::timestamp", NULL},
    {"timestamp", "'-infinity'::timestamp", NULL},
    {"timestamp", "'4713-01-01 00:00 BC'::timestamp", NULL},
    {"timestamp", "'294276-12-31 23:59:59.999999'::timestamp", NULL},
    {"timestamp", "'1999-12-31 23:59:59.9'::timestamp", NULL},
    {"timestamptz", "'infinity'::timestamptz", EDGE_TIME},
    {"timestamptz", "'-infinity'::timestamptz", EDGE_TIME},
    {"timestamptz", "'4713-01-01 00:00+00 BC'::timestamptz", EDGE_TIME},
    {"timestamptz", "'294276-12-31 23:59:59.999999+00'::timestamptz", EDGE_TIME},
    {"timestamptz", "'2026-03-29 02:30:00.5+13:45'::timestamptz", EDGE_TIME},
    {"interval", "'0'::interval", NULL},
    {"interval", "'-178000000 years'::interval", NULL},
    {"interval", "'1 mon -1 day 24:00:00.000001'::interval", NULL},
    {"uuid", "'00000000-0000-0000-0000-000000000000'::uuid", NULL},
    {"uuid", "'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'::uuid", NULL},
    {"json", "'null'::json", EDGE_LINE},
    {"json", "'\"\\u0000\"'::json", EDGE_LINE},
    {"json", "E' {\\n\"a\"\\r\\n:\\t[ ] }\\n'::json", EDGE_LINE},
    {"json", "'{\"a\":1,\"a\":2}'::json", EDGE_LINE},
    {"json", "(U&'{\"\\2028\": \"x\\2029y\\0085\"}')::json", EDGE_ESCAPED},
    {"json", "('[' || repeat('[', 900) || repeat(']', 900) || ']')::json", EDGE_LINE},
    {"jsonb", "'null'::jsonb", NULL},
    {"jsonb", "'\"\"'::jsonb", NULL},
    {"jsonb", "'[1e-5, 1E400, -0, {\"\": \"щ\\n\"}]'::jsonb", NULL},
    {"jsonb", "(U&'[\"\\2028\", {\"\\2029\": \"\\0085\"}]')::jsonb", EDGE_ESCAPED},
    {"jsonpath", "'strict $.\"a\"[*] ? (@ > 1)'::jsonpath", NULL},
    {"xml", "'<a b=\"1\">щ&amp;</a>'::xml", NULL},
    {"xml", "''::xml", NULL},
    {"tsvector", "''::tsvector", NULL},
    {"tsvector", "'''a''''b'':1A,16383 щ'::tsvector", NULL},
    {"tsquery", "''::tsquery", NULL},
    {"tsquery", "'a & !(b:*A <-> ''c''''d'')'::tsquery", NULL},
    {"gtsvector", "NULL::gtsvector", NULL},
    {"inet", "'::'::inet", NULL},
    {"inet", "'255.255.255.255/0'::inet", NULL},
    {"cidr", "'0.0.0.0/0'::cidr", NULL},
    {"cidr", "'2001:db8::/32'::cidr", NULL},
    {"macaddr", "'ff:ff:ff:ff:ff:ff'::macaddr", NULL},
    {"macaddr8", "'00:00:00:00:00:00:00:00'::macaddr8", NULL},
    {"point", "'(NaN,-Infinity)'::point", NULL},
    {"line", "'{1,-1,0}'::line", NULL},
    {"lseg", "'[(1,2),(3,4)]'::lseg", NULL},
    {"box", "'(1,2),(3,4)'::box", NULL},
    {"path", "'[(1,2)]'::path", NULL},
    {"polygon", "'((1,2))'::polygon", NULL},
    {"circle", "'<(0,0),0>'::circle", NULL},
    {"int2vector", "''::int2vector", NULL},
    {"int2vector", "'-32768 0 32767'::int2vector", NULL},
    {"oidvector", "''::oidvector", NULL},
    {"oidvector", "'0 4294967295'::oidvector", NULL},
    {"tid", "'(4294967295,65535)'::tid", NULL},
    {"xid", "'4294967295'::xid", NULL},
    {"xid8", "'18446744073709551615'::xid8", NULL},
    {"cid", "'4294967295'::cid", NULL},
    {"pg_lsn", "'FFFFFFFF/FFFFFFFF'::pg_lsn", NULL},
    {"pg_snapshot", "'10:20:10,14'::pg_snapshot", NULL},
    {"txid_snapshot", "'10:20:'::txid_snapshot", NULL},
    {"refcursor", "'c\"'::refcursor", NULL},
    {"aclitem", "makeaclitem(10, 10, 'SELECT', true)", NULL},
    {"regclass", "'pg_class'::regclass", NULL},
    {"regclass", "0::regclass", NULL},
    {"regproc", "'now'::regproc", NULL},
    {"regprocedure", "'now()'::regprocedure", NULL},
    {"regoper", "'pg_catalog.||/'::regoper", NULL},
    {"regoperator", "'+(integer,integer)'::regoperator", NULL},
    {"regtype", "'\"char\"'::regtype", NULL},
    {"regrole", "10::regrole", NULL},
    {"regnamespace", "'pg_catalog'::regnamespace", NULL},
    {"regcollation", "'\"C\"'::regcollation", NULL},
    {"regconfig", "'simple'::regconfig", NULL},
    {"regdictionary", "'simple'::regdictionary", NULL},
    {"pg_node_tree", "(SELECT ev_action FROM pg_rewrite ORDER BY oid LIMIT 1)", NULL},
    {"int4range", "'empty'::int4range", NULL},
    {"int4range", "'(,)'::int4range", NULL},
    {"int8range", "'[-9223372036854775808,)'::int8range", NULL},
    {"numrange", "'[NaN,]'::numrange", NULL},
    {"daterange", "'[-infinity,infinity]'::daterange", NULL},
    {"tsrange", "'(4713-01-01 BC,infinity)'::tsrange", NULL},
    {"tstzrange", "'[2026-01-01 00:00+02,)'::tstzrange", NULL},
    {"int4multirange", "'{}'::int4multirange", NULL},
    {"int8multirange", "'{[1,2),[5,)}'::int8multirange", NULL},
    {"nummultirange", "'{(,0.5]}'::nummultirange", NULL},
    {"datemultirange", "'{[2026-01-01,2026-01-02)}'::datemultirange", NULL},
    {"tsmultirange", "'{[2026-01-01 00:00,)}'::tsmultirange", NULL},
    {"tstzmultirange", "'{[2026-01-01 00:00+00,)}'::tstzmultirange", NULL},
    {"(enum)", "''::demo.mood", NULL},
    {"(enum)", "'a\"b'::demo.mood", NULL},
    {"(domain)", "'-1'::demo.whole", NULL},
    {"(domain)", "repeat('9', 997)::demo.bill", NULL},
    {"(domain of bytes)", "'\\x0001'::demo.blob", EDGE_BYTES},
    {"(domain over an array)", "'{}'::demo.wholes", NULL},
    {"(domain over an array)", "'[0:1][3:3]={{1},{NULL}}'::demo.wholes", NULL},
    {"(domain over a domain)", "'{NULL,1}'::demo.more_wholes", NULL},
    {"(composite)", "ROW(NULL, NULL, NULL)::demo.pair", NULL},
    {"(composite)", "ROW(repeat('9', 131069), E'\"\\n', '{}')::demo.pair", NULL},
    {"(composite)",
     "ROW(ROW(1, '', '{1}'), ARRAY[ROW('NaN', 'щ', NULL)]::demo.pair[], 7)::demo.pairs", NULL},
    {"(range)", "'[NaN,NaN]'::demo.span", NULL},
    {"(range)", "'empty'::demo.span", NULL},
    {"(extension)", "'a=>1, b=>NULL, \"\"=>\"\\\"\"'::demo.hstore", NULL},
    {"(extension)", "'Щ\"'::demo.citext", NULL},
    {"(extension)", "'(1,2),(3,4)'::demo.cube", NULL},
};
#define EDGE_COUNT ((int)(sizeof(edges) / sizeof(edges[0])))

/*
 * What is made of each value: itself, an array with it and a NULL, an empty one, two levels, and two
 * levels that do not begin with 1.
 */
static const struct {
    const char *value; /* with %s */
    const char *text;  /* where the value's own is special */
} edge_shapes[] = {
    {"%s", NULL},
    {"ARRAY[%s, NULL]", "'[' || %s || ',null]'"},
    {"(ARRAY[%s])[2:1]", "'[]'"},
    {"ARRAY[ARRAY[%1$s, NULL], ARRAY[NULL, %1$s]]",
     "'[[' || %1$s || ',null],[null,' || %1$s || ']]'"},
    {"array_fill(%s, ARRAY[2, 1], ARRAY[-3, 5])", "'[[' || %1$s || '],[' || %1$s || ']]'"},
};
#define EDGE_SHAPES ((int)(sizeof(edge_shapes) / sizeof(edge_shapes[0])))

/* They have no arrays, or none that is not one of their elements. */
static inline bool edge_is_alone(const edge_t *edge)
{
    return strcmp(edge->type, "pg_node_tree") == 0 || strncmp(edge->type, "(domain over", 12) == 0;
}

/* Built in, but nobody can have a value of it. */
static const char edge_without_values[] =
    "'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary',"
    " 'pg_brin_minmax_multi_summary'";

#endif
