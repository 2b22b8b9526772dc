/*
 * Converts a list of volumes: reads, transforms and stores them, several at a time.
 *
 * Volumes already stored with the same options are skipped, so that a killed convert can be
 * run again.  A volume that cannot be used is rejected with a reason, and the others go on.
 * An error of writing stops everything and leaves the store as it was last published.
 */
#ifndef VOCO_DATA_CONVERT_CONVERT_H
#define VOCO_DATA_CONVERT_CONVERT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/dataset/case.h"
#include "data/dataset/datalist.h"
#include "data/volume/labels.h"
#include "data/store/store.h"
#include "data/transform/transform.h"

struct voco_convert_options {
    const char *store;                  /* folder */
    struct voco_store_options element;
    struct voco_transform transform;
    const char *preset, *dataset;       /* as the manifest shall say */
    int channel;                        /* of several; or VOCO_CHANNEL_ALL, _REFUSE */
    const struct voco_label_map *labels;        /* NULL: images only */
    int threads;
    int64_t memory_bytes;               /* for all volumes in hand together */
    const volatile sig_atomic_t *stop;  /* not 0: begin no further volume; may be NULL */
};

enum voco_fate {
    VOCO_FATE_PENDING,                  /* not reached */
    VOCO_FATE_STORED,
    VOCO_FATE_SKIPPED,                  /* was there already */
    VOCO_FATE_REJECTED
};

/* The result for one item. */
struct voco_outcome {
    enum voco_fate fate;
    char *reason;                       /* of a reject, now or earlier; owned */
};

struct voco_convert_result {
    struct voco_outcome *outcome;       /* one per item of the list; owned */
    int n;
    int64_t stored, skipped, rejected, pending;
    int64_t voxels;                     /* of the volumes stored now, in the foreground */
    int64_t below, above;               /* of these, clipped by the window */
    int64_t outside;                    /* that the element type could not hold */
    int64_t nonfinite;                  /* replaced */
};
void voco_convert_result_free(struct voco_convert_result *r);   /* accepts {0} */

/* VOCO_OK also when volumes were rejected or the work was stopped: see the result, which
 * is to be freed in any case. */
enum voco_err voco_convert_run(const struct voco_datalist *list,
                               const struct voco_convert_options *o,
                               struct voco_convert_result *ret);

/* Plans an item from its header alone: sizes after the transforms and peak memory.
 * VOCO_EFORMAT, with the reason, for an item that would be rejected. */
struct voco_convert_plan {
    int64_t from[3], to[3];
    int channels;
    double from_mm[3], to_mm[3];
    double bytes;                       /* of memory at the peak; 0: not known */
};
enum voco_err voco_convert_plan(const struct voco_item *item,
                                const struct voco_convert_options *o,
                                struct voco_convert_plan *ret);

/* Would these options make the same entry from the item?  If not, the text what names the
 * first difference. */
bool voco_convert_same(const struct voco_store_entry *entry, const struct voco_item *item,
                       const struct voco_convert_options *o, char *what, size_t what_n);

#endif
