/* Shared by reading and verifying a store. */
#ifndef VOCO_DATA_STORE_STORE_READ_H
#define VOCO_DATA_STORE_STORE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "data/store/inventory.h"
#include "data/store/manifest.h"
#include "data/store/store.h"

struct voco_store {
    char *folder;
    struct voco_manifest manifest;
    struct voco_inventory inventory;
    const struct voco_line **stored;    /* by id */
    const struct voco_shard **shard;    /* where stored[i] is */
    int n;
    const struct voco_line **rejected;  /* by id */
    int n_rejected;
    uint32_t hash;
    bool window_given;
    double window[2];
};

/* p[0..n) with room for at least n bytes; its contents are lost.  NULL without memory. */
void *voco_scratch_room(void **p, size_t *room, size_t n);

#endif
