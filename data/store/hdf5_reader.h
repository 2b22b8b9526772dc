/*
 * A process that reads an HDF5 file for this one.
 *
 * The HDF5 library follows null pointers and wild offsets in some damaged files.  It does so
 * in a child process, whose end is an error here and not the end of voco.  The child is a
 * fork: it answers one request after the other, and ends when the reader is closed.
 */
#ifndef VOCO_DATA_STORE_HDF5_READER_H
#define VOCO_DATA_STORE_HDF5_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/store/hdf5.h"

enum voco_h5_deed {
    VOCO_H5_OPEN, VOCO_H5_HAS, VOCO_H5_SHAPE, VOCO_H5_READ_F32, VOCO_H5_READ_U8,
    VOCO_H5_MEMBERS, VOCO_H5_MEMBER
};

struct voco_h5_request {
    enum voco_h5_deed deed;
    int64_t n;                  /* elements to read; number of a member */
    char name[256];             /* of a dataset */
};

struct voco_h5_reply {
    enum voco_err err;
    char said[1024];            /* the sentence */
    bool found;
    int rank;
    int64_t dim[VOCO_H5_RANK_MAX];
};

struct voco_h5_reader;

/* Answers a request, in the child.  Data go to the descriptor by voco_h5_send_piece. */
typedef void voco_h5_server(void *state, const struct voco_h5_request *request, int to,
                            struct voco_h5_reply *reply);

/* path is for sentences. */
enum voco_err voco_h5_reader_open(const char *path, voco_h5_server *serve, void *state,
                                  struct voco_h5_reader **ret);
/* Waits for the reply to a request, and for bytes of data if it is to have some.  VOCO_EFORMAT
 * where the library did not survive the file. */
enum voco_err voco_h5_reader_ask(struct voco_h5_reader *r,
                                 const struct voco_h5_request *request, void *data,
                                 size_t bytes, struct voco_h5_reply *ret);
/* Waits for the end of the child.  Accepts NULL. */
void voco_h5_reader_close(struct voco_h5_reader *r);

/* False when nobody listens any more. */
bool voco_h5_send_piece(int to, const void *data, size_t bytes);

#endif
