/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * stop.c: a flag for whoever looks, and an eventfd for whoever waits in poll().
 */
#include "core/stop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static apr_status_t stop_close(void *data)
{
    udm_stop_t *stop = data;

    close(stop->fd);
    stop->fd = -1;
    return APR_SUCCESS;
}

udm_error_t *udm_stop_make(udm_stop_t *stop, apr_pool_t *p)
{
    atomic_init(&stop->raised, false);
    stop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop->fd < 0) {
        return udm_error_status(p, UDM_E_INTERNAL, errno, "no eventfd can be made");
    }
    apr_pool_cleanup_register(p, stop, stop_close, apr_pool_cleanup_null);
    return NULL;
}

void udm_stop_raise(udm_stop_t *stop)
{
    eventfd_t one = 1;

    atomic_store(&stop->raised, true);
    /* It fails only when it is full, and then it is readable. */
    (void)!write(stop->fd, &one, sizeof(one));
}

void udm_stop_lower(udm_stop_t *stop)
{
    eventfd_t count;

    atomic_store(&stop->raised, false);
    (void)!read(stop->fd, &count, sizeof(count));
}

bool udm_stop_raised(const udm_stop_t *stop)
{
    return stop && atomic_load_explicit(&stop->raised, memory_order_relaxed);
}
