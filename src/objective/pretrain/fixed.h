/*
 * Batches that are all the same: a replayed one.
 */
#ifndef VOCO_OBJECTIVE_PRETRAIN_FIXED_H
#define VOCO_OBJECTIVE_PRETRAIN_FIXED_H

#include "data/batch/batches.h"

/* The source: a struct of the kind, whose arrays stay the caller's. */
struct voco_fixed_batch {
    const void *batch;
    size_t bytes;               /* of the struct */
};

enum voco_err voco_fixed_alloc(const void *source, void *batch);
void voco_fixed_free(void *batch);
void voco_fixed_begin(void *source, void *batch, int unit);
enum voco_err voco_fixed_fill(const void *source, void *batch, int unit, void *own);
void *voco_fixed_own_new(const void *source);

/* A struct voco_batch_kind of structs of this type, for voco_batches_open with one unit. */
#define VOCO_FIXED_KIND(type) {                                                         \
    .name = "a replayed batch", .bytes = sizeof(type), .alloc = voco_fixed_alloc,       \
    .begin = voco_fixed_begin, VOCO_FIXED_REST }

/* The other functions of such a kind, for one whose alloc makes the struct of another
 * source, or whose begin differs from step to step. */
#define VOCO_FIXED_REST                                                                 \
    .free = voco_fixed_free, .fill = voco_fixed_fill, .own_new = voco_fixed_own_new,    \
    .own_free = voco_fixed_free

#endif
