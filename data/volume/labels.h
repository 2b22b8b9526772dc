/*
 * Label maps: rules that map the values in a file to the classes of the store.
 *
 * As text, a map is a list of rules with commas between them:
 *
 *   5        the value 5 is class 5
 *   0-13     so are all of these
 *   8:2      the value 8 is class 2
 *   20-29:3  so are all of these
 *   *:0      all values that no other rule names are class 0
 *   any      every whole number is the class of that number
 *
 * Values that no rule names are unknown, and a volume with unknown values is refused.
 */
#ifndef VOCO_DATA_VOLUME_LABELS_H
#define VOCO_DATA_VOLUME_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

enum {
    VOCO_LABEL_MAX = 65535,     /* largest value and class that the store can hold */
    VOCO_LABEL_UNKNOWN = -1
};

struct voco_label_map {
    int32_t to[VOCO_LABEL_MAX + 1];     /* class, or VOCO_LABEL_UNKNOWN */
    int32_t others;                     /* the same for values that are not in to[] */
};

/* VOCO_EUSAGE names the rule that is wrong. */
enum voco_err voco_label_map_parse(const char *text, struct voco_label_map *ret);

/* "A,B,C": names of the classes 0, 1, 2.  VOCO_EUSAGE for an empty one or too many.  Free
 * *ret_text and *ret, whose entries lie in it. */
enum voco_err voco_class_names_parse(const char *text, char **ret_text, const char ***ret,
                                     int *ret_n);

/* Values become classes.  VOCO_EFORMAT lists the unknown values with their voxels, and
 * v is as it was; sentences do not name the file. */
enum voco_err voco_label_map_apply(const struct voco_label_map *m, struct voco_volume *v);

/* Voxels of a class, by ascending class, for classes that are there.  voxel[] are classes
 * already.  Free *ret. */
struct voco_class_count {
    int class_id;
    int64_t voxels;
};
enum voco_err voco_label_count(const struct voco_volume *v, struct voco_class_count **ret,
                               int *ret_n);

/* Do the voxels look like labels: two to eight whole numbers, or more of them where neighbours
 * mostly agree and do not differ by steps of grey?  *ret_values: how many numbers there are, if
 * so. */
bool voco_volume_looks_labelled(const struct voco_volume *v, int *ret_values);

#endif
