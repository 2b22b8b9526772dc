/* Learning rates by depth. */
#include "train/rates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_DEPTH = 6, MAPS_DEPTH = 5 };

static int
depth_of(const char *name)
{
    static const char swin[] = "swinViT.", layers[] = "layers", stages[] = "encoder.stages.";
    const char *rest = name + sizeof swin - 1;

    if (strncmp(name, stages, sizeof stages - 1) == 0) {
        const int stage = name[sizeof stages - 1] - '0';

        return stage < MAPS_DEPTH ? stage : MAPS_DEPTH;
    }
    if (strncmp(name, "encoder", 7) == 0)
        return MAPS_DEPTH;
    if (strncmp(name, swin, sizeof swin - 1) != 0)
        return OUTPUT_DEPTH;
    return strncmp(rest, layers, sizeof layers - 1) == 0 ? rest[sizeof layers - 1] - '0' : 0;
}

enum voco_err
voco_rates_make(struct voco_rates *rates, const struct voco_model *model, double decay,
                bool frozen)
{
    const struct voco_params *params = &model->params;

    *rates = (struct voco_rates){ .span = calloc((size_t)params->n, sizeof *rates->span) };
    if (!rates->span)
        return voco_fail(VOCO_EMEMORY, "no memory for the rates of %d parameters", params->n);
    for (int i = 0; i < params->n && params->item[i].offset < model->trained; i++) {
        const struct voco_param *p = &params->item[i];
        const int depth = depth_of(p->name);
        const double factor = frozen && depth < OUTPUT_DEPTH ? 0.0
                              : pow(decay, OUTPUT_DEPTH - depth);
        struct voco_rate *last = rates->n ? &rates->span[rates->n - 1] : NULL;

        if (last && last->factor == factor)
            last->to = p->offset + p->count;
        else
            rates->span[rates->n++] = (struct voco_rate){ p->offset, p->offset + p->count,
                                                          factor };
    }
    return VOCO_OK;
}

void
voco_rates_free(struct voco_rates *rates)
{
    free(rates->span);
    *rates = (struct voco_rates){ 0 };
}

enum voco_err
voco_rates_update(const struct voco_rates *rates, struct voco_model *model,
                  struct voco_ctx *ctx, const struct voco_adamw *o)
{
    for (int i = 0; i < rates->n; i++) {
        const int64_t from = rates->span[i].from, n = rates->span[i].to - from;
        const struct voco_tensor grad = voco_slice(&model->grad, from, n);
        const struct voco_tensor w = voco_slice(&model->weight, from, n);
        const struct voco_tensor m = voco_slice(&model->m, from, n);
        const struct voco_tensor v = voco_slice(&model->v, from, n);
        const struct voco_tensor vmax = voco_slice(&model->vmax, from, n);
        struct voco_adamw slower = *o;

        slower.lr *= rates->span[i].factor;
        if (rates->span[i].factor > 0.0)
            ctx->dev->adamw(ctx, &slower, &grad, &w, &m, &v, o->amsgrad ? &vmax : NULL);
    }
    ctx->weights_version++;
    return ctx->err;
}

enum voco_err
voco_rates_sgd(const struct voco_rates *rates, struct voco_model *model,
               struct voco_ctx *ctx, const struct voco_sgd *o)
{
    for (int i = 0; i < rates->n; i++) {
        const int64_t from = rates->span[i].from, n = rates->span[i].to - from;
        const struct voco_tensor grad = voco_slice(&model->grad, from, n);
        const struct voco_tensor w = voco_slice(&model->weight, from, n);
        const struct voco_tensor m = voco_slice(&model->m, from, n);
        struct voco_sgd slower = *o;

        slower.lr *= rates->span[i].factor;
        if (rates->span[i].factor > 0.0)
            ctx->dev->sgd(ctx, &slower, &grad, &w, o->momentum > 0.0 ? &m : NULL);
    }
    ctx->weights_version++;
    return ctx->err;
}
