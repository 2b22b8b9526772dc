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
    "kidney left", "stomach", "aorta", "spine", "bones", "lesion", "right upper lobe",
    "right middle lobe", "right lower lobe", "left upper lobe", "left lower lobe",
    "vertebra 1", "vertebra 2", "vertebra 3", "vertebra 4", "vertebra 5", "vertebra 6",
    "vertebra 7", "vertebra 8", "vertebra 9", "vertebra 10", "vertebra 11", "vertebra 12",
    "vertebra 13", "vertebra 14", "vertebra 15", "vertebra 16", "vertebra 17",
    "vertebra 18", "vertebra 19", NULL
};

struct scan {
    struct voco_rng_key key;
    float noise_hu;
    float view_mm;              /* radius of the round field of view; 0: none */
    float centre_mm[3];         /* of the grid, in patient coordinates */
    int scanner, blurs;         /* blurs: how often the kernel is applied, 1 without scanners */
    float gain, offset_hu;      /* of its scale; 1 and 0 without scanners */
};

/* Kernel, noise and scale of one of several scanners, the same for all seeds. */
static void
pick_scanner(struct scan *s, int scanners)
{
    struct voco_rng_key key = { .purpose = VOCO_RNG_PHANTOM };

    s->blurs = 1;
    s->gain = 1;
    s->scanner = scanners > 0 ? (int)voco_rng_below(&s->key, 950, (uint32_t)scanners) : 0;
    if (scanners < 2)
        return;
    key.sample = (uint32_t)s->scanner;
    s->blurs = (int)voco_rng_below(&key, 0, 4);
    s->noise_hu *= 0.5f + 1.5f * voco_rng_unit(&key, 1);
    s->gain = 0.96f + 0.08f * voco_rng_unit(&key, 2);
    s->offset_hu = 40 * voco_rng_unit(&key, 3) - 20;
}

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
    pick_scanner(s, o->scanners);
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

/* *ret_lesion: voxels of the lesion. */
static void
sample(struct voco_volume *image, struct voco_volume *labels,
       const struct voco_anatomy *a, int64_t *ret_lesion)
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
                *ret_lesion += what == VOCO_PHANTOM_LESION;
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
            float hu = rintf(s->gain * row[i] + s->offset_hu + s->noise_hu * grain);

            if (s->view_mm > 0 && r > s->view_mm)
                hu = -1024;
            row[i] = fminf(fmaxf(hu, -1024), 3071);
        }
        plane = next;
        next = held;
    }
}

static void
describe(const struct voco_phantom_options *o, const struct voco_anatomy *a,
         const struct scan *s, int64_t lesion, struct voco_phantom_case *ret)
{
    const double ml = o->spacing_mm[0] * o->spacing_mm[1] * o->spacing_mm[2] / 1000;
    float p[3];

    voco_anatomy_frame(a, s->centre_mm, p);
    *ret = (struct voco_phantom_case){
        .age = o->patients ? (double)a->patient.age : NAN, .scanner = s->scanner,
        .region = p[2] > 20 ? "chest" : p[2] > -150 ? "abdomen" : "pelvis",
        .level = voco_phantom_level(p[2]), .lesion_ml = (double)lesion * ml,
        .lesion_organ = lesion ? a->patient.host : VOCO_PHANTOM_NONE };
}

static void
draw(const struct voco_phantom_options *o, const struct scan *s, struct voco_anatomy *a)
{
    voco_anatomy_init(a, &s->key);
    a->parts = o->parts;
    a->patients = o->patients;
    if (o->patients)
        voco_patient_draw(a, &s->key, o->lesions);
}

enum voco_err
voco_phantom_make(const struct voco_phantom_options *o, struct voco_volume *ret_image,
                  struct voco_volume *ret_labels, struct voco_phantom_case *ret_case)
{
    int64_t lesion = 0;
    struct voco_anatomy *a = malloc(sizeof *a);
    float *planes = calloc((size_t)(2 * o->dim[1]), (size_t)o->dim[2] * sizeof *planes);
    struct scan s = { .blurs = 1 };
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
        draw(o, &s, a);
        sample(ret_image, ret_labels, a, &lesion);
        for (int i = 0; i < s.blurs; i++)
            blur(ret_image, planes);
        finish(ret_image, &s, planes);
        if (ret_case)
            describe(o, a, &s, lesion, ret_case);
    } else {
        voco_volume_free(ret_image);
        if (ret_labels)
            voco_volume_free(ret_labels);
    }
    free(a);
    free(planes);
    return err;
}
