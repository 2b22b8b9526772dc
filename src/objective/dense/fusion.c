/* Volume Fusion: two crops are blended in boxes with shares of 0, 1/4, .. 1, and the network
 * classifies each voxel by its share.  The loss is the cross-entropy less the mean soft
 * Dice, as in nnssl. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "data/store/hdf5.h"
#include "objective/dense/dense.h"

enum { CE_DICE_TERMS = 2, BOX_COLUMNS = 7 };

/* ---- on the host ---- */

static int64_t
outputs(const void *config)
{
    return ((const struct voco_fusion_config *)config)->classes;
}

static int
most_boxes(const void *config, const int64_t size[3])
{
    (void)size;
    return (int)((const struct voco_fusion_config *)config)->boxes[1];
}

static enum voco_err
check(const void *config, const int64_t size[3])
{
    const struct voco_fusion_config *c = config;

    (void)size;
    for (int i = 0; i < 2; i++)
        if (c->boxes[i] != floor(c->boxes[i]))
            return voco_fail(VOCO_EUSAGE, "--boxes %g,%g: expected two whole numbers, the "
                             "fewest and the most boxes of a crop", c->boxes[0],
                             c->boxes[1]);
    return VOCO_OK;
}

static void
draw(const void *config, const struct voco_rng_key *key, struct voco_dense_batch *b, int i)
{
    const struct voco_fusion_config *c = config;
    const uint32_t low = (uint32_t)c->boxes[0], high = (uint32_t)c->boxes[1];
    struct voco_box *box = b->box + (int64_t)i * b->most_boxes;
    struct voco_rng_key stream = *key;

    stream.purpose = VOCO_RNG_BOXES;
    b->n_box[i] = (int)(low + voco_rng_below(&stream, 0, high - low + 1));
    for (int k = 0; k < b->n_box[i]; k++) {
        float u[BOX_COLUMNS];

        for (int a = 0; a < BOX_COLUMNS; a++)
            u[a] = voco_rng_unit(&stream, (uint32_t)(1 + k * BOX_COLUMNS + a));
        box[k] = voco_box_fusion(u, b->size);
        box[k].value = floor((double)u[VOCO_BOX_NUMBERS] * (double)c->classes);
    }
}

/* A row of a replay: start, extent, class. */
static enum voco_err
take_box(const struct voco_fusion_config *c, const float *row, const char *path, int number,
         const int64_t size[3], struct voco_box *ret)
{
    *ret = (struct voco_box){ .value = row[6] };
    for (int a = 0; a < 3; a++) {
        const double start = row[a], extent = row[3 + a];

        if (!(start >= 0 && extent >= 1 && start + extent <= (double)size[a])
            || start != floor(start) || extent != floor(extent))
            return voco_fail(VOCO_EFORMAT, "%s: boxes: row %d starts at %g on axis %c and is "
                             "%g long: expected whole numbers within the %" PRId64 " voxels of "
                             "a crop", path, number, start, 'x' + a, extent, size[a]);
        ret->start[a] = (int64_t)start;
        ret->extent[a] = (int64_t)extent;
    }
    if (!(row[6] >= 0 && (double)row[6] < (double)c->classes) || row[6] != floorf(row[6]))
        return voco_fail(VOCO_EFORMAT, "%s: boxes: row %d has class %g: expected one of 0 to "
                         "%" PRId64, path, number, (double)row[6], c->classes - 1);
    return VOCO_OK;
}

/* boxes [n,k,7], or [k,7] of a single sample. */
static enum voco_err
read_boxes(const void *config, struct voco_h5 *h, const char *path,
           struct voco_dense_batch *b)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 }, rows;
    float *row;
    int rank;
    enum voco_err err = voco_h5_shape(h, "boxes", &rank, dim);

    if (err != VOCO_OK)
        return err;
    if ((rank != 2 || b->n != 1) && (rank != 3 || dim[0] != b->n))
        return voco_fail(VOCO_EFORMAT, "%s: boxes has rank %d and sizes %" PRId64 ",%" PRId64
                         ",...: expected [%d,boxes,7] for %d crops", path, rank, dim[0],
                         dim[1], b->n, b->n);
    rows = dim[rank - 2];
    if (rows < 0 || rows > 100000 || dim[rank - 1] != BOX_COLUMNS)
        return voco_fail(VOCO_EFORMAT, "%s: boxes has %" PRId64 " rows of %" PRId64 " numbers "
                         "a crop: expected at most 100000 of start x3, extent x3, class",
                         path, rows, dim[rank - 1]);
    b->most_boxes = (int)rows;
    row = malloc((size_t)(b->n * rows + 1) * BOX_COLUMNS * sizeof *row);
    b->box = malloc((size_t)(b->n * rows + 1) * sizeof *b->box);
    if (!row || !b->box) {
        free(row);
        return voco_fail(VOCO_EMEMORY, "%s: no memory for boxes", path);
    }
    err = voco_h5_read_f32(h, "boxes", b->n * rows * BOX_COLUMNS, row);
    for (int64_t k = 0; k < b->n * rows && err == VOCO_OK; k++)
        err = take_box(config, row + k * BOX_COLUMNS, path, (int)k, b->size, &b->box[k]);
    for (int i = 0; i < b->n; i++)
        b->n_box[i] = (int)rows;
    free(row);
    return err;
}

/* ---- on the device ---- */

/* The share of the first crop in class k is k / (classes - 1). */
static void
make(const void *config, struct voco_ctx *ctx, struct voco_dense_part *p)
{
    const struct voco_fusion_config *c = config;
    struct voco_tensor share;
    size_t mark;

    p->target = voco_dense_filled(ctx, p, 0.0);
    voco_dense_paint(ctx, p, 1.0, 0.0, &p->target);
    p->x = voco_dense_upload(ctx, p, p->batch->x);
    mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor behind = voco_dense_upload(ctx, p, p->batch->y);
    share = voco_dense_filled(ctx, p, 0.0);
    voco_dense_paint(ctx, p, 1.0 / (double)(c->classes - 1), 0.0, &share);
    if (!ctx->err)
        ctx->dev->blend(ctx, &p->x, &behind, &share, &p->x);
    voco_arena_release(&ctx->keep, mark);
}

/* dicece's Dice term is 1 - the mean of Dice; the constant -1 leaves its negative. */
static const struct voco_dicece dicece = { .background = true, .smooth_nr = 1e-5,
                                           .smooth_dr = 1e-5 };

static void
loss(const void *config, struct voco_ctx *ctx, const struct voco_dense_part *p,
     const struct voco_tensor *y, const struct voco_tensor *terms)
{
    const double weight = (double)p->n / p->batch->n;
    const struct voco_tensor x = voco_as_voxels(y);
    const struct voco_tensor label = voco_reshape(&p->target, 2, (int64_t)p->n,
                                                  voco_count(&p->target) / p->n);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 3, (int64_t)p->n,
                                                   voco_cols(y), INT64_C(3));

    (void)config;
    if (!ctx->err) {
        ctx->dev->dicece_forward(ctx, &dicece, &x, &label, weight, &sums, terms);
        ctx->dev->dicece_backward(ctx, &dicece, &x, &label, &sums, weight, &x);
    }
    voco_arena_release(&ctx->keep, mark);
}

static void
answer(const void *config, struct voco_ctx *ctx, const struct voco_tensor *y,
       const struct voco_tensor *ret)
{
    const struct voco_tensor x = voco_as_voxels(y);
    const struct voco_tensor class = voco_reshape(ret, 2, ret->dim[0],
                                                  voco_count(ret) / ret->dim[0]);

    (void)config;
    ctx->dev->argmax_rows(ctx, &x, 0.0, &class);
}

static double
white(const void *config)
{
    return (double)(((const struct voco_fusion_config *)config)->classes - 1);
}

const struct voco_pretext voco_pretext_fusion = {
    .name = "fusion", .words = "Volume Fusion",
    .panel = { "blended crops", "share of the first", "answer" },
    .x = "foreground", .y = "background", .pair = true,
    .term = { { "dice", "dice" }, { "ce", "ce" } }, .n_terms = CE_DICE_TERMS,
    .constant = { -1.0, 0.0 },
    .outputs = outputs, .most_boxes = most_boxes, .check = check, .draw = draw,
    .read_boxes = read_boxes, .make = make, .loss = loss, .answer = answer, .white = white,
};

/* ---- the objective ---- */

#define AT(member) VOCO_AT(struct voco_fusion_config, member)

static const struct voco_opt options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    { "no-augment", 0, VOCO_OPT_OFF, AT(dense.augment), NULL,
      "neither flips, quarter turns nor intensity shifts", .role = VOCO_NUMERIC },
    VOCO_PRETRAIN_MODEL_OPTIONS,
    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_DENSE_OPTIONS,
    { "classes", 'c', VOCO_OPT_INT, AT(classes), "N",
      "shares of the first crop that are told apart: 0, 1/(N-1), .. 1", 2, 256,
      .role = VOCO_IDENTITY },
    { "boxes", 0, VOCO_OPT_RANGE, AT(boxes), "LOW,HIGH",
      "boxes of a crop, a uniform whole number from LOW to HIGH", 0, 100000,
      .role = VOCO_NUMERIC },
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

static const struct voco_fusion_config defaults = {
    .dense = VOCO_DENSE_DEFAULTS(VOCO_PRETRAIN_FUSION, &voco_pretext_fusion, true),
    .classes = 5, .boxes = { 10, 39 },
};

const struct voco_objective voco_objective_fusion = {
    .name = "fusion", .summary = "pre-train encoder and decoder by Volume Fusion",
    .details = "Crops of two volumes are blended in boxes, with shares of 0, 1/4, .. 1.  The network\n"
               "tells for each voxel which share the first crop has.\n"
               "\n"
               "  voco pretrain --objective fusion --store store --out run\n"
               "  voco finetune seg --store labelled --weights run/model.safetensors --out seg",
    .options = options, .defaults = &defaults, .config_bytes = sizeof defaults,
    .term = voco_pretext_fusion.term, .n_terms = CE_DICE_TERMS, VOCO_DENSE_FUNCTIONS,
};
