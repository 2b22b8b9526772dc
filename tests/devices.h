/* The devices that must agree with the oracle. */
#ifndef VOCO_TESTS_DEVICES_H
#define VOCO_TESTS_DEVICES_H

#include "tests/far.h"

static const struct voco_device *const devices[] = {
    &voco_oracle,
    &voco_cpu,
    &far_f32.device,
    &voco_cpu_bf16,         /* last: only primitives are compared so closely */
    &far_bf16.device,
};

enum { ALL_DEVICES = sizeof devices / sizeof devices[0], DEVICES = ALL_DEVICES - 2 };

#endif
