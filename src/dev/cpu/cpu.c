/* The cpu devices: tables, life, what they say of themselves. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/block.h"
#include "dev/cpu/dnnl_shim.h"
#include "dev/cpu/tuning.h"

/* ---- life ---- */

void
voco_cpu_close(struct voco_ctx *ctx)
{
    struct voco_cpu *cpu = voco_cpu_state(ctx);

    if (!cpu)
        return;
    voco_cpu_conv_close(ctx);
    voco_dnnl_close(cpu->dnnl);
    voco_cpu_kernels_close(ctx);
    free(cpu->scratch);
    free(cpu);
    ctx->state = NULL;
}

/* LLVM's OpenMP aborts at numbers such as "" and "-3".  It reads them when it is first used;
 * omp_set_num_threads says all that they could say. */
static void
forget_threads_that_are_no_number(void)
{
    const char *text = getenv("OMP_NUM_THREADS");

    if (text && atoi(text) <= 0)
        unsetenv("OMP_NUM_THREADS");
}

enum voco_err
voco_cpu_open(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    struct voco_cpu *cpu = calloc(1, sizeof *cpu);
    enum voco_err err;

    if (!cpu)
        return voco_fail(VOCO_EMEMORY, "no memory for the device's state");
    ctx->state = cpu;
    forget_threads_that_are_no_number();
    omp_set_num_threads(ctx->threads);
    if ((err = voco_cpu_blas_open(ctx->threads)) != VOCO_OK
        || (err = voco_cpu_tune_open(ctx, options->choices)) != VOCO_OK
        || (err = voco_cpu_kernels_open(ctx)) != VOCO_OK
        || (err = voco_dnnl_open(ctx->threads, getenv("VOCO_ISA"), &cpu->dnnl)) != VOCO_OK
        || (err = voco_cpu_conv_open(ctx)) != VOCO_OK)
        voco_cpu_close(ctx);
    return err;
}

void *
voco_cpu_scratch(struct voco_ctx *ctx, size_t bytes)
{
    struct voco_cpu *cpu = voco_cpu_state(ctx);

    if (bytes > cpu->scratch_bytes || !cpu->scratch) {
        const size_t room = (bytes + ((size_t)1 << 20)) >> 20 << 20;

        free(cpu->scratch);
        cpu->scratch = aligned_alloc(VOCO_ALIGN, room);
        cpu->scratch_bytes = cpu->scratch ? room : 0;
    }
    if (!cpu->scratch)
        voco_ctx_fail(ctx, voco_fail(VOCO_EMEMORY, "no memory for %zu bytes of workspace",
                                     bytes));
    return cpu->scratch;
}

void
voco_cpu_info(struct voco_cpu_info *ret)
{
    const char *note;

    memset(ret, 0, sizeof *ret);
    snprintf(ret->isa, sizeof ret->isa, "%s", voco_cpu_isa(&note));
    voco_dnnl_describe(ret->dnnl, sizeof ret->dnnl);
    voco_cpu_blas_describe(ret);
}

int
voco_cpu_describe(struct voco_fact ret[VOCO_FACTS_MAX])
{
    struct voco_cpu_info info;
    int n = 0;

    voco_cpu_info(&info);
    ret[n] = (struct voco_fact){ .name = "isa", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.isa);
    ret[n] = (struct voco_fact){ .name = "onednn", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.dnnl);
    ret[n] = (struct voco_fact){ .name = "blas", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.blas);
    ret[n] = (struct voco_fact){ .name = "blas-threads" };
    snprintf(ret[n++].text, sizeof ret->text, "%d", info.blas_threads);
    return n;
}

/* Entries return when they are done. */
void
voco_cpu_sync(struct voco_ctx *ctx)
{
    (void)ctx;
}

/* ---- the tables ---- */

/* Entries look at the types of their tensors, so both devices have the same ones. */
#define ENTRIES \
    .host_memory = true, \
    VOCO_DEVICE_TABLE(voco_cpu_) \
    .tuner = &voco_cpu_tuner,

const struct voco_device voco_cpu = {
    .name = "cpu", .option = "cpu", .real = VOCO_F32, .act = VOCO_F32, ENTRIES
};
const struct voco_device voco_cpu_bf16 = {
    .name = "bf16", .option = "cpu", .real = VOCO_F32, .act = VOCO_BF16, ENTRIES
};

bool
voco_cpu_has_bf16(void)
{
    const char *note;

    return strcmp(voco_cpu_isa(&note), voco_isa_name(VOCO_ISA_AVX512BF16)) == 0;
}
