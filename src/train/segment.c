/* Segmentation: the network between host arrays, and its plan. */
#include "train/segment.h"

#include <math.h>

#include "dev/dry.h"

static const size_t address_space = (size_t)1 << 42;    /* per arena; never touched */

/* Host numbers as a tensor on keep. */
static struct voco_tensor
upload(struct voco_ctx *ctx, const float *host, struct voco_tensor shape)
{
    const struct voco_tensor x = voco_push_like(ctx, &ctx->keep, &shape);
    struct voco_tensor from = x;

    from.type = VOCO_F32;
    from.data = (void *)host;           /* upload only reads it */
    if (!ctx->err)
        ctx->dev->upload(ctx, &from, &x);
    return x;
}

static struct voco_tensor
shape_of(int64_t n, const int64_t size[3], int64_t c)
{
    return voco_view(NULL, VOCO_F32, 5, n, size[0], size[1], size[2], c);
}

enum voco_err
voco_segment_logits(struct voco_ctx *ctx, const struct voco_model *model,
                    const float *windows, int n, const int64_t size[3], float *out)
{
    const struct voco_weights w = voco_model_weights(model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor x = upload(ctx, windows, shape_of(n, size,
                                                               model->config.in_channels));
    const struct voco_tensor like = shape_of(n, size, model->config.classes);
    const struct voco_tensor y = voco_push_like(ctx, &ctx->keep, &like);
    struct voco_tensor host = y;

    host.type = VOCO_F32;
    host.data = out;
    if (!ctx->err)
        voco_unetr_forward(ctx, &w, &model->unetr, &x, &y, NULL);
    if (!ctx->err)
        ctx->dev->download(ctx, &y, &host);
    voco_arena_release(&ctx->keep, mark);
    return ctx->err;
}

/* Items [first, first+n) of the batch: adds their share to loss [2] and, with train, to
 * the gradients. */
static void
run_group(struct voco_ctx *ctx, const struct voco_model *model, const struct voco_dicece *o,
          const struct voco_segment_batch *b, int first, int n, bool train,
          const struct voco_tensor *loss)
{
    const struct voco_weights w = voco_model_weights(model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2];
    const int64_t cin = model->config.in_channels, classes = model->config.classes;
    const double weight = (double)n / b->n;
    const struct voco_tensor x = upload(ctx, b->image + first * voxels * cin,
                                        shape_of(n, b->size, cin));
    const struct voco_tensor label = upload(ctx, b->label + first * voxels,
                                            voco_view(NULL, VOCO_F32, 2, (int64_t)n, voxels));
    const struct voco_tensor like = shape_of(n, b->size, classes);
    const struct voco_tensor y = voco_push_like(ctx, &ctx->keep, &like);
    const struct voco_tensor sums = voco_push(ctx, &ctx->keep, 3, (int64_t)n, classes,
                                              (int64_t)3);
    struct voco_unetr_saved saved;
    struct voco_tensor flat_y;

    if (!ctx->err)
        voco_unetr_forward(ctx, &w, &model->unetr, &x, &y, train ? &saved : NULL);
    if (!ctx->err) {
        flat_y = voco_as_voxels(&y);
        ctx->dev->dicece_forward(ctx, o, &flat_y, &label, weight, &sums, loss);
        if (train) {
            ctx->dev->dicece_backward(ctx, o, &flat_y, &label, &sums, weight, &flat_y);
            voco_unetr_backward(ctx, &w, &model->unetr, &saved, &y, NULL);
        }
    }
    voco_arena_release(&ctx->keep, mark);
}

static enum voco_err
run_batch(struct voco_ctx *ctx, const struct voco_model *model, const struct voco_dicece *o,
          const struct voco_segment_batch *b, int group, bool train,
          struct voco_segment_result *ret)
{
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor loss = voco_push(ctx, &ctx->keep, 1, INT64_C(2));
    double host[2] = { 0 };
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, INT64_C(2));

    bool stopped = false;

    if (!ctx->err)
        ctx->dev->fill(ctx, &loss, 0.0);
    for (int i = 0; i < b->n && !ctx->err && !stopped; i += group) {
        run_group(ctx, model, o, b, i, b->n - i < group ? b->n - i : group, train, &loss);
        stopped = b->stop && *b->stop;
    }
    if (!ctx->err)
        ctx->dev->download(ctx, &loss, &view);
    voco_arena_release(&ctx->keep, mark);
    *ret = (struct voco_segment_result){ .dice = host[0], .ce = host[1],
                                         .loss = host[0] + host[1],
                                         .finite = isfinite(host[0] + host[1]) };
    if (stopped && !ctx->err)
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    return ctx->err;
}

enum voco_err
voco_segment_loss(struct voco_ctx *ctx, const struct voco_model *model,
                  const struct voco_dicece *o, const struct voco_segment_batch *batch,
                  int group, struct voco_segment_result *ret)
{
    return run_batch(ctx, model, o, batch, group, false, ret);
}

enum voco_err
voco_segment_gradient(struct voco_ctx *ctx, struct voco_model *model,
                      const struct voco_dicece *o, const struct voco_segment_batch *batch,
                      int group, struct voco_segment_result *ret)
{
    const size_t mark = voco_arena_mark(&ctx->keep);
    struct voco_tensor norm;
    double host = 0;
    const struct voco_tensor view = voco_view(&host, VOCO_F64, 1, INT64_C(1));
    enum voco_err err;

    ctx->dev->fill(ctx, &model->grad, 0.0);
    if ((err = run_batch(ctx, model, o, batch, group, true, ret)) != VOCO_OK)
        return err;
    norm = voco_push(ctx, &ctx->keep, 1, INT64_C(1));
    if (!ctx->err) {
        ctx->dev->sum_squares(ctx, &model->grad, &norm);
        ctx->dev->download(ctx, &norm, &view);
    }
    voco_arena_release(&ctx->keep, mark);
    ret->grad_norm = sqrt(host);
    ret->finite = ret->finite && isfinite(host);
    return ctx->err;
}

/* ---- memory ---- */

/* One dry batch. */
static enum voco_err
measure(const struct voco_device *dev, const struct voco_segment_request *r, int group,
        bool again, struct voco_segment_plan *p)
{
    const struct voco_dicece o = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };
    struct voco_segment_batch nothing = { .n = r->n, .size = { r->size[0], r->size[1],
                                                               r->size[2] } };
    struct voco_segment_result result;
    struct voco_dry dry = { 0 };
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    enum voco_err err;

    voco_dry_init(&dry, dev);
    if ((err = voco_ctx_open(&ctx, &dry.device, address_space, true, r->threads)) == VOCO_OK
        && (err = voco_model_describe(&model, &r->model)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, r->training)) == VOCO_OK) {
        nothing.image = nothing.label = model.weight.data;
        model.unetr.again = again;
        if (r->training)
            err = voco_segment_gradient(&ctx, &model, &o, &nothing, group, &result);
        else
            err = voco_segment_loss(&ctx, &model, &o, &nothing, group, &result);
    }
    *p = (struct voco_segment_plan){
        .group = group, .again = again, .slabs = model.memory.peak, .kept = ctx.keep.peak,
        .gradients = ctx.grad.peak, .scratch = ctx.temp.peak, .packed = dry.packed_bytes,
        .flops = dry.flops,
    };
    p->total = p->slabs + p->kept + p->gradients + p->scratch + p->packed;
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    voco_dry_free(&dry);
    return err;
}

enum voco_err
voco_segment_plan(const struct voco_device *dev, const struct voco_segment_request *r,
                  struct voco_segment_plan *ret)
{
    for (int again = 0; again <= (r->training ? 1 : 0); again++)
        for (int group = r->n < 4 ? r->n : 4; group >= 1; group /= 2) {
            const enum voco_err err = measure(dev, r, group, again, ret);

            if (err != VOCO_OK)
                return err;
            if (!r->memory || ret->total <= r->memory)
                return VOCO_OK;
        }
    return voco_fail(VOCO_EMEMORY, "windows of %lld x %lld x %lld voxels with feature size "
                     "%lld and %lld classes need at least %llu MiB, and %llu MiB are allowed: "
                     "raise --memory or take smaller windows", (long long)r->size[0],
                     (long long)r->size[1], (long long)r->size[2],
                     (long long)r->model.feature, (long long)r->model.classes,
                     (unsigned long long)((ret->total >> 20) + 1),
                     (unsigned long long)(r->memory >> 20));
}
