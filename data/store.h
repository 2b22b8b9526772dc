/*
 * The store: a folder of immutable HDF5 shards with a manifest (voco-store(5)).
 *
 * Writing: one writer, many threads; each thread encodes its own volume.  A shard is
 * published whole; a killed writer loses at most the open shard, and opening the store
 * for writing again continues behind the last published one.
 * Reading: any number of threads; pread, inflate and unshuffle happen outside the HDF5
 * library, and only for the chunks that a box touches.
 */
#ifndef VOCO_DATA_STORE_H
#define VOCO_DATA_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume.h"

enum voco_store_type {
    VOCO_STORE_U16,         /* [0,1] in steps of 1/65535 */
    VOCO_STORE_F32,         /* bit-exact */
    VOCO_STORE_I16          /* resampled intensities; the window is applied on reading */
};

struct voco_store_options {
    enum voco_store_type type;
    int chunk;              /* edge in voxels; 0: the default */
    int level;              /* deflate 1..9; 0: the default */
    int64_t shard_bytes;    /* a shard is closed when it has grown to this; 0: 2 GiB */
};

/* One line of the manifest. All strings are owned by the store. */
struct voco_store_entry {
    const char *id;         /* unique in the store */
    const char *source;     /* path as it was given to convert */
    const char *dataset;    /* group for sampling weights ("abdomen"); may be "" */
    const char *preset;
    const char *reason;     /* NULL for a stored volume, else why it was rejected */
    const char *transforms; /* JSON text: what was applied, with its numbers */
    int64_t dim[3];
    double spacing_mm[3];
    double affine[4][4];
    double window[2];       /* intensities that become 0 and 1 */
    uint32_t crc;           /* CRC-32C of the decoded elements in row-major order */
};

/* ---- writing ---- */
struct voco_store_writer;

enum voco_err voco_store_create(const char *path, const struct voco_store_options *o,
                                struct voco_store_writer **ret);
/* The entry of an earlier, interrupted or complete convert, stored or rejected; NULL if
 * there is none.  A rejected id may be added or rejected again: the last line counts. */
const struct voco_store_entry *voco_store_written(const struct voco_store_writer *w,
                                                  const char *id);
/* Thread-safe.  entry: id source dataset preset transforms window are read and copied;
 * dim, spacing, affine, crc are taken from the volume.  U16: voxels are clipped to
 * [0,1] (*ret_clipped counts the voxels outside, may be NULL); I16: rounded, clipped. */
enum voco_err voco_store_add(struct voco_store_writer *w,
                             const struct voco_store_entry *entry,
                             const struct voco_volume *v, int64_t *ret_clipped);
enum voco_err voco_store_reject(struct voco_store_writer *w,
                                const struct voco_store_entry *entry, const char *reason);
/* Publishes what is open and frees the writer, also after a failure. */
enum voco_err voco_store_finish(struct voco_store_writer *w);
/* Removes the unpublished shard and frees the writer; accepts NULL. */
void voco_store_abandon(struct voco_store_writer *w);

/* ---- reading ---- */
struct voco_store;

/* Entries are numbered in the order of their ids (strcmp), not of the manifest: neither
 * the number of convert's threads nor a restart changes an index or the hash. */
enum voco_err voco_store_open(const char *path, struct voco_store **ret);
void voco_store_close(struct voco_store *s);                /* accepts NULL */
int voco_store_count(const struct voco_store *s);           /* stored volumes */
int voco_store_rejects(const struct voco_store *s);
const struct voco_store_entry *voco_store_entry(const struct voco_store *s, int i);
const struct voco_store_entry *voco_store_reject_entry(const struct voco_store *s, int i);
enum voco_store_type voco_store_element(const struct voco_store *s);
/* CRC-32C over what the stored entries say (id, dataset, transforms, sizes, affine,
 * window, crc), in the order of their ids and without shard names: the same volumes with
 * the same options give the same hash, however the work was cut into shards. */
uint32_t voco_store_hash(const struct voco_store *s);

/* Window for VOCO_STORE_I16 stores instead of the entries' own. */
void voco_store_set_window(struct voco_store *s, double low, double high);

/* out[size0][size1][size2] = the box that begins at start, mapped to [0,1]; it must lie
 * inside the volume.  Thread-safe.  scratch belongs to the calling thread and grows as
 * needed: begin with {0}, free with voco_store_scratch_free. */
struct voco_store_scratch {
    void *raw, *bytes, *table;
    size_t raw_n, bytes_n, table_n;
    void *inflate;
    int64_t reads, read_bytes, chunks;  /* preads of data, their bytes, chunks decoded */
};
enum voco_err voco_store_read(const struct voco_store *s, int i, const int64_t start[3],
                              const int64_t size[3], float *out,
                              struct voco_store_scratch *scratch);
void voco_store_scratch_free(struct voco_store_scratch *scratch);

struct voco_store_check {
    int threads;                        /* each takes a shard at a time */
    /* Every fault, and the volumes done so far; one call at a time, from any of the
     * threads.  Both may be NULL. */
    void (*report)(const char *sentence, void *user);
    void (*progress)(int done, int total, void *user);
    void *user;
};

/* Reads every byte of every shard against its checksums, and decodes every volume against
 * the crc of its elements.  The sentence kept is that of the first fault in the first
 * shard that has one. */
enum voco_err voco_store_verify(const struct voco_store *s,
                                const struct voco_store_check *check);

#endif
