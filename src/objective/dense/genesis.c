/* Models Genesis: the network undoes distortions.  The loss is the squared error of its
 * output behind a sigmoid. */
#include <string.h>

#include "objective/dense/dense.h"

/* ---- on the host ---- */

static int64_t
outputs(const void *config)
{
    (void)config;
    return 1;
}

static int
most_boxes(const void *config, const int64_t size[3])
{
    (void)config;
    (void)size;
    return 0;
}

static enum voco_err
check(const void *config, const int64_t size[3])
{
    (void)config;
    (void)size;
    return VOCO_OK;
}

static void
change(const void *config, const struct voco_rng_key *key, const int64_t size[3], float *x,
       float *y, void *scratch)
{
    const struct voco_genesis_config *c = config;
    const struct voco_distortion d = {
        .flip = c->flip, .shuffle = c->shuffle, .curve = c->curve, .paint = c->paint,
        .inpaint = c->inpaint, .blocks = (int)c->blocks };

    memcpy(y, x, (size_t)(size[0] * size[1] * size[2]) * sizeof *y);
    voco_distort(&d, key, size, y, x, scratch);
}

/* ---- on the device ---- */

static void
make(const void *config, struct voco_ctx *ctx, struct voco_dense_part *p)
{
    (void)config;
    p->x = voco_dense_upload(ctx, p, p->batch->x);
    p->target = voco_dense_upload(ctx, p, p->batch->y);
}

static void
loss(const void *config, struct voco_ctx *ctx, const struct voco_dense_part *p,
     const struct voco_tensor *y, const struct voco_tensor *terms)
{
    const double weight = (double)p->n / p->batch->n;
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor value = voco_push_like(ctx, &ctx->keep, y);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 1, (int64_t)p->n);
    const struct voco_tensor x = voco_as_voxels(&value), t = voco_as_voxels(&p->target);
    const struct voco_tensor dx = voco_as_voxels(y);

    (void)config;
    if (!ctx->err) {
        ctx->dev->sigmoid_forward(ctx, y, &value);
        ctx->dev->masked_error_forward(ctx, 2, &x, &t, NULL, weight, &sums, terms);
        ctx->dev->masked_error_backward(ctx, 2, &x, &t, NULL, &sums, weight, &dx);
        ctx->dev->sigmoid_backward(ctx, &value, y, y);
    }
    voco_arena_release(&ctx->keep, mark);
}

static void
answer(const void *config, struct voco_ctx *ctx, const struct voco_tensor *y,
       const struct voco_tensor *ret)
{
    (void)config;
    ctx->dev->sigmoid_forward(ctx, y, ret);
}

static double
white(const void *config)
{
    (void)config;
    return 1.0;
}

const struct voco_pretext voco_pretext_genesis = {
    .name = "genesis", .words = "Models Genesis",
    .panel = { "distorted", "crop", "restored" }, .x = "x", .y = "y",
    .term = { { "mse", "mse" } }, .n_terms = 1,
    .change = change, .scratch_bytes = voco_distort_bytes, .outputs = outputs,
    .most_boxes = most_boxes, .check = check, .make = make, .loss = loss, .answer = answer,
    .white = white,
};

/* ---- the objective ---- */

#define AT(member) VOCO_AT(struct voco_genesis_config, member)

static const struct voco_opt options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    VOCO_PRETRAIN_MODEL_OPTIONS,
    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_DENSE_OPTIONS,
    { "flip", 0, VOCO_OPT_REAL, AT(flip), "P",
      "probability of a flip, drawn until it fails or three times", 0, 1,
      .role = VOCO_NUMERIC },
    { "shuffle", 0, VOCO_OPT_REAL, AT(shuffle), "P", "probability of local shuffling", 0, 1,
      .role = VOCO_NUMERIC },
    { "shuffle-blocks", 0, VOCO_OPT_INT, AT(blocks), "N",
      "blocks of a crop whose voxels are shuffled", 1, 65535, .role = VOCO_NUMERIC },
    { "curve", 0, VOCO_OPT_REAL, AT(curve), "P", "probability of a map of intensities", 0, 1,
      .role = VOCO_NUMERIC },
    { "paint", 0, VOCO_OPT_REAL, AT(paint), "P", "probability of in- or out-painting", 0, 1,
      .role = VOCO_NUMERIC },
    { "inpaint", 0, VOCO_OPT_REAL, AT(inpaint), "SHARE",
      "share of in-painting among the painted crops", 0, 1, .role = VOCO_NUMERIC },
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

static const struct voco_genesis_config defaults = {
    .dense = VOCO_DENSE_DEFAULTS(VOCO_PRETRAIN_GENESIS, &voco_pretext_genesis, false),
    .flip = 0.4, .shuffle = 0.5, .curve = 0.9, .paint = 0.9, .inpaint = 0.2,
    .blocks = 10000,
};

const struct voco_objective voco_objective_genesis = {
    .name = "genesis", .summary = "pre-train encoder and decoder with Models Genesis",
    .details = "A crop is shuffled within small blocks, its intensities are mapped, and boxes of it\n"
               "are painted over.  The network restores it.\n"
               "\n"
               "  voco pretrain --objective genesis --store store --out run\n"
               "  voco finetune seg --store labelled --weights run/model.safetensors --out seg",
    .options = options, .defaults = &defaults, .config_bytes = sizeof defaults,
    .term = voco_pretext_genesis.term, .n_terms = 1, VOCO_DENSE_FUNCTIONS,
};
