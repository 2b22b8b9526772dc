/*
 * Which blocks of a crop are hidden from the network.
 */
#ifndef VOCO_OBJECTIVE_DENSE_MASK_H
#define VOCO_OBJECTIVE_DENSE_MASK_H

#include <stdint.h>

#include "base/rng.h"

/* Hidden blocks of n: a share, rounded down. */
int voco_mask_hidden(double share, int n);

/* visible[n]: 0 for the `hidden` blocks with the smallest keys, of equal keys the first
 * ones, and 1 for the others.  key[n] is overwritten. */
struct voco_mask_key {
    float key;
    int block;
};
void voco_mask_choose(struct voco_mask_key *key, int n, int hidden, uint8_t *visible);

/* The same with keys from the stream; scratch[n]. */
void voco_mask_draw(const struct voco_rng_key *stream, int n, int hidden,
                    struct voco_mask_key *scratch, uint8_t *visible);

#endif
