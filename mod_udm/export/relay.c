/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c: a queue of filled blocks, a stack of empty ones, one lock and two conditions.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <apr_tables.h>

#include "export/relay.h"

/* Filled blocks that may wait: enough that neither side waits for a hiccup of the other. */
#define WAITING_MAX 6

/*
 * Bytes that may be on their way. Only long texts are cut, so a block can be of any size: one that is
 * larger goes once nothing else is on its way.
 */
#define BYTES_MAX ((apr_size_t)1536 * 1024)

struct udm_relay_t {
    apr_pool_t *pool; /* of the thread that hands over */
    udm_relay_fn take;
    void *context;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled; /* there is a block to be taken, or no more will come */
    pthread_cond_t taken;  /* there is room for another one, or the thread has ended */
    udm_block_t *waiting[WAITING_MAX];
    int first, count; /* of those that wait */
    apr_size_t bytes; /* of the same and of the one that is being taken */
    udm_block_t *empty[WAITING_MAX + 1];
    int empties;
    bool closed;  /* no more will come */
    bool dropped; /* and those that wait are not wanted */
    bool ended;
    atomic_bool failed;
    udm_error_t *error; /* of the thread */
};

/* The next block; NULL: there is none, and none will come. */
static udm_block_t *next_block(udm_relay_t *relay)
{
    udm_block_t *block = NULL;

    pthread_mutex_lock(&relay->lock);
    while (relay->count == 0 && !relay->closed) {
        pthread_cond_wait(&relay->filled, &relay->lock);
    }
    if (relay->count > 0 && !relay->dropped) {
        block = relay->waiting[relay->first];
        relay->first = (relay->first + 1) % WAITING_MAX;
        relay->count--;
    }
    pthread_mutex_unlock(&relay->lock);
    return block;
}

/* At the end more may come back than are needed again: those stay aside until the pool goes. */
static void give_back(udm_relay_t *relay, udm_block_t *block)
{
    apr_size_t size = block->bytes->size;

    udm_block_clear(block);
    pthread_mutex_lock(&relay->lock);
    relay->bytes -= size;
    if (relay->empties < WAITING_MAX + 1) {
        relay->empty[relay->empties++] = block;
    }
    else {
        udm_buffer_clear(block->bytes, 0);
    }
    pthread_cond_signal(&relay->taken);
    pthread_mutex_unlock(&relay->lock);
}

static void *relay_main(void *data)
{
    udm_relay_t *relay = data;
    udm_error_t *error = NULL;
    udm_block_t *block;

    while (error == NULL && (block = next_block(relay)) != NULL) {
        error = relay->take(relay->context, block);
        give_back(relay, block);
    }
    pthread_mutex_lock(&relay->lock);
    relay->error = error;
    relay->ended = true;
    atomic_store(&relay->failed, error != NULL);
    pthread_cond_signal(&relay->taken);
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

static apr_status_t relay_free(void *data)
{
    udm_relay_t *relay = data;

    pthread_cond_destroy(&relay->filled);
    pthread_cond_destroy(&relay->taken);
    pthread_mutex_destroy(&relay->lock);
    return APR_SUCCESS;
}

static apr_status_t pool_free(void *data)
{
    apr_pool_destroy(data);
    return APR_SUCCESS;
}

apr_pool_t *udm_relay_pool(apr_pool_t *p)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    apr_allocator_create(&allocator);
    apr_pool_create_unmanaged_ex(&pool, NULL, allocator);
    apr_allocator_owner_set(allocator, pool);
    apr_pool_cleanup_register(p, pool, pool_free, apr_pool_cleanup_null);
    return pool;
}

udm_error_t *udm_relay_start(udm_relay_t **relay, apr_pool_t *p, udm_relay_fn take, void *context)
{
    udm_relay_t *r = apr_pcalloc(p, sizeof(*r));
    int status;

    r->pool = p;
    r->take = take;
    r->context = context;
    atomic_init(&r->failed, false);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->filled, NULL);
    pthread_cond_init(&r->taken, NULL);
    apr_pool_cleanup_register(p, r, relay_free, apr_pool_cleanup_null);
    status = pthread_create(&r->thread, NULL, relay_main, r);
    if (status != 0) {
        return udm_error_status(p, UDM_E_INTERNAL, status, "a thread cannot be started");
    }
    *relay = r;
    return NULL;
}

udm_block_t *udm_relay_block(udm_relay_t *relay)
{
    udm_block_t *block = NULL;

    pthread_mutex_lock(&relay->lock);
    if (relay->empties > 0) {
        block = relay->empty[--relay->empties];
    }
    pthread_mutex_unlock(&relay->lock);
    return block != NULL ? block : udm_block_make(relay->pool);
}

static bool has_room(const udm_relay_t *relay, apr_size_t size)
{
    return relay->bytes == 0 || (relay->count < WAITING_MAX && relay->bytes + size <= BYTES_MAX);
}

bool udm_relay_put(udm_relay_t *relay, udm_block_t *block)
{
    apr_size_t size = block->bytes->size;
    bool going;

    pthread_mutex_lock(&relay->lock);
    while (!has_room(relay, size) && !relay->ended) {
        pthread_cond_wait(&relay->taken, &relay->lock);
    }
    going = !relay->ended;
    if (going) {
        relay->waiting[(relay->first + relay->count) % WAITING_MAX] = block;
        relay->count++;
        relay->bytes += size;
        pthread_cond_signal(&relay->filled);
    }
    pthread_mutex_unlock(&relay->lock);
    return going;
}

bool udm_relay_failed(const udm_relay_t *relay)
{
    return atomic_load_explicit(&relay->failed, memory_order_relaxed);
}

udm_error_t *udm_relay_finish(udm_relay_t *relay, bool abort)
{
    pthread_mutex_lock(&relay->lock);
    relay->closed = true;
    relay->dropped = abort;
    pthread_cond_signal(&relay->filled);
    pthread_mutex_unlock(&relay->lock);
    pthread_join(relay->thread, NULL);
    return relay->error;
}
