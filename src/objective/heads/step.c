/* Rotation, contrast and reconstruction in two passes over the micro-batches. */
#include "objective/heads/step.h"

#include <stdlib.h>

#include "base/log.h"
#include "objective/heads/inputs.h"

static const double temperature = 0.5;
static const double least_norm = 1e-12;         /* of a contrast vector */

/* The encoder's activations for a micro-batch, and the map t = n(h4) that the heads read. */
struct voco_heads_deepest {
    struct voco_encoder_saved encoder;
    struct voco_tensor t, mean, rstd;
};

int
voco_heads_rows(const struct voco_heads_step *step)
{
    return VOCO_CUTVIEWS * step->crops;
}

static int
groups_of(const struct voco_heads_step *step)
{
    return (voco_heads_rows(step) + step->grouping.group - 1) / step->grouping.group;
}

static struct voco_tensor
push_crops(struct voco_ctx *ctx, struct voco_arena *arena, int64_t n, int64_t roi)
{
    return voco_push_real(ctx, arena, 5, n, roi, roi, roi, INT64_C(1));
}

enum voco_err
voco_heads_step_init(struct voco_heads_step *step, struct voco_ctx *ctx,
                     struct voco_model *model, int crops, int roi, int shards,
                     struct voco_grouping grouping)
{
    const int64_t rows = (int64_t)VOCO_CUTVIEWS * crops, voxels = (int64_t)roi * roi * roi;
    const struct voco_params *params = &model->params;
    const int64_t turns = params->item[model->swinheads.rotation.b].count;
    const int64_t width = params->item[model->swinheads.contrast.b].count;
    const int64_t numbers = (rows + crops + 1) * voxels + rows * (2 * turns + 2 * width + 3);
    struct voco_arena *a = &step->memory;
    enum voco_err err;

    VOCO_ASSERT(crops % shards == 0 && roi % VOCO_HEADS_MULTIPLE == 0
                && roi >= VOCO_HEADS_ROI_MIN && turns == VOCO_TURNS);
    *step = (struct voco_heads_step){ .ctx = ctx, .model = model, .crops = crops, .roi = roi,
                                      .shards = shards, .grouping = grouping };
    if (step->grouping.kept > groups_of(step))
        step->grouping.kept = groups_of(step);
    err = ctx->dev->reserve(ctx, ((size_t)numbers + 1024) * voco_type_bytes(ctx->dev->real),
                            a);
    if (err != VOCO_OK)
        return err;
    step->saved = calloc((size_t)step->grouping.kept, sizeof *step->saved);
    step->host_noise = malloc((size_t)voxels * sizeof *step->host_noise);
    step->host_rows = malloc((size_t)rows * sizeof *step->host_rows);
    if (!step->saved || !step->host_noise || !step->host_rows)
        return voco_fail(VOCO_EMEMORY, "no memory for the bookkeeping of a step");
    step->x = push_crops(ctx, a, crops, roi);
    step->input = push_crops(ctx, a, rows, roi);
    step->noise = push_crops(ctx, a, 1, roi);
    step->logits = voco_push_real(ctx, a, 2, rows, turns);
    step->dlogits = voco_push_like(ctx, a, &step->logits);
    step->vectors = voco_push_real(ctx, a, 2, rows, width);
    step->dvectors = voco_push_like(ctx, a, &step->vectors);
    step->turn = voco_push_real(ctx, a, 1, rows);
    step->partner = voco_push_real(ctx, a, 1, rows);
    step->counts = voco_push_real(ctx, a, 1, rows);
    step->terms = voco_push_real(ctx, a, 1, (int64_t)VOCO_HEADS_TERMS);
    return ctx->err;
}

void
voco_heads_step_free(struct voco_heads_step *step)
{
    voco_arena_free(&step->memory);
    free(step->saved);
    free(step->host_noise);
    free(step->host_rows);
    *step = (struct voco_heads_step){ 0 };
}

static bool
stopping(const struct voco_heads_step *step)
{
    return step->stop && *step->stop;
}

/* ---- the encoder ---- */

static int
first_of(const struct voco_heads_step *step, int g)
{
    return g * step->grouping.group;
}

static int
rows_of(const struct voco_heads_step *step, int g)
{
    const int left = voco_heads_rows(step) - first_of(step, g);

    return left < step->grouping.group ? left : step->grouping.group;
}

/* The deepest map of input x; keep says on which arena it lies. */
static void
deepest_forward(struct voco_heads_step *step, const struct voco_tensor *x, enum voco_keep keep,
                struct voco_heads_deepest *d)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    struct voco_arena *arena = keep == VOCO_KEEP_NOTHING ? &ctx->temp : &ctx->keep;
    const struct voco_tensor *h;

    d->encoder.keep = keep;
    voco_encoder_trunk_forward(ctx, &w, &step->model->encoder, x, &d->encoder);
    if (ctx->err)
        return;
    h = &d->encoder.h[VOCO_STAGES];
    d->t = voco_push_like(ctx, arena, h);
    d->mean = voco_push_real(ctx, arena, 1, voco_rows(h));
    d->rstd = voco_push_like(ctx, arena, &d->mean);
    if (!ctx->err)
        voco_channelnorm_forward(ctx, h, &d->t, &d->mean, &d->rstd);
}

/* Logits and vectors of micro-batch g; with saved, its activations stay on keep. */
static void
forward_group(struct voco_heads_step *step, int g, struct voco_heads_deepest *saved)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const struct voco_swinheads *h = &step->model->swinheads;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int first = first_of(step, g), n = rows_of(step, g);
    const struct voco_tensor x = voco_slice(&step->input, first, n);
    const struct voco_tensor logits = voco_slice(&step->logits, first, n);
    const struct voco_tensor vectors = voco_slice(&step->vectors, first, n);
    struct voco_heads_deepest local;
    struct voco_heads_deepest *d = saved ? saved : &local;

    deepest_forward(step, &x, saved ? VOCO_KEEP_ALL : VOCO_KEEP_NOTHING, d);
    if (ctx->err)
        return;
    voco_tokenhead_forward(ctx, &w, &h->rotation, &d->t, &logits);
    voco_tokenhead_forward(ctx, &w, &h->contrast, &d->t, &vectors);
    voco_arena_release(&ctx->temp, mark);
}

/* dt: the gradient of the map t, which is consumed. */
static void
deepest_backward(struct voco_heads_step *step, struct voco_heads_deepest *d,
                 const struct voco_tensor *dt)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const size_t mark = voco_arena_mark(&ctx->grad);
    struct voco_tensor dh[VOCO_STAGES + 1];

    for (int i = 0; i < VOCO_STAGES; i++) {     /* they feed the next level alone */
        dh[i] = voco_push_like(ctx, &ctx->grad, &d->encoder.h[i]);
        if (ctx->err)
            return;
        ctx->dev->fill(ctx, &dh[i], 0.0);
    }
    dh[VOCO_STAGES] = *dt;
    voco_channelnorm_backward(ctx, &d->encoder.h[VOCO_STAGES], &d->mean, &d->rstd, dt, dt);
    voco_encoder_trunk_backward(ctx, &w, &step->model->encoder, &d->encoder, dh, VOCO_STAGES,
                                NULL);
    voco_arena_release(&ctx->grad, mark);
}

/* ---- rotation and contrast ---- */

/* The rows of shard i. */
static struct voco_tensor
shard_of(const struct voco_heads_step *step, const struct voco_tensor *x, int i)
{
    const int64_t rows = x->dim[0] / step->shards;

    return voco_slice(x, i * rows, rows);
}

static struct voco_tensor
term_of(const struct voco_heads_step *step, int term)
{
    return voco_slice(&step->terms, term, 1);
}

/* Cross-entropy of all rows of x and its gradient, rows of one item. */
static void
cross_entropy(struct voco_heads_step *step, const struct voco_softmax_ce *o,
              const struct voco_tensor *x, const struct voco_tensor *target, double weight,
              const struct voco_tensor *loss, const struct voco_tensor *dx)
{
    const struct voco_tensor rows = voco_reshape(x, 3, INT64_C(1), x->dim[0], x->dim[1]);
    const struct voco_tensor drows = voco_reshape(dx, 3, INT64_C(1), x->dim[0], x->dim[1]);
    const struct voco_tensor classes = voco_reshape(target, 2, INT64_C(1), target->dim[0]);
    const struct voco_tensor count = voco_slice(&step->counts, 0, 1);

    step->ctx->dev->softmax_ce_forward(step->ctx, o, &rows, &classes, weight, &count, loss);
    step->ctx->dev->softmax_ce_backward(step->ctx, o, &rows, &classes, &count, weight, &drows);
}

static void
rotation(struct voco_heads_step *step)
{
    const struct voco_softmax_ce plain = { .scale = 1.0 };
    const struct voco_tensor loss = term_of(step, VOCO_TERM_ROTATION);

    cross_entropy(step, &plain, &step->logits, &step->turn, 1.0, &loss, &step->dlogits);
}

/* NT-Xent of shard i: similarities of all its rows with each other, the row itself left out,
 * are the logits of a choice whose answer is the other view. */
static void
contrast_shard(struct voco_heads_step *step, int i)
{
    const struct voco_softmax_ce sharp = { .scale = 1.0 / temperature, .skip_self = true };
    struct voco_ctx *ctx = step->ctx;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor x = shard_of(step, &step->vectors, i);
    const struct voco_tensor dx = shard_of(step, &step->dvectors, i);
    const struct voco_tensor partner = shard_of(step, &step->partner, i);
    const struct voco_tensor loss = term_of(step, VOCO_TERM_CONTRAST);
    const struct voco_tensor z = voco_push_like(ctx, &ctx->temp, &x);
    const struct voco_tensor dz = voco_push_like(ctx, &ctx->temp, &x);
    const struct voco_tensor norm = voco_push_real(ctx, &ctx->temp, 1, x.dim[0]);
    const struct voco_tensor s = voco_push_real(ctx, &ctx->temp, 2, x.dim[0], x.dim[0]);
    const struct voco_tensor ds = voco_push_like(ctx, &ctx->temp, &s);

    if (ctx->err)
        return;
    ctx->dev->l2norm_forward(ctx, &x, least_norm, &z, &norm);
    ctx->dev->linear_forward(ctx, &z, &z, NULL, &s);
    cross_entropy(step, &sharp, &s, &partner, 1.0 / step->shards, &loss, &ds);
    ctx->dev->linear_backward_data(ctx, &ds, &z, &dz);          /* s = z z': both places of z */
    ctx->dev->linear_backward_weights(ctx, &z, &ds, &dz, NULL);
    ctx->dev->l2norm_backward(ctx, &z, &norm, &dz, &dx);
    voco_arena_release(&ctx->temp, mark);
}

/* ---- reconstruction, and back ---- */

/* The targets of rows [first, first+n), on keep. */
static struct voco_tensor
push_targets(struct voco_heads_step *step, int first, int n)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_tensor target = push_crops(ctx, &ctx->keep, n, step->roi);

    for (int i = 0; i < n && !ctx->err; i++) {
        const struct voco_tensor y = voco_slice(&target, i, 1);

        voco_heads_target(step, first + i, &y);
    }
    return target;
}

/* Decoder and loss of micro-batch g -> dt, overwritten. */
static void
reconstruct(struct voco_heads_step *step, int g, const struct voco_heads_deepest *d,
            const struct voco_tensor *dt)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const struct voco_reconstruct *decoder = &step->model->swinheads.image;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int n = rows_of(step, g);
    const double weight = (double)n / (double)voco_heads_rows(step);
    const struct voco_tensor target = push_targets(step, first_of(step, g), n);
    const struct voco_tensor y = voco_push_like(ctx, &ctx->keep, &target);
    const struct voco_tensor dy = voco_push_like(ctx, &ctx->keep, &target);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 1, (int64_t)n);
    const struct voco_tensor loss = term_of(step, VOCO_TERM_RECONSTRUCTION);
    struct voco_tensor flat_y, flat_t, flat_dy;
    struct voco_reconstruct_saved saved;

    if (ctx->err)
        return;
    flat_y = voco_as_voxels(&y);
    flat_t = voco_as_voxels(&target);
    flat_dy = voco_as_voxels(&dy);
    voco_reconstruct_forward(ctx, &w, decoder, &d->t, &y, &saved);
    if (ctx->err)
        return;
    ctx->dev->masked_error_forward(ctx, 1, &flat_y, &flat_t, NULL, weight, &sums, &loss);
    ctx->dev->masked_error_backward(ctx, 1, &flat_y, &flat_t, NULL, &sums, weight, &flat_dy);
    voco_reconstruct_backward(ctx, &w, decoder, &saved, &dy, dt);
    voco_arena_release(&ctx->keep, mark);
}

/* Adds the gradients of logits and vectors of micro-batch g to dt. */
static void
tokens_backward(struct voco_heads_step *step, int g, const struct voco_heads_deepest *d,
                const struct voco_tensor *dt)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const struct voco_swinheads *h = &step->model->swinheads;
    const size_t mark = voco_arena_mark(&ctx->grad);
    const int first = first_of(step, g), n = rows_of(step, g);
    const struct voco_tensor dlogits = voco_slice(&step->dlogits, first, n);
    const struct voco_tensor dvectors = voco_slice(&step->dvectors, first, n);
    const struct voco_tensor dtokens = voco_push_like(ctx, &ctx->grad, dt);

    if (ctx->err)
        return;
    ctx->dev->fill(ctx, &dtokens, 0.0);
    voco_tokenhead_backward(ctx, &w, &h->rotation, &d->t, &dlogits, &dtokens);
    voco_tokenhead_backward(ctx, &w, &h->contrast, &d->t, &dvectors, &dtokens);
    ctx->dev->add(ctx, &dtokens, dt);
    voco_arena_release(&ctx->grad, mark);
}

static void
backward_group(struct voco_heads_step *step, int g, struct voco_heads_deepest *d)
{
    struct voco_ctx *ctx = step->ctx;
    const size_t mark = voco_arena_mark(&ctx->grad);
    const struct voco_tensor dt = voco_push_like(ctx, &ctx->grad, &d->t);

    if (ctx->err)
        return;
    reconstruct(step, g, d, &dt);
    if (!ctx->err)
        tokens_backward(step, g, d, &dt);
    if (!ctx->err)
        deepest_backward(step, d, &dt);
    voco_arena_release(&ctx->grad, mark);
}

/* Backward over all micro-batches, those without kept activations last. */
static void
backward(struct voco_heads_step *step, size_t mark)
{
    struct voco_ctx *ctx = step->ctx;
    const int groups = groups_of(step), again = groups - step->grouping.kept;

    for (int g = groups - 1; g >= again && !ctx->err && !stopping(step); g--)
        backward_group(step, g, &step->saved[g - again]);
    voco_arena_release(&ctx->keep, mark);
    for (int g = again - 1; g >= 0 && !ctx->err && !stopping(step); g--) {
        forward_group(step, g, &step->saved[0]);
        if (!ctx->err)
            backward_group(step, g, &step->saved[0]);
        voco_arena_release(&ctx->keep, mark);
    }
}

enum voco_err
voco_heads_gradient(struct voco_heads_step *step, const struct voco_heads_input *in,
                    const volatile sig_atomic_t *stop, double ret_term[VOCO_HEADS_TERMS])
{
    const struct voco_tensor host = voco_view(ret_term, VOCO_F64, 1,
                                              (int64_t)VOCO_HEADS_TERMS);
    struct voco_ctx *ctx = step->ctx;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int groups = groups_of(step), again = groups - step->grouping.kept;
    const double start_s = voco_seconds();

    step->stop = stop;
    ctx->dev->fill(ctx, &step->terms, 0.0);
    voco_heads_inputs(step, in);
    for (int g = 0; g < groups && !ctx->err && !stopping(step); g++)
        forward_group(step, g, g < again ? NULL : &step->saved[g - again]);
    if (!ctx->err && !stopping(step)) {
        rotation(step);
        for (int i = 0; i < step->shards && !ctx->err; i++)
            contrast_shard(step, i);
    }
    step->forward_s = voco_seconds() - start_s;
    if (!ctx->err && !stopping(step))
        backward(step, mark);
    voco_arena_release(&ctx->keep, mark);
    if (!ctx->err && stopping(step))
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    if (!ctx->err)
        ctx->dev->download(ctx, &step->terms, &host);
    step->backward_s = voco_seconds() - start_s - step->forward_s;
    return ctx->err;
}

/* ---- to look at ---- */

static void
download(struct voco_ctx *ctx, const struct voco_tensor *x, float *out)
{
    struct voco_tensor host = *x;

    host.data = out;
    host.type = VOCO_F32;
    if (!ctx->err)
        ctx->dev->download(ctx, x, &host);
}

/* The turn with the greatest logit in each of n rows. */
static void
guess(struct voco_ctx *ctx, const struct voco_tensor *logits, int *ret)
{
    const int64_t n = logits->dim[0];
    float *x = calloc((size_t)n, VOCO_TURNS * sizeof *x);

    VOCO_NEED(x);
    download(ctx, logits, x);
    for (int64_t i = 0; i < n; i++) {
        ret[i] = 0;
        for (int k = 1; k < VOCO_TURNS; k++)
            if (x[i * VOCO_TURNS + k] > x[i * VOCO_TURNS + ret[i]])
                ret[i] = k;
    }
    free(x);
}

double
voco_heads_rotation_accuracy(struct voco_heads_step *step)
{
    const int rows = voco_heads_rows(step);
    int *turns = malloc((size_t)rows * sizeof *turns), right = 0;

    VOCO_NEED(turns);
    guess(step->ctx, &step->logits, turns);
    for (int r = 0; r < rows; r++)
        right += turns[r] == voco_heads_view(step, r)->turns;
    free(turns);
    return (double)right / (double)rows;
}

void
voco_heads_vectors(struct voco_heads_step *step, float *out)
{
    download(step->ctx, &step->vectors, out);
}

/* From the deepest map of one view. */
static void
answer(struct voco_heads_step *step, const struct voco_heads_deepest *d, float *image,
       int *ret_turns)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_weights w = voco_model_weights(step->model);
    const struct voco_swinheads *h = &step->model->swinheads;
    const struct voco_tensor logits = voco_slice(&step->logits, 0, 1);
    const struct voco_tensor y = push_crops(ctx, &ctx->temp, 1, step->roi);

    if (ctx->err)
        return;
    voco_tokenhead_forward(ctx, &w, &h->rotation, &d->t, &logits);
    guess(ctx, &logits, ret_turns);
    voco_reconstruct_forward(ctx, &w, &h->image, &d->t, &y, NULL);
    download(ctx, &y, image);
}

enum voco_err
voco_heads_reconstruct(struct voco_heads_step *step, const struct voco_heads_input *in,
                       int view, int crop, float *input, float *target, float *image,
                       int *ret_turns)
{
    struct voco_ctx *ctx = step->ctx;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int row = voco_heads_row(step, view, crop);
    const struct voco_tensor x = voco_slice(&step->input, row, 1);
    struct voco_heads_deepest d;

    voco_heads_inputs(step, in);
    if (!ctx->err)
        deepest_forward(step, &x, VOCO_KEEP_NOTHING, &d);
    if (!ctx->err)
        answer(step, &d, image, ret_turns);
    download(ctx, &x, input);
    if (!ctx->err)
        voco_heads_target(step, row, &x);
    download(ctx, &x, target);
    voco_arena_release(&ctx->temp, mark);
    return ctx->err;
}
