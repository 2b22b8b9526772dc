/*
 * Files of named tensors: safetensors, PyTorch's .pt and .pth, checkpoints of voco.
 *
 * Readers of weights know this struct and none of the formats.  A file is mapped, not
 * read: the pages of a tensor come from the disk when its elements are asked for.  All
 * that a hostile or damaged file could get wrong is checked when it is opened, so that
 * every tensor listed lies in the file.
 */
#ifndef VOCO_TENSORFILE_TENSORFILE_H
#define VOCO_TENSORFILE_TENSORFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCO_FILETENSOR_RANK_MAX = 8 };

struct voco_filetensor {
    const char *name;
    const char *type;           /* "F32", "I64", ...: the names of safetensors */
    int64_t dim[VOCO_FILETENSOR_RANK_MAX];
    int rank;
    const void *data;           /* element 0, aligned to nothing; NULL in a zip archive */
    size_t bytes;               /* elements * bytes of one */
    bool strided;               /* else dense, the last dimension fastest */
    int64_t stride[VOCO_FILETENSOR_RANK_MAX];   /* if strided: in elements, none negative */
    const struct voco_zip *zip; /* NULL, or the archive ... */
    int entry;                  /* ... and the entry with the storage, ... */
    size_t from;                /* ... of which this byte is the first of element 0 */
};

/* A dictionary that holds tensors, beside the one that is the file's. */
struct voco_filedict {
    char *path, *python;        /* "model_ema", and the way there: ["model_ema"] */
    char *first;                /* the name of its first tensor; NULL: of none */
    int n;                      /* tensors */
    bool network;               /* with the names of a network that voco knows */
};

struct voco_tensorfile {
    const char *format;         /* "safetensors", "PyTorch" */
    struct voco_filetensor *item;       /* safetensors: in the order of the buffer */
    int n;
    struct { char *key, *value; } *meta;
    int n_meta;
    char *wrapper;              /* "state_dict": where the tensors were; "" at the top */
    char *prefix;               /* "net.": left out in front of all names; "": nothing */
    struct voco_filedict *dict; /* others with tensors; where n is 0, none could be chosen */
    int n_dicts;
    char *beside;               /* JSON of nnU-Net's other entries; or NULL */
    char **foreign;             /* Python names beside the tensors, which nobody ran */
    int n_foreign;
    char **name;                /* owns the items' names */
    struct voco_zip *zip;       /* the archive of .pt files */
    void *map;
    size_t map_bytes;
};

/* A file, or a folder with model.safetensors.  Data stay valid until close.  Where a known
 * network's names (names.h) stand behind a prefix that all names share, it is left out. */
enum voco_err voco_tensorfile_open(struct voco_tensorfile *f, const char *path);
void voco_tensorfile_close(struct voco_tensorfile *f);      /* accepts {0} */
const struct voco_filetensor *voco_tensorfile_find(const struct voco_tensorfile *f,
                                                   const char *name);
const char *voco_tensorfile_meta(const struct voco_tensorfile *f, const char *key);

/* Notes for whoever loads or rewrites the file: the prefix, and other dictionaries with
 * tensors, which are not used; a warning where they are a network, too. */
void voco_tensorfile_tell(const struct voco_tensorfile *f, const char *path);

/* A summary of the tensors, for an error where no network is recognised: "its 12 tensors
 * begin with a.weight, a.bias, b.weight".  Free it. */
char *voco_tensorfile_contents(const struct voco_tensorfile *f, const char *path);

/* Every checksum that the file has. */
enum voco_err voco_tensorfile_verify(const struct voco_tensorfile *f);

/* Does the content begin like a format that voco_tensorfile_open knows?  By name only
 * where there is too little content to tell: .safetensors, .pt, .pth. */
bool voco_tensorfile_sniff(const char *path);

/* ---- tensors ---- */

/* Bytes of an element of a type name, 0 for an unknown one; the name as a constant. */
size_t voco_filetype_bytes(const char *type);
const char *voco_filetype(const char *type);
bool voco_filetype_is_float(const char *type);      /* F64 F32 F16 BF16 */

int64_t voco_filetensor_count(const struct voco_filetensor *t);

/* The bytes are those that were written, as far as a checksum tells.  Copy and convert
 * check, too. */
enum voco_err voco_filetensor_check(const struct voco_filetensor *t);

/* All elements, densely, as they are: t->bytes. */
enum voco_err voco_filetensor_copy(const struct voco_filetensor *t, void *out);

/* All elements as F32, F16 or BF16, rounded to nearest even (F64 by way of F32). */
enum voco_err voco_filetensor_convert(const struct voco_filetensor *t, const char *type,
                                      void *out);

/* "[12,1,2,2,2]"; writes at most 192 bytes to buf and returns it. */
const char *voco_filetensor_shape(const struct voco_filetensor *t, char buf[192]);

/* ---- for the readers of formats ---- */

/* Room for n tensors and as many names. */
enum voco_err voco_tensorfile_reserve(struct voco_tensorfile *f, size_t n, const char *what);
void voco_tensorfile_add_meta(struct voco_tensorfile *f, const char *key, const char *value);

#endif
