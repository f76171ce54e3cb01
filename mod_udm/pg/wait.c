/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c: waits on the connection and on an eventfd together, up to a time. libpq's own waits know the
 * connection alone, and a server that is frozen but not gone never ends them.
 */
#include "pg/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "core/clock.h"

#define CANCEL_MS 1000

/* How long the socket is waited for where nothing tells whether GSSAPI holds something back. */
#define GSS_MS 10

apr_int64_t udm_wait_until(int ms)
{
    return ms > 0 ? udm_clock_ms() + ms : 0;
}

/*
 * Whether TLS has something that libpq did not take yet: a record may be larger than the room in libpq's
 * buffer, and of its rest the socket tells nothing.
 */
static bool holds_back(PGconn *conn)
{
    SSL *tls = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;

    return tls && SSL_has_pending(tls);
}

/* Waits for the socket. READY: also when it is in a state that only its next use shows. */
static udm_wait wait_socket(PGconn *conn, short events, const udm_stop_t *stop, apr_int64_t until)
{
    struct pollfd fds[2];
    int ready = 0;

    fds[0].fd = PQsocket(conn);
    fds[0].events = events;
    fds[1].fd = stop ? stop->fd : -1;
    fds[1].events = POLLIN;
    while (ready <= 0) {
        int ms = -1;

        if (until) {
            apr_int64_t left = until - udm_clock_ms();

            if (left <= 0) {
                return UDM_WAIT_LATE;
            }
            ms = left < 60000 ? (int)left : 60000;
        }
        if (PQgssEncInUse(conn) && (ms < 0 || ms > GSS_MS)) {
            ms = GSS_MS;
        }
        /* Below 0: EINTR, or no memory for a moment. */
        ready = poll(fds, 2, ms);
        if (ready == 0 && PQgssEncInUse(conn)) {
            break;
        }
    }
    return udm_stop_raised(stop) ? UDM_WAIT_STOPPED : UDM_WAIT_READY;
}

udm_wait udm_wait_input(PGconn *conn, const udm_stop_t *stop, apr_int64_t until)
{
    udm_wait wait = UDM_WAIT_READY;

    if (udm_stop_raised(stop)) {
        return UDM_WAIT_STOPPED;
    }
    if (!holds_back(conn)) {
        wait = wait_socket(conn, POLLIN, stop, until);
    }
    if (wait != UDM_WAIT_READY) {
        return wait;
    }
    return PQconsumeInput(conn) ? UDM_WAIT_READY : UDM_WAIT_BROKEN;
}

/* Sends what libpq holds. A server that does not read may be waiting to be read from. */
static udm_wait wait_output(PGconn *conn, const udm_stop_t *stop, apr_int64_t until)
{
    udm_wait wait = UDM_WAIT_READY;
    int left;

    while (wait == UDM_WAIT_READY && (left = PQflush(conn)) != 0) {
        if (left < 0) {
            return UDM_WAIT_BROKEN;
        }
        wait = wait_socket(conn, POLLIN | POLLOUT, stop, until);
        if (wait == UDM_WAIT_READY && !PQconsumeInput(conn)) {
            wait = UDM_WAIT_BROKEN;
        }
    }
    return wait;
}

udm_wait udm_wait_result(PGresult **result, PGconn *conn, const udm_stop_t *stop, apr_int64_t until)
{
    udm_wait wait = wait_output(conn, stop, until);
    PGresult *last = NULL;
    PGresult *next;

    *result = NULL;
    do {
        while (wait == UDM_WAIT_READY && PQisBusy(conn)) {
            wait = udm_wait_input(conn, stop, until);
        }
        if (wait == UDM_WAIT_STOPPED || wait == UDM_WAIT_LATE) {
            PQclear(last);
            return wait;
        }
        /* Of a connection that is no more, this is the error. */
        next = PQgetResult(conn);
        if (next) {
            PQclear(last);
            last = next;
        }
    } while (next && PQresultStatus(next) != PGRES_COPY_OUT);
    *result = last;
    return wait;
}

udm_wait udm_wait_connection(PGconn *conn, PostgresPollingStatusType (*go_on)(PGconn *),
                             const udm_stop_t *stop, apr_int64_t until)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING; /* as libpq's manual has it */
    udm_wait wait;

    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        wait = wait_socket(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, stop, until);
        if (wait != UDM_WAIT_READY) {
            return wait;
        }
        state = go_on(conn);
    }
    return UDM_WAIT_READY;
}

void udm_wait_give_up(PGconn *conn)
{
    /* Not closed: the number is libpq's. */
    if (PQsocket(conn) >= 0) {
        (void)shutdown(PQsocket(conn), SHUT_RDWR);
    }
    while (PQstatus(conn) == CONNECTION_OK && PQconsumeInput(conn)) {
        /* What was sent before the end is taken, and nobody's. */
    }
}

/* ---- telling the server ---- */

typedef struct teller_t {
    PGcancel *cancel;
    int done; /* closed at the end */
} teller_t;

static void *tell(void *data)
{
    teller_t *teller = data;
    char ignored[256];

    PQcancel(teller->cancel, ignored, sizeof(ignored));
    PQfreeCancel(teller->cancel);
    close(teller->done);
    free(teller);
    return NULL;
}

/* @return whether the thread that frees it was started */
static bool start_teller(teller_t *teller)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int status;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    status = pthread_create(&thread, &attributes, tell, teller);
    pthread_attr_destroy(&attributes);
    return status == 0;
}

/* PQcancel waits for the server without a limit, so that a thread of its own calls it. */
void udm_wait_cancel(PGcancel *cancel)
{
    teller_t *teller = malloc(sizeof(*teller));
    int fds[2] = {-1, -1};
    struct pollfd done;

    if (!teller || pipe2(fds, O_CLOEXEC) != 0) {
        PQfreeCancel(cancel);
        free(teller);
        return;
    }
    teller->cancel = cancel;
    teller->done = fds[1];
    if (start_teller(teller)) {
        done.fd = fds[0];
        done.events = POLLIN;
        (void)poll(&done, 1, CANCEL_MS);
    }
    else {
        PQfreeCancel(cancel);
        close(fds[1]);
        free(teller);
    }
    close(fds[0]);
}
