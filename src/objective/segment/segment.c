/* Segmentation: the network between host arrays, and its plan. */
#include "objective/segment/segment.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- axes ---- */

/* The sizes of the network's axes. */
static void
turned_size(const struct voco_model_config *config, const int64_t size[3], int64_t ret[3])
{
    for (int i = 0; i < 3; i++)
        ret[i] = size[voco_model_axis(config, i)];
}

/* Items [n][size][c] on the volume's axes to or from the network's. */
static void
turn(const struct voco_model_config *config, const int64_t size[3], int64_t n, int64_t c,
     const float *from, float *to, bool to_network)
{
    const int64_t step[3] = { size[1] * size[2] * c, size[2] * c, c };
    const int64_t item = size[0] * step[0];
    const int a0 = voco_model_axis(config, 0), a1 = voco_model_axis(config, 1);
    const int a2 = voco_model_axis(config, 2);

    #pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < n * size[a0]; row++) {
        int64_t network = row * (item / size[a0]);
        const int64_t first = row / size[a0] * item + row % size[a0] * step[a0];

        for (int64_t j = 0; j < size[a1]; j++)
            for (int64_t k = 0; k < size[a2]; k++, network += c) {
                const int64_t volume = first + j * step[a1] + k * step[a2];

                memcpy(to + (to_network ? network : volume),
                       from + (to_network ? volume : network), (size_t)c * sizeof *to);
            }
    }
}

/* The same items on the network's axes; *ret_owned is NULL where these are the volume's.
 * Free it. */
static enum voco_err
turn_in(const struct voco_model_config *config, const int64_t size[3], int64_t n, int64_t c,
        const float *x, const float **ret, float **ret_owned)
{
    *ret = x;
    *ret_owned = NULL;
    if (config->axes == 0)
        return VOCO_OK;
    *ret_owned = malloc((size_t)(n * size[0] * size[1] * size[2] * c) * sizeof *x);
    if (!*ret_owned)
        return voco_fail(VOCO_EMEMORY, "no memory for a batch on the network's axes");
    turn(config, size, n, c, x, *ret_owned, true);
    *ret = *ret_owned;
    return VOCO_OK;
}

/* ---- logits ---- */

/* Everything on the network's axes. */
static enum voco_err
network_logits(struct voco_ctx *ctx, const struct voco_model *model, const float *windows,
               int n, const int64_t size[3], float *out)
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
        voco_segnet_forward(ctx, &w, &model->net, &x, &y, 1, NULL);
    if (!ctx->err)
        ctx->dev->download(ctx, &y, &host);
    voco_arena_release(&ctx->keep, mark);
    return ctx->err;
}

enum voco_err
voco_segment_logits(struct voco_ctx *ctx, const struct voco_model *model,
                    const float *windows, int n, const int64_t size[3], float *out)
{
    const struct voco_model_config *c = &model->config;
    const size_t count = (size_t)(n * size[0] * size[1] * size[2] * c->classes);
    const float *x;
    float *owned, *y = out;
    int64_t turned[3];
    enum voco_err err = turn_in(c, size, n, c->in_channels, windows, &x, &owned);

    turned_size(c, size, turned);
    if (err == VOCO_OK && owned && !(y = malloc(count * sizeof *y)))
        err = voco_fail(VOCO_EMEMORY, "no memory for logits on the network's axes");
    if (err == VOCO_OK)
        err = network_logits(ctx, model, x, n, turned, y);
    if (err == VOCO_OK && owned)
        turn(c, size, n, c->classes, y, out, false);
    if (y != out)
        free(y);
    free(owned);
    return err;
}

/* ---- loss and gradient ---- */

/* The labels of output i: those at the middle of its larger voxels, the upper one of two,
 * as nnU-Net takes them. */
static enum voco_err
shrink_labels(const struct voco_segment_batch *b, int first, int n, const int64_t by[3],
              float **ret)
{
    const int64_t size[3] = { b->size[0] / by[0], b->size[1] / by[1], b->size[2] / by[2] };
    float *to;

    *ret = to = malloc((size_t)(n * size[0] * size[1] * size[2]) * sizeof *to);
    if (!to)
        return voco_fail(VOCO_EMEMORY, "no memory for labels of less resolution");
    for (int64_t r = 0; r < n * size[0] * size[1]; r++) {
        const int64_t item = r / size[0] / size[1] + first;
        const int64_t i = r / size[1] % size[0] * by[0] + by[0] / 2;
        const int64_t j = r % size[1] * by[1] + by[1] / 2;
        const float *row = b->label + ((item * b->size[0] + i) * b->size[1] + j) * b->size[2];

        for (int64_t k = 0; k < size[2]; k++)
            *to++ = row[k * by[2] + by[2] / 2];
    }
    return VOCO_OK;
}

/* The labels of output i on keep. */
static struct voco_tensor
upload_labels(struct voco_ctx *ctx, const struct voco_segment_batch *b, int first, int n,
              const int64_t by[3])
{
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2], less = by[0] * by[1] * by[2];
    const struct voco_tensor flat = voco_view(NULL, VOCO_F32, 1, n * (voxels / less));
    struct voco_tensor label;
    float *shrunk;
    enum voco_err err;

    if (less == 1 || ctx->keep.planning) {
        label = upload(ctx, b->label + first * voxels, flat);
    } else {
        err = shrink_labels(b, first, n, by, &shrunk);
        if (err != VOCO_OK)
            voco_ctx_fail(ctx, err);
        label = upload(ctx, shrunk, flat);
        free(shrunk);
    }
    return voco_view(label.data, label.type, 2, (int64_t)n, voxels / less);
}

/* One output's share of the loss, and with train its gradient in the place of y. */
static void
output_loss(struct voco_ctx *ctx, const struct voco_dicece *o, const struct voco_tensor *y,
            const struct voco_tensor *label, double weight, bool train,
            const struct voco_tensor *loss)
{
    const struct voco_tensor flat = voco_as_voxels(y);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 3, y->dim[0], y->dim[4],
                                              (int64_t)3);

    if (!ctx->err) {
        ctx->dev->dicece_forward(ctx, o, &flat, label, weight, &sums, loss);
        if (train)
            ctx->dev->dicece_backward(ctx, o, &flat, label, &sums, weight, &flat);
    }
    voco_arena_release(&ctx->keep, mark);
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
    const int64_t cin = model->config.in_channels;
    const struct voco_tensor x = upload(ctx, b->image + first * voxels * cin,
                                        shape_of(n, b->size, cin));
    struct voco_tensor y[VOCO_OUTPUTS], label[VOCO_OUTPUTS];
    struct voco_segnet_saved saved;
    double weight[VOCO_OUTPUTS];
    const int outputs = voco_segnet_outputs(&model->net, weight);

    for (int i = 0; i < outputs; i++) {
        int64_t by[3], size[3];
        struct voco_tensor like;

        voco_segnet_shrink(&model->net, i, by);
        for (int k = 0; k < 3; k++)
            size[k] = b->size[k] / by[k];
        like = shape_of(n, size, model->config.classes);
        label[i] = upload_labels(ctx, b, first, n, by);
        y[i] = voco_push_like(ctx, &ctx->keep, &like);
    }
    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &model->net, &x, y, outputs, train ? &saved : NULL);
    for (int i = 0; i < outputs && !ctx->err; i++)
        output_loss(ctx, o, &y[i], &label[i], weight[i] * n / b->n, train, loss);
    if (train && !ctx->err)
        voco_segnet_backward(ctx, &w, &model->net, &saved, y, outputs);
    voco_arena_release(&ctx->keep, mark);
}

static enum voco_err
run_batch(struct voco_ctx *ctx, const struct voco_model *model, const struct voco_dicece *o,
          const struct voco_segment_batch *b, int group, bool train,
          struct voco_segment_result *ret)
{
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor loss = voco_push_real(ctx, &ctx->keep, 1, INT64_C(2));
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
                                         .loss = host[0] + host[1] };
    if (stopped && !ctx->err)
        return voco_fail(VOCO_ESTOPPED, "stopped inside a step");
    return ctx->err;
}

/* A batch on the network's axes. */
struct turned {
    struct voco_segment_batch batch;
    float *image, *label;       /* owned */
};

static enum voco_err
turn_batch(const struct voco_model_config *c, const struct voco_segment_batch *b,
           struct turned *ret)
{
    enum voco_err err;

    *ret = (struct turned){ .batch = *b };
    turned_size(c, b->size, ret->batch.size);
    err = turn_in(c, b->size, b->n, c->in_channels, b->image, &ret->batch.image,
                  &ret->image);
    if (err == VOCO_OK)
        err = turn_in(c, b->size, b->n, 1, b->label, &ret->batch.label, &ret->label);
    return err;
}

static void
turned_free(struct turned *t)
{
    free(t->image);
    free(t->label);
}

enum voco_err
voco_segment_loss(struct voco_ctx *ctx, const struct voco_model *model,
                  const struct voco_dicece *o, const struct voco_segment_batch *batch,
                  int group, struct voco_segment_result *ret)
{
    struct turned t;
    enum voco_err err = turn_batch(&model->config, batch, &t);

    if (err == VOCO_OK)
        err = run_batch(ctx, model, o, &t.batch, group, false, ret);
    turned_free(&t);
    return err;
}

enum voco_err
voco_segment_gradient(struct voco_ctx *ctx, struct voco_model *model,
                      const struct voco_dicece *o, const struct voco_segment_batch *batch,
                      int group, struct voco_segment_result *ret)
{
    struct turned t;
    enum voco_err err = turn_batch(&model->config, batch, &t);

    if (err == VOCO_OK)
        err = run_batch(ctx, model, o, &t.batch, group, true, ret);
    turned_free(&t);
    return err;
}

/* ---- memory ---- */

/* Items in a micro-batch, at most: the voxels of four crops of 64^3.  More are not faster:
 * windows of 96^3 take 1.95 s each one by one and 2.05 four at a time (2 cores Zen 4). */
static int
most_items(const struct voco_segment_request *r)
{
    const int64_t items = (INT64_C(4) << 18) / (r->size[0] * r->size[1] * r->size[2]);
    const int most = r->n < 4 ? r->n : 4;

    return items < 1 ? 1 : items < most ? (int)items : most;
}

/* On ladder 0 activations are kept, on ladder 1 those inside blocks are recomputed. */
static int
choices(const struct voco_plan_job *job, int k)
{
    return k < (job->training ? 2 : 1) ? voco_plan_halvings(most_items(job->user)) : 0;
}

static struct voco_grouping
choice(const struct voco_plan_job *job, int k, int i)
{
    return (struct voco_grouping){ .group = voco_plan_halved(most_items(job->user), i),
                                   .again = k == 1 };
}

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    const struct voco_segment_request *r = job->user;
    const struct voco_dicece o = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };
    const int64_t voxels = r->n * r->size[0] * r->size[1] * r->size[2];
    /* a batch out of reach: in a planning context nobody reads it */
    float *const nowhere = model->weight.data;
    struct voco_segment_batch nothing = { .n = r->n, .image = nowhere, .label = nowhere };
    struct voco_segment_result result;

    turned_size(&r->model, r->size, nothing.size);
    voco_segnet_set_again(&model->net, grouping->again);
    voco_segnet_set_frozen(&model->net, r->frozen);
    ctx->inference = !r->training;
    if (r->model.axes)                  /* images, labels, logits on the network's axes */
        *bytes += 4 * (uint64_t)voxels * (uint64_t)(r->model.in_channels + r->model.classes);
    if (r->training) {
        ctx->dev->fill(ctx, &model->grad, 0.0);
        voco_model_grad_squared(model, ctx);
    }
    return run_batch(ctx, model, &o, &nothing, grouping->group, r->training, &result);
}

void
voco_segment_job(const struct voco_segment_request *r, struct voco_plan_job *ret)
{
    *ret = (struct voco_plan_job){
        .user = r, .name = r->training ? "a step of this network and crop"
                                       : "this network with its windows",
        .advice = "--roi", .model = r->model, .training = r->training, .items = r->n,
        .choices = choices, .choice = choice, .rehearse = rehearse,
    };
}

enum voco_err
voco_segment_plan(const struct voco_device *dev, const struct voco_segment_request *r,
                  struct voco_plan *ret)
{
    struct voco_plan_job job;

    voco_segment_job(r, &job);
    return voco_plan_make(dev, &job, &(struct voco_ctx_options){ .threads = r->threads,
                                                                 .choices = r->choices },
                          r->memory, r->uses, ret);
}
