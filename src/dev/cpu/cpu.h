/*
 * The parts of the cpu device, one .c file each; device.h is the contract of the entries.
 *
 *   cpu.c           the tables, opening and closing, descriptions of the devices
 *   kernels.c       which of the kernels of simd/ are used
 *   memory.c        arenas, copies of whole tensors
 *   move.c          patch merging, pooling, columns
 *   conv.c          convolutions: choice, packed weights; conv_*.c: implementations
 *   deconv.c        transposed convolution
 *   gemm.c          linear layers: OpenBLAS or oneDNN, one BLAS thread per OpenMP thread
 *   norm.c          instance and layer norm
 *   affine.c        scale and shift of channels, for norms that learn them
 *   eltwise.c       pointwise functions and slabs
 *   attn.c          window attention: tasks; windows.c: geometry
 *   contrast.c      similarity, cross entropy, decorrelation
 *   dicece.c        the loss of segmentation
 *   losses.c        softmax cross-entropy, masked error, labels; softmax.c: softmax of rows
 *   l2norm.c        rows of length 1
 *   boxes.c         boxes of volumes, rotation
 *   upsample.c      trilinear upsampling
 *   tune.c          the implementations of a shape, and the time that each takes
 *   tuning.c        files of measured choices
 *   block.c         activations stored in bfloat16, block by block in f32
 *
 * Loops over rows are split among ctx->threads OpenMP threads in fixed, contiguous shares
 * (voco_cpu_share), so results depend on ctx->threads alone and not on scheduling; those of
 * norms, attention and slabs do not even depend on that.  Entries return at once when
 * ctx->err is set.
 */
#ifndef VOCO_DEV_CPU_CPU_H
#define VOCO_DEV_CPU_CPU_H

#include "dev/entries.h"
#include "dev/tuner.h"

/* Whether the kernels in use multiply bfloat16: then voco_cpu_bf16 is faster. */
bool voco_cpu_has_bf16(void);

/* ---- state ---- */
struct voco_dnnl;               /* dnnl_shim.h */
struct voco_packs;              /* conv.c: packed weights */
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

/* ---- which implementation: tune.c ----
 * For each shape the first usable one of these is taken: the forced implementation, that
 * of the table of choices, that of the rules in conv.c and gemm.c. */

/* Use the implementations of these names, with commas between them, wherever they can do
 * the shape: "winograd,blas"; NULL: none.  Opening a device takes VOCO_IMPL. */
void voco_cpu_force(struct voco_ctx *ctx, const char *names);

/* Is name one of names?  names may be NULL. */
bool voco_cpu_listed(const char *names, const char *name);

/* Has this build an implementation of this name for the operation? */
bool voco_cpu_knows(enum voco_shape_op op, const char *impl);

/* The implementation that this device takes for a shape. */
const char *voco_cpu_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);

/* Takes VOCO_IMPL, VOCO_EUSAGE for unknown names, and the choices of the options. */
enum voco_err voco_cpu_tune_open(struct voco_ctx *ctx, const struct voco_choices *choices);

/* Whether a result of n floats is written around the caches: at least half of it would
 * not fit there, and a write through a cache first reads the line that it overwrites. */
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

/* ---- a description of this machine, for doctor and the head of a run ---- */
struct voco_cpu_info {
    char isa[16];               /* kernels in use: a value of VOCO_ISA */
    char dnnl[48];              /* "2.6.3 (isa avx2)" or "" when built without */
    char blas[96];              /* "OpenBLAS 0.3.21 ... Zen" */
    int blas_threads;           /* of a call: 1; 0: it does not tell */
};

void voco_cpu_info(struct voco_cpu_info *ret);

/* The entries. */
VOCO_DEVICE_PROTOTYPES(voco_cpu_)

/* ---- kernels.c ---- */
/* The kernels that VOCO_ISA allows, into the state.  VOCO_EUSAGE for an unknown word. */
enum voco_err voco_cpu_kernels_open(struct voco_ctx *ctx);
void voco_cpu_kernels_close(struct voco_ctx *ctx);
/* The value of VOCO_ISA that is in use, and *ret_note: NULL, or a sentence when VOCO_ISA
 * asks for more than there is.  "" when VOCO_ISA is an unknown word. */
const char *voco_cpu_isa(const char **ret_note);

/* ---- conv.c ---- */
enum voco_err voco_cpu_conv_open(struct voco_ctx *ctx);
void voco_cpu_conv_close(struct voco_ctx *ctx);
/* _impls: names of the implementations that voco tune may take for a shape, that of the
 * rules first; _chosen: the one that this device takes; _knows: is there one of this
 * name? voco_cpu_gemm_x: the same for linear layers. */
int voco_cpu_conv_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                        const char *ret[VOCO_IMPLS_MAX]);
const char *voco_cpu_conv_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);
bool voco_cpu_conv_knows(const char *impl);

/* ---- blas.c ---- */
/* Loads the BLAS for calls from so many threads: before the first call of voco_cpu_sgemm. */
enum voco_err voco_cpu_blas_open(int threads);
void voco_cpu_blas_describe(struct voco_cpu_info *ret);
bool voco_cpu_blas_is_narrow(void);

/* c[m,n] = op(a) op(b) (+ c), row-major, by the calling thread alone. */
void voco_cpu_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb, bool add, float *c,
                    int64_t ldc);

/* ---- gemm.c ---- */
int voco_cpu_gemm_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                        const char *ret[VOCO_IMPLS_MAX]);
const char *voco_cpu_gemm_chosen(const struct voco_ctx *ctx, const struct voco_shape *s);
bool voco_cpu_gemm_knows(const char *impl);

/* y[columns] += sums of the columns of x.  Uses voco_cpu_scratch. */
void voco_cpu_columns_add(struct voco_ctx *ctx, const struct voco_tensor *x, float *y);

/* ---- norm.c ---- */
/* moments [n,2,c] of x + bias, which may be NULL, from parts [n,tiles,2,stride]: the means
 * of the tiles of an item, each of so many voxels, and the sums of squared distances from
 * them.  Uses voco_cpu_scratch. */
void voco_cpu_join_tiles(struct voco_ctx *ctx, const float *parts, int64_t tiles,
                         int64_t stride, int64_t voxels, const float *bias,
                         const struct voco_tensor *moments);

#endif
