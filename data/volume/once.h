/*
 * Warnings that a run gives once, although the header they are about is read again for
 * the plan, the voxels and the label map.
 */
#ifndef VOCO_DATA_VOLUME_ONCE_H
#define VOCO_DATA_VOLUME_ONCE_H

#include "base/err.h"

/* voco_warn, unless the same sentence was said before.  Thread-safe. */
void voco_warn_once(const char *fmt, ...) VOCO_PRINTF(1, 2);

#endif
