/* Memory that only its device reaches. */
#define _GNU_SOURCE
#include "tests/far.h"

#include <sys/mman.h>

#include "dev/cpu/cpu.h"

/* ---- memory: addresses given out, and as many bytes elsewhere ---- */

enum { RANGES = 64 };

static struct range {
    char *base, *bytes;
    size_t size;
} range[RANGES];

static void
release(void *base, size_t reserved)
{
    for (int i = 0; i < RANGES; i++)
        if (range[i].base == base) {
            munmap(range[i].bytes, reserved);
            range[i] = (struct range){ 0 };
        }
}

static enum voco_err
reserve(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret)
{
    enum voco_err err = voco_arena_init(ret, limit, true);
    int i = 0;

    (void)ctx;
    if (err != VOCO_OK)
        return err;
    while (i < RANGES && range[i].base)
        i++;
    VOCO_ASSERT(i < RANGES);
    range[i].base = ret->base;
    range[i].size = ret->reserved;
    range[i].bytes = mmap(NULL, ret->reserved, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    VOCO_ASSERT(range[i].bytes != MAP_FAILED);
    ret->free_memory = release;
    ret->planning = false;              /* there are numbers, though not there */
    return VOCO_OK;
}

/* The tensor where its numbers are. */
static struct voco_tensor
near(const struct voco_tensor *x)
{
    struct voco_tensor y = *x;
    int i = 0;

    while (i < RANGES && !(range[i].base && (char *)x->data >= range[i].base
                           && (char *)x->data < range[i].base + range[i].size))
        i++;
    VOCO_ASSERT(i < RANGES);            /* a tensor of this device */
    y.data = range[i].bytes + ((char *)x->data - range[i].base);
    return y;
}

/* ---- entries ---- */

static void
upload(struct voco_ctx *ctx, const struct voco_tensor *host, const struct voco_tensor *y)
{
    const struct voco_tensor to = near(y);

    voco_cpu.upload(ctx, host, &to);
}

static void
download(struct voco_ctx *ctx, const struct voco_tensor *x, const struct voco_tensor *host)
{
    const struct voco_tensor from = near(x);

    voco_cpu.download(ctx, &from, host);
}

static void
fill(struct voco_ctx *ctx, const struct voco_tensor *y, double value)
{
    const struct voco_tensor to = near(y);

    voco_cpu.fill(ctx, &to, value);
}

static void
copy(struct voco_ctx *ctx, const struct voco_tensor *x, const struct voco_tensor *y)
{
    const struct voco_tensor from = near(x), to = near(y);

    voco_cpu.copy(ctx, &from, &to);
}

struct voco_fallback far_f32, far_bf16;

static void
make(struct voco_device *ret, const char *name, const struct voco_device *helper)
{
    *ret = (struct voco_device){
        .name = name, .option = "far", .real = helper->real, .act = helper->act,
        .open = helper->open, .close = helper->close, .describe = helper->describe,
        .peak = helper->peak, .sync = helper->sync, .reserve = reserve, .upload = upload,
        .download = download, .fill = fill, .copy = copy,
    };
}

void
far_init(void)
{
    static struct voco_device f32, bf16;

    make(&f32, "far", &voco_cpu);
    make(&bf16, "far bf16", &voco_cpu_bf16);
    voco_fallback_init(&far_f32, &f32, &voco_cpu);
    voco_fallback_init(&far_bf16, &bf16, &voco_cpu_bf16);
}
