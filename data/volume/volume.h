/*
 * A volume in memory, and reading one from a file.
 *
 * voxel[(x * dim[1] + y) * dim[2] + z]: z is contiguous, as the store and torch have it
 * (NIfTI files have x contiguous: the readers transpose).  affine maps the voxel index
 * (x,y,z,1) to millimetres in RAS+, NIfTI's convention, whatever the file's own is.
 */
#ifndef VOCO_DATA_VOLUME_VOLUME_H
#define VOCO_DATA_VOLUME_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/place.h"

struct voco_volume {
    int64_t dim[3];
    float *voxel;           /* owned */
    double affine[4][4];
    struct voco_place place;    /* as it was read; transforms leave it behind */
};

/* The volumes of one case, on one grid: the channels of its image, and its labels. */
struct voco_case {
    struct voco_volume *channel;    /* [n_channels], owned */
    int n_channels;
    struct voco_volume label;       /* voxel NULL: none */
};
void voco_case_free(struct voco_case *c);           /* accepts {0} */

/* Read NIfTI-1/2, MetaImage, NRRD or a DICOM folder, told apart by content first, name
 * second.  4-D with one time point is 3-D; RGB, complex, more than one time point, zero
 * sizes, singular affines, truncated data and wrong gzip checksums are VOCO_EFORMAT.
 * On success free with voco_volume_free. */
enum voco_err voco_volume_read(const char *path, struct voco_volume *ret_volume);

/* The same for a NIfTI file with several volumes behind each other, the channels of an
 * image: *ret_n of them, all on one grid.  Free with voco_volumes_free. */
enum voco_err voco_volume_read_all(const char *path, struct voco_volume **ret,
                                   int *ret_n);
void voco_volumes_free(struct voco_volume *v, int n);   /* accepts NULL */

/* The description of a volume in its file, for people. */
struct voco_volume_header {
    int64_t dim[3];
    int channels;           /* volumes of this size in the file */
    double affine[4][4];
    double spacing_mm[3];
    const char *format;     /* "NIfTI-1", "MetaImage", ... */
    const char *element;    /* "i16", "f32", ... as stored */
    bool compressed;
    double slope, inter;    /* intensity = element * slope + inter */
};

/* The header with every check of voco_volume_read that needs no voxel.  A DICOM folder
 * is converted for it. */
enum voco_err voco_volume_describe(const char *path, struct voco_volume_header *ret);

/* Does the content begin like a format that voco_volume_read knows?  false for folders
 * and for files that cannot be opened. */
bool voco_volume_sniff(const char *path);

/* The files that hold the volume: header and voxels, or those of a DICOM folder.  Free
 * each and the array. */
enum voco_err voco_volume_files(const char *path, char ***ret, int *ret_n);

/* Bytes of the volume ending of a file name (".nii.gz": 7), 0 if it has none. */
int voco_volume_ending(const char *name);

/* Does this folder itself, not those below it, hold a DICOM file? */
bool voco_is_dicom_folder(const char *path);

/* Voxels that are NaN or infinite. */
int64_t voco_volume_nonfinite(const struct voco_volume *v);

/* Are these sizes of a volume at all, and of one that this machine has memory for? */
enum voco_err voco_volume_fits(const int64_t dim[3]);

/* Allocates voxels for these sizes after checking them; affine is identity. */
enum voco_err voco_volume_alloc(struct voco_volume *v, const int64_t dim[3]);
void voco_volume_free(struct voco_volume *v);       /* accepts {0} */

/* Lengths of the affine's columns in mm. */
void voco_volume_spacing(const struct voco_volume *v, double spacing_mm[3]);

/* Write NIfTI-1, f32, sform; gzip when the name ends in .gz.  Whole or absent. */
enum voco_err voco_volume_write(const char *path, const struct voco_volume *v);

/* A grid to write on; place, where it is known, says how it lies, else the affine does. */
struct voco_grid {
    int64_t dim[3];
    double affine[4][4];
    struct voco_place place;
};

/* The same of labels, u8; label[] as voxel[]. */
enum voco_err voco_volume_write_labels(const char *path, const struct voco_grid *g,
                                       const uint8_t *label);

/* The same of n volumes behind each other, f32, 4-D: make fills one after the other. */
enum voco_err voco_volume_write_many(const char *path, const struct voco_grid *g, int n,
                                     enum voco_err (*make)(void *user, int i,
                                                           float *voxel), void *user);

#endif
