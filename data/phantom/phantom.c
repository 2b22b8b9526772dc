/* Voxels of a phantom: the anatomy sampled on the grid, the scanner's blur, noise and
 * field of view. */
#include "data/phantom/phantom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/phantom/anatomy.h"

const char *const voco_phantom_label_name[] = {
    "none", "lung right", "lung left", "heart", "liver", "spleen", "kidney right",
    "kidney left", "stomach", "aorta", "spine", "bones", NULL
};

struct scan {
    struct voco_rng_key key;
    float noise_hu;
    float view_mm;              /* radius of the round field of view; 0: none */
    float centre_mm[3];         /* of the grid, in patient coordinates */
};

static void
plan_scan(struct scan *s, const struct voco_phantom_options *o)
{
    const double height = (double)o->dim[2] * o->spacing_mm[2];
    const double width = (double)o->dim[0] * o->spacing_mm[0];
    const double room = fmax(0, 500 - height);     /* the body is 500 mm, -290..210 */
    uint32_t i = 900;

    s->key = (struct voco_rng_key){ .seed = o->seed, .sample = o->index,
                                    .purpose = VOCO_RNG_PHANTOM };
    s->noise_hu = 6 + 22 * voco_rng_unit(&s->key, i++);
    s->view_mm = voco_rng_unit(&s->key, i++) < 0.35f ? (float)(0.5 * width) : 0;
    s->centre_mm[0] = 12 * voco_rng_unit(&s->key, i++) - 6;
    s->centre_mm[1] = -12 + 16 * voco_rng_unit(&s->key, i++);
    s->centre_mm[2] = -40 + (float)room * (voco_rng_unit(&s->key, i++) - 0.5f);
}

/* Index -> millimetres: x and y run against R and A. */
static void
set_affine(struct voco_volume *v, const struct voco_phantom_options *o,
           const struct scan *s)
{
    for (int i = 0; i < 3; i++) {
        const double step = i < 2 ? -o->spacing_mm[i] : o->spacing_mm[i];

        v->affine[i][i] = step;
        v->affine[i][3] = s->centre_mm[i] - step * 0.5 * (double)(o->dim[i] - 1);
    }
}

static void
sample(struct voco_volume *image, struct voco_volume *labels,
       const struct voco_anatomy *a)
{
    float *to = image->voxel, *label = labels ? labels->voxel : NULL;

    for (int64_t x = 0; x < image->dim[0]; x++)
        for (int64_t y = 0; y < image->dim[1]; y++)
            for (int64_t z = 0; z < image->dim[2]; z++) {
                const int64_t index[3] = { x, y, z };
                float mm[3];
                uint8_t what;

                for (int i = 0; i < 3; i++)
                    mm[i] = (float)(image->affine[i][i] * (double)index[i]
                                    + image->affine[i][3]);
                *to++ = voco_anatomy_at(a, mm, &what);
                if (label)
                    *label++ = what;
            }
}

/* [1 2 1] / 4 over rows of n values, from rows one before and one behind. */
static void
blur_rows(float *voxel, int64_t rows, int64_t n, float *before)
{
    memcpy(before, voxel, (size_t)n * sizeof *voxel);
    for (int64_t r = 0; r + 1 < rows; r++, voxel += n)
        for (int64_t i = 0; i < n; i++) {
            const float here = voxel[i];

            voxel[i] = 0.25f * (before[i] + 2 * here + voxel[n + i]);
            before[i] = here;
        }
}

/* In the plane of the slices, as a scanner does. */
static void
blur(struct voco_volume *v, float *scratch)
{
    const int64_t nz = v->dim[2], plane = v->dim[1] * nz;

    blur_rows(v->voxel, v->dim[0], plane, scratch);
    for (int64_t x = 0; x < v->dim[0]; x++)
        blur_rows(v->voxel + x * plane, v->dim[1], nz, scratch);
}

/* A plane of noise with mean 0 and variance 1: the sum of a word's four bytes is close to
 * normal, with mean 510 and variance 4 * (256^2 - 1) / 12. */
static void
noise_plane(const struct scan *s, int64_t x, int64_t n, float *out)
{
    struct voco_rng_key key = s->key;
    uint32_t word[4];

    key.step = 1 + (uint64_t)x;
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0)
            voco_rng_block(&key, (uint32_t)(i / 4), word);
        const uint32_t w = word[i % 4];
        const int sum = (int)((w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24));

        out[i] = (float)(sum - 510) / 147.8f;
    }
}

/* Noise with the grain of two pixels, then the round field of view, then whole HU. */
static void
finish(struct voco_volume *v, const struct scan *s, float *plane)
{
    const int64_t ny = v->dim[1], nz = v->dim[2], n = ny * nz;
    const double mid_x = 0.5 * (double)(v->dim[0] - 1), mid_y = 0.5 * (double)(ny - 1);
    float *next = plane + n;

    noise_plane(s, 0, n, plane);
    for (int64_t x = 0; x < v->dim[0]; x++) {
        float *row = v->voxel + x * n, *held = plane;

        noise_plane(s, x + 1, n, next);
        for (int64_t i = 0; i < n; i++) {
            const int64_t j = i + nz < n ? i + nz : i;
            const float grain = 0.5f * (plane[i] + plane[j] + next[i] + next[j]);
            const double r = hypot(v->affine[0][0] * ((double)x - mid_x),
                                   v->affine[1][1] * ((double)(i / nz) - mid_y));
            float hu = rintf(row[i] + s->noise_hu * grain);

            if (s->view_mm > 0 && r > s->view_mm)
                hu = -1024;
            row[i] = fminf(fmaxf(hu, -1024), 3071);
        }
        plane = next;
        next = held;
    }
}

enum voco_err
voco_phantom_make(const struct voco_phantom_options *o, struct voco_volume *ret_image,
                  struct voco_volume *ret_labels)
{
    struct voco_anatomy *a = malloc(sizeof *a);
    float *planes = calloc((size_t)(2 * o->dim[1]), (size_t)o->dim[2] * sizeof *planes);
    struct scan s;
    enum voco_err err;

    *ret_image = (struct voco_volume){ .voxel = NULL };
    if (ret_labels)
        *ret_labels = (struct voco_volume){ .voxel = NULL };
    err = !a || !planes ? voco_fail(VOCO_EMEMORY, "no memory for a phantom")
                        : voco_volume_alloc(ret_image, o->dim);
    if (!err && ret_labels)
        err = voco_volume_alloc(ret_labels, o->dim);
    if (!err) {
        plan_scan(&s, o);
        set_affine(ret_image, o, &s);
        if (ret_labels)
            set_affine(ret_labels, o, &s);
        voco_anatomy_init(a, &s.key);
        sample(ret_image, ret_labels, a);
        blur(ret_image, planes);
        finish(ret_image, &s, planes);
    } else {
        voco_volume_free(ret_image);
        if (ret_labels)
            voco_volume_free(ret_labels);
    }
    free(a);
    free(planes);
    return err;
}
