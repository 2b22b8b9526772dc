/*
 * The computing entries of struct voco_device as a list, for code that treats them all
 * alike: wrappers (dry.c, trace.c).
 *
 *   E(name, (parameters after ctx), (arguments after ctx), (tensors, the telling ones
 *     first), operations)
 *
 * Operations are those of the direct method, 2 for a multiply-add; see flops.h.
 * The order is that of the table, and dry.c asserts that none is missing.
 */
#ifndef VOCO_DEV_ENTRIES_H
#define VOCO_DEV_ENTRIES_H

#include "dev/device.h"
#include "dev/flops.h"

#define VOCO_X const struct voco_tensor *
#define VOCO_CONV const struct voco_conv *conv
#define VOCO_WIN const struct voco_windows *win

#define VOCO_DEVICE_ENTRIES(E)                                                           \
    E(upload, (VOCO_X host, VOCO_X y), (host, y), (y), 0)                                \
    E(download, (VOCO_X x, VOCO_X host), (x, host), (x), 0)                              \
    E(fill, (VOCO_X y, double value), (y, value), (y), 0)                                \
    E(copy, (VOCO_X x, VOCO_X y), (x, y), (x, y), 0)                                     \
    E(add, (VOCO_X x, VOCO_X y), (x, y), (x, y), voco_flops_each(y, 1))                  \
                                                                                         \
    E(conv3d_forward,                                                                    \
      (VOCO_CONV, VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y, VOCO_X moments),               \
      (conv, x, w, b, y, moments), (x, w, b, y, moments), voco_flops_conv(conv, y))      \
    E(conv3d_backward_data, (VOCO_CONV, VOCO_X dy, VOCO_X w, VOCO_X dx),                 \
      (conv, dy, w, dx), (dx, w, dy), voco_flops_conv(conv, dy))                         \
    E(conv3d_backward_weights, (VOCO_CONV, VOCO_X x, VOCO_X dy, VOCO_X dw, VOCO_X db),   \
      (conv, x, dy, dw, db), (x, dw, dy, db), voco_flops_conv(conv, dy))                 \
    E(deconv_forward, (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y), (x, w, b, y),            \
      (x, w, b, y), voco_flops_deconv(x, w))                                             \
    E(deconv_backward,                                                                   \
      (VOCO_X x, VOCO_X w, VOCO_X dy, VOCO_X dx, VOCO_X dw, VOCO_X db),                  \
      (x, w, dy, dx, dw, db), (x, w, dy, dx, dw, db),                                    \
      (dx ? 2 : 1) * voco_flops_deconv(x, w))                                            \
                                                                                         \
    E(linear_forward, (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X y), (x, w, b, y),            \
      (x, w, b, y), voco_flops_linear(x, w))                                             \
    E(linear_backward_data, (VOCO_X dy, VOCO_X w, VOCO_X dx), (dy, w, dx), (dx, w, dy),  \
      voco_flops_linear(dx, w))                                                          \
    E(linear_backward_weights, (VOCO_X x, VOCO_X dy, VOCO_X dw, VOCO_X db),              \
      (x, dy, dw, db), (x, dw, dy, db), voco_flops_linear(x, dw))                        \
                                                                                         \
    E(instnorm_forward,                                                                  \
      (VOCO_X x, VOCO_X moments, VOCO_X r, double slope, double eps, VOCO_X y,           \
       VOCO_X rstd),                                                                     \
      (x, moments, r, slope, eps, y, rstd), (x, r, y, rstd, moments),                    \
      voco_flops_each(x, 8))                                                             \
    E(instnorm_backward,                                                                 \
      (VOCO_X y, VOCO_X r, VOCO_X rstd, double slope, VOCO_X dy, VOCO_X dx, VOCO_X dr),  \
      (y, r, rstd, slope, dy, dx, dr), (y, r, rstd, dy, dx, dr), voco_flops_each(y, 14)) \
    E(layernorm_forward,                                                                 \
      (VOCO_X x, VOCO_X w, VOCO_X b, double eps, VOCO_X y, VOCO_X mean, VOCO_X rstd),    \
      (x, w, b, eps, y, mean, rstd), (x, w, b, y, mean, rstd), voco_flops_each(x, 8))    \
    E(layernorm_backward,                                                                \
      (VOCO_X x, VOCO_X w, VOCO_X b, VOCO_X mean, VOCO_X rstd, VOCO_X dy, VOCO_X r,      \
       VOCO_X dx, VOCO_X y, VOCO_X dw, VOCO_X db),                                       \
      (x, w, b, mean, rstd, dy, r, dx, y, dw, db),                                       \
      (x, w, mean, rstd, dy, r, dx, y, dw, db), voco_flops_each(x, 14))                                                            \
    E(affine_forward, (VOCO_X x, VOCO_X w, VOCO_X b, double slope, VOCO_X y),            \
      (x, w, b, slope, y), (x, w, b, y), voco_flops_each(x, 3))                          \
    E(affine_backward,                                                                   \
      (VOCO_X x, VOCO_X w, VOCO_X b, double slope, VOCO_X dy, VOCO_X dx, VOCO_X dw,      \
       VOCO_X db),                                                                       \
      (x, w, b, slope, dy, dx, dw, db), (x, w, b, dy, dx, dw, db),                       \
      voco_flops_each(x, 8))                                                             \
                                                                                         \
    E(leaky_forward, (VOCO_X x, double slope, VOCO_X y), (x, slope, y), (x, y),          \
      voco_flops_each(x, 1))                                                             \
    E(leaky_backward, (VOCO_X y, double slope, VOCO_X dy, VOCO_X dx),                    \
      (y, slope, dy, dx), (y, dy, dx), voco_flops_each(y, 1))                            \
    E(gelu_forward, (VOCO_X x, VOCO_X y), (x, y), (x, y), voco_flops_each(x, 16))        \
    E(gelu_backward, (VOCO_X x, VOCO_X dy, VOCO_X dx, VOCO_X y), (x, dy, dx, y),         \
      (x, dy, dx, y), voco_flops_each(x, 28))                                            \
    E(scale_rows, (VOCO_X x, VOCO_X factor, VOCO_X y), (x, factor, y), (x, factor, y),   \
      voco_flops_each(x, 1))                                                             \
                                                                                         \
    E(attn_forward,                                                                      \
      (VOCO_WIN, VOCO_X qkv, VOCO_X qkv_bias, VOCO_X table, VOCO_X y, VOCO_X lse),       \
      (win, qkv, qkv_bias, table, y, lse), (qkv, table, qkv_bias, y, lse),               \
      voco_flops_attn(win, y, 2))                                                        \
    E(attn_backward,                                                                     \
      (VOCO_WIN, VOCO_X qkv, VOCO_X qkv_bias, VOCO_X table, VOCO_X y, VOCO_X lse,        \
       VOCO_X dy, VOCO_X dqkv, VOCO_X dqkv_bias, VOCO_X dtable),                         \
      (win, qkv, qkv_bias, table, y, lse, dy, dqkv, dqkv_bias, dtable),                  \
      (qkv, table, qkv_bias, y, lse, dy, dqkv, dqkv_bias, dtable),                       \
      voco_flops_attn(win, y, 5))                                                        \
                                                                                         \
    E(merge_forward, (VOCO_X x, const int (*order)[3], VOCO_X y), (x, order, y), (x, y), \
      0)                                                                                 \
    E(merge_backward, (VOCO_X dy, const int (*order)[3], VOCO_X dx), (dy, order, dx),    \
      (dx, dy), voco_flops_each(dy, 1))                                                  \
    E(pool_forward, (VOCO_X x, VOCO_X y, int64_t first), (x, y, first), (x),             \
      voco_flops_each(x, 1))                                                             \
    E(pool_backward, (VOCO_X dy, int64_t first, VOCO_X dx), (dy, first, dx), (dx),       \
      voco_flops_each(dx, 1))                                                            \
    E(copy_columns, (VOCO_X x, int64_t from, VOCO_X y, int64_t to, int64_t n),           \
      (x, from, y, to, n), (x, y), 0)                                                    \
                                                                                         \
    E(assign_forward, (VOCO_X a, VOCO_X b, VOCO_X s), (a, b, s), (a, b, s),              \
      voco_flops_linear(a, b))                                                           \
    E(assign_backward,                                                                   \
      (VOCO_X a, VOCO_X b, VOCO_X s, VOCO_X ds, VOCO_X da, VOCO_X db),                   \
      (a, b, s, ds, da, db), (a, b, s, ds, da, db),                                      \
      ((da ? 2 : 0) + (db ? 2 : 0)) * voco_flops_linear(a, b))                           \
    E(ce_forward, (VOCO_X y, VOCO_X p, double weight, VOCO_X loss),                      \
      (y, p, weight, loss), (y, p, loss), voco_flops_each(p, 16))                        \
    E(ce_backward, (VOCO_X y, VOCO_X p, double weight, VOCO_X dp),                       \
      (y, p, weight, dp), (y, p, dp), voco_flops_each(p, 8))                             \
    E(decor_forward, (VOCO_X s, double weight, VOCO_X loss), (s, weight, loss),          \
      (s, loss), voco_flops_each(s, 2))                                                  \
    E(decor_backward, (VOCO_X s, double weight, VOCO_X ds), (s, weight, ds), (s, ds),    \
      voco_flops_each(s, 1))                                                             \
                                                                                         \
    E(dicece_forward,                                                                    \
      (const struct voco_dicece *o, VOCO_X x, VOCO_X label, double weight, VOCO_X sums,  \
       VOCO_X loss),                                                                     \
      (o, x, label, weight, sums, loss), (x, label, sums, loss), voco_flops_each(x, 24)) \
    E(dicece_backward,                                                                   \
      (const struct voco_dicece *o, VOCO_X x, VOCO_X label, VOCO_X sums, double weight,  \
       VOCO_X dx),                                                                       \
      (o, x, label, sums, weight, dx), (x, label, sums, dx), voco_flops_each(x, 28))     \
                                                                                         \
    E(sum_squares, (VOCO_X x, VOCO_X y), (x, y), (x), voco_flops_each(x, 2))             \
    E(adamw,                                                                             \
      (const struct voco_adamw *o, VOCO_X grad, VOCO_X w, VOCO_X m, VOCO_X v,            \
       VOCO_X vmax),                                                                     \
      (o, grad, w, m, v, vmax), (w, grad, m, v, vmax), voco_flops_each(w, 14))           \
    E(ema, (double momentum, VOCO_X student, VOCO_X teacher),                            \
      (momentum, student, teacher), (teacher, student), voco_flops_each(teacher, 3))

/* (a, b) -> a, b */
#define VOCO_BARE(...) __VA_ARGS__

#endif
