/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.c: opens connections, and opens lost ones anew.
 *
 * libpq can wait for a connection by itself, for `connect_timeout` at each host, but then nobody else can
 * end the wait. Or it lets its caller wait, but then it knows no timeout, and never leaves a host that
 * does not answer for the next one. So the hosts are tried here, one after another, each for that time.
 */
#include <stdbool.h>
#include <string.h>

#include <apr_strings.h>

#include "core/text.h"
#include "pg/client.h"
#include "pg/wait.h"

/* Seconds for a host, unless connect_timeout says otherwise; and at most, for libpq takes 0 for ever. */
#define TIMEOUT     5
#define TIMEOUT_MAX 60

static apr_status_t conn_finish(void *data)
{
    PQfinish(data);
    return APR_SUCCESS;
}

/* libpq would print notices to stderr, past the log. */
static void notice_drop(void *baton, const PGresult *result)
{
    (void)baton;
    (void)result;
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    const PQconninfoOption *o;

    for (o = options; o->keyword; o++) {
        if (strcmp(o->keyword, keyword) == 0) {
            return o->val;
        }
    }
    return NULL;
}

static int items(const char *list)
{
    int count = 1;

    for (; list && *list; list++) {
        count += *list == ',';
    }
    return count;
}

/* Item `i` of a list with commas; the only one, if it is one for all; NULL for NULL. */
static const char *item(apr_pool_t *p, const char *list, int i)
{
    if (!list || items(list) == 1) {
        return list;
    }
    for (; i > 0; i--) {
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return apr_pstrmemdup(p, list, strcspn(list, ","));
}

/* How many hosts there are to be tried one by one. */
static int hosts_of(const PQconninfoOption *options)
{
    int hosts = items(option(options, "host"));
    int addresses = items(option(options, "hostaddr"));
    const char *target = option(options, "target_session_attrs");

    /* That one looks at all of them before it takes one. */
    if (target && strcmp(target, "prefer-standby") == 0) {
        return 1;
    }
    return hosts > addresses ? hosts : addresses;
}

/* Milliseconds for one host. */
static int patience_of(const PQconninfoOption *options)
{
    const char *timeout = option(options, "connect_timeout");
    apr_int64_t seconds = timeout ? apr_strtoi64(timeout, NULL, 10) : TIMEOUT;

    return 1000 * (seconds <= 0 || seconds > TIMEOUT_MAX ? TIMEOUT_MAX : (int)seconds);
}

static bool is_listed(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

/*
 * Begins a connection to host `i` of `hosts`. Where the options are silent they get our defaults; the
 * application name is only a fallback, so that a service file may name one, too.
 */
static PGconn *start(apr_pool_t *p, const PQconninfoOption *options, const char *application_name,
                     int i, int hosts)
{
    const PQconninfoOption *o;
    const char **keywords;
    const char **values;
    int count = 0;

    for (o = options; o->keyword; o++) {
        count++;
    }
    keywords = apr_pcalloc(p, sizeof(char *) * (apr_size_t)(count + 3));
    values = apr_pcalloc(p, sizeof(char *) * (apr_size_t)(count + 3));
    count = 0;
    for (o = options; o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "fallback_application_name") != 0) {
            keywords[count] = o->keyword;
            values[count++] = hosts > 1 && is_listed(o->keyword) ? item(p, o->val, i) : o->val;
        }
    }
    keywords[count] = "fallback_application_name";
    values[count++] = application_name;
    if (!option(options, "client_encoding")) {
        keywords[count] = "client_encoding";
        values[count] = "UTF8";
    }
    return PQconnectStartParams(keywords, values, 0);
}

/* A host: `conn` gets the connection, or NULL with what is known of the failure in `why`. */
static udm_wait try_host(PGconn **conn, const char **why, apr_pool_t *p,
                         const PQconninfoOption *options, const char *application_name, int i,
                         int hosts, const udm_stop_t *stop)
{
    int patience = patience_of(options);
    udm_wait wait = UDM_WAIT_BROKEN;

    *conn = start(p, options, application_name, i, hosts);
    if (*conn && PQstatus(*conn) != CONNECTION_BAD) {
        PQsetNoticeReceiver(*conn, notice_drop, NULL);
        wait = udm_wait_connection(*conn, PQconnectPoll, stop, udm_wait_until(patience));
    }
    if (wait == UDM_WAIT_READY && PQstatus(*conn) == CONNECTION_OK) {
        return wait;
    }
    *why = wait == UDM_WAIT_LATE ? apr_psprintf(p, "no connection within %d ms", patience)
           : *conn               ? udm_text_line(p, PQerrorMessage(*conn))
                                 : "no memory";
    PQfinish(*conn);
    *conn = NULL;
    return wait;
}

udm_error_t *udm_pg_connect(udm_pg_t **db, apr_pool_t *p, const char *conninfo,
                            const char *application_name, udm_error_kind kind,
                            const udm_stop_t *stop)
{
    const char *what = kind == UDM_E_SOURCE ? "the source's database" : "the database";
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    udm_wait wait = UDM_WAIT_BROKEN;
    const char *why = "";
    const char *said = "";
    PGconn *conn = NULL;
    udm_error_t *error;
    int hosts, i;

    *db = NULL;
    if (!options) {
        /* What libpq says of a string it cannot read may quote a password. */
        return udm_error_make(p, kind, "the connection string of %s cannot be read", what);
    }
    hosts = hosts_of(options);
    for (i = 0; i < hosts && !conn && wait != UDM_WAIT_STOPPED; i++) {
        wait = try_host(&conn, &why, p, options, application_name, i, hosts, stop);
        said = *said ? apr_pstrcat(p, said, "; ", why, NULL) : why;
    }
    PQconninfoFree(options);
    if (conn) {
        apr_pool_cleanup_register(p, conn, conn_finish, apr_pool_cleanup_null);
        *db = udm_pg_wrap(p, conn);
        (*db)->stop = stop;
        (*db)->reads_only = kind == UDM_E_SOURCE;
        return NULL;
    }
    if (wait == UDM_WAIT_STOPPED) {
        return udm_error_make(p, UDM_E_STOPPED, "stopped");
    }
    error = udm_error_make(p, kind, "%s does not answer; try again later", what);
    return udm_error_detail(p, error, "%s", said);
}

bool udm_pg_reset(PGconn *conn)
{
    PQconninfoOption *options = PQconninfo(conn);
    int hosts, patience;
    bool own;

    if (!options) {
        return false;
    }
    hosts = hosts_of(options);
    patience = patience_of(options);
    /* Of several hosts libpq alone can leave one for the next, where it has a timeout to do so. */
    own = hosts == 1 || !option(options, "connect_timeout");
    PQconninfoFree(options);
    if (!own) {
        PQreset(conn);
    }
    else if (!PQresetStart(conn) ||
             udm_wait_connection(conn, PQresetPoll, NULL, udm_wait_until(hosts * patience)) !=
                 UDM_WAIT_READY) {
        udm_wait_give_up(conn);
    }
    return PQstatus(conn) == CONNECTION_OK && PQsetnonblocking(conn, 1) == 0;
}

udm_pg_target udm_pg_target_of(PGconn *conn)
{
    PQconninfoOption *options = PQconninfo(conn);
    const char *target = options ? option(options, "target_session_attrs") : NULL;
    udm_pg_target wanted = !target                             ? UDM_PG_ANY
                           : strcmp(target, "read-write") == 0 ? UDM_PG_READ_WRITE
                           : strcmp(target, "primary") == 0    ? UDM_PG_PRIMARY
                                                               : UDM_PG_ANY;

    PQconninfoFree(options);
    return wanted;
}
