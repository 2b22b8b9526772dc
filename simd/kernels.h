/*
 * Kernels: inner loops that are written for each instruction set.
 *
 * Every kernel is single-threaded, allocates nothing, takes any alignment and any length
 * (0 too), and reads and writes nothing outside the lengths it is given.  Arrays do not
 * overlap unless a comment says "may be".  Sums are taken in an order that depends on
 * the instruction set, not on alignment or on the values.
 *
 * ref is portable C and the specification.  The others are one body (simd/body*.h)
 * compiled once per instruction set over a small vector vocabulary (simd/vec_*.h).
 *
 * Error of the functions, in units of the last place of f32: exp 1.5 (0 below -87.3),
 * normal distribution function 4 relative in both tails; exp inside the attention of narrow
 * heads 2.1.
 */
#ifndef VOCO_SIMD_KERNELS_H
#define VOCO_SIMD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each includes the instructions of those before it. */
enum voco_isa { VOCO_ISA_REF, VOCO_ISA_AVX2, VOCO_ISA_AVX512, VOCO_ISA_AVX512BF16,
                VOCO_ISA_COUNT };

/*
 * Norms read and write float or bfloat16, as the flag beside a void * says, and compute in
 * f32: the bits are those of rows widened before and narrowed behind.
 *
 * rows x c numbers, one mean and rstd per column: y = leaky((x - mean) rstd + r) where
 * leaky(t) = t > 0 ? t : slope t.
 */
struct voco_norm_rows {
    size_t rows, c;
    bool x_bf16, bf16;              /* type of x; of r and y.  x_bf16 requires bf16 */
    const void *x;
    const void *r;                  /* may be NULL */
    const float *mean, *rstd;       /* [c] */
    float slope;
    void *y;                        /* may be x, if of its type, or r */
    bool stream;                    /* y is neither x nor r and is larger than the caches:
                                     * write around them */
};

/* Its gradient from y: g = dy (y > 0 ? 1 : slope), t = y > 0 ? y : y / slope,
 * xhat = t - r. */
struct voco_norm_rows_grad {
    size_t rows, c;
    bool bf16, dy_bf16, dx_bf16;    /* type of y, r and dr; of dy; of dx.  Each requires
                                     * those before it */
    const void *y;
    const void *r;                  /* may be NULL */
    const void *dy;
    float slope;
    double *sum_g, *sum_gx;         /* [c]: the sums kernel adds sum g and sum g xhat */
    const float *rstd;              /* [c]: for the gradient kernel, like those below */
    const float *mean_g, *mean_gx;  /* [c]: of all rows of the item */
    void *dx;                       /* rstd (g - mean_g - xhat mean_gx); may be dy, if of
                                     * its type, unless dr is */
    void *dr;                       /* g; may be NULL, may be dy */
    bool stream;                    /* write dx, and dr unless it is dy, around the caches */
};

/* rows x c numbers, one mean and rstd per row. */
struct voco_layernorm_rows {
    size_t rows, c;
    bool bf16;                      /* type of x and y */
    const void *x;
    const float *w, *b;             /* [c], or both NULL */
    float eps;
    void *y;                        /* may be x */
    float *mean, *rstd;             /* [rows] */
};

struct voco_layernorm_grad {
    size_t rows, c;
    bool bf16;                      /* type of x, dy, r, dx and y */
    const void *x, *dy;
    const float *w, *b, *mean, *rstd;   /* b: for y only */
    const void *r;                  /* added to dx; may be NULL */
    void *dx;                       /* may be dy or r */
    void *y;                        /* NULL, or the output of layernorm again; may be x */
    float *dw, *db;                 /* [c], added to; NULL when w is */
};

struct voco_adamw_step {
    float decay;                    /* 1 - lr weight_decay */
    float beta1, beta2, one_beta1, one_beta2;   /* 1 - beta rounded from double */
    float scale;                    /* lr / (1 - beta1^t) */
    float rsqrt_bias2;              /* 1 / sqrt(1 - beta2^t) */
    float eps;
};

/* Rows of a matrix that a window reads or writes, head_dim numbers of each. */
struct voco_rows {
    const int64_t *row;             /* [rows] */
    size_t rows, stride;            /* elements from one row of the matrix to the next */
    size_t head_dim, head_row;
    float scale;
    bool bf16;                      /* the matrix holds bfloat16, else float */
};

/*
 * Attention of one head within one window, over gathered panels.  cols is the number of
 * keys rounded up to a multiple of lanes, head_row that of head_dim: panels are zero
 * beyond keys and head_dim, bias is VOCO_ATTN_NONE beyond keys.
 */
enum { VOCO_ATTN_ROWS = 16,         /* queries in flight */
       VOCO_ATTN_GRAD_ROWS = 32, VOCO_ATTN_GRAD_COLS = 96,      /* and keys */
       VOCO_ATTN_BF16_ROWS = 64, VOCO_ATTN_BF16_COLS = 96 };
#define VOCO_ATTN_NONE (-1e30f)

/* A narrow head has kernels of its own, attn_narrow and attn_narrow_grad. */
static inline bool
voco_attn_narrow(size_t head_dim)
{
    return head_dim == 4 || head_dim == 8;
}

struct voco_attn_tile {
    size_t rows, cols;              /* queries, padded keys */
    size_t head_dim, head_row;
    const float *q;                 /* [rows,head_row], times head_dim^-1/2 */
    const float *kt;                /* [head_dim,cols]: keys transposed */
    const float *v;                 /* [cols,head_row]; of a narrow head transposed,
                                     * [head_dim,cols] */
    const float *bias;              /* [rows,cols]: bias and mask */
    float *y;                       /* [rows,head_row] */
    float *lse;                     /* [rows] log sum exp of q k' + bias */
    float *work;                    /* [VOCO_ATTN_ROWS,cols] */
};

struct voco_attn_grad {
    size_t rows, cols;
    size_t head_dim, head_row;
    const float *q;                 /* [rows,head_row], times head_dim^-1/2 */
    const float *k, *kt;            /* [cols,head_row], not of a narrow head;
                                     * [head_dim,cols] */
    const float *vt;                /* [head_dim,cols] */
    const float *bias;              /* [rows,cols] */
    const float *lse;               /* [rows] */
    const float *y, *dy;            /* [rows,head_row] */
    float *dq;                      /* [rows,head_row], overwritten: of the scaled q */
    float *dkt, *dvt;               /* [head_dim,cols], overwritten */
    float *dbias;                   /* [rows,cols], added to */
    float *work;                    /* [2 VOCO_ATTN_GRAD_ROWS,cols] */
};

/*
 * The same with bfloat16 operands where the instruction set multiplies them: products have
 * f32 sums, and P and dS are rounded to bfloat16 to be multiplied.  Scores, softmax, lse,
 * delta and dbias are f32.  Rows of q and dy are padded with zeros to an even number.
 */
struct voco_attn_bf16 {
    size_t rows, cols;              /* queries, padded keys */
    size_t head_dim, head_row;
    float scale;                    /* of q k': head_dim^-1/2 */
    const uint16_t *q;              /* [even rows,head_row] */
    const uint16_t *k, *v;          /* [cols,head_row] */
    const float *bias;              /* [rows,cols] */
    float *y;                       /* [rows,head_row] */
    float *lse;                     /* [rows] log sum exp of scale q k' + bias */
    float *work;                    /* [voco_attn_bf16_work] */
};

struct voco_attn_bf16_grad {
    size_t rows, cols;
    size_t head_dim, head_row;
    float scale;
    const uint16_t *q, *y, *dy;     /* [even rows,head_row] */
    const uint16_t *k, *v;          /* [cols,head_row] */
    const float *bias;              /* [rows,cols] */
    const float *lse;               /* [rows] */
    float *dq;                      /* [rows,head_row], overwritten: of the scaled q */
    float *dkt, *dvt;               /* [head_dim,cols], overwritten */
    float *dbias;                   /* [rows,cols], added to */
    float *work;                    /* [voco_attn_bf16_grad_work] */
};

static inline size_t
voco_attn_bf16_work(size_t rows, size_t cols, size_t head_row)
{
    return (cols + (rows + 15) / 2) * head_row + VOCO_ATTN_ROWS * cols;
}

static inline size_t
voco_attn_bf16_grad_work(size_t rows, size_t cols, size_t head_row)
{
    return (3 * cols / 2 + 2 * rows + 16) * head_row
           + 3 * VOCO_ATTN_BF16_ROWS * VOCO_ATTN_BF16_COLS / 2;
}

/*
 * c [m,n] = a b, = bias + a b, or += a b.  Element (i,k) of a is at a[i row + k step], so
 * a may be a transposed matrix.  Rows of b and c hold n floats, n a multiple of lanes.
 */
struct voco_product {
    const float *a;
    size_t row, step;
    const float *b;
    size_t ldb;
    const float *bias;              /* [n] or NULL */
    float *c;
    size_t ldc;
    size_t m, n, depth;
    bool add;                       /* and there is no bias */
    bool stream;                    /* c is larger than the caches: do not read it into
                                     * them to write it; not with add */
    uint16_t *c_bf16;               /* of pairs: unless NULL, in place of c; without add */
    const float *next[2];           /* of pairs: the data of the next product, which are */
    size_t next_floats[2];          /* prefetched into the second-level cache */
};

struct voco_kernels {
    enum voco_isa isa;
    size_t lanes;                   /* floats in a vector; 1 in ref */

    /* ---- flat, n elements ---- */
    void (*add)(const float *x, float *y, size_t n);                /* y += x */
    void (*scale)(const float *x, float a, float *y, size_t n); /* y = a x; y may be x */
    float (*dot)(const float *x, const float *y, size_t n);
    double (*sum_squares)(const float *x, size_t n);
    void (*leaky)(const float *x, float slope, float *y, size_t n);     /* y may be x */
    void (*leaky_grad)(const float *y, float slope, const float *dy, float *dx,
                       size_t n);                                       /* dx may be dy */
    void (*exp)(const float *x, float *y, size_t n);                    /* y may be x */
    float (*log_sum_exp)(const float *x, size_t n);                     /* n >= 1 */
    /* exact GELU: x Phi(x) with the normal distribution function Phi; all of float, or of
     * bfloat16 */
    void (*gelu)(const void *x, bool bf16, void *y, size_t n);          /* y may be x */
    /* dx may be dy; y = gelu(x) again unless NULL, may be x */
    void (*gelu_grad)(const void *x, const void *dy, bool bf16, void *dx, void *y, size_t n);
    /* AdamW with decoupled decay first; vmax NULL: no amsgrad */
    void (*adamw)(const struct voco_adamw_step *step, const float *g, float *w, float *m,
                  float *v, float *vmax, size_t n);
    /* t = momentum t + (1 - momentum) s */
    void (*ema)(float momentum, float one_momentum, const float *s, float *t, size_t n);

    /* bfloat16, the upper half of a float: to it to nearest, ties to even, NaN stays NaN;
     * avx512bf16 treats denormal numbers (below 2^-126) as 0 of their sign */
    void (*widen)(const uint16_t *x, float *y, size_t n);
    void (*narrow)(const float *x, uint16_t *y, size_t n);

    /* 12 lanes multiply-adds a round on registers alone: measures the peak of a core.
     * peak_pairs: the same of two bfloat16 products each; NULL without such instructions. */
    float (*peak)(float x, size_t rounds);
    float (*peak_pairs)(float x, size_t rounds);

    /* ---- rows of c channels ---- */
    /* Of each column: mean and m2 = sum (x - mean)^2 over the rows.  Two sweeps, so the
     * rows had better fit in cache.  mean and m2 have c elements; x holds bfloat16 or
     * float. */
    void (*moments)(const void *x, bool bf16, size_t rows, size_t c, double *mean,
                    double *m2);
    void (*norm_rows)(const struct voco_norm_rows *a);
    void (*norm_rows_sums)(const struct voco_norm_rows_grad *a);
    void (*norm_rows_grad)(const struct voco_norm_rows_grad *a);
    void (*layernorm)(const struct voco_layernorm_rows *a);
    void (*layernorm_grad)(const struct voco_layernorm_grad *a);

    /* ---- products ---- */
    void (*product)(const struct voco_product *p);

    /* ---- attention ---- */
    /* panel [rows,head_row] = scale x[row[i],0..head_dim), zeros beyond head_dim */
    void (*gather)(const struct voco_rows *a, const void *x, float *panel);
    /* x[row[i],0..head_dim) = scale panel [rows,head_row] */
    void (*scatter)(const struct voco_rows *a, const float *panel, void *x);
    /* panel [head_dim,cols] = the rows that gather takes, transposed: the first a->rows of
     * cols columns are written, the others left as they are. */
    void (*gather_columns)(const struct voco_rows *a, const void *x, float *panel,
                           size_t cols);
    /* and back, as scatter */
    void (*scatter_columns)(const struct voco_rows *a, const float *panel, size_t cols,
                            void *x);
    void (*attn)(const struct voco_attn_tile *a);
    void (*attn_grad)(const struct voco_attn_grad *a);
    /* Of a narrow head.  Panels q, y, dy, dq may hold other heads side by side: head_row is
     * the distance of rows, of which head_dim numbers are read and written. */
    void (*attn_narrow)(const struct voco_attn_tile *a);
    void (*attn_narrow_grad)(const struct voco_attn_grad *a);

    /* ---- products of bfloat16; NULL below avx512bf16 ---- */
    /* Elements of a and b are pairs of bfloat16 in place of floats, depth counts pairs:
     * c += a0 b0 + a1 b1.  Denormal operands and results are zero. */
    void (*product_pairs)(const struct voco_product *p);
    /* y [(rows + 1) / 2, n rounded up to lanes]: pairs of rows 2i and 2i + 1 of x [rows,n],
     * ldx apart; zeros beyond rows and n */
    void (*pair_rows)(const uint16_t *x, size_t ldx, size_t rows, size_t n, float *y);
    /* as gather, of a bfloat16 matrix, without scale */
    void (*gather_bf16)(const struct voco_rows *a, const uint16_t *x, uint16_t *panel);
    void (*attn_bf16)(const struct voco_attn_bf16 *a);
    void (*attn_bf16_grad)(const struct voco_attn_bf16_grad *a);
};

/* The level that was chosen, and the best one available. */
struct voco_isa_choice {
    enum voco_isa chosen;
    enum voco_isa best;             /* of this CPU and build */
    const char *note;               /* a sentence when cap could not be had, else NULL */
};

/*
 * Fill the table: ref, then each better level that the CPU and the build have, up to cap.
 * cap is the value of the environment variable VOCO_ISA: "ref", "avx2", "avx512" or
 * "avx512bf16"; NULL or "" is the best.  A level that is not there gives the best one
 * below, with a note.
 * Returns 0, or -1 for an unknown word (nothing is filled).
 */
int voco_kernels_select(const char *cap, struct voco_kernels *ret,
                        struct voco_isa_choice *ret_choice);

const char *voco_isa_name(enum voco_isa isa);

/* Levels that the build has; the CPU must have the instructions before a call. */
void voco_kernels_ref(struct voco_kernels *ret);
void voco_kernels_avx2(struct voco_kernels *ret);
void voco_kernels_avx512(struct voco_kernels *ret);
void voco_kernels_avx512bf16(struct voco_kernels *ret);
void voco_kernels_avx512_emulated(struct voco_kernels *ret);    /* tests only */
void voco_kernels_avx512bf16_emulated(struct voco_kernels *ret);

#endif
