/*
 * manifest.jsonl: the contents of a store (voco-store(5)).
 *
 * The first line describes the whole store, each further line one volume.
 * A line ends with a checksum of itself and a newline; a last line without newline was
 * cut off by a crash and does not count.  The lines of a shard's volumes are appended
 * together after the shard has got its name: a shard without its lines is not published.
 */
#ifndef VOCO_DATA_STORE_MANIFEST_H
#define VOCO_DATA_STORE_MANIFEST_H

#include <stdbool.h>

#include "base/err.h"
#include "data/store/manifest_line.h"
#include "data/store/store.h"

struct voco_manifest {
    char *path;
    struct voco_header header;
    struct voco_line **line;        /* lines stay where they are; owned */
    int n, room;
    struct voco_line **replaced;    /* rejects superseded by a later line */
    int n_replaced, replaced_room;
    void *index;                    /* id -> number of its line */
    bool torn;                      /* the file ends with part of a line */
};

/* Reads folder/manifest.jsonl.  A store without one is VOCO_EFORMAT.
 * Free with voco_manifest_free, also after a failure. */
enum voco_err voco_manifest_read(const char *folder, struct voco_manifest *ret);
/* An empty one, in memory. */
enum voco_err voco_manifest_new(const char *folder, const struct voco_store_options *o,
                                struct voco_manifest *ret);
void voco_manifest_free(struct voco_manifest *m);   /* accepts {0} */

const struct voco_line *voco_manifest_find(const struct voco_manifest *m, const char *id);

/* Takes the line over, also after a failure.  An id that was rejected is replaced, one
 * that is stored is an error. */
enum voco_err voco_manifest_add(struct voco_manifest *m, struct voco_line *line);

/* Only lines with keep[i] stay. */
void voco_manifest_filter(struct voco_manifest *m, const bool *keep);

/* Writes the whole manifest anew: whole or absent. */
enum voco_err voco_manifest_write(const struct voco_manifest *m);

#endif
