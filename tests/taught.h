/* The networks and images of the reference's semi- and omni-supervised steps, semi_omni.h5. */
#ifndef VOCO_TESTS_TAUGHT_H
#define VOCO_TESTS_TAUGHT_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "tests/golden_model.h"

/* n edge^3 images: half of a uniform number for each voxel and one for each block of 8^3 voxels.
 * Free them. */
static inline float *
taught_images(uint64_t seed, const char *name, int64_t n, int64_t edge)
{
    const int64_t blocks = edge / 8, voxels = n * edge * edge * edge;
    float *x = malloc((size_t)voxels * sizeof *x);
    uint64_t base = voco_hash_base(seed, name), coarse;
    char of_block[64];

    ck_assert_ptr_nonnull(x);
    snprintf(of_block, sizeof of_block, "%s#block", name);
    coarse = voco_hash_base(seed, of_block);
    for (int64_t i = 0; i < voxels; i++) {
        const int64_t w = i % edge / 8, h = i / edge % edge / 8;
        const int64_t d = i / edge / edge % edge / 8, item = i / edge / edge / edge;
        const int64_t block = ((item * blocks + d) * blocks + h) * blocks + w;

        x[i] = (float)((voco_hash_unit(base, (uint64_t)i)
                        + voco_hash_unit(coarse, (uint64_t)block)) / 2);
    }
    return x;
}

/* n hashed labels below classes.  Free them. */
static inline uint8_t *
taught_labels(uint64_t seed, const char *name, int64_t n, int classes)
{
    const uint64_t base = voco_hash_base(seed, name);
    uint8_t *y = malloc((size_t)n);

    ck_assert_ptr_nonnull(y);
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)(voco_hash_unit(base, (uint64_t)i) * classes);
    return y;
}

static inline void
taught_upload(struct voco_ctx *ctx, const struct voco_weights *w, int id, double *x)
{
    const struct voco_tensor to = voco_weight(w, id);
    struct voco_tensor from = to;

    from.type = VOCO_F64;
    from.data = x;
    ctx->dev->upload(ctx, &from, &to);
}

/* The backbone's parameters by the formula; the teacher's are the same, moved by shift times
 * their root mean square times a number of GROUP/teacher/NAME, without backbone. in NAME. */
static inline void
taught_fill(const struct golden *g, const char *group, struct voco_ctx *ctx,
            struct voco_model *model, double shift)
{
    const char *front = model->params.hash_prefix;
    const struct voco_weights w = voco_model_weights(model);
    const struct voco_weights t = voco_model_teacher_weights(model);
    const int n = model->params.n - model->n_released;

    for (int id = 0; id < n; id++) {
        const struct voco_param *p = &model->params.item[id];
        const char *plain = strncmp(p->name, "backbone.", 9) == 0 ? p->name + 9 : p->name;
        struct golden_array x = golden_param(g, p->rank, p->dim, "%s%s",
                                             front ? front : "", p->name);
        struct golden_array move = golden_hash(g, p->rank, p->dim, -1, 1, "%s/teacher/%s",
                                               group, plain);
        double squares = 0;

        taught_upload(ctx, &w, id, x.x);
        for (int64_t i = 0; i < x.count; i++)
            squares += x.x[i] * x.x[i];
        for (int64_t i = 0; i < x.count; i++)
            x.x[i] += shift * sqrt(squares / (double)x.count) * move.x[i];
        taught_upload(ctx, &t, id, x.x);
        golden_free(&x);
        golden_free(&move);
    }
    ctx->weights_version++;
}

#endif
