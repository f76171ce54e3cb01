/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.c: the connection file of a source, which says where the source is and as whom to
 * read it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "source/private.h"

#define CONNECTION_FILE_MAX 16384

/* A dead peer is noticed within a minute or so; the connection file may say otherwise. */
#define NETWORK_DEFAULTS                                                                           \
    "keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=60000 "

static bool is_connection_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

/* Lines become spaces, lines that start with '#' go, so that a long string may be laid out. */
static void join_lines(char *text)
{
    char *in = text;
    char *out = text;
    bool start = true;

    while (*in) {
        if (start && *in == '#') {
            in += strcspn(in, "\n");
            continue;
        }
        start = *in == '\n';
        *out++ = (char)(isspace((unsigned char)*in) ? ' ' : *in);
        in++;
    }
    *out = '\0';
}

udm_error_t *udm_source_read_connection(const char **conninfo, apr_pool_t *p,
                                        const char *source_dir, const udm_data_type_t *type)
{
    const char *path = apr_pstrcat(p, source_dir, "/", type->connection, NULL);
    udm_error_t *error = NULL;
    struct stat info;
    apr_size_t size = 0;
    char *text;
    ssize_t got;
    int fd;

    if (!is_connection_name(type->connection)) {
        return udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "the name of source \"%s\"'s connection file is not made of "
                           "a-z, 0-9, _ and -",
                           type->source));
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        apr_status_t status = fd < 0 ? errno : APR_SUCCESS;

        error = udm_error_status(p, UDM_E_SOURCE, status,
                                 "the connection file \"%s\" of source \"%s\" %s", type->connection,
                                 type->source,
                                 status == ENOENT   ? "does not exist"
                                 : status == EACCES ? "is not readable for the worker"
                                 : status           ? "cannot be opened"
                                                    : "is not a regular file");
        error = udm_source_lasting(udm_error_detail(
            p, error, "%s: %s", path, error->detail ? error->detail : "not a regular file"));
        goto out;
    }
    text = apr_palloc(p, CONNECTION_FILE_MAX + 1);
    while ((got = read(fd, text + size, CONNECTION_FILE_MAX + 1 - size)) > 0) {
        size += (apr_size_t)got;
    }
    if (got < 0 || size > CONNECTION_FILE_MAX) {
        error = udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "the connection file \"%s\" of source \"%s\" cannot be "
                           "read or is larger than 16 KiB",
                           type->connection, type->source));
        goto out;
    }
    text[size] = '\0';
    join_lines(text);
    if ((info.st_mode & S_IROTH) && (strstr(text, "password") || strstr(text, "://"))) {
        error = udm_source_lasting(
            udm_error_make(p, UDM_E_SOURCE,
                           "the connection file \"%s\" of source \"%s\" may hold a "
                           "password and is readable for everybody: take that right "
                           "away (chmod o-r)",
                           type->connection, type->source));
        goto out;
    }
    text += strspn(text, " ");
    *conninfo = strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0
                    ? text
                    : apr_pstrcat(p, NETWORK_DEFAULTS, text, NULL);

out:
    if (fd >= 0) {
        close(fd);
    }
    return error;
}
