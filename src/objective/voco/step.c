/* The gradient of VoCo in two phases: embed, then back-propagate by micro-batches. */
#include "objective/voco/step.h"

#include <stdlib.h>

#include "base/log.h"
#include "objective/voco/batch.h"
#include "objective/voco/contrast.h"

int
voco_step_crops(const struct voco_step *step)
{
    return step->volumes * (step->sw + step->bases);
}

static bool
has_teacher(const struct voco_model *model)
{
    return model->config.n_heads > VOCO_TEACHER;
}

static int
groups_of(const struct voco_step *step)
{
    return (voco_step_crops(step) + step->grouping.group - 1) / step->grouping.group;
}

enum voco_err
voco_step_init(struct voco_step *step, struct voco_ctx *ctx, struct voco_model *model,
               int volumes, int sw, int roi, struct voco_grouping grouping)
{
    const int bases = VOCO_BASES;
    const int64_t crops = (int64_t)volumes * (sw + bases);
    const int64_t width = voco_encoder_width(&model->encoder);
    const int64_t out = model->config.head[VOCO_STUDENT].out;
    struct voco_arena *a = &step->memory;
    enum voco_err err;

    *step = (struct voco_step){ .ctx = ctx, .model = model, .volumes = volumes, .sw = sw,
                                .bases = bases, .roi = roi, .grouping = grouping,
                                .drop = 0.2, .shards = 1, .reg = true,
                                .inter = has_teacher(model) };
    if (step->grouping.kept > groups_of(step))
        step->grouping.kept = groups_of(step);
    err = ctx->dev->reserve(ctx, (size_t)(crops + 64) * (size_t)(3 * width + 3 * out + 64)
                                 * 8, a);
    if (err != VOCO_OK)
        return err;
    step->saved = calloc((size_t)step->grouping.kept, sizeof *step->saved);
    step->row_factor = malloc((size_t)crops * sizeof *step->row_factor);
    if (!step->saved || !step->row_factor)
        return voco_fail(VOCO_EMEMORY, "no memory for the bookkeeping of a step");
    step->embedding = voco_push_real(ctx, a, 2, crops, width);
    step->dembedding = voco_push_real(ctx, a, 2, crops, width);
    step->dropped = voco_push_real(ctx, a, 2, crops, width);
    step->student = voco_push_real(ctx, a, 2, crops, out);
    step->teacher = voco_push_real(ctx, a, 2, crops, out);
    step->dstudent = voco_push_real(ctx, a, 2, crops, out);
    step->labels = voco_push_real(ctx, a, 2, (int64_t)volumes * sw, (int64_t)bases);
    step->predicted = voco_push_real(ctx, a, 2, (int64_t)volumes * sw, (int64_t)bases);
    step->factor = voco_push_real(ctx, a, 1, crops);
    step->terms = voco_push_real(ctx, a, 1, (int64_t)VOCO_CONTRAST_TERMS);
    return ctx->err;
}

void
voco_step_free(struct voco_step *step)
{
    voco_arena_free(&step->memory);
    free(step->saved);
    free(step->row_factor);
    *step = (struct voco_step){ 0 };
}

/* ---- rows and crops ---- */

/* A run of rows whose crops lie one after the other in the batch. */
struct run {
    bool random;                /* of img, else of crops */
    int64_t at;                 /* the first crop's number there */
    int n;                      /* rows until the next run */
};

static struct run
run_at(const struct voco_step *step, int row)
{
    const int volumes = step->volumes / step->shards;       /* of a shard */
    const int random = volumes * step->sw, base = volumes * step->bases;
    const int shard = row / (random + base), at = row % (random + base);

    return at < random
        ? (struct run){ true, (int64_t)shard * random + at, random - at }
        : (struct run){ false, (int64_t)shard * base + at - random, random + base - at };
}

/* Crops of rows [first, first+n) as one tensor on keep. */
static struct voco_tensor
upload_group(struct voco_step *step, const struct voco_step_input *in, int first, int n)
{
    const int64_t roi = step->roi, voxels = roi * roi * roi;
    struct voco_tensor x = voco_push_real(step->ctx, &step->ctx->keep, 5, (int64_t)n, roi, roi,
                                     roi, INT64_C(1));

    if (step->ctx->err)
        return x;
    for (int i = 0; i < n; ) {
        const struct run run = run_at(step, first + i);
        const int rows = run.n < n - i ? run.n : n - i;
        const float *host = (run.random ? in->img : in->crops) + run.at * voxels;
        struct voco_tensor to = voco_slice(&x, i, rows), from = to;

        from.data = (void *)host;       /* upload only reads it */
        from.type = VOCO_F32;
        step->ctx->dev->upload(step->ctx, &from, &to);
        i += rows;
    }
    return x;
}

/* Embeds group g; with saved, its activations stay on keep. */
static void
forward_group(struct voco_step *step, const struct voco_step_input *in, int g,
              struct voco_encoder_saved *saved)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int first = g * step->grouping.group, left = voco_step_crops(step) - first;
    const int n = left < step->grouping.group ? left : step->grouping.group;
    const struct voco_tensor rows = voco_slice(&step->embedding, first, n);
    const struct voco_tensor x = upload_group(step, in, first, n);

    if (ctx->err)
        return;
    voco_encoder_forward(ctx, &w, &step->model->encoder, &x, &rows, saved);
    if (!saved)
        voco_arena_release(&ctx->keep, mark);
}

static void
backward_group(struct voco_step *step, int g, struct voco_encoder_saved *saved)
{
    const struct voco_weights w = voco_model_weights(step->model);
    const struct voco_tensor rows = voco_slice(&step->dembedding, g * step->grouping.group,
                                               saved->x.dim[0]);

    voco_encoder_backward(step->ctx, &w, &step->model->encoder, saved, &rows);
}

static bool
stopping(const struct voco_step *step)
{
    return step->stop && *step->stop;
}

/* Labels, and the factor of each row: 0 where it is dropped; drop is the expected share. */
static void
upload_small(struct voco_step *step, const struct voco_step_input *in, double drop)
{
    const int crops = voco_step_crops(step), random = step->volumes * step->sw;
    struct voco_tensor labels = step->labels, factor = step->factor;

    for (int i = 0; i < crops; i++) {
        const struct run run = run_at(step, i);
        const int64_t at = run.random ? run.at : random + run.at;

        step->row_factor[i] = in->keep && !in->keep[at] ? 0.0f
                                                        : (float)(1.0 / (1.0 - drop));
    }
    labels.data = (void *)in->labels;
    labels.type = factor.type = VOCO_F32;
    factor.data = step->row_factor;
    step->ctx->dev->upload(step->ctx, &labels, &step->labels);
    step->ctx->dev->upload(step->ctx, &factor, &step->factor);
}

/* ---- heads and losses ---- */

/* The rows of shard i in x, which has as many rows as the batch has crops, or labels. */
static struct voco_tensor
shard_of(const struct voco_step *step, const struct voco_tensor *x, int i)
{
    const int64_t rows = x->dim[0] / step->shards;

    return voco_slice(x, i * rows, rows);
}

/* The losses of shard i, behind its heads. */
static void
losses(struct voco_step *step, int i)
{
    const struct voco_contrast_set set = {
        .volumes = step->volumes / step->shards, .sw = step->sw,
        .weight = 1.0 / (double)step->volumes, .inter = step->inter, .reg = step->reg };
    const struct voco_tensor student = shard_of(step, &step->student, i);
    const struct voco_tensor teacher = shard_of(step, &step->teacher, i);
    const struct voco_tensor labels = shard_of(step, &step->labels, i);
    const struct voco_tensor predicted = shard_of(step, &step->predicted, i);
    const struct voco_tensor dstudent = shard_of(step, &step->dstudent, i);

    voco_contrast(step->ctx, &set, &student, has_teacher(step->model) ? &teacher : NULL, &labels,
                  &step->terms, &predicted, &dstudent);
}

static void
teach(struct voco_step *step, const struct voco_weights *w, int i)
{
    const struct voco_tensor embedding = shard_of(step, &step->embedding, i);
    const struct voco_tensor teacher = shard_of(step, &step->teacher, i);

    if (has_teacher(step->model) && !step->ctx->err)
        voco_head_forward(step->ctx, w, &step->model->head[VOCO_TEACHER], &embedding,
                          &teacher, NULL);
}

/* Heads and losses of shard i: embedding -> dembedding, and the student's gradients. */
static void
contrast_shard(struct voco_step *step, int i)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_head *head = &step->model->head[VOCO_STUDENT];
    const struct voco_weights w = voco_model_weights(step->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor dropped = shard_of(step, &step->dropped, i);
    const struct voco_tensor student = shard_of(step, &step->student, i);
    const struct voco_tensor dstudent = shard_of(step, &step->dstudent, i);
    const struct voco_tensor dembedding = shard_of(step, &step->dembedding, i);
    struct voco_head_saved saved;

    voco_head_forward(ctx, &w, head, &dropped, &student, &saved);
    teach(step, &w, i);
    if (!ctx->err)
        losses(step, i);
    if (!ctx->err)
        voco_head_backward(ctx, &w, head, &saved, &dstudent, &dembedding);
    voco_arena_release(&ctx->keep, mark);
}

/* Heads and losses: embedding -> dembedding, and the student's gradients. */
static void
contrast(struct voco_step *step, const struct voco_step_input *in)
{
    struct voco_ctx *ctx = step->ctx;

    upload_small(step, in, step->drop);
    ctx->dev->scale_rows(ctx, &step->embedding, &step->factor, &step->dropped);
    ctx->dev->fill(ctx, &step->terms, 0.0);
    for (int i = 0; i < step->shards && !ctx->err; i++)
        contrast_shard(step, i);
    if (!ctx->err)
        ctx->dev->scale_rows(ctx, &step->dembedding, &step->factor, &step->dembedding);
}

/* Backward over all groups, those without kept activations last. */
static void
backward(struct voco_step *step, const struct voco_step_input *in, size_t mark)
{
    struct voco_ctx *ctx = step->ctx;
    const int groups = groups_of(step), again = groups - step->grouping.kept;

    for (int g = groups - 1; g >= again && !ctx->err && !stopping(step); g--)
        backward_group(step, g, &step->saved[g - again]);
    voco_arena_release(&ctx->keep, mark);
    /* three lean groups have left room for a whole one, fewer have not */
    for (int g = again - 1; g >= 0 && !ctx->err && !stopping(step); g--) {
        ctx->lean = step->grouping.lean > 0 && step->grouping.kept < 3;
        forward_group(step, in, g, &step->saved[0]);
        ctx->lean = false;
        if (!ctx->err)
            backward_group(step, g, &step->saved[0]);
        voco_arena_release(&ctx->keep, mark);
    }
}

enum voco_err
voco_step_gradient(struct voco_step *step, const struct voco_step_input *in,
                   const volatile sig_atomic_t *stop, double ret_term[VOCO_CONTRAST_TERMS])
{
    const struct voco_tensor host = voco_view(ret_term, VOCO_F64, 1,
                                              (int64_t)VOCO_CONTRAST_TERMS);
    struct voco_ctx *ctx = step->ctx;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int groups = groups_of(step), again = groups - step->grouping.kept;
    const double start_s = voco_seconds();

    step->stop = stop;
    for (int g = 0; g < groups && !ctx->err && !stopping(step); g++) {
        ctx->lean = g - again < step->grouping.lean;
        forward_group(step, in, g, g < again ? NULL : &step->saved[g - again]);
    }
    ctx->lean = false;
    if (!ctx->err && !stopping(step))
        contrast(step, in);
    step->forward_s = voco_seconds() - start_s;
    if (!ctx->err && !stopping(step))
        backward(step, in, mark);
    voco_arena_release(&ctx->keep, mark);
    if (!ctx->err && stopping(step))
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    if (!ctx->err)
        ctx->dev->download(ctx, &step->terms, &host);
    step->backward_s = voco_seconds() - start_s - step->forward_s;
    return ctx->err;
}

enum voco_err
voco_step_predict(struct voco_step *step, const struct voco_step_input *in)
{
    const struct voco_weights w = voco_model_weights(step->model);
    struct voco_ctx *ctx = step->ctx;

    for (int g = 0; g < groups_of(step) && !ctx->err; g++)
        forward_group(step, in, g, NULL);
    if (ctx->err)
        return ctx->err;
    upload_small(step, in, 0.0);
    ctx->dev->fill(ctx, &step->terms, 0.0);
    for (int i = 0; i < step->shards && !ctx->err; i++) {
        const struct voco_tensor embedding = shard_of(step, &step->embedding, i);
        const struct voco_tensor student = shard_of(step, &step->student, i);

        voco_head_forward(ctx, &w, &step->model->head[VOCO_STUDENT], &embedding, &student,
                          NULL);
        teach(step, &w, i);
        if (!ctx->err)
            losses(step, i);
    }
    return ctx->err;
}

static void
download(struct voco_step *step, const struct voco_tensor *x, float *out)
{
    struct voco_tensor host = *x;

    host.data = out;
    host.type = VOCO_F32;
    step->ctx->dev->download(step->ctx, x, &host);
}

void
voco_step_embeddings(struct voco_step *step, float *out)
{
    download(step, &step->embedding, out);
}

void
voco_step_predicted(struct voco_step *step, float *out)
{
    download(step, &step->predicted, out);
}

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
voco_step_probe(struct voco_ctx *ctx, const struct voco_model *model, const float *crops,
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
        struct voco_tensor host = y;

        if (ctx->err)
            break;
        host.type = VOCO_F32;
        host.data = out + first * width;
        voco_encoder_forward(ctx, &w, &model->encoder, &x, &y, NULL);
        ctx->dev->download(ctx, &y, &host);
        voco_arena_release(&ctx->keep, mark);
    }
    return ctx->err;
}
