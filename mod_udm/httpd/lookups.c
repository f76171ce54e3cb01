/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * lookups.c: a small table that forgets: sets of a few entries each, the oldest gives way.
 *
 * The lock is held for a search of one set, never while something is made, copied or freed.
 */
#include "httpd/lookups.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <openssl/sha.h>

#include "core/clock.h"

#define SETS 256 /* chosen by the first byte of an id */
#define WAYS 4

typedef struct entry_t {
    apr_pool_t *pool;
    atomic_int users; /* the table is one while the entry is in it */
    unsigned char id[UDM_LOOKUPS_ID_SIZE];
    const void *value;
    apr_time_t since;
    apr_time_t until;
} entry_t;

struct udm_lookups_t {
    apr_thread_mutex_t *lock;
    atomic_llong forgotten; /* what was looked up until then is of no use */
    entry_t *sets[SETS][WAYS];
};

apr_status_t udm_lookups_create(udm_lookups_t **cache, apr_pool_t *pchild)
{
    *cache = apr_pcalloc(pchild, sizeof(**cache));
    return apr_thread_mutex_create(&(*cache)->lock, APR_THREAD_MUTEX_DEFAULT, pchild);
}

/* Writes a text and its end, so that no two lists of texts look alike; NULL is none of them. */
static char *put_text(char *at, const char *text)
{
    apr_size_t size = text ? strlen(text) + 1 : 0;

    *at++ = text ? '+' : '-';
    memcpy(at, text ? text : "", size);
    return at + size;
}

void udm_lookups_id(unsigned char *id, apr_pool_t *p, const char *const *texts, int count,
                    const apr_array_header_t *more)
{
    apr_size_t size = 0;
    char *all, *at;
    int i, n = more ? more->nelts : 0;

    for (i = 0; i < count + n; i++) {
        const char *text = i < count ? texts[i] : APR_ARRAY_IDX(more, i - count, const char *);

        size += text ? strlen(text) + 2 : 1;
    }
    all = at = apr_palloc(p, size);
    for (i = 0; i < count + n; i++) {
        at = put_text(at, i < count ? texts[i] : APR_ARRAY_IDX(more, i - count, const char *));
    }
    SHA256((const unsigned char *)all, size, id);
}

/* Gives an entry up; its last user frees it. */
static void release(entry_t *entry)
{
    if (entry && atomic_fetch_sub(&entry->users, 1) == 1) {
        apr_pool_destroy(entry->pool);
    }
}

static apr_status_t release_cleanup(void *data)
{
    release(data);
    return APR_SUCCESS;
}

const void *udm_lookups_get(udm_lookups_t *cache, apr_pool_t *p, const unsigned char *id,
                            apr_interval_time_t lifetime)
{
    apr_time_t now = udm_clock();
    entry_t *found = NULL;
    int i;

    apr_thread_mutex_lock(cache->lock);
    for (i = 0; i < WAYS && !found; i++) {
        entry_t *entry = cache->sets[id[0]][i];

        if (entry && !memcmp(entry->id, id, sizeof(entry->id)) && now < entry->until &&
            now - entry->since < lifetime && entry->since > atomic_load(&cache->forgotten)) {
            found = entry;
            atomic_fetch_add(&found->users, 1);
        }
    }
    apr_thread_mutex_unlock(cache->lock);
    if (!found) {
        return NULL;
    }
    apr_pool_cleanup_register(p, found, release_cleanup, apr_pool_cleanup_null);
    return found->value;
}

/* Where a new entry goes: in place of an older one of the same id, else of the oldest. */
static int place(entry_t *const *set, const entry_t *made)
{
    int oldest = 0, i;

    for (i = 0; i < WAYS; i++) {
        if (!set[i] || !memcmp(set[i]->id, made->id, sizeof(made->id))) {
            return i;
        }
        if (set[i]->since < set[oldest]->since) {
            oldest = i;
        }
    }
    return oldest;
}

void udm_lookups_put(udm_lookups_t *cache, const unsigned char *id, const void *value,
                     udm_lookups_copy_fn copy, apr_time_t since, apr_time_t until)
{
    entry_t **set = cache->sets[id[0]];
    entry_t *made, *old;
    apr_pool_t *pool;
    int at;

    /* no parent and an allocator of its own: any thread may destroy it */
    if (until <= since || apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    made = apr_palloc(pool, sizeof(*made));
    made->pool = pool;
    atomic_init(&made->users, 1);
    memcpy(made->id, id, sizeof(made->id));
    made->value = copy(pool, value);
    made->since = since;
    made->until = until;

    apr_thread_mutex_lock(cache->lock);
    at = place(set, made);
    old = set[at];
    set[at] = made;
    apr_thread_mutex_unlock(cache->lock);
    release(old);
}

void udm_lookups_forget(udm_lookups_t *cache)
{
    atomic_store(&cache->forgotten, udm_clock());
}
