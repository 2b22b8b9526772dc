/* The gradient of a step. */
#include "train/gradient.h"

#include <math.h>

enum voco_err
voco_take_gradient(const struct voco_objective *objective, void *work, struct voco_ctx *ctx,
                   struct voco_model *model, const struct voco_comm *comm,
                   const struct voco_batch_head *const batch[],
                   const volatile sig_atomic_t *stop, struct voco_gradient *ret)
{
    const int64_t step = batch ? batch[0]->step : 0;
    enum voco_err err;
    double squared;

    *ret = (struct voco_gradient){ .loss = NAN, .norm = NAN };
    voco_model_follow(model, ctx, step);
    ctx->dev->fill(ctx, &model->grad, 0.0);
    if (ctx->err)
        return ctx->err;
    err = objective->gradient(work, batch, stop, ret->term);
    if (err == VOCO_ESTOPPED)
        voco_model_follow_undo(model, ctx, step);
    if (err != VOCO_OK)
        return err;
    comm->sum(comm, ctx, &model->grad);
    squared = voco_model_grad_squared(model, ctx);
    ret->loss = ret->term[0];
    for (int i = 1; i < objective->n_terms; i++)
        ret->loss += ret->term[i];
    ret->norm = sqrt(squared);
    ret->finite = isfinite(ret->loss) && isfinite(ret->norm);
    return ctx->err;
}
