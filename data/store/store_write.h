/* The writer of a store, as opening and writing share it. */
#ifndef VOCO_DATA_STORE_STORE_WRITE_H
#define VOCO_DATA_STORE_STORE_WRITE_H

#include <pthread.h>

#include "data/store/hdf5.h"
#include "data/store/manifest.h"
#include "data/store/shard.h"
#include "data/store/store.h"

struct voco_store_writer {
    char *folder;
    int folder_fd;                      /* locked: one writer per store */
    int manifest_fd;
    struct voco_store_options o;        /* without zeros */
    pthread_mutex_t mutex;              /* everything below */
    struct voco_manifest manifest;
    int next_shard;

    struct voco_h5 *h5;                 /* the open shard, NULL if there is none */
    char *part;                         /* its temporary name */
    struct voco_shard shard;            /* its index so far */
    struct voco_chunk_entry **table;    /* per volume */
    struct voco_line **line;            /* of its cases, owned by the manifest */
    int n_lines;
    int room;                           /* of volume, table and line */

    enum voco_err err;                  /* the first failure; nothing works after it */
    char *why;
};

#endif
