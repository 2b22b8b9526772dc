/* Hidden blocks: a random choice of exactly so many, without replacement. */
#include "objective/dense/mask.h"

#include <stdlib.h>

int
voco_mask_hidden(double share, int n)
{
    return (int)(share * n);
}

static int
by_key(const void *a, const void *b)
{
    const struct voco_mask_key *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->block > y->block) - (x->block < y->block);
}

void
voco_mask_choose(struct voco_mask_key *key, int n, int hidden, uint8_t *visible)
{
    qsort(key, (size_t)n, sizeof *key, by_key);
    for (int i = 0; i < n; i++)
        visible[key[i].block] = i >= hidden;
}

void
voco_mask_draw(const struct voco_rng_key *stream, int n, int hidden,
               struct voco_mask_key *scratch, uint8_t *visible)
{
    for (int i = 0; i < n; i++)
        scratch[i] = (struct voco_mask_key){ voco_rng_unit(stream, (uint32_t)i), i };
    voco_mask_choose(scratch, n, hidden, visible);
}
