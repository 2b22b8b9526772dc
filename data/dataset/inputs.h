/*
 * The inputs named on a command line, each a volume, a folder or list of volumes
 * (datalist.h), a store, or a file of prepared crops: their volumes one after the other.
 *
 * Order: stores and files of crops as they were named, then the volumes of lists.
 */
#ifndef VOCO_DATA_DATASET_INPUTS_H
#define VOCO_DATA_DATASET_INPUTS_H

#include "data/dataset/datalist.h"
#include "data/store/store.h"

/* A volume of a list, a volume of a store, or a file of crops. */
struct voco_input_entry {
    const char *id;                 /* of crops: the file */
    const char *source;             /* the file that it was made from */
    const struct voco_item *item;   /* of a list; else NULL */
    const struct voco_store *store; /* that has it; else NULL */
    int index;                      /* in the store */
};

struct voco_inputs {
    struct voco_input_entry *entry; /* [n]; strings belong to stores and list */
    int n;
    struct voco_store **store;
    int n_stores;
    struct voco_datalist list;
};

struct voco_inputs_options {
    bool test_split;                /* JSON lists: their test cases as well */
    bool crops;                     /* HDF5 files of crops (cropfile.h) are inputs, too */
};

/* Opens stores and reads lists, but no volume.  An input that is none of these, or not
 * there, is an error.  Free with voco_inputs_free, also after a failure. */
enum voco_err voco_inputs_open(struct voco_inputs *in, int n, const char *const *path,
                               const struct voco_inputs_options *o);
void voco_inputs_free(struct voco_inputs *in);      /* accepts {0} */

/* Two entries with the same id, for results that are files of that name; false: there are
 * none. */
bool voco_inputs_clash(const struct voco_inputs *in, const struct voco_input_entry **ret_a,
                       const struct voco_input_entry **ret_b);

/* All channels of a volume: of a list as the files have them, of a store as they were
 * transformed.  VOCO_EFORMAT with the problem of an item that cannot be used. */
enum voco_err voco_input_read(const struct voco_input_entry *in, struct voco_case *ret);

/* One input that cannot be used does not end the others: VOCO_EFORMAT becomes a warning, is
 * counted and gives VOCO_OK. */
enum voco_err voco_input_reject(enum voco_err err, int *rejected);

#endif
