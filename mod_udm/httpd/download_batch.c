/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * download_batch.c: every download waits until its line in the audit is durable, and most of what
 * that costs is the same for one line as for many.
 *
 * The first to come goes to the database at once. Whoever comes while LEADERS are there waits in a
 * queue; when one of them is back, the first in the queue goes and takes all others along. So nobody
 * waits for company, and the more downloads there are, the less each of them costs.
 */
#include "httpd/download_batch.h"

#include <pthread.h>

#include "httpd/dbd.h"

/* More than one, so that the next batch is under way while the last one is being made durable. */
#define LEADERS 2

#define BATCH 64

/* A thread that waits, on its own stack. */
typedef struct waiting_t {
    udm_download_t *download;
    udm_error_t *error; /* of the database, in the download's pool */
    pthread_cond_t turn;
    bool leads; /* it is to go; or: */
    bool done;
    struct waiting_t *next;
} waiting_t;

struct udm_download_batch_t {
    pthread_mutex_t lock;
    int leaders;
    waiting_t *first;
    waiting_t **last;
};

typedef struct work_t {
    apr_pool_t *pool;
    udm_download_t *downloads[BATCH];
    int count;
} work_t;

udm_download_batch_t *udm_download_batch_create(apr_pool_t *pchild)
{
    udm_download_batch_t *batch = apr_pcalloc(pchild, sizeof(*batch));

    batch->last = &batch->first;
    return pthread_mutex_init(&batch->lock, NULL) == 0 ? batch : NULL;
}

static udm_error_t *note(udm_db_t *db, void *baton)
{
    work_t *work = baton;

    return udm_download_many(work->pool, db, work->downloads, work->count);
}

static waiting_t *pop(udm_download_batch_t *batch)
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
static bool enter(udm_download_batch_t *batch, waiting_t *own)
{
    if (batch->leaders < LEADERS) {
        batch->leaders++;
        return true;
    }
    *batch->last = own;
    batch->last = &own->next;
    while (!own->leads && !own->done) {
        pthread_cond_wait(&own->turn, &batch->lock);
    }
    return own->leads;
}

/* Hands the lead to the next one that waits. */
static void leave(udm_download_batch_t *batch)
{
    waiting_t *next = pop(batch);

    if (next) {
        next->leads = true;
        pthread_cond_signal(&next->turn);
    }
    else {
        batch->leaders--;
    }
}

/* Goes to the database for this one and whoever waits. Called, and returns, with the lock held. */
static void lead(udm_download_batch_t *batch, request_rec *r, waiting_t *own)
{
    work_t work = {.pool = r->pool, .downloads = {own->download}, .count = 1};
    waiting_t *others[BATCH];
    udm_error_t *error;
    int i;

    while (work.count < BATCH && (others[work.count] = pop(batch)) != NULL) {
        work.downloads[work.count] = others[work.count]->download;
        work.count++;
    }
    pthread_mutex_unlock(&batch->lock);
    error = udm_dbd_with(r, false, note, &work);
    own->error = error;
    pthread_mutex_lock(&batch->lock);
    for (i = 1; i < work.count; i++) {
        others[i]->error = error ? udm_error_copy(others[i]->download->pool, error) : NULL;
        others[i]->done = true;
        pthread_cond_signal(&others[i]->turn);
    }
}

udm_error_t *udm_download_note(udm_download_batch_t *batch, request_rec *r,
                               udm_download_t *download)
{
    waiting_t own = {.download = download};

    if (!batch) {
        work_t work = {.pool = r->pool, .downloads = {download}, .count = 1};

        own.error = udm_dbd_with(r, false, note, &work);
    }
    else {
        pthread_cond_init(&own.turn, NULL);
        pthread_mutex_lock(&batch->lock);
        if (enter(batch, &own)) {
            lead(batch, r, &own);
            leave(batch);
        }
        pthread_mutex_unlock(&batch->lock);
        pthread_cond_destroy(&own.turn);
    }
    return own.error ? own.error : download->error;
}
