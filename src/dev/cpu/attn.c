/*
 * Window attention of the cpu device: tasks, gathering and scattering around the kernels
 * of simd/.  Partition, roll and padding are ways to find rows (windows.h); nothing
 * of them is written to memory.
 *
 * A task is a few windows of one class and one head.  Backward sums the gradients of the
 * bias and of the padding per task and adds the tasks up in their order, so results do
 * not depend on the number of threads.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "dev/cpu/attn.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* Windows of a task, so many that there are about TASKS: fewer tasks would starve threads,
 * and each costs a gradient table. */
enum { TASK_MIN = 4, TASK_MAX = 16, TASKS = 128 };

static int64_t
tasks_of_class(const struct voco_attn *a, const struct voco_window_class *z)
{
    return (a->p.items * z->count + a->windows - 1) / a->windows;
}

/* Task i: by class, then head, then windows. */
static struct voco_attn_task
task_at(const struct voco_attn *a, int64_t i)
{
    const struct voco_window_class *z = a->p.class;
    struct voco_attn_task t;

    for (; i >= tasks_of_class(a, z) * a->p.heads; z++)
        i -= tasks_of_class(a, z) * a->p.heads;
    t.z = z;
    t.head = (int)(i / tasks_of_class(a, z));
    t.from = i % tasks_of_class(a, z) * a->windows;
    t.to = t.from + a->windows;
    if (t.to > a->p.items * z->count)
        t.to = a->p.items * z->count;
    return t;
}

/* ---- memory ---- */

/* Panels in base, or their size alone when it is NULL. */
static size_t
lay_panels(const struct voco_attn *a, char *base, struct voco_attn_panels *ret)
{
    const size_t real = (size_t)a->p.real_max, cols = (size_t)a->p.cols_max;
    const size_t row = a->p.head_row, f = sizeof(float);
    const size_t transposed = (size_t)a->p.head_dim * cols;
    const size_t spare = (size_t)a->p.tokens + VOCO_RUN;    /* of voco_windows_expand */
    const size_t work = (a->backward ? 2 * VOCO_ATTN_GRAD_ROWS : VOCO_ATTN_ROWS) * cols;
    const size_t table = (size_t)a->p.table_rows * sizeof(double);     /* of finish */
    size_t at = 0;

    ret->rows = voco_attn_cut(base, &at, real * sizeof *ret->rows);
    ret->lse = voco_attn_cut(base, &at, real * f);
    if (a->half) {
        voco_attn_bf16_lay(a, base, &at, ret);
        return at;
    }
    ret->q = voco_attn_cut(base, &at, real * row * f);
    ret->y = voco_attn_cut(base, &at, real * row * f);
    ret->kt = voco_attn_cut(base, &at, transposed * f);
    ret->work = voco_attn_cut(base, &at, (work > spare ? work : spare) * f);
    if (!a->backward) {
        ret->v = voco_attn_cut(base, &at, cols * row * f);
        return at;
    }
    ret->k = voco_attn_cut(base, &at, cols * row * f);
    ret->vt = voco_attn_cut(base, &at, transposed * f);
    ret->dy = voco_attn_cut(base, &at, real * row * f);
    ret->dq = voco_attn_cut(base, &at, real * row * f);
    ret->dkt = voco_attn_cut(base, &at, transposed * f);
    ret->dvt = voco_attn_cut(base, &at, transposed * f);
    ret->dbias = voco_attn_cut(base, &at, real * cols * f > table ? real * cols * f
                                                                  : table);
    return at;
}

static struct voco_attn_panels
own_panels(const struct voco_attn *a)
{
    struct voco_attn_panels own;

    lay_panels(a, a->scratch + a->panels_bytes * (size_t)omp_get_thread_num(), &own);
    return own;
}

/* Everything in base, or its size alone when it is NULL. */
static size_t
lay_out(struct voco_attn *a, int threads, char *base, const float *table)
{
    struct voco_attn_panels unused;
    size_t at = 0;
    void *plan = voco_attn_cut(base, &at, voco_windows_bytes(&a->p));

    if (base)
        voco_windows_place(&a->p, table, plan);
    a->panels_bytes = lay_panels(a, NULL, &unused);
    a->scratch = voco_attn_cut(base, &at, (size_t)threads * a->panels_bytes);
    if (a->backward) {
        const size_t f = (size_t)a->tasks * sizeof(float);

        a->dtable = voco_attn_cut(base, &at, (size_t)a->p.table_rows * f);
        a->dpad = voco_attn_cut(base, &at, 2 * (size_t)a->p.head_dim * f);
        a->dscore = voco_attn_cut(base, &at, (size_t)a->p.real_max * f);
    }
    return at;
}

/*
 * Measured on Zen 5: heads of 4 numbers always; those of 8 forward, unless bfloat16 is
 * multiplied.  A forward pass in f32 that a gradient follows keeps the other kernel: with
 * other bits, of no larger errors, the reference step leaves its tolerance
 * (doc/numerics.md).
 */
static bool
narrow_is_best(const struct voco_ctx *ctx, const struct voco_attn *a)
{
    if (!a->backward && !ctx->inference && ctx->dev->act != VOCO_BF16)
        return false;
    return a->p.head_dim == 4 || (!a->backward && !a->half);
}

static struct voco_attn
plan_attn(const struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
          bool backward)
{
    struct voco_attn a = { .k = voco_cpu_state(ctx)->kernels, .backward = backward };
    int64_t share;

    voco_windows_plan(win, qkv, a.k->lanes, &a.p);
    a.half = voco_attn_bf16_can(a.k, qkv);
    a.narrow = voco_attn_narrow((size_t)a.p.head_dim) && narrow_is_best(ctx, &a);
    a.half = a.half && !a.narrow;
    a.c = voco_cols(qkv) / 3;
    share = a.p.items * a.p.windows * a.p.heads / TASKS;
    a.windows = share < TASK_MIN ? TASK_MIN : share > TASK_MAX ? TASK_MAX : share;
    for (int i = 0; i < a.p.classes; i++)
        a.tasks += a.p.heads * tasks_of_class(&a, &a.p.class[i]);
    return a;
}

size_t
voco_cpu_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                        const struct voco_windows *win, X qkv)
{
    struct voco_attn a = plan_attn(ctx, win, qkv, what == VOCO_WS_ATTN_BACKWARD);

    return lay_out(&a, ctx->threads, NULL, NULL);
}

/* Lay everything out on temp and expand the bias.  False, and ctx->err, without room. */
static bool
start(struct voco_ctx *ctx, struct voco_attn *a, X table)
{
    const size_t bytes = lay_out(a, ctx->threads, NULL, NULL);
    char *base = voco_arena_push(&ctx->temp, bytes);

    if (!base) {
        voco_ctx_fail(ctx, voco_fail(VOCO_EMEMORY, "no room for %zu KiB of workspace for "
                                     "attention: raise --memory", bytes >> 10));
        return false;
    }
    lay_out(a, ctx->threads, base, table->data);
#pragma omp parallel num_threads(ctx->threads)
    {
        const struct voco_attn_panels own = own_panels(a);

        for (int i = 0; i < a->p.classes; i++)
#pragma omp for collapse(2) schedule(static) nowait
            for (int h = 0; h < a->p.heads; h++)
                for (int r = 0; r < a->p.class[i].real; r++)
                    voco_windows_expand(&a->p, a->k, &a->p.class[i], h, r, own.work);
    }
    return true;
}

/* ---- rows of the volume to panels and back ---- */

/* The column at which rows begin. */
static void *
column(const struct voco_tensor *x, int64_t first)
{
    return (char *)x->data + (size_t)first * voco_type_bytes(x->type);
}

static void
gather(const struct voco_attn *a, const struct voco_tensor *x, int64_t first,
       const struct voco_attn_panels *own, int n, float scale, float *panel)
{
    const struct voco_rows r = voco_attn_rows(a, x, own->rows, n, scale);

    a->k->gather(&r, column(x, first), panel);
}

static void
scatter(const struct voco_attn *a, const float *panel, const struct voco_attn_panels *own,
        int n, float scale, const struct voco_tensor *x, int64_t first)
{
    const struct voco_rows r = voco_attn_rows(a, x, own->rows, n, scale);

    a->k->scatter(&r, panel, column(x, first));
}

/* Rows of keys or values (part 1 or 2 of qkv), the one for the padding, zeros. */
static void
gather_keys(const struct voco_attn *a, const struct voco_attn_task *t, int part,
            const struct voco_attn_panels *own, float *panel)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = part * a->c + t->head * a->p.head_dim;
    const int64_t only = 0;
    struct voco_rows bias = voco_attn_rows(a, a->qkv, &only, z->keys - z->real, 1);

    bias.bf16 = false;
    gather(a, a->qkv, first, own, z->real, 1, panel);
    a->k->gather(&bias, a->qkv_bias + first, panel + (size_t)z->real * a->p.head_row);
    memset(panel + (size_t)z->keys * a->p.head_row, 0,
           (size_t)(z->cols - z->keys) * a->p.head_row * sizeof *panel);
}

/* The same transposed: out [head_dim,cols]. */
static void
gather_keys_columns(const struct voco_attn *a, const struct voco_attn_task *t, int part,
                    const struct voco_attn_panels *own, float *out)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = part * a->c + t->head * a->p.head_dim;
    const struct voco_rows r = voco_attn_rows(a, a->qkv, own->rows, z->real, 1);

    a->k->gather_columns(&r, column(a->qkv, first), out, (size_t)z->cols);
    for (int d = 0; d < a->p.head_dim; d++, out += z->cols) {
        if (z->keys > z->real)
            out[z->real] = a->qkv_bias[first + d];
        memset(out + z->keys, 0, (size_t)(z->cols - z->keys) * sizeof *out);
    }
}

/* out[head_dim,cols] = in[cols,head_row]', in pieces that whole cache lines are made of */
static void
transpose(const struct voco_attn *a, int cols, const float *in, float *out)
{
    enum { PIECE = 16 };

    for (int from = 0; from < cols; from += PIECE) {
        const int to = from + PIECE < cols ? from + PIECE : cols;

        for (int d = 0; d < a->p.head_dim; d++)
            for (int j = from; j < to; j++)
                out[(size_t)d * (size_t)cols + (size_t)j] = in[(size_t)j * a->p.head_row
                                                               + (size_t)d];
    }
}

float
voco_attn_scale(const struct voco_attn *a)
{
    return (float)(1 / sqrt((double)a->p.head_dim));
}

/* ---- forward ---- */

/* Window i of a task: the number of its item and its own number. */
static void
window_at(const struct voco_attn_task *t, int64_t i, int64_t *ret_item, int *ret_window)
{
    *ret_item = i / t->z->count;
    *ret_window = t->z->window[i % t->z->count];
}

/* lse [item,window,head,tokens] */
static float *
lse_of(const struct voco_attn *a, const struct voco_attn_task *t, int64_t item, int window)
{
    return a->lse + ((item * a->p.windows + window) * a->p.heads + t->head) * a->p.tokens;
}

static void
forward_f32(const struct voco_attn *a, const struct voco_attn_task *t,
            const struct voco_attn_panels *own)
{
    const struct voco_window_class *z = t->z;

    gather(a, a->qkv, t->head * a->p.head_dim, own, z->real, voco_attn_scale(a), own->q);
    if (a->narrow) {
        gather_keys_columns(a, t, 1, own, own->kt);
        gather_keys_columns(a, t, 2, own, own->v);
    } else {
        gather_keys(a, t, 1, own, own->v);
        transpose(a, z->cols, own->v, own->kt);
        gather_keys(a, t, 2, own, own->v);
    }
    (a->narrow ? a->k->attn_narrow : a->k->attn)(&(struct voco_attn_tile){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->p.head_row, .q = own->q,
        .kt = own->kt, .v = own->v, .bias = voco_windows_bias(z, t->head), .y = own->y,
        .lse = own->lse, .work = own->work });
}

static void
forward_window(const struct voco_attn *a, const struct voco_attn_task *t,
               const struct voco_attn_panels *own, int64_t item, int window)
{
    const struct voco_window_class *z = t->z;
    float *lse = lse_of(a, t, item, window);

    voco_windows_rows(&a->p, item, window, own->rows);
    (a->half ? voco_attn_bf16_forward : forward_f32)(a, t, own);
    scatter(a, own->y, own, z->real, 1, a->ret_y, t->head * a->p.head_dim);
    for (int i = 0; i < z->real; i++)
        lse[z->token[i]] = own->lse[i];
    for (int i = z->real; i < a->p.tokens; i++)
        lse[z->token[i]] = 0;           /* padding: nobody asks */
}

void
voco_cpu_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                      X qkv_bias, X table, Y y, Y lse)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    struct voco_attn a;

    if (ctx->err)
        return;
    a = plan_attn(ctx, win, qkv, false);
    if (!start(ctx, &a, table))
        return;
    a.qkv = qkv;
    a.qkv_bias = voco_f32(qkv_bias);
    a.ret_y = y;
    a.lse = voco_f32(lse);
#pragma omp parallel for schedule(dynamic) num_threads(ctx->threads)
    for (int64_t i = 0; i < a.tasks; i++) {
        const struct voco_attn_panels own = own_panels(&a);
        const struct voco_attn_task t = task_at(&a, i);

        for (int64_t w = t.from; w < t.to; w++) {
            int64_t item;
            int window;

            window_at(&t, w, &item, &window);
            forward_window(&a, &t, &own, item, window);
        }
    }
    voco_arena_release(&ctx->temp, mark);
}

/* ---- backward ---- */

/* Rows of dk or dv from their transpose, which is cols apart; k is free by now. */
static void
scatter_transposed(const struct voco_attn *a, const struct voco_window_class *z,
                   const float *panel, const struct voco_attn_panels *own,
                   const struct voco_tensor *x, int64_t first)
{
    if (a->narrow) {
        const struct voco_rows r = voco_attn_rows(a, x, own->rows, z->real, 1);

        a->k->scatter_columns(&r, panel, (size_t)z->cols, column(x, first));
        return;
    }
    for (int from = 0; from < z->real; from += 16)
        for (int d = 0; d < a->p.head_dim; d++)
            for (int j = from; j < z->real && j < from + 16; j++)
                own->k[(size_t)j * a->p.head_row + (size_t)d]
                    = panel[(size_t)d * (size_t)z->cols + (size_t)j];
    scatter(a, own->k, own, z->real, 1, x, first);
}

static void
backward_f32(const struct voco_attn *a, const struct voco_attn_task *t,
             const struct voco_attn_panels *own)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = t->head * a->p.head_dim;

    gather(a, a->y, first, own, z->real, 1, own->y);
    gather(a, a->dy, first, own, z->real, 1, own->dy);
    gather(a, a->qkv, first, own, z->real, voco_attn_scale(a), own->q);
    if (a->narrow) {
        gather_keys_columns(a, t, 2, own, own->vt);
        gather_keys_columns(a, t, 1, own, own->kt);
    } else {
        gather_keys(a, t, 2, own, own->k);
        transpose(a, z->cols, own->k, own->vt);
        gather_keys(a, t, 1, own, own->k);
        transpose(a, z->cols, own->k, own->kt);
    }
    (a->narrow ? a->k->attn_narrow_grad : a->k->attn_grad)(&(struct voco_attn_grad){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->p.head_row, .q = own->q,
        .k = own->k, .kt = own->kt, .vt = own->vt, .bias = voco_windows_bias(z, t->head),
        .lse = own->lse, .y = own->y, .dy = own->dy, .dq = own->dq, .dkt = own->dkt,
        .dvt = own->dvt, .dbias = own->dbias, .work = own->work });
}

static void
backward_window(const struct voco_attn *a, const struct voco_attn_task *t,
                const struct voco_attn_panels *own, int64_t item, int window)
{
    const struct voco_window_class *z = t->z;
    const int64_t first = t->head * a->p.head_dim;
    const float *lse = lse_of(a, t, item, window), scale = voco_attn_scale(a);

    voco_windows_rows(&a->p, item, window, own->rows);
    for (int i = 0; i < z->real; i++)
        own->lse[i] = lse[z->token[i]];
    (a->half ? voco_attn_bf16_backward : backward_f32)(a, t, own);
    scatter(a, own->dq, own, z->real, scale, a->dqkv, first);
    scatter_transposed(a, z, own->dkt, own, a->dqkv, first + a->c);
    scatter_transposed(a, z, own->dvt, own, a->dqkv, first + 2 * a->c);
}

/* dpad += what the key that stands for the padding has got */
static void
add_padding(const struct voco_attn *a, const struct voco_attn_task *t,
            const struct voco_attn_panels *own, float *dpad)
{
    const size_t at = (size_t)t->z->real, cols = (size_t)t->z->cols;

    if (t->z->pads == 0)
        return;
    for (int d = 0; d < a->p.head_dim; d++) {
        dpad[d] += own->dkt[(size_t)d * cols + at];
        dpad[a->p.head_dim + d] += own->dvt[(size_t)d * cols + at];
    }
}

/* dtable += row [real] of dS of query i: falling pieces of the table, run by run */
static void
add_runs(const struct voco_window_plan *p, const struct voco_window_class *z, int i,
         const float *restrict row, float *restrict dtable)
{
    for (int r = 0; r < z->real_runs; r++) {
        const int n = z->run[r + 1] - z->run[r];
        float *piece = dtable + voco_bias_row(p, z, i, z->run[r]);

        for (int j = 0; j < n; j++)
            piece[-j] += row[j];
        row += n;
    }
}

static void
backward_task(const struct voco_attn *a, int64_t i)
{
    const struct voco_attn_panels own = own_panels(a);
    const struct voco_attn_task t = task_at(a, i);
    const struct voco_window_class *z = t.z;
    float *dtable = a->dtable + i * a->p.table_rows;
    float *dpad = a->dpad + i * 2 * a->p.head_dim;

    memset(dtable, 0, (size_t)a->p.table_rows * sizeof *dtable);
    memset(dpad, 0, 2 * (size_t)a->p.head_dim * sizeof *dpad);
    memset(own.dbias, 0, (size_t)z->real * (size_t)z->cols * sizeof *own.dbias);
    for (int64_t w = t.from; w < t.to; w++) {
        int64_t item;
        int window;

        window_at(&t, w, &item, &window);
        backward_window(a, &t, &own, item, window);
        add_padding(a, &t, &own, dpad);
    }
    for (int r = 0; r < z->real; r++) {
        const float *row = own.dbias + (size_t)r * (size_t)z->cols;

        add_runs(&a->p, z, r, row, dtable);
        if (z->pads > 0)
            a->dscore[i * a->p.real_max + r] = row[z->real];
    }
}

/* What flows into the score of the key that stands for the padding falls on the padding
 * tokens as the softmax over them does: sum[table_rows] += for tasks [from,to). */
static void
share_padding(const struct voco_attn *a, const struct voco_window_class *z, int head,
              int64_t from, int64_t to, double *sum, float *spare)
{
    for (int r = 0; r < z->real; r++) {
        const float all = voco_windows_bias(z, head)[r * z->cols + z->real];
        double dscore = 0;

        for (int64_t t = from; t < to; t++)
            dscore += a->dscore[t * a->p.real_max + r];
        voco_windows_pad_scores(&a->p, z, head, r, spare);
        for (int j = 0; j < z->pads; j++)
            spare[j] -= all;
        a->k->exp(spare, spare, (size_t)z->pads);
        for (int j = 0; j < z->pads; j++)
            sum[voco_bias_row(&a->p, z, r, z->real + j)] += dscore * spare[j];
    }
}

/* Add up what the tasks of a head have left, in their order; a head has its own columns
 * of dtable and its own part of dqkv_bias. */
static void
finish(const struct voco_attn *a, int head, float *dqkv_bias, float *dtable)
{
    const struct voco_attn_panels own = own_panels(a);
    double *sum = (double *)(void *)own.dbias;
    float *dk = dqkv_bias + a->c + head * a->p.head_dim, *dv = dk + a->c;
    int64_t task = 0;

    memset(sum, 0, (size_t)a->p.table_rows * sizeof *sum);
    for (int i = 0; i < a->p.classes; i++) {
        const struct voco_window_class *z = &a->p.class[i];
        const int64_t n = tasks_of_class(a, z), from = task + head * n, to = from + n;

        task += a->p.heads * n;
        for (int64_t t = from; t < to; t++) {
            const float *dpad = a->dpad + t * 2 * a->p.head_dim;

            for (int64_t j = 0; j < a->p.table_rows; j++)
                sum[j] += a->dtable[t * a->p.table_rows + j];
            for (int d = 0; d < a->p.head_dim; d++) {
                dk[d] += dpad[d];
                dv[d] += dpad[a->p.head_dim + d];
            }
        }
        if (z->pads > 0)
            share_padding(a, z, head, from, to, sum, own.work);
    }
    for (int64_t j = 0; j < a->p.table_rows; j++)
        dtable[j * a->p.heads + head] += (float)sum[j];
}

void
voco_cpu_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                       X qkv_bias, X table, X y, X lse, X dy, Y dqkv, Y dqkv_bias,
                       Y dtable)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    struct voco_attn a;

    if (ctx->err)
        return;
    a = plan_attn(ctx, win, qkv, true);
    if (!start(ctx, &a, table))
        return;
    a.qkv = qkv;
    a.qkv_bias = voco_f32(qkv_bias);
    a.y = y;
    a.lse = voco_f32(lse);
    a.dy = dy;
    a.dqkv = dqkv;
#pragma omp parallel num_threads(ctx->threads)
    {
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < a.tasks; i++)
            backward_task(&a, i);
#pragma omp for schedule(static)
        for (int h = 0; h < a.p.heads; h++)
            finish(&a, h, dqkv_bias->data, dtable->data);
    }
    voco_arena_release(&ctx->temp, mark);
}
