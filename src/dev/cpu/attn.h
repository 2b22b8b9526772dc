/*
 * Window attention of the cpu device: the common part of its two ways to multiply.
 * Tasks, f32 panels and all around the kernels are in attn.c, panels of bfloat16 in
 * attn_bf16.c.
 */
#ifndef VOCO_DEV_CPU_ATTN_H
#define VOCO_DEV_CPU_ATTN_H

#include "dev/cpu/block.h"
#include "dev/cpu/windows.h"

/* The buffers of a thread for a window: numbers of all heads of the task side by side.
 * q, dy, .. [real_max,row], k, v, .. [cols_max,row], kt, vt, dkt, dvt and the v of narrow
 * heads [width,cols], lse [heads,real].  dbias [real,cols] and work serve all windows. */
struct voco_attn_panels {
    float *q, *k, *kt, *v, *vt, *y, *dy, *dq, *dkt, *dvt, *lse, *dbias, *work;
    uint16_t *half_q, *half_k, *half_v, *half_y, *half_dy;  /* real_max is even for these */
    int64_t *rows;              /* [real_max] */
};

struct voco_attn {
    struct voco_window_plan p;
    const struct voco_kernels *k;
    int64_t c;                      /* channels of y; qkv has 3c */
    int64_t windows;                /* of a task */
    int heads;                      /* of a task */
    size_t width, row;              /* numbers of these heads; rounded up to lanes */
    int64_t kept;                   /* windows whose panels a thread has at a time: all of
                                     * a task if it has more than one head */
    int64_t tasks;
    int64_t sums;                   /* tasks, times their heads */
    bool backward;
    bool half;                      /* multiply bfloat16 */
    bool narrow;                    /* heads are: f32, keys and values transposed */
    const struct voco_tensor *qkv, *y, *dy, *ret_y, *dqkv;
    const float *qkv_bias;
    float *lse;
    /* per task and head: gradient of the bias table, of padding keys and values, and the
     * sums of dS over windows for the key that stands for the padding */
    float *dtable;                  /* [sums,table_rows] */
    float *dpad;                    /* [sums,2 head_dim] */
    float *dscore;                  /* [sums,real_max] */
    char *scratch;                  /* panels of each thread */
    size_t window_bytes, thread_bytes;
};

struct voco_attn_task {
    const struct voco_window_class *z;
    int head;                       /* the first */
    int64_t from, to;               /* of the items x count windows of the class */
    int64_t sums, step;             /* place of the first head's; to that of the next */
};

/* Cut n bytes from *at; only counts while base is NULL. */
static inline void *
voco_attn_cut(char *base, size_t *at, size_t bytes)
{
    void *p = base ? base + *at : NULL;

    *at += voco_aligned(bytes);
    return p;
}

/* n rows of a column of x, counted in elements, at which the heads of a task begin. */
static inline struct voco_rows
voco_attn_rows(const struct voco_attn *a, const struct voco_tensor *x, const int64_t *rows,
               int n, float scale)
{
    return (struct voco_rows){ .row = rows, .rows = (size_t)n,
                               .stride = (size_t)voco_cols(x),
                               .head_dim = a->width, .head_row = a->row,
                               .scale = scale,
                               .bf16 = voco_is_bf16(x) };
}

/* head_dim^-1/2 */
float voco_attn_scale(const struct voco_attn *a);

/* ---- cpu_attn_bf16.c ---- */
/* Can it be done for activations like qkv? */
bool voco_attn_bf16_can(const struct voco_kernels *k, const struct voco_tensor *qkv);

/* Its panels from *at on, or their size alone where base is NULL. */
void voco_attn_bf16_lay(const struct voco_attn *a, char *base, size_t *at,
                        struct voco_attn_panels *ret);

/* own->y and own->lse of the window whose rows are own->rows; from own->lse the gradients
 * own->dq, which is of the scaled q, own->dkt, own->dvt, and own->dbias added to. */
void voco_attn_bf16_forward(const struct voco_attn *a, const struct voco_attn_task *t,
                            const struct voco_attn_panels *own);
void voco_attn_bf16_backward(const struct voco_attn *a, const struct voco_attn_task *t,
                             const struct voco_attn_panels *own);

#endif
