/*
 * The inputs named on the command line, as a flat list of volumes.
 *
 * An INPUT is one of: a volume file; a folder, searched for volumes and for folders that
 * hold DICOM files; a text list (one path a line, # comments); a CSV with the header
 * image[,label][,class]; the dataset.json of the Medical Segmentation Decathlon and of
 * nnU-Net v1 and v2; the lists {"training":[{"image":...,"label":...}]} that VoCo
 * publishes; a JSON array of such entries or of paths.
 *
 * Order: that of the inputs; folders by byte order of the names; lists as written.
 */
#ifndef VOCO_DATA_DATASET_DATALIST_H
#define VOCO_DATA_DATASET_DATALIST_H

#include <stdbool.h>

#include "base/err.h"

struct voco_item {
    char *id;               /* unique in the list, stable, UTF-8, usable as a file name */
    char **image;           /* one path, more for several channels (CASE_0000, _0001) */
    int n_images;           /* >= 1 */
    char *label;            /* NULL: none */
    char *class_name;       /* NULL: none; as the list writes it */
    char *dataset;          /* name of the list or folder; "" for single files */
    bool found;             /* in a folder that was searched; else somebody named it */
    char *problem;          /* NULL, or why this item cannot be used (file missing) */
};

/* The label values that the lists name, ascending. */
struct voco_class {
    int value;
    char *name;             /* "" for one that is only part of a region */
};
struct voco_classes {
    struct voco_class *class_;
    int n;
    char *problem;          /* NULL, or why the names cannot be used */
};

struct voco_datalist {
    struct voco_item *item;
    int n, capacity;
    int n_problems;
    int n_renamed;          /* ids that needed more than the file name */
    struct voco_classes classes;
};

struct voco_datalist_options {
    const char *root;       /* relative paths of lists begin here; NULL: at the list */
    const char *dataset;    /* name for all items; NULL: from the list or folder */
    bool test_split;        /* JSON lists: their test cases as well */
    const char *labels;     /* folder with label maps named as the images; or NULL */
};

/*
 * Adds the items of one input.  A list that cannot be parsed, an input that is not there
 * and a folder without volumes are errors; a missing file in a list is the item's
 * problem.  After a failure the list is as before.
 */
enum voco_err voco_datalist_add(struct voco_datalist *l, const char *input,
                                const struct voco_datalist_options *o);

/*
 * Gives every item its id, once all inputs were added: the file name without its volume
 * ending; where names repeat, the ending too ("ct.mha" beside "ct.nii") or as many parent
 * folders in front ("patient1-ct") as make them differ.  Bytes that are not allowed in
 * a name become _.  The same file listed again is a problem of the later item.
 */
enum voco_err voco_datalist_finish(struct voco_datalist *l);

/* Both, for all inputs.  Free the list after a failure, too. */
enum voco_err voco_datalist_read(struct voco_datalist *l, int n, const char *const *input,
                                 const struct voco_datalist_options *o);

void voco_datalist_free(struct voco_datalist *l);           /* accepts {0} */

#endif
