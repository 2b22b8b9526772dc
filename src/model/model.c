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
    if (c->classes < (is_swin(c) ? 0 : 2) || c->classes > VOCO_CLASSES_MAX)
        return voco_fail(VOCO_EUSAGE, "%lld classes: expected 2 to %d, background among "
                         "them, or one output of another kind",
                         (long long)c->classes, VOCO_CLASSES_MAX);
    VOCO_ASSERT(c->n_heads <= VOCO_HEADS_MAX && (is_swin(c) || !c->n_heads));
    VOCO_ASSERT(!c->swinheads || (!c->classes && !c->n_heads));
    for (int i = 0; i < c->n_heads; i++) {
        const struct voco_head_config *h = &c->head[i];

        if (h->hidden < 1 || h->hidden > 65536 || h->out < 1 || h->out > 65536)
            return voco_fail(VOCO_EUSAGE, "a head of widths %lld and %lld: expected 1 to "
                             "65536", (long long)h->hidden, (long long)h->out);
    }
    return VOCO_OK;
}

void
voco_model_contrast_heads(struct voco_model_config *config, int64_t hidden, int64_t out,
                          double momentum)
{
    config->head[VOCO_STUDENT] = (struct voco_head_config){
        .prefix = "student.", .hidden = hidden, .out = out };
    config->head[VOCO_TEACHER] = (struct voco_head_config){
        .prefix = "teacher.", .hidden = hidden, .out = out, .follower = true,
        .momentum = momentum };
    config->n_heads = VOCO_CONTRAST_HEADS;
}

static void
add_heads(struct voco_model *model)
{
    const struct voco_model_config *c = &model->config;
    const int64_t width = c->n_heads ? voco_encoder_width(&model->encoder) : 0;
    int64_t before = 0;

    for (int i = 0; i < c->n_heads; i++) {
        const struct voco_head_config *h = &c->head[i];
        const int64_t at = model->params.count;

        voco_head_init(&model->head[i], &model->params, h->norm, width, h->hidden, h->out,
                       h->prefix);
        if (h->follower) {
            const int64_t count = model->params.count - at;

            VOCO_ASSERT(i > 0 && !c->head[i - 1].follower && count == at - before);
            model->follower[model->n_followers++] = (struct voco_follower){
                .from = before, .at = at, .count = count, .start = -1,
                .momentum = h->momentum };
        } else {
            VOCO_ASSERT(model->n_followers == 0);
            model->trained = model->params.count;
        }
        before = at;
    }
}

/* A copy of the first n rows, which are all of the backbone. */
static void
add_teacher(struct voco_model *model, int n)
{
    const struct voco_teacher_config *c = &model->config.teacher;
    const int64_t count = model->params.item[n - 1].offset + model->params.item[n - 1].count;
    const int64_t at = model->params.count;
    static const char front[] = "backbone.";

    for (int i = 0; i < n; i++) {
        struct voco_param p = model->params.item[i];
        const bool named = strncmp(p.name, front, sizeof front - 1) == 0;
        const int row = voco_params_add(&model->params, p.rank, p.dim, "teacher_%s%s", front,
                                        p.name + (named ? sizeof front - 1 : 0));

        VOCO_ASSERT(model->params.item[row].offset == at + p.offset);
    }
    model->follower[model->n_followers++] = (struct voco_follower){
        .from = 0, .at = at, .count = count, .start = c->start, .momentum = c->momentum };
}

static void
add_swinheads(struct voco_model *model)
{
    enum { ROTATIONS = 4, CONTRAST_WIDTH = 512 };
    const int64_t width = model->config.feature << VOCO_STAGES;
    struct voco_swinheads *h = &model->swinheads;

    voco_tokenhead_init(&h->rotation, &model->params, 0, width, ROTATIONS, "rotation_head");
    voco_tokenhead_init(&h->contrast, &model->params, 1, width, CONTRAST_WIDTH,
                        "contrastive_head");
    voco_reconstruct_init(&h->image, &model->params, width, model->config.in_channels,
                          "conv");
}

enum voco_err
voco_model_describe(struct voco_model *model, const struct voco_model_config *config)
{
    const struct voco_encoder_config encoder = {
        .feature = config->feature, .in_channels = config->in_channels,
        .merging = config->merging, .plain = config->plain, .trunk = config->swinheads,
    };
    const enum voco_err err = check_config(config);
    int backbone;

    *model = (struct voco_model){ .config = *config };
    if (err != VOCO_OK)
        return err;
    model->net.kind = config->net;
    if (config->net == VOCO_NET_PLAINCONV) {
        voco_plainconv_init(&model->net.plain, &model->params, &config->plainconv,
                            config->in_channels, config->classes);
    } else if (config->classes) {
        voco_unetr_init(&model->net.unetr, &model->params, &encoder, config->classes,
                        config->n_heads ? "backbone." : "");
        model->encoder = model->net.unetr.encoder;
    } else {
        voco_encoder_init(&model->encoder, &model->params, &encoder,
                          config->swinheads ? "" : "backbone.");
    }
    backbone = model->params.n;
    if (config->swinheads)
        add_swinheads(model);
    model->trained = model->params.count;
    add_heads(model);
    model->n_released = model->params.n;
    if (config->teacher.there)
        add_teacher(model, backbone);
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
    const int64_t followers = model->params.count - model->trained;
    const int64_t moments = model->config.one_moment ? 0 : model->trained;
    struct voco_tensor *const buffer[] = { &model->weight, &model->grad, &model->m, &model->v,
                                           &model->vmax, &model->before };
    const int64_t count[] = { model->params.count, model->trained, model->trained, moments,
                              moments, followers };
    const int n = training ? 6 : 1;
    size_t bytes = 0;
    enum voco_err err;

    for (int i = 0; i < n; i++)
        bytes += count[i] ? (size_t)count[i] * size + VOCO_ALIGN : 0;
    if ((err = ctx->dev->reserve(ctx, bytes, &model->memory)) != VOCO_OK)
        return err;
    for (int i = 0; i < n; i++) {
        if (!count[i])
            continue;
        *buffer[i] = voco_push_real(ctx, &model->memory, 1, count[i]);
        ctx->dev->fill(ctx, buffer[i], 0.0);
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
    VOCO_NEED(host);
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

static bool
moves(const struct voco_follower *f, int64_t step)
{
    return step == f->start || (step > f->start && f->momentum < 1.0);
}

void
voco_model_follow(struct voco_model *model, struct voco_ctx *ctx, int64_t step)
{
    for (int i = 0; i < model->n_followers; i++) {
        const struct voco_follower *f = &model->follower[i];
        const struct voco_tensor from = voco_slice(&model->weight, f->from, f->count);
        const struct voco_tensor at = voco_slice(&model->weight, f->at, f->count);
        const struct voco_tensor before = voco_slice(&model->before, f->at - model->trained,
                                                     f->count);

        if (!moves(f, step))
            continue;
        ctx->dev->copy(ctx, &at, &before);
        if (step == f->start)
            ctx->dev->copy(ctx, &from, &at);
        else
            ctx->dev->ema(ctx, f->momentum, &from, &at);
        ctx->weights_version++;
    }
}

void
voco_model_follow_undo(struct voco_model *model, struct voco_ctx *ctx, int64_t step)
{
    for (int i = 0; i < model->n_followers; i++) {
        const struct voco_follower *f = &model->follower[i];
        const struct voco_tensor at = voco_slice(&model->weight, f->at, f->count);
        const struct voco_tensor before = voco_slice(&model->before, f->at - model->trained,
                                                     f->count);

        if (!moves(f, step))
            continue;
        ctx->dev->copy(ctx, &before, &at);
        ctx->weights_version++;
    }
}

double
voco_model_grad_squared(const struct voco_model *model, struct voco_ctx *ctx)
{
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor sum = voco_push_real(ctx, &ctx->keep, 1, INT64_C(1));
    double host = 0.0;
    const struct voco_tensor view = voco_view(&host, VOCO_F64, 1, INT64_C(1));

    if (!ctx->err) {
        ctx->dev->sum_squares(ctx, &model->grad, &sum);
        ctx->dev->download(ctx, &sum, &view);
    }
    voco_arena_release(&ctx->keep, mark);
    return host;
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

struct voco_weights
voco_model_teacher_weights(const struct voco_model *model)
{
    const struct voco_follower *f = &model->follower[model->n_followers - 1];

    VOCO_ASSERT(model->config.teacher.there);
    return (struct voco_weights){ .table = &model->params,
                                  .weight = voco_slice(&model->weight, f->at, f->count) };
}
