/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c: most of what a question to the database costs is the same for one as for many: the two
 * ways through the kernel, the threads that are woken for it, and a commit if it writes.
 *
 * The first of a group to come goes to the database at once. Whoever comes while it is there waits in a
 * queue; when it is back, the first of its group in the queue goes and takes the others along. So nobody
 * waits for company, and the more requests there are, the less each of them costs.
 *
 * Whoever is taken along shares what the leader meets, so only those of a group travel together; and who
 * waits for a leader that does not come back goes by itself, once, for the next connection may be a
 * better one.
 */
#include "httpd/batch.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "httpd/dbd.h"

/* How long a leader is waited for before another one goes, and how many there are of a group. */
#define PATIENCE_MS 250
#define LEADERS_MAX 2

/*
 * A thread that asks, on its own stack: it waits in the queue, is taken along by a leader, or leads. Its
 * turn comes when it leads or has its answer.
 */
typedef struct asker_t {
    request_rec *r;
    void *item;
    const char *group;
    udm_error_t *error;
    sem_t turn;
    bool queued;
    bool leads;
    struct asker_t *next; /* in the queue, or among the leaders */
} asker_t;

struct udm_batch_t {
    udm_batch_fn fn;
    bool again;
    pthread_mutex_t lock;
    asker_t *leaders;
    asker_t *first; /* of the queue */
    asker_t **last;
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

static int leaders_of(const udm_batch_t *batch, const char *group)
{
    const asker_t *leader;
    int count = 0;

    for (leader = batch->leaders; leader; leader = leader->next) {
        count += strcmp(leader->group, group) == 0;
    }
    return count;
}

static void begin_to_lead(udm_batch_t *batch, asker_t *own)
{
    own->leads = true;
    own->next = batch->leaders;
    batch->leaders = own;
}

/* Takes out of the queue what `at` points to. */
static asker_t *take(udm_batch_t *batch, asker_t **at)
{
    asker_t *taken = *at;

    *at = taken->next;
    if (batch->last == &taken->next) {
        batch->last = at;
    }
    taken->queued = false;
    return taken;
}

/* The first of the group in the queue. */
static asker_t *pop(udm_batch_t *batch, const char *group)
{
    asker_t **at = &batch->first;

    while (*at && strcmp((*at)->group, group) != 0) {
        at = &(*at)->next;
    }
    return *at ? take(batch, at) : NULL;
}

/* Leaves the queue to lead, if it still is there and the group has not leaders enough. */
static bool step_forward(udm_batch_t *batch, asker_t *own)
{
    asker_t **at = &batch->first;
    bool steps;

    pthread_mutex_lock(&batch->lock);
    steps = own->queued && leaders_of(batch, own->group) < LEADERS_MAX;
    if (steps) {
        while (*at != own) {
            at = &(*at)->next;
        }
        begin_to_lead(batch, take(batch, at));
    }
    pthread_mutex_unlock(&batch->lock);
    return steps;
}

/* Waits for the turn, for a moment. @return whether it came */
static bool wait_a_moment(asker_t *own)
{
    struct timespec until;
    int status;

    clock_gettime(CLOCK_REALTIME, &until); /* sem_timedwait knows no other clock */
    until.tv_nsec += PATIENCE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while ((status = sem_timedwait(&own->turn, &until)) != 0 && errno == EINTR) {
    }
    return status == 0;
}

/* Comes back when it is to lead, or when all is done. */
static void enter(udm_batch_t *batch, asker_t *own)
{
    bool waits;

    pthread_mutex_lock(&batch->lock);
    waits = leaders_of(batch, own->group) > 0;
    if (waits) {
        own->queued = true;
        own->next = NULL;
        *batch->last = own;
        batch->last = &own->next;
    }
    else {
        begin_to_lead(batch, own);
    }
    pthread_mutex_unlock(&batch->lock);
    while (waits && !wait_a_moment(own)) {
        waits = !step_forward(batch, own);
    }
}

/* Goes to the database for this one and whoever of its group waits. */
static void lead(udm_batch_t *batch, asker_t *own)
{
    request_rec *r = own->r;
    work_t work = {.batch = batch, .pool = r->pool, .items = {own->item}};
    asker_t *others[UDM_BATCH_MAX];
    asker_t *other;
    int count = 1, i;

    pthread_mutex_lock(&batch->lock);
    while (count < UDM_BATCH_MAX && (other = pop(batch, own->group)) != NULL) {
        work.items[count] = other->item;
        others[count++] = other;
    }
    pthread_mutex_unlock(&batch->lock);
    work.count = count;
    own->error = udm_dbd_with(r, batch->again, ask, &work);
    for (i = 1; i < count; i++) {
        if (own->error) {
            others[i]->error = udm_error_copy(others[i]->r->pool, own->error);
        }
        sem_post(&others[i]->turn); /* after this it may be gone */
    }
}

/* Hands the lead to the next one of the group that waits. */
static void leave(udm_batch_t *batch, asker_t *own)
{
    asker_t **at = &batch->leaders;
    asker_t *next;

    pthread_mutex_lock(&batch->lock);
    while (*at != own) {
        at = &(*at)->next;
    }
    *at = own->next;
    next = pop(batch, own->group);
    if (next) {
        begin_to_lead(batch, next);
        sem_post(&next->turn);
    }
    pthread_mutex_unlock(&batch->lock);
}

udm_error_t *udm_batch_ask(udm_batch_t *batch, request_rec *r, void *item, const char *group)
{
    asker_t own = {.r = r, .item = item, .group = group};

    sem_init(&own.turn, 0, 0);
    enter(batch, &own);
    if (own.leads) {
        lead(batch, &own);
        leave(batch, &own);
    }
    sem_destroy(&own.turn);
    return own.error;
}
