/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c: most of what a question to the database costs is the same for one as for many: the two
 * ways through the kernel, the threads that are woken for it, and a commit if it writes.
 *
 * The first to come goes to the database at once. Whoever comes while it is there waits in a queue;
 * when it is back, the first in the queue goes and takes the others along. So nobody waits for
 * company, and the more requests there are, the less each of them costs.
 */
#include "httpd/batch.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "httpd/dbd.h"

/* A thread that waits, on its own stack. Its turn comes when it leads or has its answer. */
typedef struct waiting_t {
    request_rec *r;
    void *item;
    udm_error_t *error;
    sem_t turn;
    bool leads;
    struct waiting_t *next;
} waiting_t;

struct udm_batch_t {
    udm_batch_fn fn;
    bool again;
    pthread_mutex_t lock;
    bool led; /* somebody is at the database, or on the way */
    waiting_t *first;
    waiting_t **last;
};

/* What a leader takes along, itself included. */
typedef struct work_t {
    const udm_batch_t *batch;
    apr_pool_t *pool;
    void *items[UDM_BATCH_MAX];
    int count;
} work_t;

udm_batch_t *udm_batch_create(apr_pool_t *pchild, bool again, udm_batch_fn fn)
{
    udm_batch_t *batch = apr_pcalloc(pchild, sizeof(*batch));

    batch->fn = fn;
    batch->again = again;
    batch->last = &batch->first;
    pthread_mutex_init(&batch->lock, NULL); /* it cannot fail without attributes */
    return batch;
}

static udm_error_t *ask(udm_pg_t *db, void *baton)
{
    work_t *work = baton;

    return work->batch->fn(work->pool, db, work->items, work->count);
}

static waiting_t *pop(udm_batch_t *batch)
{
    waiting_t *w = batch->first;

    if (w) {
        batch->first = w->next;
        if (!batch->first) {
            batch->last = &batch->first;
        }
    }
    return w;
}

/* Waits for a turn. @return whether it is to lead; otherwise all is done */
static bool enter(udm_batch_t *batch, waiting_t *own)
{
    bool waits;

    pthread_mutex_lock(&batch->lock);
    waits = batch->led;
    batch->led = true;
    if (waits) {
        *batch->last = own;
        batch->last = &own->next;
    }
    pthread_mutex_unlock(&batch->lock);
    while (waits && sem_wait(&own->turn) != 0 && errno == EINTR) {
    }
    return !waits || own->leads;
}

/* Goes to the database for this one and whoever waits. */
static void lead(udm_batch_t *batch, waiting_t *own)
{
    request_rec *r = own->r;
    work_t work = {.batch = batch, .pool = r->pool, .items = {own->item}, .count = 1};
    waiting_t *others[UDM_BATCH_MAX];
    int i;

    pthread_mutex_lock(&batch->lock);
    while (work.count < UDM_BATCH_MAX && (others[work.count] = pop(batch)) != NULL) {
        work.items[work.count] = others[work.count]->item;
        work.count++;
    }
    pthread_mutex_unlock(&batch->lock);
    own->error = udm_dbd_with(r, batch->again, ask, &work);
    for (i = 1; i < work.count; i++) {
        if (own->error) {
            others[i]->error = udm_error_copy(others[i]->r->pool, own->error);
        }
        sem_post(&others[i]->turn); /* after this it may be gone */
    }
}

/* Hands the lead to the next one that waits. */
static void leave(udm_batch_t *batch)
{
    waiting_t *next;

    pthread_mutex_lock(&batch->lock);
    next = pop(batch);
    batch->led = next != NULL;
    pthread_mutex_unlock(&batch->lock);
    if (next) {
        next->leads = true;
        sem_post(&next->turn);
    }
}

udm_error_t *udm_batch_ask(udm_batch_t *batch, request_rec *r, void *item)
{
    waiting_t own = {.r = r, .item = item};

    sem_init(&own.turn, 0, 0);
    if (enter(batch, &own)) {
        lead(batch, &own);
        leave(batch);
    }
    sem_destroy(&own.turn);
    return own.error;
}
