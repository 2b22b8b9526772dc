/* Views of crops, turned and cut out. */
#include "objective/heads/inputs.h"

static const int plane[2] = { 2, 3 };           /* of the turns: second and third axis */

/* Rows lie shard by shard, in each the first view of all crops, then the second. */
struct place {
    int view, crop;
};

static struct place
place_of(const struct voco_heads_step *step, int row)
{
    const int n = step->crops / step->shards, shard = row / (VOCO_CUTVIEWS * n);
    const int at = row % (VOCO_CUTVIEWS * n);

    return (struct place){ at / n, shard * n + at % n };
}

int
voco_heads_row(const struct voco_heads_step *step, int view, int crop)
{
    const int n = step->crops / step->shards;

    return crop / n * VOCO_CUTVIEWS * n + view * n + crop % n;
}

const struct voco_cutview *
voco_heads_view(const struct voco_heads_step *step, int row)
{
    const struct place p = place_of(step, row);

    return &step->views[p.view * step->crops + p.crop];
}

void
voco_heads_target(struct voco_heads_step *step, int row, const struct voco_tensor *y)
{
    const struct voco_tensor x = voco_slice(&step->x, place_of(step, row).crop, 1);

    step->ctx->dev->rotate(step->ctx, &x, &voco_heads_view(step, row)->turns, plane, y);
}

/* Cuts the boxes out of the turned crop of a row; donors lie where the rules of view.h have
 * them. */
static void
cut_out(struct voco_heads_step *step, int row)
{
    struct voco_ctx *ctx = step->ctx;
    const struct place p = place_of(step, row);
    const struct voco_cutview *v = voco_heads_view(step, row);
    const struct voco_tensor y = voco_slice(&step->input, row, 1);

    if (v->n_noise > 0) {
        struct voco_tensor host = step->noise;

        voco_cutview_paint_noise(v, step->roi, step->host_noise);
        host.data = step->host_noise;
        host.type = VOCO_F32;
        ctx->dev->upload(ctx, &host, &step->noise);
        ctx->dev->box_copy(ctx, v->box, v->n_noise, &step->noise, &y);
    }
    if (v->n > v->n_noise) {
        const int n = step->crops / step->shards, donor = p.crop / n * n + v->donor;
        const struct voco_tensor from = voco_slice(&step->input,
                                                   voco_heads_row(step, p.view, donor), 1);

        VOCO_ASSERT(donor != p.crop);
        ctx->dev->box_copy(ctx, v->box + v->n_noise, v->n - v->n_noise, &from, &y);
    }
}

void
voco_heads_inputs(struct voco_heads_step *step, const struct voco_heads_input *in)
{
    struct voco_ctx *ctx = step->ctx;
    const int rows = voco_heads_rows(step), n = step->crops / step->shards;
    struct voco_tensor host = step->x, labels = step->turn;

    step->views = in->views;
    host.data = (void *)in->x;          /* upload only reads it */
    host.type = VOCO_F32;
    labels.data = step->host_rows;
    labels.type = VOCO_F32;
    ctx->dev->upload(ctx, &host, &step->x);
    for (int r = 0; r < rows && !ctx->err; r++) {
        const struct voco_tensor y = voco_slice(&step->input, r, 1);

        voco_heads_target(step, r, &y);
    }
    for (int r = 0; r < rows && !ctx->err; r++)
        cut_out(step, r);
    for (int r = 0; r < rows; r++)
        step->host_rows[r] = (float)voco_heads_view(step, r)->turns;
    ctx->dev->upload(ctx, &labels, &step->turn);
    for (int r = 0; r < rows; r++)      /* within the shard: the other view of the crop */
        step->host_rows[r] = (float)((r % (VOCO_CUTVIEWS * n) + n) % (VOCO_CUTVIEWS * n));
    ctx->dev->upload(ctx, &labels, &step->partner);
}
