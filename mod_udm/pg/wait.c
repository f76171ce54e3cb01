/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c: waits on the connection and on an eventfd together. libpq's own waits know the connection
 * alone, and a server that is frozen but not gone never ends them.
 */
#include "pg/wait.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CANCEL_MS 1000

udm_wait udm_wait_input(PGconn *conn, const udm_stop_t *stop)
{
    struct pollfd fds[2];

    fds[0].fd = PQsocket(conn);
    fds[0].events = POLLIN;
    fds[1].fd = stop ? stop->fd : -1;
    fds[1].events = POLLIN;
    while (poll(fds, 2, -1) < 0) {
        /* EINTR, or no memory for a moment. */
    }
    if (udm_stop_raised(stop)) {
        return UDM_WAIT_STOPPED;
    }
    return PQconsumeInput(conn) ? UDM_WAIT_INPUT : UDM_WAIT_BROKEN;
}

PGresult *udm_wait_result(PGconn *conn, const udm_stop_t *stop)
{
    udm_wait wait = UDM_WAIT_INPUT;
    PGresult *last = NULL;
    PGresult *next;

    do {
        while (wait == UDM_WAIT_INPUT && PQisBusy(conn)) {
            wait = udm_wait_input(conn, stop);
        }
        if (wait == UDM_WAIT_STOPPED) {
            PQclear(last);
            return NULL;
        }
        /* Of a connection that is no more, this is the error. */
        next = PQgetResult(conn);
        if (next) {
            PQclear(last);
            last = next;
        }
    } while (next);
    return last;
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
