/*
 * Which volume is at which position of the endless sequence of samples.
 *
 * An epoch holds every volume as often as its dataset's weight says, in an order that is
 * a permutation keyed by (seed, epoch).  Position p lies in epoch p / length: nothing
 * has to be remembered to resume.
 */
#ifndef VOCO_DATA_BATCH_SAMPLER_H
#define VOCO_DATA_BATCH_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/store/store.h"

struct voco_sampler {
    uint64_t seed;
    int64_t length;         /* of an epoch */
    int *volume;            /* [length], repeats counted */
    uint32_t *order;        /* the permutation of epoch */
    int64_t epoch;
};

/* repeat[k] is "dataset=weight", weight 0..1000; datasets not named count once.
 * exclude[i]: volume i counts zero times; may be NULL.
 * Free with voco_sampler_free, also after a failure. */
enum voco_err voco_sampler_init(struct voco_sampler *s, const struct voco_store *store,
                                uint64_t seed, const char *const *repeat, int n_repeat,
                                const bool *exclude);
/* The same of n given volumes, at least one, each once. */
enum voco_err voco_sampler_list(struct voco_sampler *s, const int *volume, int n,
                                uint64_t seed);
void voco_sampler_free(struct voco_sampler *s);     /* accepts {0} */

/* The volume at a position >= 0.  Fast as long as positions stay in one epoch. */
int voco_sampler_at(struct voco_sampler *s, int64_t position);

#endif
