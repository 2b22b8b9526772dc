/*
 * Between the file formats and volume.c: the contents of a header, and reading the elements
 * that it describes.
 *
 * Each format parses its own header into a struct voco_source; turning the elements
 * into floats with z contiguous is the same for all of them.
 */
#ifndef VOCO_DATA_VOLUME_SOURCE_H
#define VOCO_DATA_VOLUME_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/place.h"
#include "data/volume/stream.h"

enum voco_element {
    VOCO_EL_U8, VOCO_EL_I8, VOCO_EL_U16, VOCO_EL_I16, VOCO_EL_U32, VOCO_EL_I32,
    VOCO_EL_U64, VOCO_EL_I64, VOCO_EL_F32, VOCO_EL_F64
};

struct voco_source {
    const char *format;     /* "NIfTI-1" */
    int64_t dim[3];         /* x fastest in the file */
    int n_volumes;          /* of this size, one behind the other */
    double affine[4][4];    /* index to RAS+ millimetres */
    struct voco_place place;
    enum voco_element element;
    bool big_endian;
    double slope, inter;    /* 1, 0: elements are the intensities */
    char *path;             /* file with the elements, owned */
    int64_t offset;         /* in that file; VOCO_SOURCE_AT_END: the last bytes of it */
    int64_t first;          /* the last bytes of it begin nowhere before this byte */
    int64_t skip;           /* behind offset, counted after inflating */
    enum voco_packing packing;
};

enum { VOCO_SOURCE_AT_END = -1, VOCO_SOURCE_VOLUMES_MAX = 64 };

/* Header readers.  Free *ret with voco_source_free, after a failure too. */
enum voco_err voco_nifti_parse(const char *path, struct voco_source *ret);
enum voco_err voco_metaimage_parse(const char *path, struct voco_source *ret);
enum voco_err voco_nrrd_parse(const char *path, struct voco_source *ret);

/* Convert a folder into a NIfTI file inside a fresh temporary folder; *ret_folder is to
 * be removed and freed by the caller, *ret_file to be freed. */
enum voco_err voco_dicom_convert(const char *path, char **ret_folder, char **ret_file);

/* The files of a DICOM folder in byte order of their names.  Free each and the array. */
enum voco_err voco_dicom_files(const char *path, char ***ret, int *ret_n);

void voco_source_free(struct voco_source *src);     /* accepts {0} */

/* Bytes of the elements of all volumes; VOCO_EFORMAT when a size is below 1 or the
 * product is absurd. */
enum voco_err voco_source_bytes(const char *path, const struct voco_source *src,
                                int64_t *ret_bytes);

/* All numbers finite, no axis of length 0, axes independent. */
enum voco_err voco_affine_check(const char *path, double affine[4][4]);

/* Open the file with the elements of all volumes and check that it is long enough, before
 * memory is allocated.  Close *ret after a failure too. */
enum voco_err voco_source_open(const struct voco_source *src, struct voco_stream *ret);

/* out[v][(x*dim1 + y)*dim2 + z] for every volume v, and the checks at the end of the
 * stream. */
enum voco_err voco_source_read(const struct voco_source *src, struct voco_stream *s,
                               float *const *out);

const char *voco_element_name(enum voco_element e);
int voco_element_bytes(enum voco_element e);

#endif
