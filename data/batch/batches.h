/*
 * Batches of any kind, made by threads ahead of the step that needs them.
 *
 * A kind defines the contents of a batch and fills one of its units (a volume, say).  A
 * batch must be a pure function of its source and the step: then neither the number of
 * threads nor a resume changes a bit of it.
 */
#ifndef VOCO_DATA_BATCH_BATCHES_H
#define VOCO_DATA_BATCH_BATCHES_H

#include "base/err.h"
#include "data/store/store.h"

/* The first member of the struct of every kind of batch. */
struct voco_batch_head {
    int64_t step;
    const struct voco_store *store;     /* of the volumes; NULL: they come from no store */
    int n_volumes;
    int *volume;                /* [n_volumes] indices in the store */
};

struct voco_batch_kind {
    const char *name;           /* "crops with labels", for errors */
    size_t bytes;               /* of the kind's struct */
    /* Memory of a batch, and its constant parts.  free accepts a batch whose alloc
     * failed. */
    enum voco_err (*alloc)(const void *source, void *batch);
    void (*free)(void *batch);
    /* Chooses the volumes of a unit; called one at a time, in the order of steps and units.
     * The step stands in the head already. */
    void (*begin)(void *source, void *batch, int unit);
    /* Fills the unit; called by several threads at once. */
    enum voco_err (*fill)(const void *source, void *batch, int unit, void *own);
    /* Memory that a thread has for itself while it fills; NULL: out of memory. */
    void *(*own_new)(const void *source);
    void (*own_free)(void *own);
};

struct voco_batches;

/* The batches of source, which stays with the caller, from first_step on.  units: of a
 * batch; threads and ahead (batches kept ready) as in data/batch/ring.h. */
enum voco_err voco_batches_open(const struct voco_batch_kind *kind, void *source, int units,
                                int threads, int ahead, int64_t first_step,
                                struct voco_batches **ret);

/* The batch of the next step; valid until the next call.  *ret_waited_s: time spent
 * waiting for it (may be NULL). */
enum voco_err voco_batches_next(struct voco_batches *b, const void **ret,
                                double *ret_waited_s);
void voco_batches_close(struct voco_batches *b);        /* accepts NULL */

/* For the checks of a kind: VOCO_EUSAGE unless low <= value <= high. */
enum voco_err voco_batch_number(const char *name, int64_t value, int64_t low, int64_t high);

/* n elements at a multiple of 64 bytes; free with free().  NULL: out of memory. */
void *voco_batch_array(int64_t n, size_t size);

#endif
