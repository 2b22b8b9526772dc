/*
 * Window attention of the cpu device: tasks, gathering and scattering around the kernels
 * of simd/.  Partition, roll and padding are ways to find rows (windows.h); nothing
 * of them is written to memory.
 *
 * A task is a few windows of one class and one head, or a few narrow heads, whose numbers
 * lie in the same cache lines and are moved together.  Backward sums the gradients of the
 * bias and of the padding per task and head and adds these up in their order, so results
 * do not depend on the number of threads.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "dev/cpu/attn.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* Windows of a task, so many that there are about TASKS of one head: fewer would starve
 * threads, and each head of a task costs a gradient table.  TOGETHER: numbers of narrow
 * heads that a task takes along, at most. */
enum { TASK_MIN = 4, TASK_MAX = 16, TASKS = 128, TOGETHER = 24 };

static int64_t
shares_of_class(const struct voco_attn *a, const struct voco_window_class *z)
{
    return (a->p.items * z->count + a->windows - 1) / a->windows;
}

/* Task i: by class, then heads, then windows. */
static struct voco_attn_task
task_at(const struct voco_attn *a, int64_t i)
{
    const int64_t groups = a->p.heads / a->heads;
    const struct voco_window_class *z = a->p.class;
    struct voco_attn_task t = { .sums = 0 };

    for (; i >= shares_of_class(a, z) * groups; z++) {
        i -= shares_of_class(a, z) * groups;
        t.sums += shares_of_class(a, z) * a->p.heads;
    }
    t.z = z;
    t.step = shares_of_class(a, z);
    t.head = (int)(i / t.step) * a->heads;
    t.sums += t.head * t.step + i % t.step;
    t.from = i % t.step * a->windows;
    t.to = t.from + a->windows;
    if (t.to > a->p.items * z->count)
        t.to = a->p.items * z->count;
    return t;
}

/* ---- memory ---- */

/* Panels of a window in base, or their size alone when it is NULL. */
static size_t
lay_window(const struct voco_attn *a, char *base, struct voco_attn_panels *ret)
{
    const size_t real = (size_t)a->p.real_max, cols = (size_t)a->p.cols_max;
    const size_t f = sizeof(float), transposed = a->width * cols;
    size_t at = 0;

    ret->rows = voco_attn_cut(base, &at, real * sizeof *ret->rows);
    ret->lse = voco_attn_cut(base, &at, (size_t)a->heads * real * f);
    if (a->half) {
        voco_attn_bf16_lay(a, base, &at, ret);
        return at;
    }
    ret->q = voco_attn_cut(base, &at, real * a->row * f);
    ret->y = voco_attn_cut(base, &at, real * a->row * f);
    ret->kt = voco_attn_cut(base, &at, transposed * f);
    if (!a->backward) {
        ret->v = voco_attn_cut(base, &at, cols * a->row * f);
        return at;
    }
    if (!a->narrow)
        ret->k = voco_attn_cut(base, &at, cols * a->row * f);
    ret->vt = voco_attn_cut(base, &at, transposed * f);
    ret->dy = voco_attn_cut(base, &at, real * a->row * f);
    ret->dq = voco_attn_cut(base, &at, real * a->row * f);
    ret->dkt = voco_attn_cut(base, &at, transposed * f);
    ret->dvt = voco_attn_cut(base, &at, transposed * f);
    return at;
}

/* What all windows use one after another. */
static size_t
lay_shared(const struct voco_attn *a, char *base, struct voco_attn_panels *ret)
{
    const size_t real = (size_t)a->p.real_max, cols = (size_t)a->p.cols_max;
    const size_t spare = (size_t)a->p.tokens + VOCO_RUN;    /* of voco_windows_expand */
    const size_t work = (a->backward ? 2 * VOCO_ATTN_GRAD_ROWS : VOCO_ATTN_ROWS) * cols;
    const size_t table = (size_t)a->p.table_rows * sizeof(double);     /* of finish */
    const size_t dbias = real * cols * sizeof(float);
    size_t at = 0;

    if (a->half)                /* voco_attn_bf16_lay has them */
        return 0;
    ret->work = voco_attn_cut(base, &at, (work > spare ? work : spare) * sizeof(float));
    if (a->backward)
        ret->dbias = voco_attn_cut(base, &at, dbias > table ? dbias : table);
    return at;
}

/* Of window i of those that the thread keeps. */
static struct voco_attn_panels
own_panels(const struct voco_attn *a, int64_t i)
{
    char *const own = a->scratch + a->thread_bytes * (size_t)omp_get_thread_num();
    struct voco_attn_panels ret;

    lay_window(a, own + (size_t)i * a->window_bytes, &ret);
    lay_shared(a, own + (size_t)a->kept * a->window_bytes, &ret);
    return ret;
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
    a->window_bytes = lay_window(a, NULL, &unused);
    a->thread_bytes = (size_t)a->kept * a->window_bytes + lay_shared(a, NULL, &unused);
    a->scratch = voco_attn_cut(base, &at, (size_t)threads * a->thread_bytes);
    if (a->backward) {
        const size_t f = (size_t)a->sums * sizeof(float);

        a->dtable = voco_attn_cut(base, &at, (size_t)a->p.table_rows * f);
        a->dpad = voco_attn_cut(base, &at, 2 * (size_t)a->p.head_dim * f);
        a->dscore = voco_attn_cut(base, &at, (size_t)a->p.real_max * f);
    }
    return at;
}

/* Measured on Zen 5: heads of 4 numbers always; those of 8 unless bfloat16 is multiplied,
 * and backward only with 16 lanes. */
static bool
narrow_is_best(const struct voco_attn *a)
{
    return a->p.head_dim == 4 || (!a->half && (!a->backward || a->k->lanes >= 16));
}

/* Heads of a task. */
static int
heads_together(const struct voco_attn *a)
{
    int n = a->narrow ? TOGETHER / a->p.head_dim : 1;

    while (a->p.heads % n != 0)
        n--;
    return n;
}

static struct voco_attn
plan_attn(const struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
          bool backward)
{
    struct voco_attn a = { .k = voco_cpu_state(ctx)->kernels, .backward = backward };
    int64_t share;

    voco_windows_plan(win, qkv, a.k->lanes, &a.p);
    a.half = voco_attn_bf16_can(a.k, qkv);
    a.narrow = voco_attn_narrow((size_t)a.p.head_dim) && narrow_is_best(&a);
    a.half = a.half && !a.narrow;
    a.c = voco_cols(qkv) / 3;
    share = a.p.items * a.p.windows * a.p.heads / TASKS;
    a.windows = share < TASK_MIN ? TASK_MIN : share > TASK_MAX ? TASK_MAX : share;
    a.heads = heads_together(&a);
    a.kept = a.heads > 1 ? a.windows : 1;
    a.width = (size_t)(a.heads * a.p.head_dim);
    a.row = (a.width + a.k->lanes - 1) / a.k->lanes * a.k->lanes;
    for (int i = 0; i < a.p.classes; i++)
        a.sums += a.p.heads * shares_of_class(&a, &a.p.class[i]);
    a.tasks = a.sums / a.heads;
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
        const struct voco_attn_panels own = own_panels(a, 0);

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
    for (size_t d = 0; d < a->width; d++, out += z->cols) {
        if (z->keys > z->real)
            out[z->real] = a->qkv_bias[first + (int64_t)d];
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

/* lse [item,window,head,tokens] of window i of a task, from its first head on */
static float *
lse_of(const struct voco_attn *a, const struct voco_attn_task *t, int64_t i)
{
    int64_t item;
    int window;

    window_at(t, i, &item, &window);
    return a->lse + ((item * a->p.windows + window) * a->p.heads + t->head) * a->p.tokens;
}

static void
find_rows(const struct voco_attn *a, const struct voco_attn_task *t, int64_t i,
          const struct voco_attn_panels *own)
{
    int64_t item;
    int window;

    window_at(t, i, &item, &window);
    voco_windows_rows(&a->p, item, window, own->rows);
}

static void
gather_forward(const struct voco_attn *a, const struct voco_attn_task *t,
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
}

/* Head h of the task's. */
static void
forward_head(const struct voco_attn *a, const struct voco_attn_task *t,
             const struct voco_attn_panels *own, int h)
{
    const struct voco_window_class *z = t->z;
    const size_t across = (size_t)(h * a->p.head_dim), down = across * (size_t)z->cols;

    (a->narrow ? a->k->attn_narrow : a->k->attn)(&(struct voco_attn_tile){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->row, .q = own->q + across,
        .kt = own->kt + down, .v = own->v + down,
        .bias = voco_windows_bias(z, t->head + h), .y = own->y + across,
        .lse = own->lse + h * z->real, .work = own->work });
}

static void
scatter_forward(const struct voco_attn *a, const struct voco_attn_task *t, int64_t i,
                const struct voco_attn_panels *own)
{
    const struct voco_window_class *z = t->z;
    float *lse = lse_of(a, t, i);

    scatter(a, own->y, own, z->real, 1, a->ret_y, t->head * a->p.head_dim);
    for (int h = 0; h < a->heads; h++, lse += a->p.tokens) {
        for (int r = 0; r < z->real; r++)
            lse[z->token[r]] = own->lse[h * z->real + r];
        for (int r = z->real; r < a->p.tokens; r++)
            lse[z->token[r]] = 0;           /* padding: nobody asks */
    }
}

/* Windows [from,to), which are kept: head by head, so that a bias stays in cache. */
static void
forward_windows(const struct voco_attn *a, const struct voco_attn_task *t, int64_t from,
                int64_t to)
{
    struct voco_attn_panels own[TASK_MAX];

    for (int64_t i = from; i < to; i++) {
        own[i - from] = own_panels(a, i - from);
        find_rows(a, t, i, &own[i - from]);
        if (!a->half)
            gather_forward(a, t, &own[i - from]);
    }
    for (int h = 0; h < a->heads; h++)
        for (int64_t i = from; i < to; i++)
            if (a->half)
                voco_attn_bf16_forward(a, t, &own[i - from]);
            else
                forward_head(a, t, &own[i - from], h);
    for (int64_t i = from; i < to; i++)
        scatter_forward(a, t, i, &own[i - from]);
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
        const struct voco_attn_task t = task_at(&a, i);

        for (int64_t w = t.from; w < t.to; w += a.kept)
            forward_windows(&a, &t, w, w + a.kept < t.to ? w + a.kept : t.to);
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
gather_backward(const struct voco_attn *a, const struct voco_attn_task *t,
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
}

/* Head h of the task's. */
static void
backward_head(const struct voco_attn *a, const struct voco_attn_task *t,
              const struct voco_attn_panels *own, int h)
{
    const struct voco_window_class *z = t->z;
    const size_t across = (size_t)(h * a->p.head_dim), down = across * (size_t)z->cols;

    (a->narrow ? a->k->attn_narrow_grad : a->k->attn_grad)(&(struct voco_attn_grad){
        .rows = (size_t)z->real, .cols = (size_t)z->cols,
        .head_dim = (size_t)a->p.head_dim, .head_row = a->row, .q = own->q + across,
        .k = own->k, .kt = own->kt + down, .vt = own->vt + down,
        .bias = voco_windows_bias(z, t->head + h), .lse = own->lse + h * z->real,
        .y = own->y + across, .dy = own->dy + across, .dq = own->dq + across,
        .dkt = own->dkt + down, .dvt = own->dvt + down, .dbias = own->dbias,
        .work = own->work });
}

static void
scatter_backward(const struct voco_attn *a, const struct voco_attn_task *t,
                 const struct voco_attn_panels *own)
{
    const int64_t first = t->head * a->p.head_dim;

    scatter(a, own->dq, own, t->z->real, voco_attn_scale(a), a->dqkv, first);
    scatter_transposed(a, t->z, own->dkt, own, a->dqkv, first + a->c);
    scatter_transposed(a, t->z, own->dvt, own, a->dqkv, first + 2 * a->c);
}

/* dpad += what the key that stands for the padding has got */
static void
add_padding(const struct voco_attn *a, const struct voco_attn_task *t,
            const struct voco_attn_panels *own, int h, float *dpad)
{
    const size_t cols = (size_t)t->z->cols;
    const size_t at = (size_t)t->z->real + (size_t)(h * a->p.head_dim) * cols;

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

/* Sums of head h of a task: their place among those of all. */
static int64_t
sums_of(const struct voco_attn_task *t, int h)
{
    return t->sums + h * t->step;
}

static void
clear_sums(const struct voco_attn *a, const struct voco_attn_task *t, int h, float *dbias)
{
    const int64_t i = sums_of(t, h), pads = 2 * a->p.head_dim;

    memset(a->dtable + i * a->p.table_rows, 0,
           (size_t)a->p.table_rows * sizeof *a->dtable);
    memset(a->dpad + i * pads, 0, (size_t)pads * sizeof *a->dpad);
    memset(dbias, 0, (size_t)t->z->real * (size_t)t->z->cols * sizeof *dbias);
}

static void
keep_sums(const struct voco_attn *a, const struct voco_attn_task *t, int h,
          const float *dbias)
{
    const struct voco_window_class *z = t->z;
    const int64_t i = sums_of(t, h);

    for (int r = 0; r < z->real; r++) {
        const float *row = dbias + (size_t)r * (size_t)z->cols;

        add_runs(&a->p, z, r, row, a->dtable + i * a->p.table_rows);
        if (z->pads > 0)
            a->dscore[i * a->p.real_max + r] = row[z->real];
    }
}

/* Windows [from,to), which are kept: head by head, so that bias and dbias stay in cache. */
static void
backward_windows(const struct voco_attn *a, const struct voco_attn_task *t, int64_t from,
                 int64_t to)
{
    const int64_t pads = 2 * a->p.head_dim;
    struct voco_attn_panels own[TASK_MAX];

    for (int64_t i = from; i < to; i++) {
        const struct voco_window_class *z = t->z;
        const float *lse = lse_of(a, t, i);

        own[i - from] = own_panels(a, i - from);
        find_rows(a, t, i, &own[i - from]);
        for (int h = 0; h < a->heads; h++, lse += a->p.tokens)
            for (int r = 0; r < z->real; r++)
                own[i - from].lse[h * z->real + r] = lse[z->token[r]];
        if (!a->half)
            gather_backward(a, t, &own[i - from]);
    }
    for (int h = 0; h < a->heads; h++) {
        if (from == t->from)
            clear_sums(a, t, h, own[0].dbias);
        for (int64_t i = from; i < to; i++) {
            if (a->half)
                voco_attn_bf16_backward(a, t, &own[i - from]);
            else
                backward_head(a, t, &own[i - from], h);
            add_padding(a, t, &own[i - from], h, a->dpad + sums_of(t, h) * pads);
        }
        if (to == t->to)
            keep_sums(a, t, h, own[0].dbias);
    }
    for (int64_t i = from; i < to; i++)
        scatter_backward(a, t, &own[i - from]);
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
    const struct voco_attn_panels own = own_panels(a, 0);
    double *sum = (double *)(void *)own.dbias;
    float *dk = dqkv_bias + a->c + head * a->p.head_dim, *dv = dk + a->c;
    int64_t task = 0;

    memset(sum, 0, (size_t)a->p.table_rows * sizeof *sum);
    for (int i = 0; i < a->p.classes; i++) {
        const struct voco_window_class *z = &a->p.class[i];
        const int64_t n = shares_of_class(a, z), from = task + head * n, to = from + n;

        task += a->p.heads * n;
        for (int64_t t = from; t < to; t++) {
            const float *dpad = a->dpad + t * 2 * a->p.head_dim;

#pragma omp simd
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
        for (int64_t i = 0; i < a.tasks; i++) {
            const struct voco_attn_task t = task_at(&a, i);

            for (int64_t w = t.from; w < t.to; w += a.kept)
                backward_windows(&a, &t, w, w + a.kept < t.to ? w + a.kept : t.to);
        }
#pragma omp for schedule(static)
        for (int h = 0; h < a.p.heads; h++)
            finish(&a, h, dqkv_bias->data, dtable->data);
    }
    voco_arena_release(&ctx->temp, mark);
}
