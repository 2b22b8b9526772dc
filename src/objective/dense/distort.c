/* The chain of distortions of Models Genesis, on a crop. */
#include "objective/dense/distort.h"

#include <string.h>

enum { FLIPS = 3, INSIDE = 5, AROUND = 5 };

static const double another = 0.95;     /* probability of one more box */

/* Places in the stream of VOCO_RNG_DISTORT, crop 0; shuffled blocks have the others. */
enum {
    AT_FLIP = 0,                        /* [FLIPS][2] */
    AT_STAGES = AT_FLIP + 2 * FLIPS,    /* shuffle, curve, rising, paint, inside */
    AT_POINTS = AT_STAGES + 5,          /* [2][2] */
    AT_BOXES = AT_POINTS + 4            /* [5][1 + VOCO_BOX_NUMBERS] */
};

/* A crop's sizes, and the scratch of a thread. */
struct job {
    int64_t size[3], voxels;
    struct voco_curve *curve;
    float *noise;                       /* [size] */
    uint32_t *order;                    /* of the largest block */
};

static int64_t
largest_block(const int64_t size[3])
{
    return (size[0] / 10 + 1) * (size[1] / 10 + 1) * (size[2] / 10 + 1);
}

size_t
voco_distort_bytes(const int64_t size[3])
{
    return sizeof(struct voco_curve) + (size_t)(size[0] * size[1] * size[2]) * sizeof(float)
        + (size_t)largest_block(size) * sizeof(uint32_t);
}

static struct job
job_of(const int64_t size[3], void *scratch)
{
    struct job j = { .size = { size[0], size[1], size[2] },
                     .voxels = size[0] * size[1] * size[2], .curve = scratch };

    j.noise = (float *)(j.curve + 1);
    j.order = (uint32_t *)(j.noise + j.voxels);
    return j;
}

static struct voco_rng_key
stream(const struct voco_rng_key *key, enum voco_purpose purpose, int crop)
{
    struct voco_rng_key k = *key;

    k.purpose = (uint16_t)purpose;
    k.crop = (uint16_t)crop;
    return k;
}

static void
numbers(const struct voco_rng_key *key, uint32_t first, int n, float *u)
{
    for (int i = 0; i < n; i++)
        u[i] = voco_rng_unit(key, first + (uint32_t)i);
}

/* ---- flips ---- */

static void
flip(float *y, const int64_t size[3], int axis)
{
    int64_t row = 1, rows = 1;          /* elements behind the axis, lines before it */

    for (int a = axis + 1; a < 3; a++)
        row *= size[a];
    for (int a = 0; a < axis; a++)
        rows *= size[a];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < size[axis] / 2; i++) {
            float *a = y + (r * size[axis] + i) * row;
            float *b = y + (r * size[axis] + size[axis] - 1 - i) * row;

            for (int64_t k = 0; k < row; k++) {
                const float held = a[k];

                a[k] = b[k];
                b[k] = held;
            }
        }
}

/* As long as the coin says so, three times at most. */
static void
flips(const struct job *job, const struct voco_rng_key *coin, double p, float *y)
{
    for (uint32_t i = 0; i < FLIPS; i++) {
        if (voco_rng_unit(coin, AT_FLIP + 2 * i) >= (float)p)
            return;
        flip(y, job->size, (int)voco_rng_below(coin, AT_FLIP + 2 * i + 1, 3));
    }
}

/* ---- local shuffling ---- */

void
voco_shuffle_block(const float *y, const int64_t size[3], const struct voco_box *b,
                   const uint32_t *order, float *x)
{
    const int64_t area = b->extent[1] * b->extent[2];

    for (int64_t i = 0, n = 0; i < b->extent[0]; i++)
        for (int64_t j = 0; j < b->extent[1]; j++) {
            float *to = x + ((b->start[0] + i) * size[1] + b->start[1] + j) * size[2]
                        + b->start[2];

            for (int64_t k = 0; k < b->extent[2]; k++, n++) {
                const int64_t from = order[n];

                to[k] = y[((b->start[0] + from / area) * size[1] + b->start[1]
                           + from % area / b->extent[2]) * size[2]
                          + b->start[2] + from % b->extent[2]];
            }
        }
}

/* Later blocks overwrite earlier ones; all read what was there before the first. */
static void
shuffle(const struct job *job, const struct voco_rng_key *key, int blocks, const float *y,
        float *x)
{
    for (int i = 0; i < blocks; i++) {
        const struct voco_rng_key place = stream(key, VOCO_RNG_DISTORT, 1 + i);
        const struct voco_rng_key order = stream(key, VOCO_RNG_SHUFFLE, i);
        float u[VOCO_BOX_NUMBERS];
        struct voco_box b;

        numbers(&place, 0, VOCO_BOX_NUMBERS, u);
        b = voco_box_shuffle(u, job->size);
        voco_rng_permute(&order, (uint32_t)voco_box_voxels(&b), job->order);
        voco_shuffle_block(y, job->size, &b, job->order, x);
    }
}

/* ---- painting ---- */

/* Noise, a function of the voxel, in the voxels of the box. */
static void
make_noise(const struct job *job, const struct voco_rng_key *key, const struct voco_box *b)
{
    for (int64_t i = 0; i < b->extent[0]; i++)
        for (int64_t j = 0; j < b->extent[1]; j++) {
            const int64_t at = ((b->start[0] + i) * job->size[1] + b->start[1] + j)
                               * job->size[2] + b->start[2];

            for (int64_t k = at; k < at + b->extent[2]; k++)
                job->noise[k] = voco_rng_unit(key, (uint32_t)k);
        }
}

static void
paint_inside(const struct job *job, const struct voco_rng_key *key,
             const struct voco_rng_key *coin, float *x)
{
    for (int i = 0; i < INSIDE; i++) {
        const uint32_t at = AT_BOXES + (uint32_t)i * (1 + VOCO_BOX_NUMBERS);
        const struct voco_rng_key own = stream(key, VOCO_RNG_NOISE, i);
        float u[VOCO_BOX_NUMBERS];
        struct voco_box b;

        if (voco_rng_unit(coin, at) >= (float)another)
            return;
        numbers(coin, at + 1, VOCO_BOX_NUMBERS, u);
        b = voco_box_inpaint(u, job->size);
        make_noise(job, &own, &b);
        voco_box_copy(job->noise, job->size, &b, x);
    }
}

static void
paint_around(const struct job *job, const struct voco_rng_key *key,
             const struct voco_rng_key *coin, float *x)
{
    const struct voco_rng_key own = stream(key, VOCO_RNG_NOISE, 0);
    const struct voco_box all = { .extent = { job->size[0], job->size[1], job->size[2] } };

    make_noise(job, &own, &all);
    for (int i = 0; i < AROUND; i++) {
        const uint32_t at = AT_BOXES + (uint32_t)i * (1 + VOCO_BOX_NUMBERS);
        float u[VOCO_BOX_NUMBERS];
        struct voco_box b;

        if (i > 0 && voco_rng_unit(coin, at) >= (float)another)
            break;
        numbers(coin, at + 1, VOCO_BOX_NUMBERS, u);
        b = voco_box_outpaint(u, job->size);
        voco_box_copy(x, job->size, &b, job->noise);
    }
    memcpy(x, job->noise, (size_t)job->voxels * sizeof *x);
}

/* ---- the chain ---- */

void
voco_distort(const struct voco_distortion *d, const struct voco_rng_key *key,
             const int64_t size[3], float *y, float *x, void *scratch)
{
    const struct job job = job_of(size, scratch);
    const struct voco_rng_key coin = stream(key, VOCO_RNG_DISTORT, 0);
    float stage[5], point[4];

    numbers(&coin, AT_STAGES, 5, stage);
    numbers(&coin, AT_POINTS, 4, point);
    flips(&job, &coin, d->flip, y);
    memcpy(x, y, (size_t)job.voxels * sizeof *x);
    if (stage[0] < (float)d->shuffle)
        shuffle(&job, key, d->blocks, y, x);
    if (stage[1] < (float)d->curve) {
        voco_curve_make(job.curve, (double[]){ point[0], point[1] },
                        (double[]){ point[2], point[3] }, stage[2] < 0.5f);
        voco_curve_map(job.curve, job.voxels, x);
    }
    if (stage[3] >= (float)d->paint)
        return;
    if (stage[4] < (float)d->inpaint)
        paint_inside(&job, key, &coin, x);
    else
        paint_around(&job, key, &coin, x);
}
