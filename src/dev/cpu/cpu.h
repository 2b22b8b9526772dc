/*
 * The parts of the cpu device, one .c file each; device.h says what every entry does.
 *
 *   cpu.c           the table, life, memory, small things
 *   cpu_kernels.c   which of the kernels of simd/ are used
 *   cpu_conv.c      convolutions: choice, packed weights; cpu_conv_*.c: implementations
 *   cpu_deconv.c    transposed convolution
 *   cpu_gemm.c      linear layers: OpenBLAS or oneDNN, one BLAS thread per OpenMP thread
 *   cpu_norm.c      instance and layer norm
 *   cpu_affine.c    scale and shift of channels, for norms that learn them
 *   cpu_eltwise.c   pointwise functions and slabs
 *   cpu_attn.c      window attention: tasks; cpu_windows.c: geometry
 *   cpu_contrast.c  similarity, cross entropy, decorrelation
 *   cpu_dicece.c    the loss of segmentation
 *   cpu_tune.c      what implementations there are for a shape, and how long each takes
 *   cpu_block.c     activations stored in bfloat16, block by block in f32
 *
 * Loops over rows are split among ctx->threads OpenMP threads in fixed, contiguous shares
 * (voco_cpu_share), so results depend on ctx->threads alone and not on scheduling; those of
 * norms, attention and slabs do not even depend on that.  Entries return at once when
 * ctx->err is set.
 */
#ifndef VOCO_DEV_CPU_CPU_H
#define VOCO_DEV_CPU_CPU_H

#include "dev/shape.h"

/* Whether the kernels in use multiply bfloat16: then voco_cpu_bf16 is faster. */
bool voco_cpu_has_bf16(void);

/* ---- state ---- */
struct voco_dnnl;               /* dnnl_shim.h */
struct voco_packs;              /* cpu_conv.c: packed weights */
struct voco_kernels;            /* simd/kernels.h */

struct voco_cpu {
    const struct voco_kernels *kernels;
    struct voco_dnnl *dnnl;
    struct voco_packs *packs;
    const char *forced;         /* names of implementations to take where they can; NULL */
    const struct voco_choices *choices;     /* else these; NULL: the rules alone */
    void *scratch;              /* voco_cpu_scratch */
    size_t scratch_bytes;
};

static inline struct voco_cpu *
voco_cpu_state(const struct voco_ctx *ctx)
{
    return ctx->state;
}

/* bytes that the device keeps and enlarges as needed, 64-byte aligned, for small things
 * that the plan does not count (partial sums per thread); valid until the next call.
 * NULL with ctx->err set when memory is gone. */
void *voco_cpu_scratch(struct voco_ctx *ctx, size_t bytes);

/* ---- which implementation: cpu_tune.c ----
 * A shape is computed by the first that can of: what is forced, what the table of choices
 * says, what the rules of cpu_conv.c and cpu_gemm.c say. */

/* Use the implementations of these names, with commas between them, wherever they can do
 * the shape: "winograd,blas"; NULL: none.  Opening a device takes VOCO_IMPL. */
void voco_cpu_force(struct voco_ctx *ctx, const char *names);

/* Is name one of names?  names may be NULL. */
bool voco_cpu_listed(const char *names, const char *name);

/* Has this build an implementation of this name for the operation? */
bool voco_cpu_knows(enum voco_shape_op op, const char *impl);

/* What this device takes for a shape. */
const char *voco_cpu_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);

/* Takes VOCO_IMPL, VOCO_EUSAGE for unknown names, and the choices of the options. */
enum voco_err voco_cpu_tune_open(struct voco_ctx *ctx, const struct voco_choices *choices);

enum { VOCO_IMPLS_MAX = 12 };

/* Whether a result of n floats is written around the caches: half of it at least would not
 * find room there, and to write through a cache is to read first what is overwritten. */
static inline bool
voco_cpu_stream(int64_t n)
{
    return n >= (INT64_C(64) << 20) / (int64_t)sizeof(float);
}

/* Thread t of n does items [*ret_from, *ret_to) of total; shares differ by at most
 * one grain and start on multiples of it. */
static inline void
voco_cpu_share(int64_t total, int64_t grain, int t, int n, int64_t *ret_from,
               int64_t *ret_to)
{
    const int64_t grains = (total + grain - 1) / grain;
    const int64_t from = grains * t / n * grain, to = grains * (t + 1) / n * grain;

    *ret_from = from < total ? from : total;
    *ret_to = to < total ? to : total;
}

/* dw[j], db[j] += column j of two sums over pieces of rows: sums [pieces,2,c]. */
static inline void
voco_cpu_add_pieces(const double *sums, int64_t pieces, int64_t c, int64_t j, float *dw,
                    float *db)
{
    double sw = 0, sb = 0;

    for (int64_t i = 0; i < pieces; i++) {
        sw += sums[i * 2 * c + j];
        sb += sums[(i * 2 + 1) * c + j];
    }
    dw[j] += (float)sw;
    db[j] += (float)sb;
}

/* ---- what this machine is; for doctor and the head of a run ---- */
struct voco_cpu_info {
    char isa[16];               /* kernels in use: a value of VOCO_ISA */
    char dnnl[48];              /* "2.6.3 (isa avx2)" or "" when built without */
    char blas[96];              /* "OpenBLAS 0.3.21 ... Zen" */
    int blas_threads;           /* of a call: 1; 0: it does not tell */
};

void voco_cpu_info(struct voco_cpu_info *ret);

/* The entry peak: of f32, all threads together, with the kernels in use. */
double voco_cpu_peak(const struct voco_ctx *ctx);

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- cpu_kernels.c ---- */
/* The kernels that VOCO_ISA allows, into the state.  VOCO_EUSAGE for an unknown word. */
enum voco_err voco_cpu_kernels_open(struct voco_ctx *ctx);
void voco_cpu_kernels_close(struct voco_ctx *ctx);
/* The value of VOCO_ISA that is in use, and *ret_note: NULL, or a sentence when VOCO_ISA
 * asks for more than there is.  "" when VOCO_ISA is an unknown word. */
const char *voco_cpu_isa(const char **ret_note);

/* ---- cpu_conv.c, cpu_deconv.c ---- */
enum voco_err voco_cpu_conv_open(struct voco_ctx *ctx);
void voco_cpu_conv_close(struct voco_ctx *ctx);
void voco_cpu_conv3d_forward(struct voco_ctx *ctx, const struct voco_conv *conv, X x, X w,
                             X b, Y y, Y moments);
void voco_cpu_conv3d_backward_data(struct voco_ctx *ctx, const struct voco_conv *conv,
                                   X dy, X w, Y dx);
void voco_cpu_conv3d_backward_weights(struct voco_ctx *ctx, const struct voco_conv *conv,
                                      X x, X dy, Y dw, Y db);
/* Names of what voco tune may take for a shape, that of the rules first; what this device
 * takes; whether there is one of this name.  voco_cpu_gemm_x: the same of linear layers. */
int voco_cpu_conv_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                        const char *ret[VOCO_IMPLS_MAX]);
const char *voco_cpu_conv_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);
bool voco_cpu_conv_knows(const char *impl);

void voco_cpu_deconv_forward(struct voco_ctx *ctx, X x, X w, X b, Y y);
void voco_cpu_deconv_backward(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db);
size_t voco_cpu_conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                               const struct voco_conv *conv, X x);
size_t voco_cpu_conv_packed_bytes(struct voco_ctx *ctx, const struct voco_conv *conv, X x);
bool voco_cpu_conv_moments(struct voco_ctx *ctx, const struct voco_conv *conv, X x);

/* ---- cpu/blas.c ---- */
/* Loads the BLAS for calls from so many threads: before the first call of voco_cpu_sgemm. */
enum voco_err voco_cpu_blas_open(int threads);
void voco_cpu_blas_describe(struct voco_cpu_info *ret);
bool voco_cpu_blas_is_narrow(void);

/* c[m,n] = op(a) op(b) (+ c), row-major, by the calling thread alone. */
void voco_cpu_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb, bool add, float *c,
                    int64_t ldc);

/* ---- cpu_gemm.c ---- */

int voco_cpu_gemm_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                        const char *ret[VOCO_IMPLS_MAX]);
const char *voco_cpu_gemm_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);
bool voco_cpu_gemm_knows(const char *impl);

/* y[columns] += sums of the columns of x.  Uses voco_cpu_scratch. */
void voco_cpu_columns_add(struct voco_ctx *ctx, X x, float *y);
void voco_cpu_linear_forward(struct voco_ctx *ctx, X x, X w, X b, Y y);
void voco_cpu_linear_backward_data(struct voco_ctx *ctx, X dy, X w, Y dx);
void voco_cpu_linear_backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw, Y db);

/* ---- cpu_norm.c ---- */
void voco_cpu_instnorm_forward(struct voco_ctx *ctx, X x, X moments, X r, double slope,
                               double eps, Y y, Y rstd);
/* moments [n,2,c] of x + bias, which may be NULL, from parts [n,tiles,2,stride]: the means of
 * the tiles of an item, each of so many voxels, and the sums of squared distances from
 * them.  Uses voco_cpu_scratch. */
void voco_cpu_join_tiles(struct voco_ctx *ctx, const float *parts, int64_t tiles,
                         int64_t stride, int64_t voxels, const float *bias, Y moments);
void voco_cpu_instnorm_backward(struct voco_ctx *ctx, X y, X r, X rstd, double slope, X dy,
                                Y dx, Y dr);
void voco_cpu_layernorm_forward(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y,
                                Y mean, Y rstd);
void voco_cpu_layernorm_backward(struct voco_ctx *ctx, X x, X w, X b, X mean, X rstd, X dy,
                                 X r, Y dx, Y y, Y dw, Y db);

/* ---- cpu_affine.c ---- */
void voco_cpu_affine_forward(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y);
void voco_cpu_affine_backward(struct voco_ctx *ctx, X x, X w, X b, double slope, X dy, Y dx,
                              Y dw, Y db);

/* ---- cpu_eltwise.c ---- */
void voco_cpu_leaky_forward(struct voco_ctx *ctx, X x, double slope, Y y);
void voco_cpu_leaky_backward(struct voco_ctx *ctx, X y, double slope, X dy, Y dx);
void voco_cpu_gelu_forward(struct voco_ctx *ctx, X x, Y y);
void voco_cpu_gelu_backward(struct voco_ctx *ctx, X x, X dy, Y dx, Y y);
void voco_cpu_sum_squares(struct voco_ctx *ctx, X x, Y y);
void voco_cpu_adamw(struct voco_ctx *ctx, const struct voco_adamw *o, X grad, Y w, Y m, Y v,
                    Y vmax);
void voco_cpu_ema(struct voco_ctx *ctx, double momentum, X student, Y teacher);

/* ---- cpu_attn.c ---- */
void voco_cpu_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                           X qkv_bias, X table, Y y, Y lse);
void voco_cpu_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                            X qkv_bias, X table, X y, X lse, X dy, Y dqkv, Y dqkv_bias,
                            Y dtable);
size_t voco_cpu_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                               const struct voco_windows *win, X qkv);

/* ---- cpu_contrast.c ---- */
void voco_cpu_assign_forward(struct voco_ctx *ctx, X a, X b, Y s);
void voco_cpu_assign_backward(struct voco_ctx *ctx, X a, X b, X s, X ds, Y da, Y db);
void voco_cpu_ce_forward(struct voco_ctx *ctx, X y, X p, double weight, Y loss);
void voco_cpu_ce_backward(struct voco_ctx *ctx, X y, X p, double weight, Y dp);
void voco_cpu_decor_forward(struct voco_ctx *ctx, X s, double weight, Y loss);
void voco_cpu_decor_backward(struct voco_ctx *ctx, X s, double weight, Y ds);

/* ---- cpu_dicece.c ---- */
void voco_cpu_dicece_forward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                             X label, double weight, Y sums, Y loss);
void voco_cpu_dicece_backward(struct voco_ctx *ctx, const struct voco_dicece *o, X x,
                              X label, X sums, double weight, Y dx);

#undef X
#undef Y

#endif
