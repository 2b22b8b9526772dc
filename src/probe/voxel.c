/* Linear segmentation of voxels by ridge regression. */
#include "probe/voxel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/matrix.h"
#include "probe/ridge.h"

enum { BLOCK = 64 };            /* voxels whose features are in double at a time */

void
voco_voxel_sums_init(struct voco_voxel_sums *s, int width, int classes)
{
    *s = (struct voco_voxel_sums){ .width = width, .classes = classes,
                                   .of_class = voco_doubles(classes),
                                   .cross = voco_doubles((int64_t)classes * width),
                                   .gram = voco_doubles((int64_t)width * width) };
}

void
voco_voxel_sums_free(struct voco_voxel_sums *s)
{
    free(s->of_class);
    free(s->cross);
    free(s->gram);
    *s = (struct voco_voxel_sums){ .gram = NULL };
}

void
voco_voxel_sums_take(struct voco_voxel_sums *s, const float *x, const uint16_t *label, int n,
                     const double *weight)
{
    double *row = voco_doubles((int64_t)BLOCK * s->width), w[BLOCK];

    for (int first = 0; first < n; first += BLOCK) {
        const int m = n - first < BLOCK ? n - first : BLOCK;

        for (int64_t j = 0; j < (int64_t)m * s->width; j++)
            row[j] = x[(int64_t)first * s->width + j];
        for (int i = 0; i < m; i++) {
            const int k = label[first + i];

            w[i] = weight[k];
            s->of_class[k] += w[i];
            voco_axpy(w[i], row + (int64_t)i * s->width, s->width,
                      s->cross + (int64_t)k * s->width);
        }
        voco_gram(row, w, m, s->width, s->gram);
    }
    free(row);
}

static void
add(double *to, const double *from, int64_t n, double sign)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += sign * from[i];
}

void
voco_voxel_sums_add(struct voco_voxel_sums *s, const struct voco_voxel_sums *other,
                    double sign)
{
    add(s->of_class, other->of_class, s->classes, sign);
    add(s->cross, other->cross, (int64_t)s->classes * s->width, sign);
    add(s->gram, other->gram, (int64_t)s->width * s->width, sign);
}

void
voco_voxel_class_weights(const int64_t *count, int classes, double *weight)
{
    double sum = 0, all = 0;

    for (int k = 0; k < classes; k++) {
        weight[k] = count[k] ? 1 / sqrt((double)count[k]) : 0;
        sum += weight[k] * (double)count[k];
        all += (double)count[k];
    }
    for (int k = 0; k < classes; k++)
        weight[k] *= all / sum;
}

/* Sums about the mean of features of deviation 1, from sums of the features as they are. */
static void
standardise(const struct voco_voxel_sums *s, double all, const double *mean, double *scale,
            double *gram, double *cross)
{
    const int width = s->width;

    for (int j = 0; j < width; j++) {
        const double square = s->gram[(int64_t)j * width + j] / all;
        const double variance = square - mean[j] * mean[j];

        /* What is left of a constant feature is rounding of its square. */
        scale[j] = variance > 1e-12 * square ? 1 / sqrt(variance) : 0;
    }
    for (int i = 0; i < width; i++)
        for (int j = 0; j <= i; j++)
            gram[(int64_t)i * width + j] = scale[i] * scale[j]
                * (s->gram[(int64_t)i * width + j] - all * mean[i] * mean[j]);
    for (int k = 0; k < s->classes; k++)
        for (int j = 0; j < width; j++)
            cross[(int64_t)k * width + j] = scale[j]
                * (s->cross[(int64_t)k * width + j] - s->of_class[k] * mean[j]);
}

enum voco_err
voco_voxel_fit(const struct voco_voxel_sums *s, double share, struct voco_linear *ret)
{
    const int width = s->width;
    double *mean = voco_doubles(width), *scale = voco_doubles(width), all = 0;
    double *gram = voco_doubles((int64_t)width * width);
    double *cross = voco_doubles((int64_t)s->classes * width);
    enum voco_err err;

    voco_linear_init(ret, width, s->classes);
    for (int k = 0; k < s->classes; k++) {
        all += s->of_class[k];
        voco_axpy(1, s->cross + (int64_t)k * width, width, mean);
    }
    for (int j = 0; j < width; j++)
        mean[j] /= all;
    standardise(s, all, mean, scale, gram, cross);
    err = voco_ridge_solve(gram, cross, width, s->classes, share * all, ret->w);
    for (int k = 0; k < s->classes; k++) {
        double *w = ret->w + (int64_t)k * width;

        for (int j = 0; j < width; j++)
            w[j] *= scale[j];
        ret->b[k] = s->of_class[k] > 0 ? s->of_class[k] / all - voco_dot(w, mean, width)
            : -INFINITY;
    }
    free(mean);
    free(scale);
    free(gram);
    free(cross);
    return err;
}

void
voco_voxel_tally_init(struct voco_voxel_tally *t, int classes)
{
    *t = (struct voco_voxel_tally){ .truth = voco_doubles(classes),
                                    .predicted = voco_doubles(classes),
                                    .both = voco_doubles(classes) };
}

void
voco_voxel_tally_free(struct voco_voxel_tally *t)
{
    free(t->truth);
    free(t->predicted);
    free(t->both);
    *t = (struct voco_voxel_tally){ .truth = NULL };
}

void
voco_voxel_tally_take(struct voco_voxel_tally *t, const struct voco_linear *m,
                      const float *x, const uint16_t *label, int n)
{
    double *row = voco_doubles(m->width), *z = voco_doubles(m->outputs);

    for (int i = 0; i < n; i++) {
        int best = 0;

        for (int j = 0; j < m->width; j++)
            row[j] = x[(int64_t)i * m->width + j];
        voco_linear_apply(m, row, 1, z);
        for (int k = 1; k < m->outputs; k++)
            best = z[k] > z[best] ? k : best;
        t->truth[label[i]]++;
        t->predicted[best]++;
        t->both[best] += best == label[i];
    }
    free(row);
    free(z);
}

double
voco_voxel_dice(const struct voco_voxel_tally *t, const double *weight, int n, int classes,
                double *dice)
{
    double mean = 0;
    int present = 0;

    dice[0] = NAN;
    for (int k = 1; k < classes; k++) {
        double truth = 0, predicted = 0, both = 0;

        for (int i = 0; i < n; i++) {
            const double w = weight ? weight[i] : 1;

            truth += w * t[i].truth[k];
            predicted += w * t[i].predicted[k];
            both += w * t[i].both[k];
        }
        dice[k] = truth > 0 ? 2 * both / (truth + predicted) : NAN;
        mean += truth > 0 ? dice[k] : 0;
        present += truth > 0;
    }
    return present ? mean / present : NAN;
}
