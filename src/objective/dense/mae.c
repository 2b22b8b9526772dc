/* Masked auto-encoding at the level of the whole U-Net, as in nnssl: hidden blocks have one
 * value, and the loss is the squared error in them. */
#include <inttypes.h>
#include <stdlib.h>

#include "data/store/hdf5.h"
#include "objective/dense/dense.h"
#include "objective/dense/mask.h"

/* ---- blocks ---- */

/* A grid of blocks over a crop. */
struct grid {
    int64_t n[3], block[3];
    int count;
};

static struct grid
grid_of(const int64_t size[3], const int64_t n[3])
{
    struct grid g = { .count = 1 };

    for (int a = 0; a < 3; a++) {
        g.n[a] = n[a];
        g.block[a] = size[a] / n[a];
        g.count *= (int)n[a];
    }
    return g;
}

static struct grid
grid_of_config(const struct voco_mae_config *c, const int64_t size[3])
{
    return grid_of(size, (int64_t[]){ size[0] / c->block, size[1] / c->block,
                                      size[2] / c->block });
}

/* The mean of the voxels that are visible. */
static double
visible_mean(const struct grid *g, const int64_t size[3], const uint8_t *visible,
             const float *x)
{
    double sum = 0.0;
    int64_t n = 0;

    for (int64_t i = 0; i < size[0]; i++)
        for (int64_t j = 0; j < size[1]; j++) {
            const float *row = x + (i * size[1] + j) * size[2];
            const uint8_t *seen = visible + (i / g->block[0] * g->n[1] + j / g->block[1])
                                  * g->n[2];

            for (int64_t k = 0; k < size[2]; k++)
                if (seen[k / g->block[2]]) {
                    sum += row[k];
                    n++;
                }
        }
    return sum / (double)n;
}

/* The hidden blocks as boxes of sample i. */
static void
hide(const struct voco_mae_config *c, const struct grid *g, const uint8_t *visible,
     struct voco_dense_batch *b, int i)
{
    const float *x = b->x + i * b->size[0] * b->size[1] * b->size[2];
    const double value = c->fill == VOCO_FILL_MEAN ? visible_mean(g, b->size, visible, x)
                                                   : 0.0;
    struct voco_box *box = b->box + (int64_t)i * b->most_boxes;
    int n = 0;

    for (int k = 0; k < g->count; k++) {
        const int64_t at[3] = { k / (g->n[1] * g->n[2]), k / g->n[2] % g->n[1],
                                k % g->n[2] };

        if (visible[k])
            continue;
        VOCO_ASSERT(n < b->most_boxes);
        box[n] = (struct voco_box){ .value = value };
        for (int a = 0; a < 3; a++) {
            box[n].start[a] = at[a] * g->block[a];
            box[n].extent[a] = g->block[a];
        }
        n++;
    }
    b->n_box[i] = n;
}

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
    const struct voco_mae_config *c = config;

    return voco_mask_hidden(c->share, grid_of_config(c, size).count);
}

static enum voco_err
check(const void *config, const int64_t size[3])
{
    const struct voco_mae_config *c = config;
    int blocks, hidden;

    for (int a = 0; a < 3; a++)
        if (size[a] % c->block != 0)
            return voco_fail(VOCO_EUSAGE, "--mask-block %" PRId64 " does not divide crops of "
                             "%" PRId64 " voxels: see --roi", c->block, size[a]);
    blocks = grid_of_config(c, size).count;
    hidden = voco_mask_hidden(c->share, blocks);
    if (hidden == 0 || hidden == blocks)
        return voco_fail(VOCO_EUSAGE, "--mask-share %g hides %s of the %d blocks of a crop: "
                         "expected at least one that is hidden and one that is visible",
                         c->share, hidden ? "all" : "none", blocks);
    return VOCO_OK;
}

static void
draw(const void *config, const struct voco_rng_key *key, struct voco_dense_batch *b, int i)
{
    const struct voco_mae_config *c = config;
    const struct grid g = grid_of_config(c, b->size);
    struct voco_mask_key *keys = malloc((size_t)g.count * sizeof *keys);
    uint8_t *visible = malloc((size_t)g.count);
    struct voco_rng_key stream = *key;

    VOCO_NEED(keys && visible);
    stream.purpose = VOCO_RNG_MASK;
    voco_mask_draw(&stream, g.count, voco_mask_hidden(c->share, g.count), keys, visible);
    hide(c, &g, visible, b, i);
    free(keys);
    free(visible);
}

/* mask [n,i,j,k] or [n,1,i,j,k], 1 where the block is visible. */
static enum voco_err
read_boxes(const void *config, struct voco_h5 *h, const char *path,
           struct voco_dense_batch *b)
{
    int64_t dim[VOCO_H5_RANK_MAX] = { 0 };
    const int64_t *n;
    struct grid g;
    uint8_t *mask;
    int rank;
    enum voco_err err = voco_h5_shape(h, "mask", &rank, dim);

    if (err != VOCO_OK)
        return err;
    n = dim + (rank == 5 ? 2 : 1);
    if ((rank != 4 && (rank != 5 || dim[1] != 1)) || dim[0] != b->n || n[0] < 1 || n[1] < 1
        || n[2] < 1 || b->size[0] % n[0] || b->size[1] % n[1] || b->size[2] % n[2])
        return voco_fail(VOCO_EFORMAT, "%s: mask has rank %d and sizes %" PRId64 ",%" PRId64
                         ",%" PRId64 ",%" PRId64 ",...: expected [%d,i,j,k], where i, j, k "
                         "blocks divide crops of %" PRId64 ",%" PRId64 ",%" PRId64, path, rank,
                         dim[0], dim[1], dim[2], dim[3], b->n, b->size[0], b->size[1],
                         b->size[2]);
    g = grid_of(b->size, n);
    b->most_boxes = g.count;
    mask = malloc((size_t)b->n * (size_t)g.count);
    b->box = malloc((size_t)b->n * (size_t)g.count * sizeof *b->box);
    if (!mask || !b->box) {
        free(mask);
        return voco_fail(VOCO_EMEMORY, "%s: no memory for mask", path);
    }
    err = voco_h5_read_u8(h, "mask", (int64_t)b->n * g.count, mask);
    for (int i = 0; i < b->n && err == VOCO_OK; i++) {
        const uint8_t *own = mask + (int64_t)i * g.count;
        int visible = 0;

        for (int k = 0; k < g.count && err == VOCO_OK; k++) {
            if (own[k] > 1)
                err = voco_fail(VOCO_EFORMAT, "%s: mask: block %d of crop %d is %d, expected 0 "
                                "where it is hidden and 1 where it is visible", path, k, i,
                                own[k]);
            visible += own[k];
        }
        if (err == VOCO_OK && (visible == 0 || visible == g.count))
            err = voco_fail(VOCO_EFORMAT, "%s: mask hides %s of the %d blocks of crop %d: "
                            "expected at least one that is hidden and one that is visible",
                            path, visible ? "none" : "all", g.count, i);
        if (err == VOCO_OK)
            hide(config, &g, own, b, i);
    }
    free(mask);
    return err;
}

/* ---- on the device ---- */

static void
make(const void *config, struct voco_ctx *ctx, struct voco_dense_part *p)
{
    (void)config;
    p->target = voco_dense_upload(ctx, p, p->batch->x);
    p->mask = voco_dense_filled(ctx, p, 0.0);
    voco_dense_paint(ctx, p, 0.0, 1.0, &p->mask);
    p->x = voco_dense_filled(ctx, p, 0.0);
    if (!ctx->err)
        ctx->dev->copy(ctx, &p->target, &p->x);
    voco_dense_paint(ctx, p, 1.0, 0.0, &p->x);
}

static int64_t
hidden_voxels(const struct voco_dense_batch *b, int first, int n)
{
    int64_t sum = 0;

    for (int i = first; b->box && i < first + n; i++)
        for (int k = 0; k < b->n_box[i]; k++)
            sum += voco_box_voxels(&b->box[(int64_t)i * b->most_boxes + k]);
    return sum;
}

/* The mean is over hidden voxels of the whole batch: a sample weighs as many as it has. */
static void
loss(const void *config, struct voco_ctx *ctx, const struct voco_dense_part *p,
     const struct voco_tensor *y, const struct voco_tensor *terms)
{
    const double all = (double)hidden_voxels(p->batch, 0, p->batch->n);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor sums = voco_push_real(ctx, &ctx->keep, 1, INT64_C(1));

    (void)config;
    for (int i = 0; i < p->n && !ctx->err; i++) {
        const double weight = (double)hidden_voxels(p->batch, p->first + i, 1) / all;
        const struct voco_tensor out = voco_slice(y, i, 1), x = voco_as_voxels(&out);
        const struct voco_tensor goal = voco_slice(&p->target, i, 1);
        const struct voco_tensor t = voco_as_voxels(&goal), m = voco_slice(&p->mask, i, 1);
        const struct voco_tensor mask = voco_reshape(&m, 2, INT64_C(1), voco_count(&m));

        ctx->dev->masked_error_forward(ctx, 2, &x, &t, &mask, weight, &sums, terms);
        ctx->dev->masked_error_backward(ctx, 2, &x, &t, &mask, &sums, weight, &x);
    }
    voco_arena_release(&ctx->keep, mark);
}

static void
answer(const void *config, struct voco_ctx *ctx, const struct voco_tensor *y,
       const struct voco_tensor *ret)
{
    (void)config;
    ctx->dev->copy(ctx, y, ret);
}

static double
white(const void *config)
{
    (void)config;
    return 1.0;
}

const struct voco_pretext voco_pretext_mae = {
    .name = "mae", .words = "masked auto-encoding",
    .panel = { "input", "crop", "reconstruction" }, .x = "x",
    .term = { { "mse", "mse" } }, .n_terms = 1,
    .outputs = outputs, .most_boxes = most_boxes, .check = check, .draw = draw,
    .read_boxes = read_boxes, .make = make, .loss = loss, .answer = answer, .white = white,
};

/* ---- the objective ---- */

#define AT(member) VOCO_AT(struct voco_mae_config, member)

static const char *const fills[] = { "zero", "mean", NULL };

static const struct voco_opt options[] = {
    VOCO_PRETRAIN_DATA_OPTIONS,
    { "no-augment", 0, VOCO_OPT_OFF, AT(dense.augment), NULL,
      "neither flips, quarter turns nor intensity shifts", .role = VOCO_NUMERIC },
    VOCO_PRETRAIN_MODEL_OPTIONS,
    VOCO_PRETRAIN_STEP_OPTIONS,
    VOCO_DENSE_OPTIONS,
    { "mask-share", 0, VOCO_OPT_REAL, AT(share), "SHARE",
      "share of the blocks of a crop that are hidden", 0, 1, .role = VOCO_NUMERIC },
    { "mask-block", 0, VOCO_OPT_INT, AT(block), "N",
      "edge of a block in voxels, which divides that of a crop", 2, 512,
      .role = VOCO_NUMERIC },
    { "mask-fill", 0, VOCO_OPT_CHOICE, AT(fill), "HOW",
      "value of hidden voxels: zero, or the mean of the crop's visible ones",
      .choices = fills, .role = VOCO_NUMERIC },
    VOCO_PRETRAIN_OPTIMIZER_OPTIONS,
    VOCO_PRETRAIN_MACHINE_OPTIONS,
    VOCO_PRETRAIN_REPLAY_OPTIONS("FILE"),
    { 0 }
};

static const struct voco_mae_config defaults = {
    .dense = VOCO_DENSE_DEFAULTS(VOCO_PRETRAIN_MAE, &voco_pretext_mae, true), .share = 0.75,
    .block = 16,
};

const struct voco_objective voco_objective_mae = {
    .name = "mae", .summary = "pre-train encoder and decoder by masked auto-encoding",
    .details = "Blocks of a crop are hidden, and the network fills them.\n"
               "\n"
               "  voco pretrain --objective mae --store store --out run\n"
               "  voco finetune seg --store labelled --weights run/model.safetensors --out seg",
    .options = options, .defaults = &defaults, .config_bytes = sizeof defaults,
    .term = voco_pretext_mae.term, .n_terms = 1, VOCO_DENSE_FUNCTIONS,
};
