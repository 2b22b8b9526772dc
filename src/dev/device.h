/*
 * The contract between the network and the arithmetic.
 *
 * Everything numeric goes through a table of primitives.  The composition code above it
 * (src/net, src/train, src/objective, src/task) never reads or writes an element: it runs
 * unchanged on
 *
 *   cpu      f32: oneDNN, BLAS, OpenMP and the kernels of simd/
 *   bf16     the same, with activations stored in bfloat16
 *   oracle   f64: plain loops, the specification
 *   dry      computes nothing, over memory that cannot be accessed: the memory planner
 *   trace    another device, and a record of each call: op, shapes, time, rate
 *   fallback another device, and a second one for the entries that the first lacks
 *
 * The last three wrap a device: wrap/.  list.h has the others by name.
 *
 * Conventions of every entry
 *   - Tensors are dense views; volumes [n,d,h,w,c], tokens [rows,c], weights in torch's
 *     order ([cout,cin,kd,kh,kw], [nout,nin]).
 *   - Activations and their gradients have the device's type `act`: x, y, r, dx, dy, dr of
 *     convolutions, linear layers, norms, leaky, gelu and sigmoid, qkv and y of attention,
 *     merging, upsampling, x and dx of pooling and of the losses of rows, operands of
 *     memory entries, copy_columns, blend, boxes and rotation.  Any of them may
 *     have the type `real` instead (of an instance norm all, if y has), as all others do:
 *     parameters and their gradients, statistics, embeddings, losses, slabs.  Sums and
 *     functions are computed in `real`.
 *   - Activation gradients are overwritten, parameter gradients (dw, db) are added to.
 *   - No aliasing unless the entry allows it.  Pointers are 64-byte aligned at row 0
 *     for arena tensors, element-aligned for slices and slabs.
 *   - Scratch comes from ctx->temp and is released before the entry returns.
 *   - Failure (out of arena, oneDNN) sets ctx->err through voco_ctx_fail and returns; the
 *     caller checks once per phase.  After an error entries do nothing.
 *   - Results depend on the number of threads only where a comment says so.
 */
#ifndef VOCO_DEV_DEVICE_H
#define VOCO_DEV_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/tensor.h"
#include "dev/conv.h"

struct voco_choices;            /* dev/shape.h */
struct voco_device;
struct voco_shape;
struct voco_uses;
struct voco_tuner;              /* dev/tuner.h */

struct voco_ctx {
    const struct voco_device *dev;
    void *state;                /* of the device: primitive and weight caches */
    struct voco_ctx *helper;    /* of another device, in wrap/fallback.c; else NULL */
    struct voco_arena keep;     /* saved for backward; forward pushes, backward releases */
    struct voco_arena grad;     /* gradients flowing down */
    struct voco_arena temp;     /* scratch inside one op */
    uint64_t weights_version;   /* packed weights of another version are stale */
    int threads;
    bool lean;                  /* selective recomputation: blocks do not store activations
                                 * that are cheap to compute again */
    bool inference;             /* no gradient follows: faster kernels with larger errors,
                                 * which may flip the sign of small activations, are allowed */
    enum voco_err err;          /* sticky; the sentence is voco_fail_text() */
};

/*
 * Windows of attention on a volume of size[3]: the volume is padded at the end to a
 * multiple of window, rolled by -shift, cut into windows, and rolled back.  Padding tokens
 * take part as queries and keys; they hold the qkv bias, since the block pads zeros in
 * front of the qkv layer.  Tokens of different regions of a rolled volume are masked by
 * adding -100.  The bias of tokens i, j of a window (row-major in the window) is
 * table[index(i,j)][head] where index comes from the coordinates of the i-th and j-th
 * token of a full_window^3 window, also when the window is clipped to less (a legacy that
 * published weights depend on; see doc/numerics.md).
 */
struct voco_windows {
    int64_t size[3];            /* of the volume in tokens */
    int window[3];              /* after clipping */
    int shift[3];               /* 0 on an axis that is not rolled */
    int full_window;            /* 7: table has (2*7-1)^3 rows */
    int heads;
};

struct voco_adamw {
    double lr, beta1, beta2, eps, weight_decay;
    bool amsgrad;
    int64_t step;               /* 1 for the first update */
};

enum { VOCO_CLASSES_MAX = 256 };       /* labels are stored in 8 bits */

/*
 * Dice plus cross entropy of classes after a softmax, per item of a batch:
 *
 *   dice = mean over classes of 1 - (2 sum p t + smooth_nr) / (sum q + sum t + smooth_dr)
 *   ce   = mean over voxels of -log p[label]              q = p, or p^2 when squared
 *
 * t is 1 where the label is the class.  Voxels whose label is below 0 are in no sum and in no
 * mean; an item without others has ce 0.  Without background, class 0 has no Dice term; the
 * cross entropy always includes all classes.
 */
struct voco_dicece {
    bool background, squared;
    double smooth_nr, smooth_dr;
};

struct voco_sgd {
    double lr, momentum, weight_decay;
    bool nesterov;
};

/* Cross-entropy of a softmax over rows. */
struct voco_softmax_ce {
    double scale;               /* > 0: of x before the softmax; 1 / temperature */
    bool skip_self;             /* row r leaves out column r: its similarity to itself */
};

/* A box of voxels in a batch of volumes, all channels of them. */
struct voco_box {
    int item, from;             /* from: of box_copy, the item that is copied */
    int64_t start[3], extent[3];
    double value;               /* of box_fill */
};

/* The roof of arithmetic: operations on registers alone, in the precision of activations. */
struct voco_peak {
    double flops;               /* per second, of all threads while they run; 0: not known */
    double share;               /* of the time that the threads ran; well below 1: the machine
                                 * does something else, too */
    const char *of;             /* "f32 multiply-adds" */
};

/*
 * The weighted cross entropy of position labels y and weights p:
 *
 *   CE = sum(-y log(1 - |y-p| + 1e-6)) / (sum y + eps_y)
 *      + sum over y = 0 of -log(1 - p + 1e-6), or of p^2 when squared,
 *        / (count of y = 0 + eps_zero)
 */
struct voco_ce {
    bool squared;
    double eps_y, eps_zero;
};

enum voco_workspace { VOCO_WS_CONV_FORWARD, VOCO_WS_CONV_BACKWARD_DATA,
                      VOCO_WS_CONV_BACKWARD_WEIGHTS, VOCO_WS_ATTN_FORWARD,
                      VOCO_WS_ATTN_BACKWARD };

/* How a context is opened; {0}, or no options at all, gives the defaults. */
struct voco_ctx_options {
    size_t limit;               /* bytes each arena may grow to; 0: 1 TiB, less under ulimit -v */
    int threads;                /* 0: voco_default_threads() */
    /* Measured choices among implementations, which the context points to; NULL: the rules
     * alone.  Those for another number of threads are not used. */
    const struct voco_choices *choices;
};

/* A library or setting that a device computes with: {"onednn", "2.6.3 (isa avx2)"}. */
struct voco_fact {
    const char *name;
    char text[96];
    bool decides;               /* numbers depend on it: config.json has it */
};

enum { VOCO_FACTS_MAX = 8 };

#define X const struct voco_tensor *    /* is read */
#define Y const struct voco_tensor *    /* the view is const, its elements are written */

struct voco_device {
    const char *name;           /* of its own */
    const char *option;         /* that of --device, and "device" in config.json */
    enum voco_type real;        /* VOCO_F32 or VOCO_F64 */
    enum voco_type act;         /* of activations: real, or VOCO_BF16 */
    bool host_memory;           /* the host reaches its memory: files are written from it */

    /* ---- life ---- */
    enum voco_err (*open)(struct voco_ctx *ctx, const struct voco_ctx_options *options);
    void (*close)(struct voco_ctx *ctx);                /* open makes ctx->state */
    /* Facts on libraries and instructions, in order; returns how many. */
    int (*describe)(struct voco_fact ret[VOCO_FACTS_MAX]);
    /* Measures for a tenth of a second; needs nothing of the context but its threads. */
    void (*peak)(const struct voco_ctx *ctx, struct voco_peak *ret);
    /* Returns when everything asked of the device is done. */
    void (*sync)(struct voco_ctx *ctx);
    /* Memory of the device for a stack of at most so many bytes, until voco_arena_free. */
    enum voco_err (*reserve)(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret);

    /* Measured choices among implementations; NULL where a device has one each. */
    const struct voco_tuner *tuner;

    /* ---- memory: the host tensor's type may be f32 or f64, and u8 for upload, it is
     * converted ---- */
    void (*upload)(struct voco_ctx *ctx, X host, Y y);
    void (*download)(struct voco_ctx *ctx, X x, Y host);
    void (*fill)(struct voco_ctx *ctx, Y y, double value);
    void (*copy)(struct voco_ctx *ctx, X x, Y y);
    void (*add)(struct voco_ctx *ctx, X x, Y y);                    /* y += x */

    /* ---- convolution: x [n,d,h,w,cin], y [n,d',h',w',cout], b [cout] or NULL ----
     * moments: NULL, or where conv_moments says so [n,2,cout]: mean and biased variance of
     * y over the voxels of an item, before y is rounded to bfloat16; for instnorm_forward */
    void (*conv3d_forward)(struct voco_ctx *ctx, const struct voco_conv *conv,
                           X x, X w, X b, Y y, Y moments);
    void (*conv3d_backward_data)(struct voco_ctx *ctx, const struct voco_conv *conv,
                                 X dy, X w, Y dx);
    void (*conv3d_backward_weights)(struct voco_ctx *ctx, const struct voco_conv *conv,
                                    X x, X dy, Y dw, Y db);
    /* transposed convolution whose stride is its kernel [i,j,k]: x [n,d,h,w,cin],
     * w [cin,cout,i,j,k], b [cout] or NULL, y [n,id,jh,kw,cout]; dx, db may be NULL */
    void (*deconv_forward)(struct voco_ctx *ctx, X x, X w, X b, Y y);
    void (*deconv_backward)(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db);

    /* ---- linear: x [m,k], w [n,k], b [n] or NULL, y [m,n] = x w' + b ---- */
    void (*linear_forward)(struct voco_ctx *ctx, X x, X w, X b, Y y);
    void (*linear_backward_data)(struct voco_ctx *ctx, X dy, X w, Y dx);
    void (*linear_backward_weights)(struct voco_ctx *ctx, X x, X dy, Y dw, Y db);

    /* ---- normalisation ----
     * instnorm: x [n,s,c], per n and c over s, biased variance, no parameters, then
     * y = leaky(xhat + r), leaky(t) = t > 0 ? t : slope t.  moments [n,2,c]: mean and
     * variance where they are known already, or NULL.  r may be NULL, slope 1 means no
     * activation.  rstd [n,c] is saved.  y may be x or r.
     * Backward rebuilds xhat from y and r, so x need not be kept: t = y > 0 ? y : y/slope,
     * xhat = t - r; g = dy (y > 0 ? 1 : slope); dr = g (dr may be NULL, may be dy);
     * dx = rstd (g - mean(g) - xhat mean(g xhat)); dx may be dy unless dr is. */
    void (*instnorm_forward)(struct voco_ctx *ctx, X x, X moments, X r, double slope,
                             double eps, Y y, Y rstd);
    void (*instnorm_backward)(struct voco_ctx *ctx, X y, X r, X rstd, double slope, X dy,
                              Y dx, Y dr);
    /* layernorm: x [m,c] over c; w, b [c] or both NULL; mean, rstd [m] saved.
     * dw, db are NULL when w is.  r is added to dx; y is forward's output again, with b;
     * each may be NULL.  dx may be dy or r. */
    void (*layernorm_forward)(struct voco_ctx *ctx, X x, X w, X b, double eps, Y y,
                              Y mean, Y rstd);
    void (*layernorm_backward)(struct voco_ctx *ctx, X x, X w, X b, X mean, X rstd, X dy,
                               X r, Y dx, Y y, Y dw, Y db);

    /* affine: x [m,c], w, b [c]; t = w x + b, y = leaky(t), which may be x.
     * Backward makes t again: g = dy leaky'(t), dx = w g, which may be dy; dw += sum of
     * g x, db += sum of g over rows. */
    void (*affine_forward)(struct voco_ctx *ctx, X x, X w, X b, double slope, Y y);
    void (*affine_backward)(struct voco_ctx *ctx, X x, X w, X b, double slope, X dy, Y dx,
                            Y dw, Y db);

    /* l2norm: x [m,c], y = x / max(|x|, eps), which may be x.  norm [m] is saved: |x|, or
     * -eps where |x| <= eps and the divisor is a constant.  dx may be dy. */
    void (*l2norm_forward)(struct voco_ctx *ctx, X x, double eps, Y y, Y norm);
    void (*l2norm_backward)(struct voco_ctx *ctx, X y, X norm, X dy, Y dx);

    /* ---- pointwise: y may be x, dx may be dy ---- */
    void (*leaky_forward)(struct voco_ctx *ctx, X x, double slope, Y y);
    void (*leaky_backward)(struct voco_ctx *ctx, X y, double slope, X dy, Y dx);
    void (*gelu_forward)(struct voco_ctx *ctx, X x, Y y);               /* exact, erf */
    /* y: NULL, or gelu(x) once more, which costs little here */
    void (*gelu_backward)(struct voco_ctx *ctx, X x, X dy, Y dx, Y y);
    void (*scale_rows)(struct voco_ctx *ctx, X x, X factor, Y y);       /* [m,c], [m] */
    void (*sigmoid_forward)(struct voco_ctx *ctx, X x, Y y);
    void (*sigmoid_backward)(struct voco_ctx *ctx, X y, X dy, Y dx);
    /* y = alpha a + (1 - alpha) b, all of one shape; y may be any of them */
    void (*blend)(struct voco_ctx *ctx, X a, X b, X alpha, Y y);

    /* ---- attention ----
     * qkv [n,d,h,w,3c]: q, k, v, each heads x head_dim; qkv_bias [3c];
     * table [(2 full_window - 1)^3, heads]; y [n,d,h,w,c];
     * lse [n, windows, heads, tokens]: log-sum-exp of each row of biased, masked scores;
     * 0 for padding tokens, whose rows are never used.
     * Scores are scaled by head_dim^-1/2.  Backward rebuilds the probabilities;
     * dqkv_bias [3c]: the gradient that flows into padding tokens is added, no other;
     * dtable is added to. */
    void (*attn_forward)(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                         X qkv_bias, X table, Y y, Y lse);
    void (*attn_backward)(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                          X qkv_bias, X table, X y, X lse, X dy, Y dqkv, Y dqkv_bias,
                          Y dtable);

    /* ---- patch merging: x [n,d,h,w,c] -> y [n,ceil d/2,ceil h/2,ceil w/2,8c] ----
     * order: the eight (d,h,w) offsets that are concatenated; odd sizes are zero-padded
     * at the end.  Backward sums over repeated offsets. */
    void (*merge_forward)(struct voco_ctx *ctx, X x, const int (*order)[3], Y y);
    void (*merge_backward)(struct voco_ctx *ctx, X dy, const int (*order)[3], Y dx);

    /* ---- global average pooling: x [n,s,c] -> columns [first, first+c) of y [n,cols];
     * backward: dx [n,s,c] = dy[n, first..] / s ---- */
    void (*pool_forward)(struct voco_ctx *ctx, X x, Y y, int64_t first);
    void (*pool_backward)(struct voco_ctx *ctx, X dy, int64_t first, Y dx);

    /* ---- columns [from, from+n) of x [.., cx] -> [to, to+n) of y [.., cy], rows alike;
     * the others of y stay ---- */
    void (*copy_columns)(struct voco_ctx *ctx, X x, int64_t from, Y y, int64_t to,
                         int64_t n);

    /* ---- voxels [n,d,h,w,c] in another order, or some of them; x and y have one type ----
     * permute: axis i of y's d, h, w is axis[i] of x's.
     * subsample: voxel (i,j,k) of y is the middle one, of two the upper, of the by[0] x
     * by[1] x by[2] voxels of x that it stands for; sizes of x are multiples of by. */
    void (*permute)(struct voco_ctx *ctx, X x, const int axis[3], Y y);
    void (*subsample)(struct voco_ctx *ctx, X x, const int64_t by[3], Y y);

    /* ---- boxes of volumes [n,d,h,w,c]: a table on the host, done in its order, so that
     * of boxes that overlap the last one stays ----
     * box_copy: the box of item `from` of x to the same place of item `item` of y, which
     * has the type of x and may be x: each box then reads what those before it left. */
    void (*box_fill)(struct voco_ctx *ctx, const struct voco_box *box, int n, Y y);
    void (*box_copy)(struct voco_ctx *ctx, const struct voco_box *box, int n, X x, Y y);

    /* ---- rotation: item i of x [n,d,h,w,c] by turns[i], 0 to 3, quarter turns from axis
     * plane[0] towards plane[1], axes of the tensor from 1 to 3: numpy's rot90(x[i],
     * turns[i]) of these axes.  Odd turns swap their sizes; y, of the type of x, has one
     * shape for all items. ---- */
    void (*rotate)(struct voco_ctx *ctx, X x, const int *turns, const int plane[2], Y y);

    /* ---- upsampling: x [n,d,h,w,c] -> y [n,2d,2h,2w,c], trilinear, corners not aligned:
     * along an axis y[2i] = (x[i-1] + 3 x[i]) / 4 and y[2i+1] = (3 x[i] + x[i+1]) / 4, the
     * index kept inside ---- */
    void (*upsample_forward)(struct voco_ctx *ctx, X x, Y y);
    void (*upsample_backward)(struct voco_ctx *ctx, X dy, Y dx);

    /* ---- contrast: small matrices; doc/model.md has the formulas ----
     * assign: s[m,k] = max(0, cos(a[m,c], b[k,c])), each norm at least 1e-8;
     * backward ADDS to da and db (either may be NULL).
     * backward's da and db may be one tensor.
     * ce: adds weight * CE(y, p) to loss[1], or its positive and negative part to loss[2];
     * backward overwrites dp (y is constant).
     * decor: adds weight * mean over p<q of s[p,q]^power, 1 or 2, to loss[1]; backward
     * overwrites ds (0 at and below the diagonal). */
    void (*assign_forward)(struct voco_ctx *ctx, X a, X b, Y s);
    void (*assign_backward)(struct voco_ctx *ctx, X a, X b, X s, X ds, Y da, Y db);
    void (*ce_forward)(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p,
                       double weight, Y loss);
    void (*ce_backward)(struct voco_ctx *ctx, const struct voco_ce *o, X y, X p,
                        double weight, Y dp);
    void (*decor_forward)(struct voco_ctx *ctx, int power, X s, double weight, Y loss);
    void (*decor_backward)(struct voco_ctx *ctx, int power, X s, double weight, Y ds);

    /* ---- losses of rows ----
     * softmax_ce: x [n,rows,c], an activation or real; target, real: [n,rows] classes, where
     * a row below 0 does not count, or [n,rows,c] shares of classes, which sum to 1, where
     * every row counts.  With skip_self, rows <= c, the column left out is in no sum and is
     * no target.  count [n] is saved: the rows of an item that count.  Adds to loss[1]
     *   weight * mean over items of the mean, over the rows that count, of
     *            -sum over k of target[k] log softmax(scale x)[k]
     * where an item without such rows has 0.  Backward overwrites dx, which may be x.
     * masked_error: x and target [n,rows,c], mask [n,rows] >= 0 or NULL, which is 1, are
     * activations or real; power is 1 or 2.  sums [n] is saved: that of an item's mask.
     * Adds to loss[1]
     *   weight * mean over items of sum mask |x - target|^power / (c * sum mask)
     * where an item whose mask is 0 has 0.  Backward overwrites dx, which may be x; the
     * gradient of |0| is 0.
     * argmax_rows: x [n,rows,c] -> y [n,rows], real: the class of the largest x, of equal
     * ones the first, or -1 where its softmax is below threshold. */
    void (*softmax_ce_forward)(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                               X target, double weight, Y count, Y loss);
    void (*softmax_ce_backward)(struct voco_ctx *ctx, const struct voco_softmax_ce *o, X x,
                                X target, X count, double weight, Y dx);
    void (*masked_error_forward)(struct voco_ctx *ctx, int power, X x, X target, X mask,
                                 double weight, Y sums, Y loss);
    void (*masked_error_backward)(struct voco_ctx *ctx, int power, X x, X target, X mask,
                                  X sums, double weight, Y dx);
    void (*argmax_rows)(struct voco_ctx *ctx, X x, double threshold, Y y);

    /* ---- segmentation: x [n,s,c] logits, label [n,s] whole numbers below c ----
     * forward adds weight * the mean over items to loss[2]: dice, ce; sums [n,c,3] is saved:
     * of p t, q, t.  Backward rebuilds p; dx may be x. */
    void (*dicece_forward)(struct voco_ctx *ctx, const struct voco_dicece *o, X x, X label,
                           double weight, Y sums, Y loss);
    void (*dicece_backward)(struct voco_ctx *ctx, const struct voco_dicece *o, X x, X label,
                            X sums, double weight, Y dx);

    /* ---- slabs: flat vectors of any length ----
     * sum_squares: y[1] = sum x^2, accumulated in double, the same value for any number
     * of threads.  adamw: torch.optim.AdamW (decoupled decay first); vmax NULL unless
     * amsgrad.  sgd: torch.optim.SGD, whose m begins as 0 and is NULL without momentum.
     * ema: teacher = momentum teacher + (1 - momentum) student. */
    void (*sum_squares)(struct voco_ctx *ctx, X x, Y y);
    void (*adamw)(struct voco_ctx *ctx, const struct voco_adamw *o, X grad, Y w, Y m, Y v,
                  Y vmax);
    void (*sgd)(struct voco_ctx *ctx, const struct voco_sgd *o, X grad, Y w, Y m);
    void (*ema)(struct voco_ctx *ctx, double momentum, X student, Y teacher);

    /* ---- workspace: the most bytes that a conv3d or attn entry pushes on temp; x is the
     * forward input, also for backward.  Others: voco_small_scratch ---- */
    size_t (*conv_workspace)(struct voco_ctx *ctx, enum voco_workspace what,
                             const struct voco_conv *conv, X x);
    size_t (*attn_workspace)(struct voco_ctx *ctx, enum voco_workspace what,
                             const struct voco_windows *win, X qkv);
    /* bytes of prepacked weights that the device holds for one conv, outside the arenas */
    size_t (*conv_packed_bytes)(struct voco_ctx *ctx, const struct voco_conv *conv, X x);
    /* whether conv3d_forward of x can also compute moments */
    bool (*conv_moments)(struct voco_ctx *ctx, const struct voco_conv *conv, X x);
};

#undef X
#undef Y

extern const struct voco_device voco_oracle;
extern const struct voco_device voco_cpu, voco_cpu_bf16;

/* The most bytes that any other entry pushes on temp, where x is its first tensor: partial
 * sums of its columns, per thread or per piece of rows. */
static inline size_t
voco_small_scratch(const struct voco_ctx *ctx, const struct voco_tensor *x)
{
    const size_t columns = x->rank > 1 ? (size_t)x->dim[x->rank - 1] : 1;

    return ((size_t)4 << 20) + (size_t)(128 + 2 * ctx->threads) * columns * 16;
}

/* Open the device and reserve its arenas.  options: NULL, or not all defaults. */
enum voco_err voco_ctx_open(struct voco_ctx *ctx, const struct voco_device *dev,
                            const struct voco_ctx_options *options);
void voco_ctx_close(struct voco_ctx *ctx);          /* accepts {0} */

/* x, of type real, for code that reads elements on the host, such as a writer of files: x
 * itself where the device's memory is the host's, else a copy.  Free *ret_owned, which
 * may be NULL. */
enum voco_err voco_host_view(struct voco_ctx *ctx, const struct voco_tensor *x,
                             struct voco_tensor *ret, void **ret_owned);

/* Keep the first error. */
void voco_ctx_fail(struct voco_ctx *ctx, enum voco_err err);

/* Uninitialised tensor on top of an arena, of the device's type of activations or, with
 * _real, of everything else; sets ctx->err and returns a tensor with data NULL when the
 * arena is full.  Dimensions are int64_t.  _like: an activation if x is one.  _exact:
 * always of type real, with the shape of x: for inputs of a norm, which should not be rounded,
 * since the signs of its results decide where gradients flow.
 * _moments: room for those of conv(x) in *room, or NULL where the convolution does not
 * make them. */
struct voco_tensor voco_push(struct voco_ctx *ctx, struct voco_arena *arena, int rank, ...);
struct voco_tensor voco_push_real(struct voco_ctx *ctx, struct voco_arena *arena, int rank,
                                  ...);
struct voco_tensor voco_push_like(struct voco_ctx *ctx, struct voco_arena *arena,
                                  const struct voco_tensor *x);
struct voco_tensor voco_push_exact(struct voco_ctx *ctx, struct voco_arena *arena,
                                   const struct voco_tensor *x);
const struct voco_tensor *voco_push_moments(struct voco_ctx *ctx, struct voco_arena *arena,
                                            const struct voco_conv *conv,
                                            const struct voco_tensor *x,
                                            struct voco_tensor *room);

#endif
