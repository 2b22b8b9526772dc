/* The computation of dense pretexts. */
#include "objective/dense/step.h"

#include <stdlib.h>

/* ---- for pretexts ---- */

static struct voco_tensor
push(struct voco_ctx *ctx, const struct voco_dense_part *part, int64_t channels)
{
    const int64_t *size = part->batch->size;

    return voco_push_real(ctx, &ctx->keep, 5, (int64_t)part->n, size[0], size[1], size[2],
                          channels);
}

static int64_t
voxels_of(const struct voco_dense_batch *b)
{
    return b->size[0] * b->size[1] * b->size[2];
}

struct voco_tensor
voco_dense_upload(struct voco_ctx *ctx, const struct voco_dense_part *part,
                  const float *crops)
{
    const struct voco_tensor x = push(ctx, part, 1);
    struct voco_tensor host = x;

    host.type = VOCO_F32;               /* upload only reads it */
    host.data = (void *)(crops + part->first * voxels_of(part->batch));
    if (!ctx->err)
        ctx->dev->upload(ctx, &host, &x);
    return x;
}

struct voco_tensor
voco_dense_filled(struct voco_ctx *ctx, const struct voco_dense_part *part, double value)
{
    const struct voco_tensor x = push(ctx, part, 1);

    if (!ctx->err)
        ctx->dev->fill(ctx, &x, value);
    return x;
}

void
voco_dense_paint(struct voco_ctx *ctx, const struct voco_dense_part *part, double scale,
                 double shift, const struct voco_tensor *y)
{
    const struct voco_dense_batch *b = part->batch;
    struct voco_box *table;
    int n = 0, k = 0;

    for (int i = part->first; b->box && i < part->first + part->n; i++)
        n += b->n_box[i];
    if (n == 0 || ctx->err)
        return;
    table = malloc((size_t)n * sizeof *table);
    VOCO_NEED(table);
    for (int i = part->first; i < part->first + part->n; i++)
        for (int j = 0; j < b->n_box[i]; j++, k++) {
            table[k] = b->box[(int64_t)i * b->most_boxes + j];
            table[k].item = i - part->first;
            table[k].value = scale * table[k].value + shift;
        }
    ctx->dev->box_fill(ctx, table, n, y);
    free(table);
}

/* ---- a micro-batch ---- */

/* The part's input, and room for what the network makes of it. */
static struct voco_tensor
begin(const struct voco_dense_step *s, struct voco_dense_part *part)
{
    if (!s->ctx->err)
        s->pretext->make(s->config, s->ctx, part);
    return push(s->ctx, part, s->model->config.classes);
}

static void
run_part(const struct voco_dense_step *s, struct voco_dense_part part,
         const struct voco_tensor *terms)
{
    struct voco_ctx *ctx = s->ctx;
    const struct voco_weights w = voco_model_weights(s->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor y = begin(s, &part);
    struct voco_segnet_saved saved;

    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &s->model->net, &part.x, &y, 1, &saved);
    if (!ctx->err)
        s->pretext->loss(s->config, ctx, &part, &y, terms);
    if (!ctx->err)
        voco_segnet_backward(ctx, &w, &s->model->net, &saved, &y, 1);
    voco_arena_release(&ctx->keep, mark);
}

/* ---- a batch ---- */

enum voco_err
voco_dense_gradient(const struct voco_dense_step *s, const struct voco_dense_batch *b,
                    const volatile sig_atomic_t *stop, double *ret_term)
{
    struct voco_ctx *ctx = s->ctx;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int64_t n = s->pretext->n_terms;
    const struct voco_tensor terms = voco_push_real(ctx, &ctx->keep, 1, n);
    const struct voco_tensor host = voco_view(ret_term, VOCO_F64, 1, n);
    bool stopped = false;

    if (!ctx->err)
        ctx->dev->fill(ctx, &terms, 0.0);
    for (int i = 0; i < b->n && !ctx->err && !stopped; i += s->group) {
        const struct voco_dense_part part = {
            .batch = b, .first = i, .n = b->n - i < s->group ? b->n - i : s->group };

        run_part(s, part, &terms);
        stopped = stop && *stop;
    }
    if (!ctx->err)
        ctx->dev->download(ctx, &terms, &host);
    voco_arena_release(&ctx->keep, mark);
    if (stopped && !ctx->err)
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    for (int64_t i = 0; i < n && !ctx->err; i++)
        ret_term[i] += s->pretext->constant[i];
    return ctx->err;
}

static void
download(struct voco_ctx *ctx, const struct voco_tensor *x, float *out)
{
    struct voco_tensor host = *x;

    host.type = VOCO_F32;
    host.data = out;
    if (!ctx->err)
        ctx->dev->download(ctx, x, &host);
}

enum voco_err
voco_dense_answer(const struct voco_dense_step *s, const struct voco_dense_batch *b, int i,
                  float *x, float *target, float *answer)
{
    struct voco_ctx *ctx = s->ctx;
    const struct voco_weights w = voco_model_weights(s->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    struct voco_dense_part part = { .batch = b, .first = i, .n = 1 };
    const struct voco_tensor y = begin(s, &part), a = push(ctx, &part, 1);

    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &s->model->net, &part.x, &y, 1, NULL);
    if (!ctx->err)
        s->pretext->answer(s->config, ctx, &y, &a);
    download(ctx, &part.x, x);
    download(ctx, &part.target, target);
    download(ctx, &a, answer);
    voco_arena_release(&ctx->keep, mark);
    return ctx->err;
}
