/* Backbone, heads and slabs. */
#include "train/model.h"

#include <stdlib.h>
#include <string.h>

enum voco_err
voco_model_describe(struct voco_model *model, const struct voco_model_config *config)
{
    *model = (struct voco_model){ .config = *config };
    if (config->feature < 12 || config->feature > 768 || config->feature % 12 != 0)
        return voco_fail(VOCO_EUSAGE, "feature size %lld: expected a multiple of 12 "
                         "(12, 24, 48 = Base, 96 = Large, 192 = Huge)",
                         (long long)config->feature);
    if (config->in_channels < 1 || config->in_channels > 64 || config->hidden < 1
        || config->hidden > 65536 || config->out < 1 || config->out > 65536)
        return voco_fail(VOCO_EUSAGE, "%lld input channels, heads of %lld and %lld: expected "
                         "up to 64 and 65536", (long long)config->in_channels,
                         (long long)config->hidden, (long long)config->out);
    voco_encoder_init(&model->encoder, &model->params, config->in_channels,
                      config->feature, config->merging, "backbone.");
    model->student_at = model->params.count;
    voco_head_init(&model->student, &model->params, voco_encoder_width(&model->encoder),
                   config->hidden, config->out, "student.");
    model->trained = model->params.count;
    voco_head_init(&model->teacher, &model->params, voco_encoder_width(&model->encoder),
                   config->hidden, config->out, "teacher.");
    VOCO_ASSERT(model->params.count - model->trained == model->trained - model->student_at);
    return VOCO_OK;
}

enum voco_err
voco_model_allocate(struct voco_model *model, struct voco_ctx *ctx, bool training)
{
    const size_t size = voco_type_bytes(ctx->dev->real);
    const int slabs = training ? 5 : 1;
    struct voco_tensor *slab[] = { &model->weight, &model->grad, &model->m, &model->v,
                                   &model->vmax };
    enum voco_err err = voco_arena_init(&model->memory,
                                        (size_t)slabs * ((size_t)model->params.count * size
                                                         + VOCO_ALIGN),
                                        ctx->keep.planning);

    if (err != VOCO_OK)
        return err;
    for (int i = 0; i < slabs; i++) {
        *slab[i] = voco_push(ctx, &model->memory, 1,
                             i ? model->trained : model->params.count);
        ctx->dev->fill(ctx, slab[i], 0.0);
    }
    return ctx->err;
}

void
voco_model_fill(struct voco_model *model, struct voco_ctx *ctx, enum voco_init init,
                uint64_t seed)
{
    const struct voco_weights w = voco_model_weights(model);
    int64_t largest = 0;
    float *host;

    for (int i = 0; i < model->params.n; i++)
        if (model->params.item[i].count > largest)
            largest = model->params.item[i].count;
    host = malloc((size_t)largest * sizeof *host);
    VOCO_ASSERT(host);
    for (int i = 0; i < model->params.n; i++) {
        struct voco_tensor to = voco_weight(&w, i), from = to;

        voco_param_init(&model->params, i, init, seed, host);
        from.data = host;
        from.type = VOCO_F32;
        ctx->dev->upload(ctx, &from, &to);
    }
    free(host);
    ctx->weights_version++;
}

void
voco_model_free(struct voco_model *model)
{
    voco_params_free(&model->params);
    voco_arena_free(&model->memory);
    *model = (struct voco_model){ 0 };
}

struct voco_weights
voco_model_weights(const struct voco_model *model)
{
    return (struct voco_weights){ .table = &model->params, .weight = model->weight,
                                  .grad = model->grad };
}
