/* Segmentation: the network between host arrays, and its plan. */
#include "objective/segment/segment.h"

#include <stdlib.h>

#include "train/gradient.h"

/* ---- axes ---- */

/* Sizes along the volume's axes in the order of the network's axes. */
static void
network_size(const struct voco_model_config *config, const int64_t size[3], int64_t ret[3])
{
    for (int i = 0; i < 3; i++)
        ret[i] = size[voco_model_axis(config, i)];
}

static struct voco_tensor
shape_of(int64_t n, const int64_t size[3], int64_t c)
{
    return voco_view(NULL, VOCO_F32, 5, n, size[0], size[1], size[2], c);
}

/* Host numbers [n][size][c] on the volume's axes as a tensor on keep, on the network's. */
static struct voco_tensor
upload(struct voco_ctx *ctx, const struct voco_model_config *config, const void *host,
       enum voco_type type, int64_t n, const int64_t size[3], int64_t c)
{
    const int axis[3] = { voco_model_axis(config, 0), voco_model_axis(config, 1),
                          voco_model_axis(config, 2) };
    struct voco_tensor from = shape_of(n, size, c), x, there;
    int64_t turned[3];
    size_t mark;

    network_size(config, size, turned);
    there = shape_of(n, turned, c);
    x = voco_push_like(ctx, &ctx->keep, &there);
    mark = voco_arena_mark(&ctx->keep);
    there = config->axes ? voco_push_like(ctx, &ctx->keep, &from) : x;
    from.type = type;
    from.data = (void *)host;           /* upload only reads it */
    if (!ctx->err)
        ctx->dev->upload(ctx, &from, &there);
    if (!ctx->err && config->axes)
        ctx->dev->permute(ctx, &there, axis, &x);
    voco_arena_release(&ctx->keep, mark);
    return x;
}

/* x on the volume's axes again, into out. */
static void
download(struct voco_ctx *ctx, const struct voco_model_config *config,
         const struct voco_tensor *x, const int64_t size[3], float *out)
{
    struct voco_tensor host = shape_of(x->dim[0], size, x->dim[4]), there = *x;
    int back[3];

    for (int i = 0; i < 3; i++)
        back[voco_model_axis(config, i)] = i;
    if (config->axes) {
        there = voco_push_like(ctx, &ctx->keep, &host);
        if (!ctx->err)
            ctx->dev->permute(ctx, x, back, &there);
    }
    host.data = out;
    if (!ctx->err)
        ctx->dev->download(ctx, &there, &host);
}

/* ---- logits ---- */

enum voco_err
voco_segment_logits(struct voco_ctx *ctx, const struct voco_model *model,
                    const float *windows, int n, const int64_t size[3], float *out)
{
    const struct voco_model_config *c = &model->config;
    const struct voco_weights w = voco_model_weights(model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor x = upload(ctx, c, windows, VOCO_F32, n, size, c->in_channels);
    const struct voco_tensor like = shape_of(n, &x.dim[1], c->classes);
    const struct voco_tensor y = voco_push_like(ctx, &ctx->keep, &like);

    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &model->net, &x, &y, 1, NULL);
    if (!ctx->err)
        download(ctx, c, &y, size, out);
    voco_arena_release(&ctx->keep, mark);
    return ctx->err;
}

/* ---- loss and gradient ---- */

/* Labels for an output of less resolution, on keep: those at the middle of its larger
 * voxels, as nnU-Net takes them. */
static struct voco_tensor
shrink_labels(struct voco_ctx *ctx, const struct voco_tensor *label, const int64_t by[3])
{
    const int64_t size[3] = { label->dim[1] / by[0], label->dim[2] / by[1],
                              label->dim[3] / by[2] };
    const struct voco_tensor like = shape_of(label->dim[0], size, 1);
    struct voco_tensor less;

    if (by[0] * by[1] * by[2] == 1)
        return *label;
    less = voco_push_like(ctx, &ctx->keep, &like);
    if (!ctx->err)
        ctx->dev->subsample(ctx, label, by, &less);
    return less;
}

/* The teacher's classes for x, on keep, which are labels. */
static struct voco_tensor
teacher_labels(struct voco_ctx *ctx, const struct voco_model *model,
               const struct voco_tensor *x, double threshold)
{
    const struct voco_weights w = voco_model_teacher_weights(model);
    const struct voco_tensor like = shape_of(x->dim[0], &x->dim[1], 1);
    const struct voco_tensor logits = shape_of(x->dim[0], &x->dim[1], model->config.classes);
    const struct voco_tensor label = voco_push_like(ctx, &ctx->keep, &like);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor y = voco_push_like(ctx, &ctx->keep, &logits);

    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &model->net, x, &y, 1, NULL);
    if (!ctx->err) {
        const struct voco_tensor rows = voco_as_voxels(&y);
        const struct voco_tensor flat = voco_reshape(&label, 2, rows.dim[0], rows.dim[1]);

        ctx->dev->argmax_rows(ctx, &rows, threshold, &flat);
    }
    voco_arena_release(&ctx->keep, mark);
    return label;
}

/* One output's share of the loss, and with train its gradient in the place of y.  sums
 * [n,classes,3]: see dicece_forward. */
static void
output_loss(struct voco_ctx *ctx, const struct voco_dicece *o, const struct voco_tensor *y,
            const struct voco_tensor *label, double weight, bool train,
            const struct voco_tensor *sums, const struct voco_tensor *loss)
{
    const struct voco_tensor flat = voco_as_voxels(y);
    const struct voco_tensor truth = voco_reshape(label, 2, label->dim[0],
                                                  voco_count(label) / label->dim[0]);

    ctx->dev->dicece_forward(ctx, o, &flat, &truth, weight, sums, loss);
    if (train)
        ctx->dev->dicece_backward(ctx, o, &flat, &truth, sums, weight, &flat);
}

/* Voxels that have a class: their sum over the classes. */
static double
count_voxels(struct voco_ctx *ctx, const struct voco_tensor *sums)
{
    const int64_t n = voco_count(sums);
    double *host = calloc((size_t)n, sizeof *host), count = 0;
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, n);

    VOCO_NEED(host);
    ctx->dev->download(ctx, sums, &view);
    for (int64_t i = 2; i < n; i += 3)
        count += host[i];
    free(host);
    return count;
}

/* Items [first, first+n) of the batch: adds their share to loss [2] and, with train, to
 * the gradients.  Returns the voxels that count. */
static double
run_group(struct voco_ctx *ctx, const struct voco_model *model, const struct voco_dicece *o,
          const struct voco_segment_batch *b, int first, int n, bool train,
          const struct voco_tensor *loss)
{
    const struct voco_weights w = voco_model_weights(model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const int64_t voxels = b->size[0] * b->size[1] * b->size[2];
    const struct voco_model_config *c = &model->config;
    const int64_t cin = c->in_channels;
    const struct voco_tensor x = upload(ctx, c, b->image + first * voxels * cin, VOCO_F32, n,
                                        b->size, cin);
    const struct voco_tensor whole = b->label
        ? upload(ctx, c, b->label + first * voxels, VOCO_U8, n, b->size, 1)
        : teacher_labels(ctx, model, &x, b->threshold);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 3, (int64_t)n, c->classes,
                                                   INT64_C(3));
    double counted = (double)(n * voxels);
    struct voco_tensor y[VOCO_OUTPUTS], label[VOCO_OUTPUTS];
    struct voco_segnet_saved saved;
    double weight[VOCO_OUTPUTS];
    const int outputs = voco_segnet_outputs(&model->net, weight);

    for (int i = 0; i < outputs; i++) {
        int64_t by[3], size[3];
        struct voco_tensor like;

        voco_segnet_shrink(&model->net, i, by);
        for (int k = 0; k < 3; k++)
            size[k] = x.dim[1 + k] / by[k];
        like = shape_of(n, size, c->classes);
        label[i] = shrink_labels(ctx, &whole, by);
        y[i] = voco_push_like(ctx, &ctx->keep, &like);
    }
    if (!ctx->err)
        voco_segnet_forward(ctx, &w, &model->net, &x, y, outputs, train ? &saved : NULL);
    for (int i = 0; i < outputs && !ctx->err; i++) {
        output_loss(ctx, o, &y[i], &label[i], weight[i] * n / b->n, train, &sums, loss);
        if (i == 0 && !b->label && !ctx->err)
            counted = count_voxels(ctx, &sums);
    }
    if (train && !ctx->err)
        voco_segnet_backward(ctx, &w, &model->net, &saved, y, outputs);
    voco_arena_release(&ctx->keep, mark);
    return counted;
}

static enum voco_err
run_batch(struct voco_ctx *ctx, const struct voco_model *model, const struct voco_dicece *o,
          const struct voco_segment_batch *b, int group, bool train,
          struct voco_segment_result *ret)
{
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor loss = voco_push_real(ctx, &ctx->keep, 1, INT64_C(2));
    const double voxels = (double)b->size[0] * (double)b->size[1] * (double)b->size[2];
    double host[2] = { 0 }, counted = 0;
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, INT64_C(2));
    bool stopped = false;

    if (!ctx->err)
        ctx->dev->fill(ctx, &loss, 0.0);
    for (int i = 0; i < b->n && !ctx->err && !stopped; i += group) {
        counted += run_group(ctx, model, o, b, i, b->n - i < group ? b->n - i : group, train,
                             &loss);
        stopped = b->stop && *b->stop;
    }
    if (!ctx->err)
        ctx->dev->download(ctx, &loss, &view);
    voco_arena_release(&ctx->keep, mark);
    *ret = (struct voco_segment_result){ .dice = host[0], .ce = host[1],
                                         .loss = host[0] + host[1],
                                         .counted = counted / (b->n * voxels) };
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
    return run_batch(ctx, model, o, batch, group, true, ret);
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

/* A step of a training that nobody configured: of the objective, the gradient. */
struct rehearsal {
    struct voco_ctx *ctx;
    struct voco_model *model;
    const struct voco_segment_batch *batch;
    bool taught;
    int group;
};

static const struct voco_dicece usual_loss = { .smooth_nr = 1e-5, .smooth_dr = 1e-5 };

static enum voco_err
rehearse_gradient(void *work, const struct voco_batch_head *const batch[],
                  const volatile sig_atomic_t *stop, double *ret_term)
{
    const struct rehearsal *r = work;
    struct voco_segment_batch unlabelled = *r->batch;
    struct voco_segment_result result;
    enum voco_err err = run_batch(r->ctx, r->model, &usual_loss, r->batch, r->group, true,
                                  &result);

    (void)batch;
    (void)stop;
    *ret_term = 0;
    unlabelled.label = NULL;
    if (err == VOCO_OK && r->taught)
        err = run_batch(r->ctx, r->model, &usual_loss, &unlabelled, r->group, true, &result);
    return err;
}

static enum voco_err
rehearse(const struct voco_plan_job *job, struct voco_ctx *ctx, struct voco_model *model,
         const struct voco_grouping *grouping, uint64_t *bytes)
{
    const struct voco_segment_request *r = job->user;
    const struct voco_objective training = { .n_terms = 1, .gradient = rehearse_gradient };
    const int64_t voxels = r->n * r->size[0] * r->size[1] * r->size[2];
    /* a batch out of reach: in a planning context nobody reads it */
    void *const nowhere = model->weight.data;
    const struct voco_segment_batch nothing = {
        .n = r->n, .image = nowhere, .label = nowhere,
        .size = { r->size[0], r->size[1], r->size[2] },
    };
    struct rehearsal work = { ctx, model, &nothing, r->taught && !job->early,
                              grouping->group };
    struct voco_segment_result result;
    struct voco_gradient step;

    voco_segnet_set_again(&model->net, grouping->again);
    voco_segnet_set_frozen(&model->net, r->frozen);
    ctx->inference = !r->training;
    if (r->model.axes && !r->training)  /* logits on the volume's axes: inference has them */
        *bytes += 4 * (uint64_t)voxels * (uint64_t)r->model.classes;
    if (r->training)
        return voco_take_gradient(&training, &work, ctx, model, &voco_comm_self, NULL, NULL,
                                  &step);
    return run_batch(ctx, model, &usual_loss, &nothing, grouping->group, false, &result);
}

void
voco_segment_job(const struct voco_segment_request *r, struct voco_plan_job *ret)
{
    *ret = (struct voco_plan_job){
        .user = r, .name = r->training ? "a step of this network and crop"
                                       : "this network with its windows",
        .advice = "--roi", .model = r->model, .training = r->training,
        .items = r->taught ? 2 * r->n : r->n, .early_items = r->taught ? r->n : 0,
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
