/*
 * A case as a store holds it: the compressed chunks of its volumes, with checksums and
 * counts.  All of it happens in the calling thread and in memory.
 */
#ifndef VOCO_DATA_STORE_ENCODE_H
#define VOCO_DATA_STORE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/store/chunk.h"
#include "data/store/shard.h"
#include "data/store/store.h"

/* One volume. */
struct voco_encoded {
    enum voco_store_type type;
    struct voco_chunk_grid grid;
    uint32_t crc;                       /* of the elements, before they became chunks */
    int64_t n;                          /* chunks */
    uint8_t *bytes;                     /* all of them, one behind the other */
    size_t used, room;
    size_t *chunk_bytes;
    const void **chunk;
    struct voco_chunk_entry *table;     /* without addresses */
};

struct voco_encoded_case {
    struct voco_encoded *part;          /* [n]: the channels, then the labels */
    int n;
    uint32_t crc;                       /* of the image, as in its manifest entry */
    struct voco_class_count *count;     /* of the labels */
    int n_counts;
    int64_t background;
};

/* window: the intensities that become 0 and 1, for VOCO_STORE_I16.  *ret_clipped (may be NULL): voxels
 * that the element type could not hold.  Free with voco_encoded_free, also after a
 * failure. */
enum voco_err voco_encode(const struct voco_store_options *o, const struct voco_case *c,
                          const double window[2], struct voco_encoded_case *ret,
                          int64_t *ret_clipped);
void voco_encoded_free(struct voco_encoded_case *e);    /* accepts {0} */

#endif
