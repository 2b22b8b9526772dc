/* Batches of a loader, of whatever kind: what the tests of loaders share. */
#ifndef VOCO_TESTS_LOADER_UTIL_H
#define VOCO_TESTS_LOADER_UTIL_H

#include <string.h>

#include "data/batch/batches.h"

/* Loader threads, and batches that they keep ready: of the loaders that are opened next. */
static int loader_threads = 1, loader_ahead = 2;

struct loader {
    void *source;               /* a struct voco_loader or voco_seg_loader */
    struct voco_batches *batches;
};

/* The batches of l->source, from step first on. */
static inline enum voco_err
start_batches(struct loader *l, const struct voco_batch_kind *kind, int batch, int64_t first)
{
    return voco_batches_open(kind, l->source, batch, loader_threads, loader_ahead, first,
                             &l->batches);
}

/* ret_batch points to a pointer to a batch of the kind. */
static inline enum voco_err
next_batch(struct loader *l, void *ret_batch, double *ret_waited_s)
{
    const void *next;
    const enum voco_err err = voco_batches_next(l->batches, &next, ret_waited_s);

    memcpy(ret_batch, &next, sizeof next);
    return err;
}

#endif
