/*
 * Which format a file is in, by its content first and its name second.
 */
#ifndef VOCO_DATA_VOLUME_KIND_H
#define VOCO_DATA_VOLUME_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum voco_kind {
    VOCO_KIND_UNKNOWN, VOCO_KIND_NIFTI, VOCO_KIND_METAIMAGE, VOCO_KIND_NRRD,
    VOCO_KIND_DICOM, VOCO_KIND_DICOMDIR
};

/* VOCO_EFORMAT for files that no reader of one file takes: a DICOM file, an unknown one,
 * text headers inside gzip. */
enum voco_err voco_kind_recognise(const char *path, enum voco_kind *ret);

/* The kind of a file by its first bytes, unknown if it cannot be opened. */
enum voco_kind voco_kind_sniff(const char *path);

/* Do head[0..n), the first bytes of a file, begin a DICOM file?  It may lack the 128 bytes
 * and the mark "DICM": then its first two elements must be those of a data set. */
bool voco_is_dicom_head(const char *head, size_t n);

/* Is that DICOM file the index of a medium, which holds no image? */
bool voco_is_dicomdir_head(const char *head, size_t n);

/* case.img is data: its header is case.hdr.  Free the result. */
char *voco_header_of(const char *path);

/* The data of case.hdr: case.img, whether packed or not, its letters in the case that is
 * there.  Free the result, which may not exist. */
char *voco_image_of(const char *path);

#endif
