/* Embeddings of a batch and their way back, by micro-batches. */
#include "objective/embed/embed.h"

#include <stdlib.h>

#include "base/log.h"

static int
groups_of(const struct voco_embedding *e)
{
    return (e->crops + e->grouping.group - 1) / e->grouping.group;
}

size_t
voco_embedding_bytes(const struct voco_model *model, int crops)
{
    const size_t width = (size_t)voco_encoder_width(&model->encoder);

    return 2 * voco_aligned((size_t)crops * width * sizeof(double));
}

enum voco_err
voco_embedding_init(struct voco_embedding *e, struct voco_ctx *ctx,
                    const struct voco_model *model, int crops, int roi,
                    struct voco_grouping grouping, struct voco_arena *memory)
{
    const int64_t width = voco_encoder_width(&model->encoder);

    *e = (struct voco_embedding){ .ctx = ctx, .model = model, .crops = crops, .roi = roi,
                                  .grouping = grouping };
    if (e->grouping.kept > groups_of(e))
        e->grouping.kept = groups_of(e);
    e->saved = calloc((size_t)e->grouping.kept, sizeof *e->saved);
    e->crop = malloc((size_t)crops * sizeof *e->crop);
    if (!e->saved || !e->crop)
        return voco_fail(VOCO_EMEMORY, "no memory for the bookkeeping of a step");
    e->y = voco_push_real(ctx, memory, 2, (int64_t)crops, width);
    e->dy = voco_push_real(ctx, memory, 2, (int64_t)crops, width);
    return ctx->err;
}

void
voco_embedding_free(struct voco_embedding *e)
{
    free(e->saved);
    free(e->crop);
    *e = (struct voco_embedding){ 0 };
}

/* ---- micro-batches ---- */

/* The crops of rows [first, first+n) as one tensor on keep. */
static struct voco_tensor
upload_group(struct voco_embedding *e, int first, int n)
{
    const int64_t roi = e->roi;
    struct voco_tensor x = voco_push_real(e->ctx, &e->ctx->keep, 5, (int64_t)n, roi, roi, roi,
                                     INT64_C(1));

    for (int i = 0; i < n && !e->ctx->err; i++) {
        const struct voco_tensor to = voco_slice(&x, i, 1);
        struct voco_tensor from = to;

        from.data = (void *)e->crop[first + i];     /* upload only reads it */
        from.type = VOCO_F32;
        e->ctx->dev->upload(e->ctx, &from, &to);
    }
    return x;
}

/* Embeds group g by these weights of the encoder, into rows of y; with saved, its
 * activations stay on keep. */
static void
forward_by(struct voco_embedding *e, int g, const struct voco_weights *w,
           const struct voco_tensor *y, struct voco_encoder_saved *saved)
{
    struct voco_ctx *ctx = e->ctx;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int first = g * e->grouping.group, left = e->crops - first;
    const int n = left < e->grouping.group ? left : e->grouping.group;
    const struct voco_tensor rows = voco_slice(y, first, n);
    const struct voco_tensor x = upload_group(e, first, n);

    if (ctx->err)
        return;
    voco_encoder_forward(ctx, w, &e->model->encoder, &x, &rows, saved);
    if (!saved)
        voco_arena_release(&ctx->keep, mark);
}

static void
forward_group(struct voco_embedding *e, int g, struct voco_encoder_saved *saved)
{
    const struct voco_weights w = voco_model_weights(e->model);

    forward_by(e, g, &w, &e->y, saved);
}

static void
backward_group(struct voco_embedding *e, int g, struct voco_encoder_saved *saved)
{
    const struct voco_weights w = voco_model_weights(e->model);
    const struct voco_tensor rows = voco_slice(&e->dy, g * e->grouping.group,
                                               saved->x.dim[0]);

    voco_encoder_backward(e->ctx, &w, &e->model->encoder, saved, &rows);
}

/* ---- the phases ---- */

bool
voco_embedding_goes_on(const struct voco_embedding *e)
{
    return !e->ctx->err && !(e->stop && *e->stop);
}

void
voco_embedding_forward(struct voco_embedding *e, const volatile sig_atomic_t *stop)
{
    const int groups = groups_of(e), again = groups - e->grouping.kept;

    e->stop = stop;
    e->mark = voco_arena_mark(&e->ctx->keep);
    for (int g = 0; g < groups && voco_embedding_goes_on(e); g++) {
        e->ctx->lean = g - again < e->grouping.lean;
        forward_group(e, g, g < again ? NULL : &e->saved[g - again]);
    }
    e->ctx->lean = false;
}

/* Over all groups, those without kept activations last. */
void
voco_embedding_backward(struct voco_embedding *e)
{
    struct voco_ctx *ctx = e->ctx;
    const int groups = groups_of(e), again = groups - e->grouping.kept;

    for (int g = groups - 1; g >= again && voco_embedding_goes_on(e); g--)
        backward_group(e, g, &e->saved[g - again]);
    voco_arena_release(&ctx->keep, e->mark);
    /* three lean groups have left room for a whole one, fewer have not */
    for (int g = again - 1; g >= 0 && voco_embedding_goes_on(e); g--) {
        ctx->lean = e->grouping.lean > 0 && e->grouping.kept < 3;
        forward_group(e, g, &e->saved[0]);
        ctx->lean = false;
        if (!ctx->err)
            backward_group(e, g, &e->saved[0]);
        voco_arena_release(&ctx->keep, e->mark);
    }
}

enum voco_err
voco_embedding_end(struct voco_embedding *e)
{
    voco_arena_release(&e->ctx->keep, e->mark);
    if (!e->ctx->err && !voco_embedding_goes_on(e))
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    return e->ctx->err;
}

void
voco_embedding_only(struct voco_embedding *e)
{
    for (int g = 0; g < groups_of(e) && !e->ctx->err; g++)
        forward_group(e, g, NULL);
}

void
voco_embedding_teacher(struct voco_embedding *e, const volatile sig_atomic_t *stop,
                       const struct voco_tensor *y)
{
    const struct voco_weights w = voco_model_teacher_weights(e->model);

    e->stop = stop;
    for (int g = 0; g < groups_of(e) && voco_embedding_goes_on(e); g++)
        forward_by(e, g, &w, y, NULL);
}

/* ---- crops that are no batch ---- */

/* Host crops [first, first+n) as a tensor on keep. */
static struct voco_tensor
upload_crops(struct voco_ctx *ctx, const float *crops, int64_t n, int64_t roi)
{
    const struct voco_tensor x = voco_push_real(ctx, &ctx->keep, 5, n, roi, roi, roi, INT64_C(1));
    struct voco_tensor host = x;

    host.type = VOCO_F32;
    host.data = (void *)crops;          /* upload only reads it */
    if (!ctx->err)
        ctx->dev->upload(ctx, &host, &x);
    return x;
}

enum voco_err
voco_embedding_probe(struct voco_ctx *ctx, const struct voco_model *model, const float *crops,
                     int n, int roi, double *ret_forward_s, double *ret_both_s)
{
    const struct voco_weights w = voco_model_weights(model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor x = upload_crops(ctx, crops, n, roi);
    const struct voco_tensor y = voco_push_real(ctx, &ctx->keep, 2, (int64_t)n,
                                           voco_encoder_width(&model->encoder));
    const double start_s = voco_seconds();
    struct voco_encoder_saved saved;

    if (!ctx->err)
        voco_encoder_forward(ctx, &w, &model->encoder, &x, &y, &saved);
    *ret_forward_s = voco_seconds() - start_s;
    if (!ctx->err)
        voco_encoder_backward(ctx, &w, &model->encoder, &saved, &y);
    *ret_both_s = voco_seconds() - start_s;
    voco_arena_release(&ctx->keep, mark);
    return ctx->err;
}

void
voco_embed_download(struct voco_ctx *ctx, const struct voco_tensor *x, float *out)
{
    struct voco_tensor host = *x;

    host.data = out;
    host.type = VOCO_F32;
    ctx->dev->download(ctx, x, &host);
}

enum voco_err
voco_embed(struct voco_ctx *ctx, const struct voco_model *model, const float *crops, int n,
           int roi, int group, float *out)
{
    const struct voco_weights w = voco_model_weights(model);
    const int64_t edge = roi, width = voco_encoder_width(&model->encoder);

    for (int first = 0; first < n && !ctx->err; first += group) {
        const size_t mark = voco_arena_mark(&ctx->keep);
        const int64_t m = n - first < group ? n - first : group;
        const struct voco_tensor x = upload_crops(ctx, crops + first * edge * edge * edge, m,
                                                  edge);
        const struct voco_tensor y = voco_push_real(ctx, &ctx->keep, 2, m, width);

        if (ctx->err)
            break;
        voco_encoder_forward(ctx, &w, &model->encoder, &x, &y, NULL);
        voco_embed_download(ctx, &y, out + first * width);
        voco_arena_release(&ctx->keep, mark);
    }
    return ctx->err;
}
