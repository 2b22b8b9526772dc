/* Do two devices compute the same?  The few primitives that carry a step, on small
 * made-up tensors; for voco doctor.  tests/test_device.c is the thorough one. */
#ifndef VOCO_DEV_SELFTEST_H
#define VOCO_DEV_SELFTEST_H

#include "dev/device.h"

struct voco_selftest {
    const char *primitive;      /* the worst one */
    double error;               /* there: largest |a - b| / largest |b| */
};

/* VOCO_OK when both ran, whatever the error. */
enum voco_err voco_selftest(const struct voco_device *a, const struct voco_device *b,
                            struct voco_selftest *ret);

#endif
