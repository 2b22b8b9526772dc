/*
 * The deterministic chain that brings a volume to the form that training reads:
 *
 *   orient -> spacing -> window -> foreground crop -> pad -> resize -> pad
 *
 * with MONAI's meaning of each step.  The window is found before the crop and applied
 * after it, which gives the same voxels for less work.
 */
#ifndef VOCO_DATA_TRANSFORM_TRANSFORM_H
#define VOCO_DATA_TRANSFORM_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

enum voco_scaling {
    VOCO_SCALING_NONE,          /* intensities are in [0,1] already, or may stay raw */
    VOCO_SCALING_RANGE,         /* window = intensities */
    VOCO_SCALING_PERCENTILE,    /* window = percentiles of the nonzero voxels */
    VOCO_SCALING_ZSCORE,        /* window = standard deviations from their mean */
    VOCO_SCALING_NORMALIZE,     /* nonzero voxels get mean 0, deviation 1; not clipped */
    VOCO_SCALING_STANDARDIZE    /* all voxels of the foreground's box do; not clipped */
};
extern const char *const voco_scaling_name[];       /* NULL-terminated */

enum voco_foreground {
    VOCO_FOREGROUND_NONE,
    VOCO_FOREGROUND_WINDOW,     /* above the lower end of the window */
    VOCO_FOREGROUND_NONZERO     /* not exactly zero before windowing */
};
extern const char *const voco_foreground_name[];    /* NULL-terminated */

struct voco_transform {
    bool orient;                /* to RAS */
    double spacing_mm[3];       /* 0: keep; all 0: no resampling, shear stays too */
    enum voco_scaling scaling;
    double window[2];           /* these become 0 and 1; clipped */
    double into[2];             /* then 0 and 1 become these; both 0: stay */
    enum voco_foreground foreground;
    int64_t multiple[3];        /* the foreground's box grows to a multiple; 0: it stays */
    int64_t pad_first[3];       /* at least this size before resize; 0: no padding */
    int64_t resize[3];          /* exactly this size; all 0: no resize */
    int64_t pad[3];             /* at least this size at the end; 0: no padding */
    bool keep_intensity;        /* find the window and crop by it, but do not apply it */
    bool replace_nonfinite;     /* NaN and Inf become nonfinite_value, else an error */
    double nonfinite_value;
    bool all_channels;          /* of images that have several; else one */
    const char *labels;         /* the label map as text (data/volume/labels.h); NULL: none */
};

/* Do intensities end outside of [0,1]? */
bool voco_transform_is_unbounded(const struct voco_transform *t);

/* Report on one case; voxels are counted over all its channels. */
struct voco_transform_report {
    double window[2];           /* intensities that become 0 and 1, in the first channel */
    int64_t voxels;             /* within the foreground */
    int64_t below, above;       /* of these, clipped by the window */
    int64_t nonfinite;          /* replaced */
    char *json;                 /* {"options":..., "source":..., "steps":[...]}; owned */
};
void voco_transform_report_free(struct voco_transform_report *r);   /* accepts {0} */

/* Replaces the volumes by the transformed ones.  Channels are windowed each by its own
 * numbers and cropped to the foreground of any; labels take the nearest voxel, and 0 in
 * padding.  VOCO_EFORMAT with a sentence that does not name the file: NaN or Inf,
 * constant, nothing above the window's lower end, a grid that is too large.  The case is
 * then undefined but can be freed. */
enum voco_err voco_transform_case(struct voco_case *c, const struct voco_transform *t,
                                  struct voco_transform_report *ret);
/* The same for an image of one channel without labels. */
enum voco_err voco_transform_run(struct voco_volume *v, const struct voco_transform *t,
                                 struct voco_transform_report *ret);

/* Sizes and spacing after the chain from a header only, an upper bound where the
 * foreground decides; the bytes that reading, running and storing hold at their peak. */
enum voco_err voco_transform_plan(const struct voco_volume *header,
                                  const struct voco_transform *t, int64_t ret_dim[3],
                                  double ret_mm[3], double *ret_bytes);

/* The options as one JSON object on one line; free it. */
char *voco_transform_options(const struct voco_transform *t);

/* Those options back from the text.  VOCO_EFORMAT names the key that is wrong. */
enum voco_err voco_transform_parse(const char *json, struct voco_transform *ret);

/* The options in a report, or in the record of transforms of a store's entry. */
enum voco_err voco_transform_of_report(const char *report, struct voco_transform *ret);

/* Were the transforms of a manifest entry (a report's json) made with these options?
 * If not, `what` gets the first that differs: "--spacing was 1.5,1.5,1.5, now 1,1,1". */
bool voco_transform_same(const char *json, const struct voco_transform *t,
                         char *what, size_t what_n);

#endif
