/*
 * Between datalist.c and the readers of each kind of list.
 */
#ifndef VOCO_DATA_DATASET_LISTING_H
#define VOCO_DATA_DATASET_LISTING_H

#include <jansson.h>

#include "data/dataset/datalist.h"

/* One list being read. */
struct voco_listing {
    struct voco_datalist *list;
    const struct voco_datalist_options *options;
    const char *path;       /* of the list or folder */
    char *dataset;          /* name for its items; owned */
    char *missing_label;    /* the first one that is not there; owned */
    int n_missing_labels, n_labels;
    int n_modalities;       /* that a list of nnU-Net v1 or the Decathlon names */
};

/* A path as a list writes it, seen from the list's folder or from --root.  Free it. */
char *voco_listing_path(const struct voco_listing *l, const char *name);

/* A new item for this image; image and label (may be NULL) become the item's.  A missing
 * image is its problem, a missing label is dropped and counted. */
struct voco_item *voco_listing_push(struct voco_listing *l, char *image, char *label);

/* One more channel of the item. */
void voco_listing_channel(struct voco_listing *l, struct voco_item *item, char *image);

/* The item cannot be used; takes the sentence over, the first one of an item counts. */
void voco_datalist_problem(struct voco_datalist *l, struct voco_item *item,
                           char *problem);

/* The "labels" of a JSON list, which may be NULL, go into the classes of all lists; an
 * error there becomes their problem. */
void voco_listing_classes(struct voco_listing *l, const json_t *labels);
void voco_classes_free(struct voco_classes *c);     /* accepts {0} */

/* "labelsTr/a.nii.gz" -> "a", without folder and volume ending.  Free it. */
char *voco_stem(const char *path);

enum voco_err voco_listing_folder(struct voco_listing *l);
enum voco_err voco_listing_json(struct voco_listing *l);
enum voco_err voco_listing_text(struct voco_listing *l);
enum voco_err voco_listing_csv(struct voco_listing *l);

/* Entries of a folder in byte order, hidden ones left out.  Free each and the array. */
enum voco_err voco_folder_names(const char *path, char ***ret_names, int *ret_n);
void voco_names_free(char **names, int n);

#endif
