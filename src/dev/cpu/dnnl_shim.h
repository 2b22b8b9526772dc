/*
 * The one door to oneDNN; serves 2.6 and 3.x, whose C interfaces differ throughout.
 *
 * An op is a primitive for one shape, made on first use and kept.  Activations are plain
 * ndhwc f32; weights are in the library's order: pack them once, run many times.  All
 * memory is the caller's.  One thread at a time may use a struct voco_dnnl; the library
 * splits the work over OpenMP threads by itself.
 */
#ifndef VOCO_DEV_CPU_DNNL_SHIM_H
#define VOCO_DEV_CPU_DNNL_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "dev/conv.h"

struct voco_dnnl;
struct voco_dnnl_op;

enum voco_dnnl_kind { VOCO_DNNL_FORWARD, VOCO_DNNL_BACKWARD_DATA, VOCO_DNNL_BACKWARD_WEIGHTS,
                      VOCO_DNNL_MATMUL };

struct voco_dnnl_conv {
    enum voco_dnnl_kind kind;
    bool blocked;               /* let it choose the order of activations, and reorder */
    int64_t n, in[3], out[3];
    struct voco_conv conv;
};

/* y[m,n] = op(a)[m,k] op(b)[k,n] (+ bias[n]) (+ y) */
struct voco_dnnl_matmul {
    int64_t m, n, k;
    bool a_transposed, b_transposed;    /* a is stored [k,m], b is stored [n,k] */
    bool bias, add;
    bool bf16;                  /* a and b are bfloat16; bias is f32 always */
    bool bf16_y;
};

/* Convolution: src is x or dx, dst is y or dy, weights w or dw in packed order; which one
 * is written follows from the kind.  Matmul: src a, weights b (plain), dst y. */
struct voco_dnnl_io {
    const void *src, *weights, *bias, *dst;
    void *scratch;              /* voco_dnnl_scratch_bytes(op), 64-byte aligned */
};

/* isa caps the instructions used: "avx512" (no bfloat16), "avx2", "ref" (SSE4.1); others
 * leave it alone.  Only the first call of a process can cap.  threads: of every later
 * run. */
enum voco_err voco_dnnl_open(int threads, const char *isa, struct voco_dnnl **ret);
void voco_dnnl_close(struct voco_dnnl *dnnl);                   /* accepts NULL */

/* The op of this shape, valid until close; NULL with the sentence of voco_fail. */
const struct voco_dnnl_op *voco_dnnl_conv(struct voco_dnnl *dnnl,
                                          const struct voco_dnnl_conv *conv);
const struct voco_dnnl_op *voco_dnnl_matmul(struct voco_dnnl *dnnl,
                                            const struct voco_dnnl_matmul *mm);

size_t voco_dnnl_scratch_bytes(const struct voco_dnnl_op *op);
size_t voco_dnnl_packed_bytes(const struct voco_dnnl_op *op);

/* Ops with the same layout share packed weights. */
int voco_dnnl_layout(const struct voco_dnnl_op *op);

/* Name of the code path the library chose, for reports; "" when it does not tell. */
const char *voco_dnnl_path(const struct voco_dnnl_op *op);

/* Torch order [cout,cin,kd,kh,kw] -> packed;  dw in torch order += packed. */
enum voco_err voco_dnnl_pack(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op,
                             const float *w, float *packed);
enum voco_err voco_dnnl_unpack_add(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op,
                                   const float *packed, float *dw);

enum voco_err voco_dnnl_run(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op,
                            const struct voco_dnnl_io *io);

/* "2.6.3, avx2"; writes at most n bytes. */
void voco_dnnl_describe(char *buf, size_t n);

/* By the library's judgement: at least avx512; and instructions that multiply bfloat16. */
bool voco_dnnl_has_avx512(void);
bool voco_dnnl_has_bf16(void);

#endif
