/*
 * The end of a shard: our own index behind the HDF5 file (voco-store(5)).
 *
 *   [ HDF5 file ][ a chunk table per volume ][ volume table ][ footer ]
 *
 * HDF5 ignores bytes behind its end of file.  With the index in the same file, one
 * rename publishes both, and neither can be lost or copied without the other.  Every
 * byte of a shard is under exactly one checksum: chunks and tables have their own, the
 * structure checksum covers the rest of the HDF5 part, and the footer ends with its
 * own.  All numbers are little-endian.
 */
#ifndef VOCO_DATA_STORE_SHARD_H
#define VOCO_DATA_STORE_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/store/chunk.h"
#include "data/store/store.h"

struct voco_chunk_entry {
    uint64_t address;
    uint32_t bytes;
    uint32_t crc;               /* CRC-32C of these bytes */
    uint32_t voxels[2];         /* of a label map, by enum voco_voxel_kind */
};

/* One of a case's volumes: a channel of its image, or its label map. */
struct voco_shard_volume {
    enum voco_store_type type;  /* the shard's own, or that of labels */
    int part;                   /* number of the channel, or VOCO_PART_LABEL */
    uint64_t table;             /* where its chunk table begins */
    uint64_t n_chunks;
    uint32_t table_crc;
    uint32_t crc;               /* CRC-32C of the decoded elements, row-major */
    int64_t dim[3];
    uint32_t id_crc;            /* CRC-32C of voco_part_name */
};

struct voco_shard {
    char *path;                 /* owned */
    int number;
    enum voco_store_type type;
    int chunk;
    uint64_t h5_bytes;          /* the HDF5 part */
    uint64_t bytes;             /* the whole file */
    uint32_t structure_crc;     /* of the HDF5 part without the chunks */
    struct voco_shard_volume *volume;   /* cases side by side: channels, then labels */
    int n_volumes;
    bool has_parts;             /* volumes that are not the first channels of images */
};

/* The name of a volume among all of a store: the id for the first channel, else the id
 * with "%c1", "%c2", ... or, part VOCO_PART_LABEL, "%label" behind it.  An id as it
 * appears in these names has no % of its own.  Free it. */
enum { VOCO_PART_LABEL = -1 };
char *voco_part_name(const char *id, int part);

/* Slots that the volumes of a stored entry take. */
int voco_entry_slots(const struct voco_store_entry *e);

/* The manifest's CRC of v[0..n), the channels of a case: that of the only one, or the CRC
 * over the CRCs of all. */
uint32_t voco_channels_crc(const struct voco_shard_volume *v, int n);

/* "shard-00007.h5", owned by the caller. */
char *voco_shard_name(int number);
/* The number of such a name, -1 for any other. */
int voco_shard_number(const char *name);

/* Reads and checks footer, volume table and the head of the HDF5 part: nothing else of
 * the file is looked at, and HDF5 is not asked.  Free with voco_shard_free. */
enum voco_err voco_shard_open(const char *path, struct voco_shard *ret);
void voco_shard_free(struct voco_shard *s);         /* accepts {0} */

/* The chunk table of volume v from the open file fd, checked; table has room for
 * n_chunks entries, bytes for as many times VOCO_CHUNK_ENTRY_BYTES. */
enum { VOCO_CHUNK_ENTRY_BYTES = 24 };       /* at most: 16 for images, 24 for labels */
enum voco_err voco_shard_table(const struct voco_shard *s, int fd, int v, uint8_t *bytes,
                               struct voco_chunk_entry *table);

/* Behind a finished HDF5 file: appends tables and footer and fsyncs.  table[v] are the
 * n_chunks entries of volume v; s->volume[v].table and .table_crc, s->h5_bytes, s->bytes
 * and s->structure_crc are filled in. */
enum voco_err voco_shard_append(struct voco_shard *s,
                                struct voco_chunk_entry *const *table);

/* CRC-32C of the HDF5 part of fd without the n chunks given (which get sorted); chunks
 * that overlap or leave the HDF5 part are VOCO_EFORMAT. */
enum voco_err voco_shard_structure(const struct voco_shard *s, int fd,
                                   struct voco_chunk_entry *chunk, int64_t n,
                                   uint32_t *ret_crc);

/* pread until n bytes are there.  VOCO_EFORMAT when the file ends before. */
enum voco_err voco_pread(const char *path, int fd, void *out, size_t n, uint64_t at);

#endif
