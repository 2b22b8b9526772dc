/*
 * Views: a crop of a volume, changed at random, twice.
 *
 * A view is drawn, then made: what is drawn about it is a pure function of its key.
 */
#ifndef VOCO_OBJECTIVE_VIEWS_VIEW_H
#define VOCO_OBJECTIVE_VIEWS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "data/augment/taps.h"
#include "data/batch/augment.h"
#include "objective/pretrain/patches.h"

enum { VOCO_VIEW_POINTS = 5 };          /* of a shift of the histogram */

/* A change with this probability, of a number uniform in low .. high. */
struct voco_view_change {
    double p, low, high;
};

/* How views of a crop differ.  In this order: place, histogram, noise, smoothing, scale,
 * contrast, low resolution, gamma of the inverted crop, gamma, flips, quarter turns. */
struct voco_view_recipe {
    double share;               /* a view shows this part of the crop's volume up to all of
                                 * it, brought back to the crop's size; 1: all */
    double shift;               /* the second view begins up to this part of the edge away,
                                 * per axis, inside the volume */
    double histogram;           /* probability */
    struct voco_view_change noise;      /* standard deviation */
    struct voco_view_change smooth;     /* that of the Gaussian in voxels, for each axis */
    struct voco_view_change scale, contrast;    /* factors */
    struct voco_view_change low;        /* factor of the size */
    struct voco_view_change gamma_inverted, gamma;      /* exponents */
    double flip[3];             /* probability for each axis */
    double turns;               /* probability of one to three in the plane of x and y */
};

/* CT-FM's views, and those of nnssl's SimCLR. */
extern const struct voco_view_recipe voco_view_recipe_contrast, voco_view_recipe_simclr;

struct voco_view_key {
    struct voco_patch_key crop;
    int view;                   /* 0 or 1 */
};

/* A view that is drawn. */
struct voco_view {
    int64_t start[3];           /* of its box in the volume */
    int edge;                   /* of the box */
    bool histogram;
    double point[VOCO_VIEW_POINTS];
    double noise, smooth[3];    /* 0: none */
    double scale, contrast, low, gamma_inverted, gamma;     /* 1: none */
    struct voco_augment turn;
    struct voco_rng_key grain;  /* of the noise */
};

/* A view of a crop of roi^3 voxels in a volume of dim >= roi.  strength: probabilities of
 * changes of intensities times this; augment false: the place alone. */
void voco_view_draw(const struct voco_view_recipe *r, double strength, bool augment,
                    const struct voco_view_key *key, const int64_t dim[3], int roi,
                    struct voco_view *ret);

/* Memory for making views of one size. */
struct voco_view_memory {
    struct voco_taps taps;
    float *box[2];              /* [roi^3] */
};

/* NULL: out of memory.  free accepts NULL. */
struct voco_view_memory *voco_view_memory_new(int roi);
void voco_view_memory_free(struct voco_view_memory *m);

/* out[roi^3] = the view of the box [edge^3] in m->box[0], which is overwritten. */
void voco_view_make(const struct voco_view *v, int roi, struct voco_view_memory *m,
                    float *out);

#endif
