/*
 * The computing entries of struct voco_device as a list, for code that treats them alike:
 * the prototypes and tables of devices, and the wrappers (wrap/).
 *
 *   E(P, name, (parameters after ctx), (arguments after ctx), (tensors), operations)
 *
 * P is passed through, such as the prefix of a device.  Tensors are those of the
 * parameters, the telling ones first, as IN(x) where they are read and OUT(x) where they
 * are written, in whole or in part, or added to.  Host tensors are not among them.
 * Operations are those of the direct method, 2 for a multiply-add; see
 * flops.h.  The order is that of the table, and dry.c asserts that none is missing.
 */
#ifndef VOCO_DEV_ENTRIES_H
#define VOCO_DEV_ENTRIES_H

#include "dev/device.h"
#include "dev/flops.h"

#define VOCO_X const struct voco_tensor *
#define VOCO_CONV const struct voco_conv *conv
#define VOCO_WIN const struct voco_windows *win

#define VOCO_DEVICE_ENTRIES(E, P, IN, OUT)                                               \
    E(P, upload, (VOCO_X host, VOCO_X y), (host, y), (OUT(y)), 0)                        \
    E(P, download, (VOCO_X x, VOCO_X host), (x, host), (IN(x)), 0)                       \
    E(P, fill, (VOCO_X y, double value), (y, value), (OUT(y)), 0)                        \
    E(P, copy, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)), 0)                         \
    E(P, add, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)), voco_flops_each(y, 1))      \
                                                                                         \
    E(P, conv3d_forward,                                                                 \
      (VOCO_CONV, VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y, VOCO_X moments),               \
      (conv, x, w, b, y, moments), (IN(x), IN(w), IN(b), OUT(y), OUT(moments)),          \
      voco_flops_conv(conv, y))                                                          \
    E(P, conv3d_backward_data, (VOCO_CONV, VOCO_X dy, VOCO_X w, VOCO_X dx),              \
      (conv, dy, w, dx), (OUT(dx), IN(w), IN(dy)), voco_flops_conv(conv, dy))            \
    E(P, conv3d_backward_weights, (VOCO_CONV, VOCO_X x, VOCO_X dy, VOCO_X dw, VOCO_X db),\
      (conv, x, dy, dw, db), (IN(x), OUT(dw), IN(dy), OUT(db)),                          \
      voco_flops_conv(conv, dy))                                                         \
    E(P, deconv_forward, (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y), (x, w, b, y),         \
      (IN(x), IN(w), IN(b), OUT(y)), voco_flops_deconv(x, w))                            \
    E(P, deconv_backward,                                                                \
      (VOCO_X x, VOCO_X w, VOCO_X dy, VOCO_X dx, VOCO_X dw, VOCO_X db),                  \
      (x, w, dy, dx, dw, db), (IN(x), IN(w), IN(dy), OUT(dx), OUT(dw), OUT(db)),         \
      (dx ? 2 : 1) * voco_flops_deconv(x, w))                                            \
                                                                                         \
    E(P, linear_forward, (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y), (x, w, b, y),         \
      (IN(x), IN(w), IN(b), OUT(y)), voco_flops_linear(x, w))                            \
    E(P, linear_backward_data, (VOCO_X dy, VOCO_X w, VOCO_X dx), (dy, w, dx),            \
      (OUT(dx), IN(w), IN(dy)), voco_flops_linear(dx, w))                                \
    E(P, linear_backward_weights, (VOCO_X x, VOCO_X dy, VOCO_X dw, VOCO_X db),           \
      (x, dy, dw, db), (IN(x), OUT(dw), IN(dy), OUT(db)), voco_flops_linear(x, dw))      \
                                                                                         \
    E(P, instnorm_forward,                                                               \
      (VOCO_X x, VOCO_X moments, VOCO_X r, double slope, double eps, VOCO_X y,           \
       VOCO_X rstd),                                                                     \
      (x, moments, r, slope, eps, y, rstd),                                              \
      (IN(x), IN(r), OUT(y), OUT(rstd), IN(moments)), voco_flops_each(x, 8))             \
    E(P, instnorm_backward,                                                              \
      (VOCO_X y, VOCO_X r, VOCO_X rstd, double slope, VOCO_X dy, VOCO_X dx, VOCO_X dr),  \
      (y, r, rstd, slope, dy, dx, dr),                                                   \
      (IN(y), IN(r), IN(rstd), IN(dy), OUT(dx), OUT(dr)), voco_flops_each(y, 14))        \
    E(P, layernorm_forward,                                                              \
      (VOCO_X x, VOCO_X w, VOCO_X b, double eps, VOCO_X y, VOCO_X mean, VOCO_X rstd),    \
      (x, w, b, eps, y, mean, rstd),                                                     \
      (IN(x), IN(w), IN(b), OUT(y), OUT(mean), OUT(rstd)), voco_flops_each(x, 8))        \
    E(P, layernorm_backward,                                                             \
      (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X mean, VOCO_X rstd, VOCO_X dy, VOCO_X r,      \
       VOCO_X dx, VOCO_X y, VOCO_X dw, VOCO_X db),                                       \
      (x, w, b, mean, rstd, dy, r, dx, y, dw, db),                                       \
      (IN(x), IN(w), IN(b), IN(mean), IN(rstd), IN(dy), IN(r), OUT(dx), OUT(y),          \
       OUT(dw), OUT(db)),                                                                \
      voco_flops_each(x, 14))                                                            \
    E(P, affine_forward, (VOCO_X x, VOCO_X w, VOCO_X b, double slope, VOCO_X y),         \
      (x, w, b, slope, y), (IN(x), IN(w), IN(b), OUT(y)), voco_flops_each(x, 3))         \
    E(P, affine_backward,                                                                \
      (VOCO_X x, VOCO_X w, VOCO_X b, double slope, VOCO_X dy, VOCO_X dx, VOCO_X dw,      \
       VOCO_X db),                                                                       \
      (x, w, b, slope, dy, dx, dw, db),                                                  \
      (IN(x), IN(w), IN(b), IN(dy), OUT(dx), OUT(dw), OUT(db)), voco_flops_each(x, 8))   \
                                                                                         \
    E(P, l2norm_forward, (VOCO_X x, double eps, VOCO_X y, VOCO_X norm),                  \
      (x, eps, y, norm), (IN(x), OUT(y), OUT(norm)), voco_flops_each(x, 3))              \
    E(P, l2norm_backward, (VOCO_X y, VOCO_X norm, VOCO_X dy, VOCO_X dx),                 \
      (y, norm, dy, dx), (IN(y), IN(norm), IN(dy), OUT(dx)), voco_flops_each(y, 5))      \
                                                                                         \
    E(P, leaky_forward, (VOCO_X x, double slope, VOCO_X y), (x, slope, y),               \
      (IN(x), OUT(y)), voco_flops_each(x, 1))                                            \
    E(P, leaky_backward, (VOCO_X y, double slope, VOCO_X dy, VOCO_X dx),                 \
      (y, slope, dy, dx), (IN(y), IN(dy), OUT(dx)), voco_flops_each(y, 1))               \
    E(P, gelu_forward, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)),                    \
      voco_flops_each(x, 16))                                                            \
    E(P, gelu_backward, (VOCO_X x, VOCO_X dy, VOCO_X dx, VOCO_X y), (x, dy, dx, y),      \
      (IN(x), IN(dy), OUT(dx), OUT(y)), voco_flops_each(x, 28))                          \
    E(P, scale_rows, (VOCO_X x, VOCO_X factor, VOCO_X y), (x, factor, y),                \
      (IN(x), IN(factor), OUT(y)), voco_flops_each(x, 1))                                \
                                                                                         \
    E(P, sigmoid_forward, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)),                 \
      voco_flops_each(x, 8))                                                             \
    E(P, sigmoid_backward, (VOCO_X y, VOCO_X dy, VOCO_X dx), (y, dy, dx),                \
      (IN(y), IN(dy), OUT(dx)), voco_flops_each(y, 3))                                   \
    E(P, blend, (VOCO_X a, VOCO_X b, VOCO_X alpha, VOCO_X y), (a, b, alpha, y),          \
      (IN(a), IN(b), IN(alpha), OUT(y)), voco_flops_each(y, 4))                          \
                                                                                         \
    E(P, attn_forward,                                                                   \
      (VOCO_WIN, VOCO_X qkv, VOCO_X qkv_bias, VOCO_X table, VOCO_X y, VOCO_X lse),       \
      (win, qkv, qkv_bias, table, y, lse),                                               \
      (IN(qkv), IN(table), IN(qkv_bias), OUT(y), OUT(lse)), voco_flops_attn(win, y, 2))  \
    E(P, attn_backward,                                                                  \
      (VOCO_WIN, VOCO_X qkv, VOCO_X qkv_bias, VOCO_X table, VOCO_X y, VOCO_X lse,        \
       VOCO_X dy, VOCO_X dqkv, VOCO_X dqkv_bias, VOCO_X dtable),                         \
      (win, qkv, qkv_bias, table, y, lse, dy, dqkv, dqkv_bias, dtable),                  \
      (IN(qkv), IN(table), IN(qkv_bias), IN(y), IN(lse), IN(dy), OUT(dqkv),              \
       OUT(dqkv_bias), OUT(dtable)),                                                     \
      voco_flops_attn(win, y, 5))                                                        \
                                                                                         \
    E(P, merge_forward, (VOCO_X x, const int (*order)[3], VOCO_X y), (x, order, y),      \
      (IN(x), OUT(y)), 0)                                                                \
    E(P, merge_backward, (VOCO_X dy, const int (*order)[3], VOCO_X dx), (dy, order, dx), \
      (OUT(dx), IN(dy)), voco_flops_each(dy, 1))                                         \
    E(P, pool_forward, (VOCO_X x, VOCO_X y, int64_t first), (x, y, first),               \
      (IN(x), OUT(y)), voco_flops_each(x, 1))                                            \
    E(P, pool_backward, (VOCO_X dy, int64_t first, VOCO_X dx), (dy, first, dx),          \
      (OUT(dx), IN(dy)), voco_flops_each(dx, 1))                                         \
    E(P, copy_columns, (VOCO_X x, int64_t from, VOCO_X y, int64_t to, int64_t n),        \
      (x, from, y, to, n), (IN(x), OUT(y)), 0)                                           \
    E(P, permute, (VOCO_X x, const int axis[3], VOCO_X y), (x, axis, y),                 \
      (IN(x), OUT(y)), 0)                                                                \
    E(P, subsample, (VOCO_X x, const int64_t by[3], VOCO_X y), (x, by, y),               \
      (IN(x), OUT(y)), 0)                                                                \
                                                                                         \
    E(P, box_fill, (const struct voco_box *box, int n, VOCO_X y), (box, n, y),           \
      (OUT(y)), 0)                                                                       \
    E(P, box_copy, (const struct voco_box *box, int n, VOCO_X x, VOCO_X y),              \
      (box, n, x, y), (IN(x), OUT(y)), 0)                                                \
    E(P, rotate, (VOCO_X x, const int *turns, const int plane[2], VOCO_X y),             \
      (x, turns, plane, y), (IN(x), OUT(y)), 0)                                          \
    E(P, upsample_forward, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)),                \
      voco_flops_each(y, 5))                                                             \
    E(P, upsample_backward, (VOCO_X dy, VOCO_X dx), (dy, dx), (OUT(dx), IN(dy)),         \
      voco_flops_each(dy, 10))                                                           \
                                                                                         \
    E(P, assign_forward, (VOCO_X a, VOCO_X b, VOCO_X s), (a, b, s),                      \
      (IN(a), IN(b), OUT(s)), voco_flops_linear(a, b))                                   \
    E(P, assign_backward,                                                                \
      (VOCO_X a, VOCO_X b, VOCO_X s, VOCO_X ds, VOCO_X da, VOCO_X db),                   \
      (a, b, s, ds, da, db), (IN(a), IN(b), IN(s), IN(ds), OUT(da), OUT(db)),            \
      ((da ? 2 : 0) + (db ? 2 : 0)) * voco_flops_linear(a, b))                           \
    E(P, ce_forward,                                                                     \
      (const struct voco_ce *o, VOCO_X y, VOCO_X p, double weight, VOCO_X loss),         \
      (o, y, p, weight, loss), (IN(y), IN(p), OUT(loss)), voco_flops_each(p, 16))        \
    E(P, ce_backward,                                                                    \
      (const struct voco_ce *o, VOCO_X y, VOCO_X p, double weight, VOCO_X dp),           \
      (o, y, p, weight, dp), (IN(y), IN(p), OUT(dp)), voco_flops_each(p, 8))             \
    E(P, decor_forward, (int power, VOCO_X s, double weight, VOCO_X loss),               \
      (power, s, weight, loss), (IN(s), OUT(loss)), voco_flops_each(s, 2))               \
    E(P, decor_backward, (int power, VOCO_X s, double weight, VOCO_X ds),                \
      (power, s, weight, ds), (IN(s), OUT(ds)), voco_flops_each(s, 1))                   \
                                                                                         \
    E(P, softmax_ce_forward,                                                             \
      (const struct voco_softmax_ce *o, VOCO_X x, VOCO_X target, double weight,          \
       VOCO_X count, VOCO_X loss),                                                       \
      (o, x, target, weight, count, loss),                                               \
      (IN(x), IN(target), OUT(count), OUT(loss)), voco_flops_each(x, 16))                \
    E(P, softmax_ce_backward,                                                            \
      (const struct voco_softmax_ce *o, VOCO_X x, VOCO_X target, VOCO_X count,           \
       double weight, VOCO_X dx),                                                        \
      (o, x, target, count, weight, dx), (IN(x), IN(target), IN(count), OUT(dx)),        \
      voco_flops_each(x, 18))                                                            \
    E(P, masked_error_forward,                                                           \
      (int power, VOCO_X x, VOCO_X target, VOCO_X mask, double weight, VOCO_X sums,      \
       VOCO_X loss),                                                                     \
      (power, x, target, mask, weight, sums, loss),                                      \
      (IN(x), IN(target), IN(mask), OUT(sums), OUT(loss)), voco_flops_each(x, 4))        \
    E(P, masked_error_backward,                                                          \
      (int power, VOCO_X x, VOCO_X target, VOCO_X mask, VOCO_X sums, double weight,      \
       VOCO_X dx),                                                                       \
      (power, x, target, mask, sums, weight, dx),                                        \
      (IN(x), IN(target), IN(mask), IN(sums), OUT(dx)), voco_flops_each(x, 3))           \
    E(P, argmax_rows, (VOCO_X x, double threshold, VOCO_X y), (x, threshold, y),         \
      (IN(x), OUT(y)), voco_flops_each(x, 16))                                           \
                                                                                         \
    E(P, dicece_forward,                                                                 \
      (const struct voco_dicece *o, VOCO_X x, VOCO_X label, double weight,               \
       VOCO_X sums, VOCO_X loss),                                                        \
      (o, x, label, weight, sums, loss), (IN(x), IN(label), OUT(sums), OUT(loss)),       \
      voco_flops_each(x, 24))                                                            \
    E(P, dicece_backward,                                                                \
      (const struct voco_dicece *o, VOCO_X x, VOCO_X label, VOCO_X sums,                 \
       double weight, VOCO_X dx),                                                        \
      (o, x, label, sums, weight, dx), (IN(x), IN(label), IN(sums), OUT(dx)),            \
      voco_flops_each(x, 28))                                                            \
                                                                                         \
    E(P, sum_squares, (VOCO_X x, VOCO_X y), (x, y), (IN(x), OUT(y)),                     \
      voco_flops_each(x, 2))                                                             \
    E(P, adamw,                                                                          \
      (const struct voco_adamw *o, VOCO_X grad, VOCO_X w, VOCO_X m, VOCO_X v,            \
       VOCO_X vmax),                                                                     \
      (o, grad, w, m, v, vmax), (OUT(w), IN(grad), OUT(m), OUT(v), OUT(vmax)),           \
      voco_flops_each(w, 14))                                                            \
    E(P, sgd, (const struct voco_sgd *o, VOCO_X grad, VOCO_X w, VOCO_X m),               \
      (o, grad, w, m), (OUT(w), IN(grad), OUT(m)), voco_flops_each(w, 6))                \
    E(P, ema, (double momentum, VOCO_X student, VOCO_X teacher),                         \
      (momentum, student, teacher), (OUT(teacher), IN(student)),                         \
      voco_flops_each(teacher, 3))

/* (a, b) -> a, b */
#define VOCO_BARE(...) __VA_ARGS__

/* IN and OUT where the difference does not matter */
#define VOCO_TENSOR(x) x

/* ---- the functions that every device has, with a prefix: prototypes and table ---- */

#define VOCO_PROTOTYPE(prefix, name, parameters, arguments, tensors, operations) \
    void prefix##name(struct voco_ctx *ctx, VOCO_BARE parameters);

#define VOCO_DEVICE_PROTOTYPES(prefix)                                                   \
    enum voco_err prefix##open(struct voco_ctx *ctx,                                     \
                               const struct voco_ctx_options *options);                  \
    void prefix##close(struct voco_ctx *ctx);                                            \
    int prefix##describe(struct voco_fact ret[VOCO_FACTS_MAX]);                          \
    void prefix##peak(const struct voco_ctx *ctx, struct voco_peak *ret);                \
    void prefix##sync(struct voco_ctx *ctx);                                             \
    enum voco_err prefix##reserve(struct voco_ctx *ctx, size_t limit,                    \
                                  struct voco_arena *ret);                               \
    size_t prefix##conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,        \
                                  VOCO_CONV, VOCO_X x);                                  \
    size_t prefix##attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,        \
                                  VOCO_WIN, VOCO_X qkv);                                 \
    size_t prefix##conv_packed_bytes(struct voco_ctx *ctx, VOCO_CONV, VOCO_X x);         \
    bool prefix##conv_moments(struct voco_ctx *ctx, VOCO_CONV, VOCO_X x);                \
    VOCO_DEVICE_ENTRIES(VOCO_PROTOTYPE, prefix, VOCO_TENSOR, VOCO_TENSOR)

#define VOCO_ROW(prefix, name, ...) .name = prefix##name,

#define VOCO_DEVICE_TABLE(prefix)                                                        \
    .open = prefix##open, .close = prefix##close, .describe = prefix##describe,          \
    .peak = prefix##peak, .sync = prefix##sync, .reserve = prefix##reserve,              \
    .conv_workspace = prefix##conv_workspace,                                            \
    .attn_workspace = prefix##attn_workspace,                                            \
    .conv_packed_bytes = prefix##conv_packed_bytes, .conv_moments = prefix##conv_moments,\
    VOCO_DEVICE_ENTRIES(VOCO_ROW, prefix, VOCO_TENSOR, VOCO_TENSOR)

#endif
