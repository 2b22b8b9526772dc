/*
 * Prefetch of batches: a ring of slots, filled by threads one unit (a volume, say) at a
 * time.
 *
 * The owner decides the contents of a batch, which must depend on step and unit alone.  The
 * ring begins every unit in order, has it filled once, and hands out a step when all its
 * units are complete.
 */
#ifndef VOCO_DATA_BATCH_RING_H
#define VOCO_DATA_BATCH_RING_H

#include <stdint.h>

#include "base/err.h"

enum { VOCO_RING_THREADS_MAX = 1024, VOCO_RING_AHEAD_MAX = 64 };

struct voco_ring_work {
    void *user;
    int units;                      /* of a step, at least 1 */
    int threads;                    /* 1 to VOCO_RING_THREADS_MAX */
    int ahead;                      /* steps kept ready, 1 to VOCO_RING_AHEAD_MAX */

    /* Unit of this step goes into this slot: called one at a time, in order. */
    void (*begin)(void *user, int slot, int64_t step, int unit);
    /* Fills it; called by several threads, each with memory of its own. */
    enum voco_err (*fill)(void *user, int slot, int unit, void *own);
    /* A thread's own memory; NULL if there is none. */
    void *(*own_new)(void *user);
    void (*own_free)(void *own);
};

struct voco_ring;

/* Slots that the work needs: its steps ahead, and the one in the caller's hand. */
int voco_ring_slots(const struct voco_ring_work *w);

/* VOCO_EUSAGE for numbers of threads or steps ahead that are out of range. */
enum voco_err voco_ring_check(const struct voco_ring_work *w);

/* Checks the same.  Begins with first_step. */
enum voco_err voco_ring_open(const struct voco_ring_work *w, int64_t first_step,
                             struct voco_ring **ret);

/* The slot of the next step, which stays as it is until the next call.  A failure is that
 * of the step's first unit that failed, and stays.  *ret_waited_s may be NULL. */
enum voco_err voco_ring_next(struct voco_ring *r, int *ret_slot, double *ret_waited_s);
void voco_ring_close(struct voco_ring *r);      /* accepts NULL */

#endif
