/*
 * Reading a case: the channels of an item's image and its label map, on one grid.
 */
#ifndef VOCO_DATA_DATASET_CASE_H
#define VOCO_DATA_DATASET_CASE_H

#include "base/err.h"
#include "data/dataset/datalist.h"
#include "data/volume/labels.h"
#include "data/volume/volume.h"

/* Which channels of an item that has several images, or one file with several volumes. */
enum {
    VOCO_CHANNEL_ALL = -2,
    VOCO_CHANNEL_REFUSE = -1        /* from 0 on: that one */
};

/* Reads the headers of an item; VOCO_EFORMAT if they do not fit each other or the choice of
 * channels.  labels: is a label map wanted?  DICOM folders are not read: ret->format is
 * NULL. */
enum voco_err voco_case_describe(const struct voco_item *item, int channel, bool labels,
                                 struct voco_volume_header *ret);

/* The file of an item that its entry in a store names. */
const char *voco_case_source(const struct voco_item *item, int channel);

/*
 * Reads the chosen channels and, with a map, the labels, whose values become classes.
 * All must have the same sizes, and their corners must lie in the same places, to a
 * twentieth of a voxel; the first one's affine is then that of all.  VOCO_EFORMAT names
 * the file, what it has and what was expected.
 */
enum voco_err voco_case_read(const struct voco_item *item, int channel,
                             const struct voco_label_map *map, struct voco_case *ret);

/* One label map; its values become classes. */
enum voco_err voco_label_read(const char *path, const struct voco_label_map *map,
                              struct voco_volume *ret);

/* Does the volume of path lie on the grid of another, in the sense above? */
enum voco_err voco_same_grid(const char *path, const struct voco_volume *v,
                             const char *other_path, const struct voco_volume *other);

#endif
