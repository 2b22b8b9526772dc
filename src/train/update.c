/* Clipping as torch.nn.utils.clip_grad_norm_, and the optimizers. */
#include "train/update.h"

/* grad *= most / (norm + 1e-6) where that is below 1. */
static void
clip(struct voco_model *model, struct voco_ctx *ctx, double norm, double most)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor row = voco_reshape(&model->grad, 2, INT64_C(1),
                                                model->trained);
    const struct voco_tensor factor = voco_push_real(ctx, &ctx->temp, 1, INT64_C(1));
    double host = most / (norm + 1e-6);
    const struct voco_tensor view = voco_view(&host, VOCO_F64, 1, INT64_C(1));

    if (!ctx->err && host < 1.0) {
        ctx->dev->upload(ctx, &view, &factor);
        ctx->dev->scale_rows(ctx, &row, &factor, &row);
    }
    voco_arena_release(&ctx->temp, mark);
}

enum voco_err
voco_update(const struct voco_run_config *c, const struct voco_rates *rates,
            struct voco_model *model, struct voco_ctx *ctx, double lr, double norm,
            int64_t updates)
{
    if (c->clip > 0.0)
        clip(model, ctx, norm, c->clip);
    if (c->optimizer == VOCO_SGD)
        return voco_rates_sgd(rates, model, ctx, &(struct voco_sgd){
            .lr = lr, .momentum = c->sgd_momentum, .weight_decay = c->weight_decay,
            .nesterov = c->sgd_momentum > 0.0 });
    return voco_rates_update(rates, model, ctx, &(struct voco_adamw){
        .lr = lr, .beta1 = c->beta1, .beta2 = c->beta2, .eps = c->eps,
        .weight_decay = c->weight_decay, .amsgrad = c->amsgrad, .step = updates + 1 });
}
