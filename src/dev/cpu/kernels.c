/* Which of the kernels of simd/ the cpu device uses. */
#include "dev/cpu/cpu.h"

#include <stdlib.h>

#include "simd/kernels.h"

enum voco_err
voco_cpu_kernels_open(struct voco_ctx *ctx)
{
    const char *cap = getenv("VOCO_ISA");
    struct voco_kernels *k = malloc(sizeof *k);
    struct voco_isa_choice choice;

    if (!k)
        return voco_fail(VOCO_EMEMORY, "no memory for the table of kernels");
    if (voco_kernels_select(cap, k, &choice) != 0) {
        free(k);
        return voco_fail(VOCO_EUSAGE, "VOCO_ISA=%s: expected ref, avx2, avx512 or "
                         "avx512bf16", cap);
    }
    voco_cpu_state(ctx)->kernels = k;
    return VOCO_OK;
}

void
voco_cpu_kernels_close(struct voco_ctx *ctx)
{
    free((void *)voco_cpu_state(ctx)->kernels);
    voco_cpu_state(ctx)->kernels = NULL;
}

const char *
voco_cpu_isa(const char **ret_note)
{
    struct voco_kernels k;
    struct voco_isa_choice choice;

    *ret_note = NULL;
    if (voco_kernels_select(getenv("VOCO_ISA"), &k, &choice) != 0)
        return "";
    *ret_note = choice.note;
    return voco_isa_name(choice.chosen);
}
