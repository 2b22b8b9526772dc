/* Window attention of the cpu device with products of bfloat16: what it reads is stored so
 * and need not be widened. */
#include "dev/cpu/attn.h"

#include <string.h>

bool
voco_attn_bf16_can(const struct voco_kernels *k, const struct voco_tensor *qkv)
{
    return k->attn_bf16 && voco_is_bf16(qkv);
}

static size_t
larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void
voco_attn_bf16_lay(const struct voco_attn *a, char *base, size_t *at,
                   struct voco_attn_panels *ret)
{
    const size_t real = (size_t)a->p.real_max, cols = (size_t)a->p.cols_max;
    const size_t row = a->p.head_row, f = sizeof(float), h = sizeof(uint16_t);
    const size_t even = real + real % 2, transposed = (size_t)a->p.head_dim * cols;
    const size_t spare = (size_t)a->p.tokens + VOCO_RUN;    /* of voco_windows_expand */
    const size_t table = (size_t)a->p.table_rows * sizeof(double);     /* of finish */

    ret->half_q = voco_attn_cut(base, at, even * row * h);
    ret->half_k = voco_attn_cut(base, at, cols * row * h);
    ret->half_v = voco_attn_cut(base, at, cols * row * h);
    if (!a->backward) {
        ret->y = voco_attn_cut(base, at, real * row * f);
        ret->work = voco_attn_cut(base, at, larger(voco_attn_bf16_work(real, cols, row),
                                                   spare) * f);
        return;
    }
    ret->half_y = voco_attn_cut(base, at, even * row * h);
    ret->half_dy = voco_attn_cut(base, at, even * row * h);
    ret->k = voco_attn_cut(base, at, cols * row * f);       /* of scatter_transposed */
    ret->dq = voco_attn_cut(base, at, real * row * f);
    ret->dkt = voco_attn_cut(base, at, transposed * f);
    ret->dvt = voco_attn_cut(base, at, transposed * f);
    ret->dbias = voco_attn_cut(base, at, larger(real * cols * f, table));
    ret->work = voco_attn_cut(base, at, larger(voco_attn_bf16_grad_work(real, cols, row),
                                               spare) * f);
}

/* Rows of a column of x and, where their number is odd, one of zeros. */
static void
gather(const struct voco_attn *a, const struct voco_tensor *x, int64_t first,
       const struct voco_attn_panels *own, int n, uint16_t *panel)
{
    const struct voco_rows r = voco_attn_rows(a, x, own->rows, n, 1);

    VOCO_ASSERT(voco_is_bf16(x));
    a->k->gather_bf16(&r, (const uint16_t *)x->data + first, panel);
    if (n % 2)
        memset(panel + (size_t)n * a->p.head_row, 0, a->p.head_row * sizeof *panel);
}

/* Rows of keys or values (part 1 or 2 of qkv), the one for the padding, rounded as those
 * are, and zeros. */
static void
gather_keys(const struct voco_attn *a, const struct voco_attn_task *t, int part,
            const struct voco_attn_panels *own, uint16_t *panel)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = part * a->c + t->head * a->p.head_dim;
    uint16_t *rest = panel + (size_t)z->real * a->p.head_row;

    gather(a, a->qkv, first, own, z->real, panel);
    memset(rest, 0, (size_t)(z->cols - z->real) * a->p.head_row * sizeof *panel);
    if (z->keys > z->real)
        a->k->narrow(a->qkv_bias + first, rest, (size_t)a->p.head_dim);
}

void
voco_attn_bf16_forward(const struct voco_attn *a, const struct voco_attn_task *t,
                       const struct voco_attn_panels *own)
{
    const struct voco_window_class *z = t->z;

    gather(a, a->qkv, t->head * a->p.head_dim, own, z->real, own->half_q);
    gather_keys(a, t, 1, own, own->half_k);
    gather_keys(a, t, 2, own, own->half_v);
    a->k->attn_bf16(&(struct voco_attn_bf16){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->p.head_row,
        .scale = voco_attn_scale(a), .q = own->half_q, .k = own->half_k, .v = own->half_v,
        .bias = voco_windows_bias(z, t->head), .y = own->y, .lse = own->lse,
        .work = own->work });
}

void
voco_attn_bf16_backward(const struct voco_attn *a, const struct voco_attn_task *t,
                        const struct voco_attn_panels *own)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = t->head * a->p.head_dim;

    gather(a, a->y, first, own, z->real, own->half_y);
    gather(a, a->dy, first, own, z->real, own->half_dy);
    gather(a, a->qkv, first, own, z->real, own->half_q);
    gather_keys(a, t, 1, own, own->half_k);
    gather_keys(a, t, 2, own, own->half_v);
    a->k->attn_bf16_grad(&(struct voco_attn_bf16_grad){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->p.head_row,
        .scale = voco_attn_scale(a), .q = own->half_q, .y = own->half_y,
        .dy = own->half_dy, .k = own->half_k, .v = own->half_v,
        .bias = voco_windows_bias(z, t->head), .lse = own->lse, .dq = own->dq,
        .dkt = own->dkt, .dvt = own->dvt, .dbias = own->dbias, .work = own->work });
}
