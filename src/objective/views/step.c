/* The gradient of a contrast between views.  Sources: SimCLR (Chen et al., ICML 2020); the
 * intra-sample form of CT-FM. */
#include "objective/views/step.h"

#include <stdlib.h>

#include "base/log.h"

enum { PROJECTOR };

int
voco_views_of_set(const struct voco_views_step *step)
{
    return step->size.volumes / step->size.sets * step->size.crops;
}

int
voco_views_rows(const struct voco_views_step *step)
{
    return 2 * step->size.volumes * step->size.crops;
}

static int
anchors_of(const struct voco_views_step *step)
{
    return (step->loss.both ? 2 : 1) * voco_views_of_set(step);
}

/* The target of an anchor is the row of the other view. */
static enum voco_err
upload_target(struct voco_views_step *step)
{
    const int n = voco_views_of_set(step), anchors = anchors_of(step);
    float *row = malloc((size_t)anchors * sizeof *row);
    struct voco_tensor host = step->target;

    if (!row)
        return voco_fail(VOCO_EMEMORY, "no memory for the bookkeeping of a step");
    for (int i = 0; i < anchors; i++)
        row[i] = (float)((i + n) % (2 * n));
    host.data = row;
    host.type = VOCO_F32;
    step->ctx->dev->upload(step->ctx, &host, &step->target);
    step->ctx->dev->sync(step->ctx);
    free(row);
    return step->ctx->err;
}

enum voco_err
voco_views_step_init(struct voco_views_step *step, struct voco_ctx *ctx,
                     struct voco_model *model, const struct voco_views_size *size,
                     const struct voco_views_loss *loss, struct voco_grouping grouping)
{
    struct voco_arena *a = &step->memory;
    int64_t rows, anchors, out, of_set;
    enum voco_err err;

    *step = (struct voco_views_step){ .ctx = ctx, .model = model, .size = *size,
                                      .loss = *loss };
    VOCO_ASSERT(size->volumes % size->sets == 0);
    rows = voco_views_rows(step);
    anchors = anchors_of(step);
    of_set = 2 * voco_views_of_set(step);
    out = model->config.head[PROJECTOR].out;
    err = ctx->dev->reserve(ctx, voco_embedding_bytes(model, (int)rows)
                                 + (size_t)((3 * rows + anchors) * out + rows
                                            + anchors * (of_set + 1) + 1024) * 8, a);
    if (err != VOCO_OK
        || (err = voco_embedding_init(&step->embed, ctx, model, (int)rows, size->roi,
                                      grouping, a)) != VOCO_OK)
        return err;
    step->z = voco_push_real(ctx, a, 2, rows, out);
    step->dz = voco_push_real(ctx, a, 2, rows, out);
    step->unit = voco_push_real(ctx, a, 2, rows, out);
    step->norm = voco_push_real(ctx, a, 1, rows);
    step->similarity = voco_push_real(ctx, a, 3, INT64_C(1), anchors, of_set);
    step->anchor = voco_push_real(ctx, a, 2, anchors, out);
    step->target = voco_push_real(ctx, a, 2, INT64_C(1), anchors);
    step->count = voco_push_real(ctx, a, 1, INT64_C(1));
    step->term = voco_push_real(ctx, a, 1, INT64_C(1));
    return ctx->err ? ctx->err : upload_target(step);
}

void
voco_views_step_free(struct voco_views_step *step)
{
    voco_embedding_free(&step->embed);
    voco_arena_free(&step->memory);
    *step = (struct voco_views_step){ 0 };
}

/* ---- losses ---- */

/* The loss of one set from its unit rows; drows is overwritten by their gradient. */
static void
lose(struct voco_views_step *step, const struct voco_tensor *rows,
     const struct voco_tensor *drows)
{
    const struct voco_softmax_ce o = { .scale = 1.0 / step->loss.temperature,
                                       .skip_self = true };
    const struct voco_device *dev = step->ctx->dev;
    const double weight = 1.0 / step->size.sets;
    const int64_t anchors = anchors_of(step), all = rows->dim[0];
    const struct voco_tensor first = voco_slice(rows, 0, anchors);
    const struct voco_tensor dfirst = voco_slice(drows, 0, anchors);
    const struct voco_tensor s = voco_reshape(&step->similarity, 2, anchors, all);

    dev->copy(step->ctx, &first, &step->anchor);
    dev->linear_forward(step->ctx, &step->anchor, rows, NULL, &s);
    dev->softmax_ce_forward(step->ctx, &o, &step->similarity, &step->target, weight,
                            &step->count, &step->term);
    dev->softmax_ce_backward(step->ctx, &o, &step->similarity, &step->target, &step->count,
                             weight, &step->similarity);
    dev->fill(step->ctx, drows, 0.0);
    dev->linear_backward_weights(step->ctx, &step->anchor, &s, drows, NULL);
    dev->linear_backward_data(step->ctx, &s, rows, &step->anchor);
    dev->add(step->ctx, &step->anchor, &dfirst);
}

void
voco_views_losses(struct voco_views_step *step)
{
    /* as in PyTorch's normalize */
    const double eps = 1e-12;
    const struct voco_device *dev = step->ctx->dev;
    const int64_t rows = 2 * (int64_t)voco_views_of_set(step);

    dev->fill(step->ctx, &step->term, 0.0);
    dev->l2norm_forward(step->ctx, &step->z, eps, &step->unit, &step->norm);
    for (int64_t i = 0; i < step->size.sets && !step->ctx->err; i++) {
        const struct voco_tensor unit = voco_slice(&step->unit, i * rows, rows);
        const struct voco_tensor dz = voco_slice(&step->dz, i * rows, rows);

        lose(step, &unit, &dz);
    }
    dev->l2norm_backward(step->ctx, &step->unit, &step->norm, &step->dz, &step->dz);
}

/* ---- a step ---- */

static void
set_crops(struct voco_views_step *step, float *const view[2])
{
    const int64_t roi = step->size.roi, voxels = roi * roi * roi;
    const int of_set = voco_views_of_set(step);

    for (int i = 0; i < voco_views_rows(step); i++) {
        const int set = i / (2 * of_set), at = i % (2 * of_set);
        const int64_t crop = (int64_t)set * of_set + at % of_set;

        step->embed.crop[i] = view[at / of_set] + crop * voxels;
    }
}

/* Projector and losses: embeddings -> their gradient, and the projector's. */
static void
contrast(struct voco_views_step *step)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_head *head = &step->model->head[PROJECTOR];
    const struct voco_weights w = voco_model_weights(step->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    struct voco_head_saved saved;

    voco_head_forward(ctx, &w, head, &step->embed.y, &step->z, &saved);
    if (!ctx->err)
        voco_views_losses(step);
    if (!ctx->err)
        voco_head_backward(ctx, &w, head, &saved, &step->dz, &step->embed.dy);
    voco_arena_release(&ctx->keep, mark);
}

enum voco_err
voco_views_gradient(struct voco_views_step *step, float *const view[2],
                    const volatile sig_atomic_t *stop, double *ret_loss)
{
    const struct voco_tensor host = voco_view(ret_loss, VOCO_F64, 1, INT64_C(1));
    struct voco_embedding *e = &step->embed;
    const double start_s = voco_seconds();
    enum voco_err err;

    set_crops(step, view);
    voco_embedding_forward(e, stop);
    if (voco_embedding_goes_on(e))
        contrast(step);
    step->forward_s = voco_seconds() - start_s;
    if (voco_embedding_goes_on(e))
        voco_embedding_backward(e);
    if ((err = voco_embedding_end(e)) == VOCO_OK)
        step->ctx->dev->download(step->ctx, &step->term, &host);
    step->backward_s = voco_seconds() - start_s - step->forward_s;
    return err == VOCO_OK ? step->ctx->err : err;
}
