/* The list of devices. */
#include "dev/list.h"

#include <string.h>

#include "dev/cpu/cpu.h"

const char *const voco_device_names[] = { "cpu", "oracle", NULL };
const char *const voco_precision_names[] = { "auto", "f32", "bf16", NULL };

const struct voco_device *
voco_device_by_name(const char *name, enum voco_precision precision)
{
    if (strcmp(name, "cpu") == 0) {
        if (precision == VOCO_PRECISION_AUTO)
            precision = voco_cpu_has_bf16() ? VOCO_PRECISION_BF16 : VOCO_PRECISION_F32;
        return precision == VOCO_PRECISION_BF16 ? &voco_cpu_bf16 : &voco_cpu;
    }
    if (strcmp(name, "oracle") == 0 && precision != VOCO_PRECISION_BF16)
        return &voco_oracle;
    if (strcmp(name, "oracle") == 0)
        voco_fail(VOCO_EUSAGE, "--precision bf16 and --device oracle exclude each other: the "
                  "oracle stores doubles");
    else
        voco_fail(VOCO_EUSAGE, "no device is called '%s': expected cpu or oracle", name);
    return NULL;
}

const struct voco_device *
voco_device_default(void)
{
    return &voco_cpu;
}
