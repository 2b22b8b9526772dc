/* Draws of turns and cut-outs; the rules are those of Swin UNETR's pre-training code. */
#include "objective/heads/cutview.h"

#include <stdlib.h>

#include "base/rng.h"

static const double most_cut = 0.3;         /* of the voxels, in one pass */

/* The numbers of a view, one after the other. */
struct stream {
    struct voco_rng_key key;
    uint32_t next;
};

static int64_t
below(struct stream *s, int64_t n)
{
    return voco_rng_below(&s->key, s->next++, (uint32_t)n);
}

static double
unit(struct stream *s)
{
    return (double)voco_rng_unit(&s->key, s->next++);
}

void
voco_cutview_add(struct voco_cutview *v, const int64_t start[3], const int64_t extent[3])
{
    struct voco_box box = { .item = 0 };

    if (v->n == v->room) {
        v->room = v->room ? 2 * v->room : 64;
        v->box = realloc(v->box, (size_t)v->room * sizeof *v->box);
        VOCO_NEED(v->box);
    }
    for (int a = 0; a < 3; a++) {
        box.start[a] = start[a];
        box.extent[a] = extent[a];
    }
    v->box[v->n++] = box;
}

static int64_t
volume(const struct voco_box *box)
{
    return box->extent[0] * box->extent[1] * box->extent[2];
}

/* Boxes of one pass. */
static void
draw_boxes(struct voco_cutview *v, struct stream *s, int roi)
{
    const double goal = most_cut * unit(s) * (double)roi * (double)roi * (double)roi;
    const int64_t least = roi / 20, most = roi / 4;

    for (int64_t cut = 0; (double)cut < goal; cut += volume(&v->box[v->n - 1])) {
        int64_t start[3], extent[3];

        for (int a = 0; a < 3; a++)
            start[a] = below(s, roi - least);
        for (int a = 0; a < 3; a++) {
            extent[a] = least + below(s, most - least);
            if (extent[a] > roi - start[a])
                extent[a] = roi - start[a];
        }
        voco_cutview_add(v, start, extent);
    }
}

/* n normal numbers of the stream from number first on, scaled to 0..1. */
static void
draw_noise(const struct voco_rng_key *key, uint32_t first, int64_t n, float *out)
{
    float low = 0, high = 0;

    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)voco_rng_normal(key, first + (uint32_t)i);
        low = i == 0 || out[i] < low ? out[i] : low;
        high = i == 0 || out[i] > high ? out[i] : high;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = high > low ? (out[i] - low) / (high - low) : 0.0f;
}

static void
fill_noise(struct voco_cutview *v, const struct voco_rng_key *key)
{
    int64_t voxels = 0, at = 0;

    for (int i = 0; i < v->n_noise; i++)
        voxels += volume(&v->box[i]);
    if (voxels > v->noise_room) {
        free(v->noise);
        v->noise = malloc((size_t)voxels * sizeof *v->noise);
        VOCO_NEED(v->noise);
        v->noise_room = voxels;
    }
    for (int i = 0; i < v->n_noise; at += volume(&v->box[i++]))
        draw_noise(key, (uint32_t)at, volume(&v->box[i]), v->noise + at);
}

void
voco_cutview_draw(struct voco_cutview *v, const struct voco_cutview_key *key, int shard, int roi)
{
    struct stream s = { .key = { .seed = key->seed, .step = (uint64_t)key->step,
                                 .sample = (uint32_t)key->sample,
                                 .crop = (uint16_t)key->view, .purpose = VOCO_RNG_VIEW } };
    struct voco_rng_key noise = s.key;

    VOCO_ASSERT(roi >= 20);
    noise.purpose = VOCO_RNG_FILL;
    v->n = 0;
    v->turns = (int)below(&s, VOCO_TURNS);
    draw_boxes(v, &s, roi);
    v->n_noise = v->n;
    fill_noise(v, &noise);
    v->donor = (int)below(&s, shard);
    if (v->donor != key->sample % shard)
        draw_boxes(v, &s, roi);
}

void
voco_cutview_paint_noise(const struct voco_cutview *v, int roi, float *crop)
{
    const float *from = v->noise;

    for (int i = 0; i < v->n_noise; i++) {
        const struct voco_box *b = &v->box[i];

        for (int64_t x = b->start[0]; x < b->start[0] + b->extent[0]; x++)
            for (int64_t y = b->start[1]; y < b->start[1] + b->extent[1]; y++)
                for (int64_t z = b->start[2]; z < b->start[2] + b->extent[2]; z++)
                    crop[(x * roi + y) * roi + z] = *from++;
    }
}

void
voco_cutview_free(struct voco_cutview *v)
{
    free(v->box);
    free(v->noise);
    *v = (struct voco_cutview){ 0 };
}
