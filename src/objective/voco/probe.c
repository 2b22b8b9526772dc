/* How long a step of pre-training will take: one micro-batch on the clock. */
#include "objective/voco/voco.h"

#include <stdlib.h>

#include "base/rng.h"
#include "objective/embed/embed.h"

enum voco_err
voco_pretrain_probe(const struct voco_device *dev, const struct voco_plan *p,
                    const struct voco_model_config *config, int roi,
                    const struct voco_ctx_options *open, struct voco_probe *ret)
{
    const int group = p->grouping.group < p->items ? p->grouping.group : p->items;
    const int64_t edge = roi, voxels = edge * edge * edge;
    float *x = malloc((size_t)(group * voxels) * sizeof *x);
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    double forward_s = 0.0;
    enum voco_err err;

    *ret = (struct voco_probe){ .group = group };
    if (!x)
        return voco_fail(VOCO_EMEMORY, "no memory for a probe of %d crops", group);
    voco_hash_uniform(1, "probe", group * voxels, 0.0, 1.0, x);
    if ((err = voco_ctx_open(&ctx, dev, open)) == VOCO_OK
        && (err = voco_model_describe(&model, config)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, true)) == VOCO_OK) {
        ret->threads = ctx.threads;
        voco_model_fill(&model, &ctx, VOCO_INIT_TORCH, 0);
        dev->peak(&ctx, &ret->peak);
        for (int i = 0; i < 2 && err == VOCO_OK; i++)
            err = voco_embedding_probe(&ctx, &model, x, group, roi, &forward_s,
                                       &ret->group_s);
    }
    ret->step_s = (1.0 + p->flops_again / p->flops) * p->items / group * ret->group_s;
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    free(x);
    return err;
}
