/* Networks and slabs. */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/recognise.h"

const char *const voco_axes_name[] = { "xyz", "xzy", "yxz", "yzx", "zxy", "zyx", NULL };

int
voco_model_axis(const struct voco_model_config *config, int i)
{
    return voco_axes_name[config->axes][i] - 'x';
}

static bool
is_swin(const struct voco_model_config *c)
{
    return c->net == VOCO_NET_SWINUNETR;
}

static enum voco_err
check_config(const struct voco_model_config *c)
{
    if (!is_swin(c) && !c->classes)
        return voco_fail(VOCO_EUSAGE, "a PlainConvUNet without classes: it cannot be "
                         "pre-trained");
    if (is_swin(c) && (c->feature < 12 || c->feature > 768 || c->feature % 12 != 0))
        return voco_fail(VOCO_EUSAGE, "feature size %lld: expected a multiple of 12 "
                         "(12, 24, 48 = Base, 96 = Large, 192 = Huge)",
                         (long long)c->feature);
    if (c->in_channels < 1 || c->in_channels > 64)
        return voco_fail(VOCO_EUSAGE, "%lld input channels: expected 1 to 64",
                         (long long)c->in_channels);
    if (c->classes && (c->classes < 2 || c->classes > VOCO_CLASSES_MAX))
        return voco_fail(VOCO_EUSAGE, "%lld classes, background among them: expected 2 to %d",
                         (long long)c->classes, VOCO_CLASSES_MAX);
    if (!c->classes && (c->hidden < 1 || c->hidden > 65536 || c->out < 1 || c->out > 65536))
        return voco_fail(VOCO_EUSAGE, "heads of %lld and %lld: expected up to 65536",
                         (long long)c->hidden, (long long)c->out);
    return VOCO_OK;
}

static void
describe_heads(struct voco_model *model, const struct voco_encoder_config *encoder)
{
    const struct voco_model_config *c = &model->config;
    int64_t width;

    voco_encoder_init(&model->encoder, &model->params, encoder, "backbone.");
    width = voco_encoder_width(&model->encoder);
    model->student_at = model->params.count;
    voco_head_init(&model->student, &model->params, width, c->hidden, c->out, "student.");
    model->trained = model->params.count;
    voco_head_init(&model->teacher, &model->params, width, c->hidden, c->out, "teacher.");
    VOCO_ASSERT(model->params.count - model->trained == model->trained - model->student_at);
}

enum voco_err
voco_model_describe(struct voco_model *model, const struct voco_model_config *config)
{
    const struct voco_encoder_config encoder = {
        .feature = config->feature, .in_channels = config->in_channels,
        .merging = config->merging, .plain = config->plain,
    };
    const enum voco_err err = check_config(config);

    *model = (struct voco_model){ .config = *config };
    if (err != VOCO_OK)
        return err;
    model->net.kind = config->net;
    if (config->net == VOCO_NET_PLAINCONV) {
        voco_plainconv_init(&model->net.plain, &model->params, &config->plainconv,
                            config->in_channels, config->classes);
        model->trained = model->params.count;
    } else if (config->classes) {
        voco_unetr_init(&model->net.unetr, &model->params, &encoder, config->classes, "");
        model->trained = model->params.count;
    } else {
        describe_heads(model, &encoder);
    }
    return VOCO_OK;
}

void
voco_model_multiple(const struct voco_model_config *config, int64_t ret[3])
{
    const struct voco_segnet net = { .kind = config->net,
                                     .plain = { .config = config->plainconv } };
    int64_t multiple[3];

    voco_segnet_multiple(&net, multiple);
    for (int i = 0; i < 3; i++)
        ret[voco_model_axis(config, i)] = multiple[i];
}

const char *
voco_model_words(const struct voco_model_config *c, char buf[160])
{
    int n;

    if (is_swin(c)) {
        snprintf(buf, 160, "Swin UNETR %s, feature size %" PRId64 ", %s patch merging",
                 c->plain ? "v1" : "v2", c->feature, voco_merging_name(c->merging));
        return buf;
    }
    n = snprintf(buf, 160, "PlainConvUNet of %d stages, ", c->plainconv.stages);
    for (int s = 0; s < c->plainconv.stages; s++)
        n += snprintf(buf + n, 160 - (size_t)n, "%s%" PRId64, s ? "-" : "",
                      c->plainconv.width[s]);
    snprintf(buf + n, 160 - (size_t)n, " channels");
    return buf;
}

enum voco_err
voco_model_allocate(struct voco_model *model, struct voco_ctx *ctx, bool training)
{
    const size_t size = voco_type_bytes(ctx->dev->real);
    const int slabs = training ? 5 : 1;
    struct voco_tensor *slab[] = { &model->weight, &model->grad, &model->m, &model->v,
                                   &model->vmax };
    enum voco_err err = ctx->dev->reserve(ctx, (size_t)slabs
                                          * ((size_t)model->params.count * size
                                             + VOCO_ALIGN), &model->memory);

    if (err != VOCO_OK)
        return err;
    for (int i = 0; i < slabs; i++) {
        *slab[i] = voco_push_real(ctx, &model->memory, 1,
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

enum voco_err
voco_model_update(struct voco_model *model, struct voco_ctx *ctx,
                  const struct voco_adamw *o)
{
    const struct voco_tensor trained = voco_slice(&model->weight, 0, model->trained);

    ctx->dev->adamw(ctx, o, &model->grad, &trained, &model->m, &model->v,
                    o->amsgrad ? &model->vmax : NULL);
    ctx->weights_version++;
    return ctx->err;
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
