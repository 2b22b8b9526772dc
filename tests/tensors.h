/* Short ways to say shapes in tests. */
#ifndef VOCO_TESTS_TENSORS_H
#define VOCO_TESTS_TENSORS_H

#include "base/err.h"
#include "base/tensor.h"

/* A tensor without data: SHAPE(2, 3, n); with REAL one that is not an activation. */
#define SHAPE(...)                                                                      \
    shape_of(VOCO_F64, COUNT(((int64_t[]){ __VA_ARGS__ })), (int64_t[]){ __VA_ARGS__ })
#define REAL(...)                                                                       \
    shape_of(VOCO_F32, COUNT(((int64_t[]){ __VA_ARGS__ })), (int64_t[]){ __VA_ARGS__ })
#define COUNT(array) ((int)(sizeof (array) / sizeof (array)[0]))

static inline struct voco_tensor
shape_of(enum voco_type type, int rank, const int64_t *dim)
{
    struct voco_tensor x = { .dim = { 1, 1, 1, 1, 1 }, .rank = rank, .type = type };

    VOCO_ASSERT(rank <= VOCO_RANK_MAX);
    for (int i = 0; i < rank; i++)
        x.dim[i] = dim[i];
    return x;
}

#endif
