/* Views of crops.  Sources: CT-FM, with MONAI's transforms; nnssl's SimCLR, with those of
 * batchgenerators. */
#include "objective/views/view.h"

#include <math.h>
#include <stdlib.h>

#include "data/augment/intensity.h"
#include "objective/pretrain/augment.h"

const struct voco_view_recipe voco_view_recipe_contrast = {
    .share = 0.33, .histogram = 0.5, .smooth = { 0.5, 0.25, 1.5 }, .flip = { 0, 0, 0.5 },
};

const struct voco_view_recipe voco_view_recipe_simclr = {
    .share = 1.0, .shift = 0.5, .noise = { 0.1, 0.0, 0.1 }, .smooth = { 0.1, 0.5, 1.0 },
    .scale = { 0.15, 0.75, 1.25 }, .contrast = { 0.15, 0.75, 1.25 },
    .low = { 0.05, 0.5, 1.0 }, .gamma_inverted = { 0.1, 0.7, 1.5 },
    .gamma = { 0.3, 0.7, 1.5 }, .flip = { 0.5, 0.5, 0.5 }, .turns = 0.3,
};

/* ---- drawing ---- */

/* Places of the numbers of a view in its stream: a run that is resumed must find them. */
enum { SHARE, PLACE = 1, HISTOGRAM = 4, NOISE = 8, SMOOTH = 10, SCALE = 14, CONTRAST = 16,
       LOW = 18, GAMMA_INVERTED = 20, GAMMA = 22, FLIP = 24, TURNS = 27, SHIFT = 29 };

static struct voco_rng_key
rng_key(const struct voco_view_key *k, enum voco_purpose purpose)
{
    return (struct voco_rng_key){ .seed = k->crop.seed, .step = (uint64_t)k->crop.step,
                                  .sample = (uint32_t)k->crop.sample,
                                  .crop = (uint16_t)(2 * k->crop.crop + k->view),
                                  .purpose = (uint16_t)purpose };
}

static double
uniform(const struct voco_rng_key *key, uint32_t i, double low, double high)
{
    return low + (high - low) * (double)voco_rng_unit(key, i);
}

/* The number of a change, or none. */
static double
changed(const struct voco_view_change *c, double strength, const struct voco_rng_key *key,
        uint32_t i, double none)
{
    return (double)voco_rng_unit(key, i) < c->p * strength
        ? uniform(key, i + 1, c->low, c->high) : none;
}

/* The box: the crop's own place, moved for the second view; then a part of it. */
static void
draw_place(const struct voco_view_recipe *r, const struct voco_view_key *k,
           const struct voco_rng_key *key, const int64_t dim[3], int roi,
           struct voco_view *v)
{
    const double share = uniform(key, SHARE, r->share, 1.0);
    const int reach = (int)(r->shift * roi);
    int64_t crop[3];

    voco_patch_start(&k->crop, dim, roi, crop);
    v->edge = (int)lround(roi * cbrt(share));
    v->edge = v->edge < 2 ? 2 : v->edge > roi ? roi : v->edge;
    for (uint32_t a = 0; a < 3; a++) {
        const int64_t by = k->view == 0 ? 0
            : (int64_t)voco_rng_below(key, SHIFT + a, (uint32_t)(2 * reach + 1)) - reach;
        int64_t start = crop[a] + by;

        start = start < 0 ? 0 : start > dim[a] - roi ? dim[a] - roi : start;
        v->start[a] = start + voco_rng_below(key, PLACE + a, (uint32_t)(roi - v->edge + 1));
    }
}

/* Inner control points move between their neighbours, from left to right. */
static void
draw_histogram(const struct voco_rng_key *key, struct voco_view *v)
{
    for (int i = 0; i < VOCO_VIEW_POINTS; i++)
        v->point[i] = i / (VOCO_VIEW_POINTS - 1.0);
    for (int i = 1; i < VOCO_VIEW_POINTS - 1; i++)
        v->point[i] = uniform(key, (uint32_t)(HISTOGRAM + i), v->point[i - 1],
                              v->point[i + 1]);
}

static void
draw_intensities(const struct voco_view_recipe *r, double strength,
                 const struct voco_rng_key *key, struct voco_view *v)
{
    v->histogram = (double)voco_rng_unit(key, HISTOGRAM) < r->histogram * strength;
    if (v->histogram)
        draw_histogram(key, v);
    v->noise = changed(&r->noise, strength, key, NOISE, 0.0);
    if (changed(&r->smooth, strength, key, SMOOTH, 0.0) > 0.0)
        for (uint32_t a = 0; a < 3; a++)
            v->smooth[a] = uniform(key, SMOOTH + 1 + a, r->smooth.low, r->smooth.high);
    v->scale = changed(&r->scale, strength, key, SCALE, 1.0);
    v->contrast = changed(&r->contrast, strength, key, CONTRAST, 1.0);
    v->low = changed(&r->low, strength, key, LOW, 1.0);
    v->gamma_inverted = changed(&r->gamma_inverted, strength, key, GAMMA_INVERTED, 1.0);
    v->gamma = changed(&r->gamma, strength, key, GAMMA, 1.0);
}

void
voco_view_draw(const struct voco_view_recipe *r, double strength, bool augment,
               const struct voco_view_key *k, const int64_t dim[3], int roi,
               struct voco_view *ret)
{
    const struct voco_rng_key key = rng_key(k, VOCO_RNG_CHANGE);

    *ret = (struct voco_view){ .scale = 1, .contrast = 1, .low = 1, .gamma_inverted = 1,
                               .gamma = 1, .turn = { .scale = 1 },
                               .grain = rng_key(k, VOCO_RNG_GRAIN) };
    draw_place(r, k, &key, dim, roi, ret);
    if (!augment)
        return;
    draw_intensities(r, strength, &key, ret);
    for (uint32_t a = 0; a < 3; a++)
        ret->turn.flip[a] = (double)voco_rng_unit(&key, FLIP + a) < r->flip[a];
    if ((double)voco_rng_unit(&key, TURNS) < r->turns)
        ret->turn.turns = 1 + (int)voco_rng_below(&key, TURNS + 1, 3);
}

/* ---- making ---- */

struct voco_view_memory *
voco_view_memory_new(int roi)
{
    const size_t bytes = (size_t)roi * (size_t)roi * (size_t)roi * sizeof(float);
    struct voco_view_memory *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->box[0] = malloc(bytes);
    m->box[1] = malloc(bytes);
    if (m->box[0] && m->box[1])
        return m;
    voco_view_memory_free(m);
    return NULL;
}

void
voco_view_memory_free(struct voco_view_memory *m)
{
    if (!m)
        return;
    free(m->box[0]);
    free(m->box[1]);
    free(m);
}

/* box[0] by the taps along an axis; its size there changes. */
static void
apply(struct voco_view_memory *m, int64_t size[3], int axis)
{
    float *const x = m->box[0];

    voco_taps_apply(&m->taps, x, size, axis, m->box[1]);
    size[axis] = m->taps.to;
    m->box[0] = m->box[1];
    m->box[1] = x;
}

/* All edges from `from` to `to`. */
static void
resize(struct voco_view_memory *m, int from, int to,
       void (*make)(struct voco_taps *, int, int))
{
    int64_t size[3] = { from, from, from };

    if (from == to)
        return;
    make(&m->taps, from, to);
    for (int a = 0; a < 3; a++)
        apply(m, size, a);
}

static void
smooth(struct voco_view_memory *m, int roi, const double sigma[3])
{
    int64_t size[3] = { roi, roi, roi };

    for (int a = 0; a < 3; a++)
        if (sigma[a] > 0.0) {
            voco_taps_gauss(&m->taps, roi, sigma[a]);
            apply(m, size, a);
        }
}

void
voco_view_make(const struct voco_view *v, int roi, struct voco_view_memory *m, float *out)
{
    const int64_t n = (int64_t)roi * roi * roi, size[3] = { roi, roi, roi };
    const int64_t zero[3] = { 0, 0, 0 };
    const int low = (int)lround(v->low * roi);

    resize(m, v->edge, roi, voco_taps_linear);
    if (v->histogram)
        voco_intensity_histogram(m->box[0], n, v->point, VOCO_VIEW_POINTS);
    if (v->noise > 0.0)
        voco_intensity_noise(m->box[0], n, v->noise, &v->grain);
    smooth(m, roi, v->smooth);
    if (v->scale != 1.0)
        voco_intensity_scale(m->box[0], n, v->scale);
    if (v->contrast != 1.0)
        voco_intensity_contrast(m->box[0], n, v->contrast);
    if (low < roi) {
        resize(m, roi, low, voco_taps_nearest);
        resize(m, low, roi, voco_taps_cubic);
    }
    if (v->gamma_inverted != 1.0)
        voco_intensity_gamma(m->box[0], n, v->gamma_inverted, true);
    if (v->gamma != 1.0)
        voco_intensity_gamma(m->box[0], n, v->gamma, false);
    voco_crop_copy(&v->turn, m->box[0], size, zero, roi, out);
}
