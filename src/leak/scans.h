/*
 * The scans of stores, lists and folders as thumbnails.
 */
#ifndef VOCO_LEAK_SCANS_H
#define VOCO_LEAK_SCANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"
#include "leak/thumb.h"

struct voco_scan {
    int input;                  /* that it came from */
    char *id, *source;          /* source: the file, as it was given or converted */
    int index;                  /* in its store or list */
    uint32_t crc;               /* of a store's voxels, else 0 */
    char *problem;              /* NULL, or why it was not compared */
    struct voco_thumb *thumb;   /* [n_channels] */
    int n_channels;
};

struct voco_scan_input {
    const char *path;           /* the caller's */
    bool is_store;
    uint32_t hash;              /* of a store */
    int first, n;               /* its scans */
};

struct voco_scans {
    struct voco_scan *scan;
    int n, n_problems;
    struct voco_scan_input *input;
    int n_inputs;
};

/* Reads every scan of the inputs, on so many threads; every: as in feature.h.  A scan that
 * cannot be read has a problem and does not stop the others.  Free with voco_scans_free,
 * also after a failure. */
enum voco_err voco_scans_read(const char *const *input, int n, bool every, int threads,
                              struct voco_scans *ret);
void voco_scans_free(struct voco_scans *s);     /* accepts {0} */

/* The voxels of a channel again, as the thumbnail was made of them but not turned. */
enum voco_err voco_scan_volume(const struct voco_scans *s, int i, int channel,
                               struct voco_volume *ret);

#endif
