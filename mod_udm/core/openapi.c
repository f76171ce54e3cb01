/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi.c: fits the description of the API to one mount: its versions, its envelope, its address.
 */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "core/json.h"
#include "core/openapi.h"
#include "core/route.h"

/* conf/openapi.json, made into C by the build. */
extern const char udm_openapi_text[];

#define COMPONENTS     "#/components/"
#define SUCCESS_STATUS "SuccessStatus"

/* Marks a media type whose JSON has no envelope even where answers have one; never shown. */
#define BARE_MARK "x-udm-bare"

static const char *const methods[] = {"get",     "put",  "post",  "delete",
                                      "options", "head", "patch", "trace"};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

/* What is carried through the fitting of one document. */
typedef struct {
    apr_pool_t *p;
    json_t *document;
    bool wrapped;
    json_t *fitted; /* a set: references to responses that are done */
    json_t *used;   /* a set: references to components that something refers to */
} fitting;

/* The object that "#/components/<section>/<name>" means, or NULL. */
static json_t *resolve(fitting *f, const char *reference)
{
    const char *section, *name;

    if (!reference || strncmp(reference, COMPONENTS, strlen(COMPONENTS)) != 0) {
        return NULL;
    }
    section = reference + strlen(COMPONENTS);
    name = strchr(section, '/');
    if (!name) {
        return NULL;
    }
    section = apr_pstrmemdup(f->p, section, (apr_size_t)(name - section));
    return json_object_get(json_object_get(json_object_get(f->document, "components"), section),
                           name + 1);
}

/* Whether a path belongs to a version that is not to be shown. */
static bool is_off(fitting *f, const char *path, int versions)
{
    const char *segment = path + (*path == '/');
    udm_version version;

    return udm_version_parse(&version, apr_pstrmemdup(f->p, segment, strcspn(segment, "/"))) &&
           !(versions & (int)version);
}

static void drop_versions(fitting *f, int versions)
{
    json_t *paths = json_object_get(f->document, "paths"), *item;
    const char *path;
    void *next;

    json_object_foreach_safe(paths, next, path, item)
    {
        if (is_off(f, path, versions)) {
            json_object_del(paths, path);
        }
    }
}

/* The schema of an object that has these members, all of which are required, and no other. */
static json_t *object_schema(json_t *properties)
{
    json_t *schema = json_object(), *required = json_array(), *property;
    const char *name;

    json_object_foreach(properties, name, property)
    {
        json_array_append_new(required, json_string(name));
    }
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "required", required);
    json_object_set_new(schema, "properties", properties);
    json_object_set_new(schema, "additionalProperties", json_false());
    return schema;
}

/* A schema of one keyword. */
static json_t *schema_of(const char *keyword, json_t *value)
{
    json_t *schema = json_object();

    json_object_set_new(schema, keyword, value);
    return schema;
}

/* The schema of the "status" of an envelope. Takes over all three. */
static json_t *status_schema(json_t *code, json_t *detail, json_t *message)
{
    json_t *properties = json_object();

    json_object_set_new(properties, "code", code);
    json_object_set_new(properties, "detail", detail);
    json_object_set_new(properties, "message", message);
    return object_schema(properties);
}

/* The schema of an envelope. Takes over both; `data` may be NULL. */
static json_t *envelope_schema(json_t *status, json_t *data)
{
    json_t *properties = json_object();

    json_object_set_new(properties, "status", status);
    if (data) {
        json_object_set_new(properties, "data", data);
    }
    return object_schema(properties);
}

/* The components/schemas of the document; made where there are none. */
static json_t *schemas(fitting *f)
{
    json_t *components = json_object_get(f->document, "components"), *found;

    if (!components) {
        components = json_object();
        json_object_set_new(f->document, "components", components);
    }
    found = json_object_get(components, "schemas");
    if (!found) {
        found = json_object();
        json_object_set_new(components, "schemas", found);
    }
    return found;
}

/* The status of every good answer, as one component that all refer to. */
static json_t *success_status(fitting *f)
{
    json_t *all = schemas(f);

    if (!json_object_get(all, SUCCESS_STATUS)) {
        json_object_set_new(all, SUCCESS_STATUS,
                            status_schema(schema_of("const", json_integer(0)),
                                          object_schema(json_object()),
                                          schema_of("const", json_string("successful"))));
    }
    return schema_of("$ref", json_string(COMPONENTS "schemas/" SUCCESS_STATUS));
}

/*
 * An example of an error in its envelope: of a problem document, or of an array, which gets a problem
 * document beside it that says what the response means.
 */
static json_t *error_example(json_t *response, int status, json_t *example, bool problem)
{
    const json_t *own = json_object_get(example, "status");
    json_t *detail = json_object_get(response, "description"), *made;

    if (problem) {
        status = json_is_integer(own) ? (int)json_integer_value(own) : status;
        return udm_json_error_envelope(status, json_incref(example), NULL);
    }
    made = json_object();
    json_object_set_new(made, "type", json_string("about:blank"));
    json_object_set_new(made, "title", json_string(udm_json_title(status)));
    json_object_set_new(made, "status", json_integer(status));
    json_object_set_new(made, "detail", detail ? json_incref(detail) : json_string(""));
    return udm_json_error_envelope(status, made, json_incref(example));
}

/* One example in its envelope; a new reference. `status` is that of an error, or 0. */
static json_t *wrap_example(json_t *response, int status, json_t *example, bool problem)
{
    return status ? error_example(response, status, example, problem)
                  : udm_json_envelope(json_incref(example));
}

/* The examples of a media type, of which there may be one, or some with names. */
static void wrap_examples(json_t *response, json_t *media, int status, bool problem)
{
    json_t *example = json_object_get(media, "example"), *named, *value;
    const char *name;

    if (example) {
        json_object_set_new(media, "example", wrap_example(response, status, example, problem));
    }
    json_object_foreach(json_object_get(media, "examples"), name, named)
    {
        value = json_object_get(named, "value");
        if (value) {
            json_object_set_new(named, "value", wrap_example(response, status, value, problem));
        }
    }
}

/* The schema of a media type, one that takes anything where it has none; a new reference. */
static json_t *schema_or_any(json_t *media)
{
    json_t *schema = json_object_get(media, "schema");

    return schema ? json_incref(schema) : json_object();
}

static void wrap_success(fitting *f, json_t *response)
{
    json_t *content = json_object_get(response, "content");
    json_t *media = json_object_get(content, "application/json");

    if (!media) {
        return;
    }
    wrap_examples(response, media, 0, false);
    json_object_set_new(media, "schema", envelope_schema(success_status(f), schema_or_any(media)));
}

/* The schema of the problem document where a response has an array instead of one. */
static json_t *any_problem(fitting *f)
{
    return json_object_get(schemas(f), "Problem")
               ? schema_of("$ref", json_string(COMPONENTS "schemas/Problem"))
               : schema_of("type", json_string("object"));
}

/*
 * An error: the problem document goes into status.detail, an array (application/json) into data.
 * A response that may be either becomes one whose data may be missing.
 */
static void wrap_error(fitting *f, json_t *response, int status)
{
    json_t *content = json_object_get(response, "content");
    json_t *problem = json_object_get(content, "application/problem+json");
    json_t *array = json_object_get(content, "application/json");
    json_t *media, *schema, *detail, *title, *required;

    if (!problem && !array) {
        return;
    }
    media = json_incref(array ? array : problem);
    detail = problem ? schema_or_any(problem) : any_problem(f);
    title = schema_of("type", json_string("string"));
    schema = envelope_schema(status_schema(status ? schema_of("const", json_integer(status))
                                                  : schema_of("type", json_string("integer")),
                                           detail, title),
                             array ? schema_or_any(array) : NULL);
    if (problem && array) {
        required = json_array();
        json_array_append_new(required, json_string("status"));
        json_object_set_new(schema, "required", required);
    }
    wrap_examples(response, media, status ? status : 500, !array);
    json_object_set_new(media, "schema", schema);
    json_object_del(content, "application/problem+json");
    json_object_set_new(content, "application/json", media);
}

/* One response object. `code` is its key: "200", "404", "4XX", "default". */
static void fit_response(fitting *f, const char *code, json_t *response)
{
    json_t *content = json_object_get(response, "content"), *media;
    bool bare = false;
    const char *type;

    json_object_foreach(content, type, media)
    {
        bare = bare || json_is_true(json_object_get(media, BARE_MARK));
        json_object_del(media, BARE_MARK);
    }
    if (!f->wrapped || bare || !content) {
        return;
    }
    if (*code == '2') {
        wrap_success(f, response);
    }
    else if (*code != '1' && *code != '3') {
        wrap_error(f, response, strspn(code, "0123456789") == 3 ? (int)strtol(code, NULL, 10) : 0);
    }
}

/* Each response of an operation; what several share is fitted once, where it stands. */
static void fit_operation(fitting *f, json_t *operation)
{
    json_t *response;
    const char *code;

    json_object_foreach(json_object_get(operation, "responses"), code, response)
    {
        const char *reference = json_string_value(json_object_get(response, "$ref"));

        if (!reference) {
            fit_response(f, code, response);
        }
        else if (!json_object_get(f->fitted, reference)) {
            json_object_set_new(f->fitted, reference, json_true());
            fit_response(f, code, resolve(f, reference));
        }
    }
}

static void fit_operations(fitting *f)
{
    json_t *item, *operation;
    const char *path;
    apr_size_t i;

    json_object_foreach(json_object_get(f->document, "paths"), path, item)
    {
        for (i = 0; i < METHOD_COUNT; i++) {
            operation = json_object_get(item, methods[i]);
            if (operation) {
                fit_operation(f, operation);
            }
        }
    }
}

static void mark_used(fitting *f, json_t *json);

/* A reference keeps what it means, and what that refers to. */
static void use(fitting *f, const char *reference)
{
    json_t *target = resolve(f, reference);

    if (target && !json_object_get(f->used, reference)) {
        json_object_set_new(f->used, reference, json_true());
        mark_used(f, target);
    }
}

/* The security schemes that a list of requirements names. */
static void use_schemes(fitting *f, json_t *security)
{
    json_t *requirement, *scopes;
    const char *name;
    size_t i;

    json_array_foreach(security, i, requirement)
    {
        json_object_foreach(requirement, name, scopes)
        {
            use(f, apr_pstrcat(f->p, COMPONENTS "securitySchemes/", name, NULL));
        }
    }
}

/* Finds all references in a piece of the document; "mapping" of a discriminator has them too. */
static void mark_used(fitting *f, json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_string(json)) {
        use(f, json_string_value(json));
    }
    json_array_foreach(json, i, value)
    {
        mark_used(f, value);
    }
    json_object_foreach(json, key, value)
    {
        if (strcmp(key, "security") == 0) {
            use_schemes(f, value);
        }
        mark_used(f, value);
    }
}

static void drop_unused(fitting *f)
{
    json_t *components = json_object_get(f->document, "components"), *group, *component;
    const char *section, *name, *key;
    void *next, *next_section;
    json_t *value;

    json_object_foreach(f->document, key, value)
    {
        if (strcmp(key, "components") != 0) {
            mark_used(f, value);
        }
    }
    json_object_foreach_safe(components, next_section, section, group)
    {
        json_object_foreach_safe(group, next, name, component)
        {
            if (!json_object_get(f->used,
                                 apr_pstrcat(f->p, COMPONENTS, section, "/", name, NULL))) {
                json_object_del(group, name);
            }
        }
        if (json_object_size(group) == 0) {
            json_object_del(components, section);
        }
    }
    if (json_object_size(components) == 0) {
        json_object_del(f->document, "components");
    }
}

/* Whether an operation that is left has this tag. */
static bool has_tag(fitting *f, const char *name)
{
    json_t *item, *tag;
    const char *path;
    apr_size_t i;
    size_t t;

    json_object_foreach(json_object_get(f->document, "paths"), path, item)
    {
        for (i = 0; i < METHOD_COUNT; i++) {
            json_t *tags = json_object_get(json_object_get(item, methods[i]), "tags");

            json_array_foreach(tags, t, tag)
            {
                if (name && json_is_string(tag) && strcmp(json_string_value(tag), name) == 0) {
                    return true;
                }
            }
        }
    }
    return false;
}

static void drop_tags(fitting *f)
{
    json_t *tags = json_object_get(f->document, "tags");
    size_t i = json_array_size(tags);

    while (i-- > 0) {
        if (!has_tag(f, json_string_value(json_object_get(json_array_get(tags, i), "name")))) {
            json_array_remove(tags, i);
        }
    }
    if (tags && json_array_size(tags) == 0) {
        json_object_del(f->document, "tags");
    }
}

udm_error_t *udm_openapi_document(json_t **document, apr_pool_t *p, int versions, bool wrapped,
                                  const char *base_url)
{
    fitting f = {p, NULL, wrapped, NULL, NULL};
    json_error_t fault;
    json_t *servers;

    *document = NULL;
    f.document = json_loads(udm_openapi_text, JSON_REJECT_DUPLICATES, &fault);
    if (!f.document) {
        return udm_error_detail(
            p, udm_error_make(p, UDM_E_INTERNAL, "the description of the API cannot be read"),
            "line %d, column %d: %s", fault.line, fault.column, fault.text);
    }
    f.fitted = json_object();
    f.used = json_object();
    drop_versions(&f, versions);
    fit_operations(&f);
    drop_unused(&f);
    drop_tags(&f);
    servers = json_array();
    json_array_append_new(servers, schema_of("url", json_string(base_url)));
    json_object_set_new(f.document, "servers", servers);
    json_decref(f.fitted);
    json_decref(f.used);
    *document = f.document;
    return NULL;
}
