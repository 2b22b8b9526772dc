/*
 * Whether files are those that they were: sizes and times, and, where only times differ,
 * a checksum.
 */
#ifndef VOCO_DATA_VOLUME_STAMP_H
#define VOCO_DATA_VOLUME_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Of all files that some volumes are in (voco_volume_files), together. */
struct voco_stamp {
    bool known;
    int64_t bytes;
    int64_t modified_ns;    /* the latest time, since 1970 */
    uint32_t crc;           /* CRC-32C of their bytes, one file behind the other */
};

/* Reads all of path[0..n) once. */
enum voco_err voco_stamp_make(char *const *path, int n, struct voco_stamp *ret);

/* Are path[0..n) still what then was made of?  Files are read only if their times alone
 * differ.  Unknown stamps, and files that are not there now, count as the same.  If
 * not, the text what tells the difference: "it has changed since: 1020 bytes, now
 * 1112". */
bool voco_stamp_same(const struct voco_stamp *then, char *const *path, int n, char *what,
                     size_t what_n);

#endif
