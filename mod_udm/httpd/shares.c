/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * shares.c: counts what each contact centre holds; one that holds nothing is not known here.
 */
#include "httpd/shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_SECONDS 1

typedef struct holder_t {
    struct holder_t *next;
    int held;
    char ccid[]; /* with its NUL */
} holder_t;

struct udm_shares_t {
    int most;
    pthread_mutex_t lock;
    pthread_cond_t given;
    holder_t *holders; /* no more than there are connections */
};

udm_shares_t *udm_shares_create(apr_pool_t *pchild, int most)
{
    udm_shares_t *shares = apr_pcalloc(pchild, sizeof(*shares));

    shares->most = most;
    pthread_mutex_init(&shares->lock, NULL); /* neither can fail without attributes */
    pthread_cond_init(&shares->given, NULL);
    return shares;
}

static holder_t **find(udm_shares_t *shares, const char *ccid)
{
    holder_t **at = &shares->holders;

    while (*at && strcmp((*at)->ccid, ccid) != 0) {
        at = &(*at)->next;
    }
    return at;
}

/* @return whether it got one more; without memory nobody is kept from one */
static bool hold(udm_shares_t *shares, const char *ccid)
{
    holder_t *holder = *find(shares, ccid);
    size_t size = strlen(ccid) + 1;

    if (!holder) {
        holder = calloc(1, sizeof(*holder) + size);
        if (!holder) {
            return true;
        }
        memcpy(holder->ccid, ccid, size);
        holder->next = shares->holders;
        shares->holders = holder;
    }
    if (holder->held >= shares->most) {
        return false;
    }
    holder->held++;
    return true;
}

bool udm_shares_take(udm_shares_t *shares, const char *ccid)
{
    struct timespec until;
    int status = 0;
    bool held;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SECONDS;
    pthread_mutex_lock(&shares->lock);
    while (!(held = hold(shares, ccid)) && status != ETIMEDOUT) {
        status = pthread_cond_timedwait(&shares->given, &shares->lock, &until);
    }
    pthread_mutex_unlock(&shares->lock);
    return held;
}

void udm_shares_give(udm_shares_t *shares, const char *ccid)
{
    holder_t **at;
    holder_t *holder;

    pthread_mutex_lock(&shares->lock);
    at = find(shares, ccid);
    holder = *at;
    if (holder && --holder->held == 0) {
        *at = holder->next;
        free(holder);
    }
    pthread_cond_broadcast(&shares->given);
    pthread_mutex_unlock(&shares->lock);
}
