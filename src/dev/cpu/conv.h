/*
 * Convolutions of the cpu device: several implementations, one choice per shape.
 *
 * An implementation says whether it can do a shape, whether it is the measured best for
 * it, and how much scratch it takes; the entry pushes that scratch on ctx->temp.  Lists
 * are searched in order, oneDNN at the end can do everything.
 */
#ifndef VOCO_DEV_CPU_CONV_H
#define VOCO_DEV_CPU_CONV_H

#include "dev/cpu/cpu.h"

struct voco_conv_problem {
    enum voco_workspace what;           /* one of VOCO_WS_CONV_x */
    struct voco_conv conv;
    int64_t n, in[3], out[3];
};

/* x or dx [n,in,cin]; w or dw in torch order; y or dy [n,out,cout].  Which is written
 * follows from problem.what; dw is added to.  Tensors that are read may be bfloat16 if
 * the implementation accepts that. */
struct voco_conv_io {
    float *x, *w, *y;
    bool x_bf16, y_bf16;
    const float *bias;                  /* NULL, or added to the output */
    const struct voco_tensor *moments;  /* NULL, or [n,2,cout] where impl->moments */
};

struct voco_conv_impl {
    const char *name;
    bool (*can)(const struct voco_ctx *ctx, const struct voco_conv_problem *p);
    bool (*best)(const struct voco_ctx *ctx, const struct voco_conv_problem *p);
    size_t (*scratch)(struct voco_ctx *ctx, const struct voco_conv_problem *p);
    size_t (*packed)(struct voco_ctx *ctx, const struct voco_conv_problem *p);
    void (*run)(struct voco_ctx *ctx, const struct voco_conv_problem *p,
                const struct voco_conv_io *io, void *scratch);
    bool coarse;                /* larger errors than others: voco tune leaves it to best */
    bool bf16;                  /* reads bfloat16 as it is */
    bool (*moments)(const struct voco_conv_problem *p);     /* makes them; NULL: never */
};

extern const struct voco_conv_impl
    voco_conv_outer,        /* 1x1x1 of one channel */
    voco_conv_linear,       /* 1x1x1 */
    voco_conv_stem,         /* gradient of weights, of images with few channels */
    voco_conv_winograd,    /* 3x3x3 of stride 1, own kernels, tiles of 2^3 outputs */
    voco_conv_winograd4,    /* the same, of 4^3 */
    voco_conv_taps,         /* 3x3x3 of stride 1 on maps of at most 4^3 */
    voco_conv_dnnl,         /* oneDNN over NDHWC */
    voco_conv_blocked;      /* oneDNN over its own order, reordered in and out */

/*
 * Weights packed for one layout, kept until ctx->weights_version changes.
 * make(arg, w, packed) fills bytes of packed from w; layout tells apart the packings of
 * the same w: those below, oneDNN's count from 0.  NULL with ctx->err set on failure.
 */
enum { VOCO_LAYOUT_DECONV = -1, VOCO_LAYOUT_DECONV_DATA = -8,
       VOCO_LAYOUT_TAPS = -2, VOCO_LAYOUT_TAPS_DATA = -3,
       VOCO_LAYOUT_WINOGRAD2 = -4, VOCO_LAYOUT_WINOGRAD2_DATA = -5,
       VOCO_LAYOUT_WINOGRAD4 = -6, VOCO_LAYOUT_WINOGRAD4_DATA = -7 };

typedef enum voco_err voco_pack_make(void *arg, const float *w, float *packed);

const float *voco_packed(struct voco_ctx *ctx, const float *w, int64_t count, int layout,
                         size_t bytes, voco_pack_make *make, void *arg);

/* y[m,n] += bias, for implementations that have no better way. */
void voco_conv_add_bias(const struct voco_ctx *ctx, const float *bias, float *y, int64_t m,
                        int64_t n);

#endif
