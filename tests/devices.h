/*
 * The devices that the tests run on: primitives and blocks on every row, against the oracle;
 * whole networks on one.
 */
#ifndef VOCO_TESTS_DEVICES_H
#define VOCO_TESTS_DEVICES_H

#include <stdlib.h>
#include <string.h>

#include "dev/device.h"
#include "tests/far.h"

static const struct voco_device *const devices[] = {
    &voco_oracle,
    &voco_cpu,
    &far_f32.device,
    &voco_cpu_bf16,         /* last: only primitives are compared so closely */
    &far_bf16.device,
};

enum { ALL_DEVICES = sizeof devices / sizeof devices[0], DEVICES = ALL_DEVICES - 2 };

/* For tests of whole networks, which would take minutes on all: the one that
 * VOCO_TEST_DEVICE names, or cpu. */
static inline const struct voco_device *
device_under_test(void)
{
    const char *name = getenv("VOCO_TEST_DEVICE");

    for (int i = 0; name && i < ALL_DEVICES; i++)
        if (strcmp(devices[i]->name, name) == 0)
            return devices[i];
    VOCO_ASSERT(!name);     /* VOCO_TEST_DEVICE is no row of the table */
    return &voco_cpu;
}

#endif
