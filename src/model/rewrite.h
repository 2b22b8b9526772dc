/*
 * Weights from one file into another: chosen tensors under other names and types, one at
 * a time, so that no model has to fit into memory.
 */
#ifndef VOCO_MODEL_REWRITE_H
#define VOCO_MODEL_REWRITE_H

#include "tensorfile/names.h"
#include "tensorfile/safetensors.h"

struct voco_rewrite {
    struct voco_filetensor *item;       /* as written; names are owned */
    const struct voco_filetensor **from;        /* NULL: the index table of attention */
    int *storage;                       /* the item that it is a copy of, or itself */
    int n, room;
};

/* A tensor under a name that the callee owns from now on; type NULL: as it is.  Integers
 * keep their type. */
void voco_rewrite_add(struct voco_rewrite *r, const struct voco_filetensor *from, char *name,
                      const char *type);

/* The index tables of 7^3 windows that bias tables lack; MONAI's strict loading wants
 * them.  */
void voco_rewrite_add_indices(struct voco_rewrite *r);

/* The copies that nnU-Net's state_dict has of the items so far; its strict loading wants
 * them. */
void voco_rewrite_add_copies(struct voco_rewrite *r);

/* .pt and .pth by the name, else safetensors.  from, called input in messages, is the file
 * that they come from: its entries under "voco.", such as classes and transforms, are
 * copied unless meta has others.  wrapper (for .pt) may be NULL. */
enum voco_err voco_rewrite_write(const struct voco_rewrite *r, const char *path,
                                 const struct voco_tensorfile *from, const char *input,
                                 const char *wrapper, const struct voco_filemeta *meta,
                                 int n_meta);
void voco_rewrite_free(struct voco_rewrite *r);     /* accepts {0} */

#endif
