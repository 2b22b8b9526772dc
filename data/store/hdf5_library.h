/*
 * The HDF5 library for hdf5.c, which writes, and hdf5_read.c: its mutex, its error stack, and
 * how files are opened.
 */
#ifndef VOCO_DATA_STORE_HDF5_LIBRARY_H
#define VOCO_DATA_STORE_HDF5_LIBRARY_H

#include <hdf5.h>

#include "data/store/hdf5.h"
#include "data/store/hdf5_reader.h"

struct voco_h5 {
    hid_t file;
    char *path;
    struct voco_h5_reader *reader;      /* has the file open, for reading; else NULL */
};

struct voco_h5 *voco_h5_new(const char *path);
void voco_h5_release(struct voco_h5 *h);

/* Around every call of the library. */
void voco_h5_enter(void);
void voco_h5_leave(void);

/* Between enter and leave, as is the next: opens h->path, to be truncated or to be read. */
enum voco_err voco_h5_start(struct voco_h5 *h, bool create);
/* A sentence from the deepest line of the library's error stack; of a failed system call
 * only what the system said. */
enum voco_err voco_h5_fail(enum voco_err err, const struct voco_h5 *h, const char *what,
                           const char *name);
/* Is there an object of this name, "a/b"? */
bool voco_h5_finds(struct voco_h5 *h, const char *name);

#endif
