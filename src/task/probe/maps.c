/* Features of voxels from the maps of an encoder. */
#include "task/probe/maps.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "task/crops.h"

enum { EDGE = VOCO_PROBE_EDGE, LEVELS = VOCO_MAPS + 1 };

const struct voco_encoder *
voco_maps_encoder(const struct voco_model *model)
{
    return model->config.classes ? &model->net.unetr.encoder : &model->encoder;
}

int
voco_maps_width(const struct voco_encoder *e)
{
    int64_t width = 8 * e->config.feature;

    for (int i = 0; i < VOCO_MAPS; i++)
        width += e->map[i].cout;
    return (int)width;
}

void
voco_maps_free(struct voco_maps *m)
{
    free(m->label);
    free(m->x);
    *m = (struct voco_maps){ .x = NULL };
}

/* ---- one crop ---- */

/* Values of a map [m,m,m,c] at a voxel of the crop, trilinear between the centres of its
 * elements, those of the border beyond them. */
static void
interpolate(const float *map, int64_t m, int64_t c, const int at[3], float *ret)
{
    int64_t low[3], high[3];
    double part[3];

    for (int a = 0; a < 3; a++) {
        const double place = (at[a] + 0.5) * (double)m / EDGE - 0.5;
        const double inside = fmin(fmax(place, 0), (double)(m - 1));

        low[a] = (int64_t)inside;
        high[a] = low[a] + 1 < m ? low[a] + 1 : low[a];
        part[a] = inside - (double)low[a];
    }
    for (int64_t k = 0; k < c; k++)
        ret[k] = 0;
    for (int corner = 0; corner < 8; corner++) {
        const int64_t x = corner & 4 ? high[0] : low[0], y = corner & 2 ? high[1] : low[1];
        const int64_t z = corner & 1 ? high[2] : low[2];
        const float w = (float)((corner & 4 ? part[0] : 1 - part[0])
                                * (corner & 2 ? part[1] : 1 - part[1])
                                * (corner & 1 ? part[2] : 1 - part[2]));
        const float *from = map + ((x * m + y) * m + z) * c;

        for (int64_t k = 0; k < c && w != 0; k++)
            ret[k] += w * from[k];
    }
}

/* The map y of the device at all voxels, to columns of ret. */
static void
sample_map(struct voco_ctx *ctx, const struct voco_tensor *y, float *host,
           const int (*at)[3], int n, int width, float *ret)
{
    struct voco_tensor to = *y;

    to.type = VOCO_F32;
    to.data = host;
    ctx->dev->download(ctx, y, &to);
    ctx->dev->sync(ctx);
    for (int i = 0; i < n && !ctx->err; i++)
        interpolate(host, y->dim[1], y->dim[4], at[i], ret + (int64_t)i * width);
}

/* Level i: those of the encoder, and behind them n(h3). */
static void
level_forward(struct voco_ctx *ctx, const struct voco_weights *w, const struct voco_encoder *e,
              int i, struct voco_encoder_saved *s, const struct voco_tensor *y)
{
    if (i < VOCO_MAPS)
        voco_encoder_map_forward(ctx, w, e, i, s, y);
    else {
        const struct voco_tensor mean = voco_push_real(ctx, &ctx->temp, 1, voco_rows(&s->h[3]));
        const struct voco_tensor rstd = voco_push_like(ctx, &ctx->temp, &mean);

        if (!ctx->err)
            voco_channelnorm_forward(ctx, &s->h[3], y, &mean, &rstd);
    }
}

enum voco_err
voco_maps_sample(struct voco_ctx *ctx, const struct voco_model *model, const float *crop,
                 const int (*at)[3], int n, float *ret)
{
    const struct voco_encoder *e = voco_maps_encoder(model);
    const struct voco_weights w = voco_model_weights(model);
    const int width = voco_maps_width(e);
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_tensor x = voco_push_real(ctx, &ctx->temp, 5, INT64_C(1), (int64_t)EDGE,
                                                (int64_t)EDGE, (int64_t)EDGE, INT64_C(1));
    struct voco_tensor host_x = x;
    struct voco_encoder_saved s = { .keep = VOCO_KEEP_NOTHING };
    float *host = malloc((size_t)EDGE * EDGE * EDGE * (size_t)e->config.feature * sizeof *host);

    if (!host)
        voco_ctx_fail(ctx, voco_fail(VOCO_EMEMORY, "no memory for a map of feature size %lld",
                                     (long long)e->config.feature));
    host_x.type = VOCO_F32;
    host_x.data = (void *)crop;         /* upload only reads it */
    if (!ctx->err)
        ctx->dev->upload(ctx, &host_x, &x);
    if (!ctx->err)
        voco_encoder_trunk_forward(ctx, &w, e, &x, &s);
    for (int i = 0, column = 0; i < LEVELS && !ctx->err; i++) {
        const struct voco_tensor *from = i == 0 ? &s.x : i == VOCO_MAPS ? &s.h[3]
            : &s.h[voco_map_source[i]];
        const int64_t channels = i < VOCO_MAPS ? e->map[i].cout : 8 * e->config.feature;
        const size_t inner = voco_arena_mark(&ctx->temp);
        const struct voco_tensor y = voco_push(ctx, &ctx->temp, 5, INT64_C(1), from->dim[1],
                                               from->dim[2], from->dim[3], channels);

        if (!ctx->err)
            level_forward(ctx, &w, e, i, &s, &y);
        if (!ctx->err)
            sample_map(ctx, &y, host, at, n, width, ret + column);
        column += (int)channels;
        voco_arena_release(&ctx->temp, inner);
    }
    voco_arena_release(&ctx->temp, mark);
    free(host);
    return ctx->err;
}

/* ---- one volume ---- */

/* Where a crop begins, and the part of it, per axis, that lies in the volume. */
struct place {
    int64_t start[3];
    int first[3], size[3];
};

static struct place
place_crop(const struct voco_rng_key *key, const int64_t dim[3])
{
    struct place p;

    for (int a = 0; a < 3; a++) {
        const int64_t room = dim[a] - EDGE;

        p.start[a] = room >= 0 ? (int64_t)voco_rng_below(key, (uint32_t)a, (uint32_t)room + 1)
            : -((-room) / 2);
        p.first[a] = p.start[a] < 0 ? (int)-p.start[a] : 0;
        p.size[a] = room >= 0 ? EDGE : (int)dim[a];
    }
    return p;
}

/* Voxels of the part, and their classes. */
static enum voco_err
draw_voxels(const struct voco_store *s, int i, const struct voco_rng_key *key,
            const struct place *p, int n, struct voco_store_scratch *scratch, int (*at)[3],
            uint16_t *label)
{
    const int64_t corner[3] = { p->start[0] + p->first[0], p->start[1] + p->first[1],
                                p->start[2] + p->first[2] };
    const int64_t size[3] = { p->size[0], p->size[1], p->size[2] };
    uint16_t *box = malloc((size_t)(size[0] * size[1] * size[2]) * sizeof *box);
    enum voco_err err;

    VOCO_NEED(box);
    err = voco_store_read_label(s, i, corner, size, box, scratch);
    for (int k = 0; k < n && !err; k++) {
        int64_t v[3];

        for (int a = 0; a < 3; a++) {
            v[a] = voco_rng_below(key, (uint32_t)(3 + 3 * k + a), (uint32_t)size[a]);
            at[k][a] = p->first[a] + (int)v[a];
        }
        label[k] = box[(v[0] * size[1] + v[1]) * size[2] + v[2]];
        if (label[k] >= voco_store_n_classes(s))
            err = voco_fail(VOCO_EFORMAT, "%s: its label map has the class %d, its manifest none "
                            "above %d", voco_store_entry(s, i)->id, label[k],
                            voco_store_n_classes(s) - 1);
    }
    free(box);
    return err;
}

enum voco_err
voco_maps_read(const struct voco_store *s, int i, const struct voco_maps_options *o,
               struct voco_ctx *ctx, const struct voco_model *model,
               struct voco_store_scratch *scratch, struct voco_maps *ret)
{
    const struct voco_store_entry *e = voco_store_entry(s, i);
    const int n = o->crops * o->voxels, width = voco_maps_width(voco_maps_encoder(model));
    float *crop = malloc((size_t)EDGE * EDGE * EDGE * sizeof *crop);
    int (*at)[3] = calloc((size_t)o->voxels + 1, sizeof *at);
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_maps){ .n = n, .width = width };
    ret->label = calloc((size_t)n + 1, sizeof *ret->label);
    ret->x = malloc(((size_t)n * (size_t)width + 1) * sizeof *ret->x);
    if (!crop || !at || !ret->label || !ret->x)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for %d features of %d voxels", e->id, width,
                        n);
    for (int c = 0; c < o->crops && !err; c++) {
        const struct voco_rng_key key = { .seed = o->seed,
                                          .step = voco_hash_base(o->seed, e->id),
                                          .crop = (uint16_t)c, .purpose = VOCO_RNG_PROBE };
        const struct place p = place_crop(&key, e->dim);
        const int64_t first = (int64_t)c * o->voxels;

        if (!(err = draw_voxels(s, i, &key, &p, o->voxels, scratch, at, ret->label + first))
            && !(err = voco_crop_read(s, i, p.start, EDGE, scratch, crop)))
            err = voco_maps_sample(ctx, model, crop, (const int (*)[3])at, o->voxels,
                                   ret->x + first * width);
    }
    free(crop);
    free(at);
    return err;
}
