/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c: one table of settings: name, kind, bounds, default. Whoever adds one adds a line.
 */
#include "worker/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "core/text.h"
#include "export/parts.h"

#define FILE_MAX_SIZE 65536

typedef enum {
    KIND_TEXT,
    KIND_SECRET,
    KIND_PATH,
    KIND_NUMBER,
    KIND_KEEP, /* a number of days, or 0 for ever */
    KIND_SIZE,
    KIND_LEVEL
} setting_kind;

typedef struct setting_t {
    const char *name;
    setting_kind kind;
    size_t offset;
    apr_int64_t min;
    apr_int64_t max;
    const char *initial; /* NULL: none */
    bool required;
} setting_t;

#define AT(member) offsetof(udm_settings_t, member)

static const setting_t table[] = {
    {"database", KIND_SECRET, AT(database), 0, 0, NULL, true},
    {"store", KIND_PATH, AT(store), 0, 0, NULL, true},
    {"source-dir", KIND_PATH, AT(source_dir), 0, 0, NULL, true},
    {"spool-dir", KIND_PATH, AT(spool_dir), 0, 0, NULL, false},
    {"retention", KIND_NUMBER, AT(retention_days), 1, 36500, "30", false},
    {"history-retention", KIND_KEEP, AT(history_days), 1, 36500, "0", false},
    {"tombstone-retention", KIND_KEEP, AT(tombstone_days), 1, 36500, "0", false},
    {"audit-retention", KIND_KEEP, AT(audit_days), 30, 36500, "0", false},
    {"max-part-size", KIND_SIZE, AT(max_part_size), 65536, APR_INT64_MAX, "512 MiB", false},
    {"max-parts", KIND_NUMBER, AT(max_parts), 1, UDM_PARTS_MAX, "1000", false},
    {"max-row", KIND_SIZE, AT(max_row), 65536, APR_INT64_MAX, "64 MiB", false},
    {"slots", KIND_NUMBER, AT(slots), 1, UDM_SLOTS_MAX, "1", false},
    {"user", KIND_TEXT, AT(user), 0, 0, NULL, false},
    {"group", KIND_TEXT, AT(group), 0, 0, NULL, false},
    {"log-level", KIND_LEVEL, AT(log_level), 0, 0, "info", false},
    {"attempts", KIND_NUMBER, AT(attempts), 1, 100, "3", false},
    {"settle-limit", KIND_NUMBER, AT(settle_limit), 1, 86400, "600", false},
    {"retry-delay", KIND_NUMBER, AT(retry_delay), 0, 86400, "10", false},
    {"sweep-interval", KIND_NUMBER, AT(sweep_interval), 1, 86400, "3600", false},
    {"orphan-age", KIND_NUMBER, AT(orphan_age), 0, 31536000, "86400", false},
    {"dead-attempt-age", KIND_NUMBER, AT(dead_age), 0, 31536000, "3600", false},
};
#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

static const setting_t *find(const char *name)
{
    size_t i;

    for (i = 0; i < TABLE_SIZE; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const char *all_names(apr_pool_t *p)
{
    const char *names = "";
    size_t i;

    for (i = 0; i < TABLE_SIZE; i++) {
        names = apr_pstrcat(p, names, i ? ", " : "", table[i].name, NULL);
    }
    return names;
}

/* -1 for what is none. */
static apr_int64_t whole_number(const char *value)
{
    return *value && strspn(value, "0123456789") == strlen(value) && strlen(value) < 10
               ? apr_atoi64(value)
               : -1;
}

/* @return NULL, or what is allowed */
static const char *set_value(udm_settings_t *settings, apr_pool_t *p, const setting_t *setting,
                             const char *value)
{
    void *member = (char *)settings + setting->offset;
    apr_int64_t number;

    switch (setting->kind) {
    case KIND_TEXT:
    case KIND_SECRET:
        *(const char **)member = value;
        return *value ? NULL : "a value that is not empty";
    case KIND_PATH:
        *(const char **)member = value;
        return *value == '/' ? NULL : "an absolute path";
    case KIND_NUMBER:
        number = whole_number(value);
        if (number < setting->min || number > setting->max) {
            return apr_psprintf(p, "a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                                setting->min, setting->max);
        }
        *(int *)member = (int)number;
        return NULL;
    case KIND_KEEP:
        number = whole_number(value);
        if (number != 0 && (number < setting->min || number > setting->max)) {
            return apr_psprintf(
                p, "0 for ever, or a number of days from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                setting->min, setting->max);
        }
        *(int *)member = (int)number;
        return NULL;
    case KIND_SIZE:
        if (!udm_text_parse_size(&number, value) || number < setting->min) {
            return "a size of at least 64 KiB: bytes, or with KB MB GB or KiB MiB GiB";
        }
        *(apr_int64_t *)member = number;
        return NULL;
    case KIND_LEVEL:
        return udm_log_level_parse((udm_log_level *)member, value) ? NULL
                                                                   : "error, warn, info or debug";
    }
    return NULL;
}

/* Cuts the white space off both ends. */
static char *trimmed(char *text)
{
    char *end = text + strlen(text);

    while (end > text && apr_isspace(end[-1])) {
        *--end = '\0';
    }
    while (apr_isspace(*text)) {
        text++;
    }
    return text;
}

udm_error_t *udm_settings_parse(udm_settings_t **settings, apr_pool_t *p, const char *name,
                                const char *text)
{
    udm_settings_t *s = apr_pcalloc(p, sizeof(*s));
    bool seen[TABLE_SIZE] = {false};
    char *rest = apr_pstrdup(p, text);
    int number = 0;
    char *line;
    size_t i;

    *settings = NULL;
    for (i = 0; i < TABLE_SIZE; i++) {
        if (table[i].initial) {
            set_value(s, p, &table[i], table[i].initial);
        }
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        const setting_t *setting;
        const char *allowed;
        char *value;

        number++;
        line = trimmed(line);
        if (*line == '\0' || *line == '#') {
            continue;
        }
        value = line + strcspn(line, " \t");
        if (*value) {
            *value++ = '\0';
        }
        value = trimmed(value);
        setting = find(line);
        if (!setting) {
            return udm_error_make(p, UDM_E_INVALID,
                                  "%s:%d: there is no setting \"%s\"; there are: %s", name, number,
                                  line, all_names(p));
        }
        if (seen[setting - table]) {
            return udm_error_make(p, UDM_E_INVALID, "%s:%d: %s is given twice", name, number, line);
        }
        seen[setting - table] = true;
        allowed = set_value(s, p, setting, value);
        if (allowed) {
            return udm_error_make(p, UDM_E_INVALID,
                                  "%s:%d: %s \"%s\" is not allowed: it must be %s", name, number,
                                  line, setting->kind == KIND_SECRET ? "" : value, allowed);
        }
    }
    for (i = 0; i < TABLE_SIZE; i++) {
        if (table[i].required && !seen[i]) {
            return udm_error_make(p, UDM_E_INVALID, "%s: %s is missing; it has no default", name,
                                  table[i].name);
        }
    }
    if (!s->spool_dir) {
        s->spool_dir = s->store;
    }
    if (s->group && !s->user) {
        return udm_error_make(p, UDM_E_INVALID, "%s: group needs a user beside it", name);
    }
    *settings = s;
    return NULL;
}

udm_error_t *udm_settings_load(udm_settings_t **settings, apr_pool_t *p, const char *path)
{
    char *text = apr_palloc(p, FILE_MAX_SIZE + 1);
    size_t size = 0;
    ssize_t got = 0;
    int status;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        status = errno;
        return udm_error_make(p, UDM_E_INVALID, "%s: cannot be opened: %s", path, strerror(status));
    }
    while (size <= FILE_MAX_SIZE && (got = read(fd, text + size, FILE_MAX_SIZE + 1 - size)) > 0) {
        size += (size_t)got;
    }
    status = errno;
    close(fd);
    if (got < 0) {
        return udm_error_make(p, UDM_E_INVALID, "%s: cannot be read: %s", path, strerror(status));
    }
    if (size > FILE_MAX_SIZE) {
        return udm_error_make(p, UDM_E_INVALID, "%s: is larger than 64 KiB", path);
    }
    text[size] = '\0';
    return udm_settings_parse(settings, p, path, text);
}

udm_error_t *udm_settings_receive(udm_settings_t **settings, apr_pool_t *p, int fd)
{
    char *text = apr_palloc(p, FILE_MAX_SIZE + 1);
    size_t size = 0;
    size_t line = 0;
    ssize_t got;

    /* Byte by byte, so that what comes after "end" is left for whoever reads on. */
    while (size < FILE_MAX_SIZE) {
        got = read(fd, text + size, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return udm_error_make(p, UDM_E_INVALID, "stdin: ended before the line \"end\"");
        }
        if (text[size++] != '\n') {
            continue;
        }
        if (size - line == 4 && memcmp(text + line, "end\n", 4) == 0) {
            text[line] = '\0';
            return udm_settings_parse(settings, p, "stdin", text);
        }
        line = size;
    }
    return udm_error_make(p, UDM_E_INVALID, "stdin: the settings are larger than 64 KiB");
}
