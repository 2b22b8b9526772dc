/*
 * The store: a folder of immutable HDF5 shards with a manifest (voco-store(5)).
 *
 * Writing: one writer, many threads; each thread encodes its own volume.  A shard is
 * published whole; a killed writer loses at most the open shard, and opening the store
 * for writing again continues behind the last published one.
 * Reading: any number of threads; pread, inflate and unshuffle happen outside the HDF5
 * library, and only for the chunks that a box touches.
 */
#ifndef VOCO_DATA_STORE_STORE_H
#define VOCO_DATA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/labels.h"
#include "data/volume/stamp.h"
#include "data/volume/volume.h"

enum { VOCO_CHANNELS_MAX = 64 };

enum voco_store_type {
    VOCO_STORE_U16,         /* [0,1] in steps of 1/65535 */
    VOCO_STORE_F32,         /* bit-exact */
    VOCO_STORE_I16,         /* resampled intensities; the window is applied on reading */
    VOCO_STORE_LABEL8,      /* classes, in any store, beside the image; the narrower ... */
    VOCO_STORE_LABEL16      /* ... that holds a volume's largest class */
};

struct voco_store_options {
    enum voco_store_type type;
    int chunk;              /* edge in voxels; 0: the default */
    int level;              /* deflate 1..9; 0: the default */
    int64_t shard_bytes;    /* a shard is closed when it has grown to this; 0: 2 GiB */
    const char *const *class_name;      /* of labels 0, 1, ...; NULL: the store's own */
    int n_classes;
};

/* The label map of a volume, on the grid of its image. */
struct voco_store_label {
    const char *source;         /* path as it was given to convert; NULL: no label map */
    struct voco_stamp stamp;    /* of its files then */
    enum voco_store_type type;  /* VOCO_STORE_LABEL8 or VOCO_STORE_LABEL16 */
    struct voco_class_count *count;     /* by ascending class */
    int n_counts;
    int64_t background;         /* voxels of class 0 with an image above 0 (below) */
    uint32_t crc;               /* as that of the image */
};

/* One line of the manifest. All strings are owned by the store. */
struct voco_store_entry {
    const char *id;         /* unique in the store */
    const char *source;     /* path as it was given to convert */
    struct voco_stamp stamp;            /* of its files, of all channels, then */
    struct voco_place place;            /* how its header says where it lies */
    const char *dataset;    /* group for sampling weights ("abdomen"); may be "" */
    const char *preset;
    const char *reason;     /* NULL for a stored volume, else why it was rejected */
    const char *transforms; /* JSON text: the applied transforms, with numbers */
    int64_t dim[3];
    double spacing_mm[3];
    double affine[4][4];
    double window[2];       /* intensities that become 0 and 1 */
    int channels;           /* of the image, at least 1 */
    struct voco_store_label label;
    uint32_t crc;           /* CRC-32C of the decoded elements in row-major order; of
                             * several channels, of their CRCs (4 bytes each) */
};

/* ---- writing ---- */
struct voco_store_writer;

enum voco_err voco_store_create(const char *path, const struct voco_store_options *o,
                                struct voco_store_writer **ret);
/* The entry of an earlier, interrupted or complete convert, stored or rejected; NULL if
 * there is none.  A rejected id may be added or rejected again: the last line counts. */
const struct voco_store_entry *voco_store_written(const struct voco_store_writer *w,
                                                  const char *id);
/* Thread-safe.  entry: id source stamp place dataset preset transforms window label.source
 * label.stamp are read and copied; dim, spacing, affine and the counts of label come from
 * the case.  U16:
 * voxels are clipped to [0,1] (*ret_clipped counts the voxels outside, may be NULL); I16:
 * rounded, clipped. */
enum voco_err voco_store_add_case(struct voco_store_writer *w,
                                  const struct voco_store_entry *entry,
                                  const struct voco_case *c, int64_t *ret_clipped);
/* The same for an image of one channel without labels. */
enum voco_err voco_store_add(struct voco_store_writer *w,
                             const struct voco_store_entry *entry,
                             const struct voco_volume *v, int64_t *ret_clipped);
enum voco_err voco_store_reject(struct voco_store_writer *w,
                                const struct voco_store_entry *entry, const char *reason);
/* Publishes the open shard and frees the writer, also after a failure. */
enum voco_err voco_store_finish(struct voco_store_writer *w);
/* Removes the unpublished shard and frees the writer; accepts NULL. */
void voco_store_abandon(struct voco_store_writer *w);

/* ---- reading ---- */
struct voco_store;

/* Is there a store, by the manifest in its folder? */
bool voco_store_is(const char *path);

/* Entries are numbered in the order of their ids (strcmp), not of the manifest: neither
 * the number of convert's threads nor a restart changes an index or the hash. */
enum voco_err voco_store_open(const char *path, struct voco_store **ret);
void voco_store_close(struct voco_store *s);                /* accepts NULL */
int voco_store_count(const struct voco_store *s);           /* stored volumes */
int voco_store_rejects(const struct voco_store *s);
const struct voco_store_entry *voco_store_entry(const struct voco_store *s, int i);
const struct voco_store_entry *voco_store_reject_entry(const struct voco_store *s, int i);
/* The ids of these volumes for a message, "a, b"; the same one in a row once. Free it. */
char *voco_store_ids(const struct voco_store *s, const int *volume, int n);
enum voco_store_type voco_store_element(const struct voco_store *s);
/* CRC-32C over members of the stored entries (id, dataset, transforms, sizes, affine,
 * window, crc), in the order of their ids and without shard names: the same volumes with
 * the same options give the same hash, however the work was cut into shards. */
uint32_t voco_store_hash(const struct voco_store *s);

/* Names of the classes 0, 1, ... if convert was told; else NULL and 0. */
const char *const *voco_store_classes(const struct voco_store *s, int *ret_n);
/* One more than the largest class of any label map; 0 in a store without labels. */
int voco_store_n_classes(const struct voco_store *s);

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
enum voco_err voco_store_read_channel(const struct voco_store *s, int i, int channel,
                                      const int64_t start[3], const int64_t size[3],
                                      float *out, struct voco_store_scratch *scratch);
/* Classes of a volume that has a label map. */
enum voco_err voco_store_read_label(const struct voco_store *s, int i,
                                    const int64_t start[3], const int64_t size[3],
                                    uint16_t *out, struct voco_store_scratch *scratch);
void voco_store_scratch_free(struct voco_store_scratch *scratch);

/*
 * For sampling: a voxel of a label map by its rank among those that are labelled (class
 * above 0), or among the background with an image: class 0 and a value above 0 in any
 * channel (VOCO_STORE_I16: above the lower end of the entry's window).  Ranks count chunk
 * by chunk; voco_store_voxels says how many there are.  Reads one chunk, since the index
 * of a shard counts both for each.
 */
enum voco_voxel_kind { VOCO_VOXEL_LABELLED, VOCO_VOXEL_BACKGROUND };
int64_t voco_store_voxels(const struct voco_store *s, int i, enum voco_voxel_kind kind);
enum voco_err voco_store_find(const struct voco_store *s, int i,
                              enum voco_voxel_kind kind, int64_t rank, int64_t ret_at[3],
                              struct voco_store_scratch *scratch);

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
