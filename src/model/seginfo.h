/*
 * The metadata of a weights file for segmentation: the transforms that volumes need, as
 * in the training of the network, and the names of its classes.
 * doc/formats.md has the keys.
 */
#ifndef VOCO_MODEL_SEGINFO_H
#define VOCO_MODEL_SEGINFO_H

#include "data/transform/transform.h"
#include "tensorfile/safetensors.h"

enum { VOCO_SEGINFO_KEYS = 4 };

struct voco_seginfo {
    int64_t roi[3];             /* size of a window; 0: not said */
    bool has_transform;
    struct voco_transform transform;
    char *preset;               /* where it came from, for people; NULL: not said; owned */
    char **class_name;          /* of classes 0, 1, ...; NULL: not said; owned */
    int n_classes;
};

/* Missing entries are left out.  VOCO_EFORMAT names the file and the key of an entry that
 * is not valid.  Free with voco_seginfo_free, after a failure too. */
enum voco_err voco_seginfo_read(const char *path, struct voco_seginfo *ret);
void voco_seginfo_free(struct voco_seginfo *info);      /* accepts {0} */

/* The entries of a file's metadata; returns how many.  Free their values. */
int voco_seginfo_meta(const struct voco_seginfo *info,
                      struct voco_filemeta meta[VOCO_SEGINFO_KEYS]);

#endif
