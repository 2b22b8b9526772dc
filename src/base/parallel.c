/* A counter that threads take items from. */
#include "base/parallel.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct work {
    pthread_mutex_t lock;
    int64_t next, n;
    enum voco_err (*fn)(int64_t i, void *user);
    void *user;
    enum voco_err err;
    char why[1024];
};

static void *
worker(void *arg)
{
    struct work *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->err && w->next < w->n) {
        const int64_t i = w->next++;
        enum voco_err err;

        pthread_mutex_unlock(&w->lock);
        err = w->fn(i, w->user);
        pthread_mutex_lock(&w->lock);
        if (err && !w->err) {
            w->err = err;
            snprintf(w->why, sizeof w->why, "%s", voco_fail_text());
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* A thread that cannot be started only makes it slower. */
enum voco_err
voco_parallel_for(int threads, int64_t n, enum voco_err (*fn)(int64_t i, void *user),
                  void *user)
{
    struct work w = { .n = n, .fn = fn, .user = user };
    const int64_t extra = threads < n ? threads - 1 : n - 1;
    pthread_t *thread = extra > 0 ? calloc((size_t)extra, sizeof *thread) : NULL;
    int64_t started = 0;

    pthread_mutex_init(&w.lock, NULL);
    while (thread && started < extra
           && pthread_create(&thread[started], NULL, worker, &w) == 0)
        started++;
    worker(&w);
    while (started > 0)
        pthread_join(thread[--started], NULL);
    free(thread);
    pthread_mutex_destroy(&w.lock);
    return w.err ? voco_fail(w.err, "%s", w.why) : VOCO_OK;
}
