/* Copies of one struct as batches. */
#include "objective/pretrain/fixed.h"

#include <string.h>

enum voco_err
voco_fixed_alloc(const void *source, void *batch)
{
    const struct voco_fixed_batch *fixed = source;

    memcpy(batch, fixed->batch, fixed->bytes);
    return VOCO_OK;
}

void
voco_fixed_free(void *batch)
{
    (void)batch;                /* the arrays are the caller's */
}

void
voco_fixed_begin(void *source, void *batch, int unit)
{
    (void)source;
    (void)batch;
    (void)unit;
}

enum voco_err
voco_fixed_fill(const void *source, void *batch, int unit, void *own)
{
    (void)source;
    (void)batch;
    (void)unit;
    (void)own;
    return VOCO_OK;
}

void *
voco_fixed_own_new(const void *source)
{
    return (void *)source;      /* threads need no memory, and NULL would say there is none */
}
