/* The oracle's window attention: WindowAttention of the Swin transformer in MONAI, with
 * padding, cyclic shift and masking in place of the copies made there. */
#include <math.h>

#include "dev/oracle/oracle.h"

/*
 * One window and one head of it.  Everything [tokens] or [head_dim,tokens], so that inner
 * loops run over tokens.
 */
struct window {
    int64_t tokens, head_dim, heads;
    double scale;                   /* of scores: head_dim^-1/2 */
    int64_t *row;                   /* of the volume; -1: a padding token */
    int64_t *region;
    int64_t *code, center;          /* of the bias table: see table_row */
    double *q, *k, *v, *y, *dq, *dk, *dv, *dy;
    double *p, *dp;                 /* a row of probabilities, and its gradient */
};

enum { TOKEN_ROWS = 3, MATRICES = 8, SCORE_ROWS = 2 };

static int64_t
window_tokens(const struct voco_windows *win)
{
    return (int64_t)win->window[0] * win->window[1] * win->window[2];
}

/* Windows along an axis: the volume is padded at the end. */
static int64_t
windows_along(const struct voco_windows *win, int axis)
{
    return (win->size[axis] + win->window[axis] - 1) / win->window[axis];
}

static int64_t
window_count(const struct voco_windows *win)
{
    return windows_along(win, 0) * windows_along(win, 1) * windows_along(win, 2);
}

/* Elements of 8 bytes that one thread works on. */
static int64_t
scratch_size(const struct voco_windows *win, int64_t head_dim)
{
    return window_tokens(win) * (TOKEN_ROWS + SCORE_ROWS + MATRICES * head_dim);
}

size_t
voco_oracle_attn_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                           const struct voco_windows *win, X qkv)
{
    (void)what;
    return (size_t)(ctx->threads * scratch_size(win, voco_cols(qkv) / 3 / win->heads))
           * sizeof(double);
}

static struct window
window_in(double *scratch, const struct voco_windows *win, int64_t head_dim)
{
    const int64_t full = win->full_window, span = 2 * full - 1, t = window_tokens(win);
    struct window z = { .tokens = t, .head_dim = head_dim, .heads = win->heads,
                        .scale = 1 / sqrt((double)head_dim),
                        .center = ((full - 1) * span + full - 1) * span + full - 1 };
    double **const matrix[MATRICES] = { &z.q, &z.k, &z.v, &z.y,
                                        &z.dq, &z.dk, &z.dv, &z.dy };

    z.row = (int64_t *)(void *)scratch;
    z.region = z.row + t;
    z.code = z.region + t;
    z.p = scratch + TOKEN_ROWS * t;
    z.dp = z.p + t;
    for (int i = 0; i < MATRICES; i++)
        *matrix[i] = z.dp + t + i * head_dim * t;
    for (int64_t i = 0; i < t; i++)     /* token i of a full window, clipped or not */
        z.code[i] = (i / full / full * span + i / full % full) * span + i % full;
    return z;
}

/* Row of the bias table for tokens i, j: each axis counts from -(full-1) to full-1. */
static int64_t
table_row(const struct window *z, int64_t i, int64_t j)
{
    return z->code[i] - z->code[j] + z->center;
}

/* Region of rolled coordinate r on an axis; the roll makes distant regions neighbours. */
static int
region_along(const struct voco_windows *win, int axis, int64_t r)
{
    const int64_t padded = windows_along(win, axis) * win->window[axis];

    if (win->shift[axis] == 0)
        return 0;
    return (r >= padded - win->window[axis]) + (r >= padded - win->shift[axis]);
}

/* Rows and regions of the tokens of window number at (row-major) of item n. */
static void
place_window(struct window *z, const struct voco_windows *win, int64_t n, int64_t at)
{
    const int *size = win->window;
    const int64_t along[3] = { windows_along(win, 0), windows_along(win, 1),
                               windows_along(win, 2) };
    const int64_t corner[3] = { at / along[2] / along[1] * size[0],
                                at / along[2] % along[1] * size[1],
                                at % along[2] * size[2] };

    for (int64_t t = 0; t < z->tokens; t++) {
        const int64_t r[3] = { corner[0] + t / size[2] / size[1],
                               corner[1] + t / size[2] % size[1],
                               corner[2] + t % size[2] };
        int64_t row = n;

        z->region[t] = 0;
        for (int axis = 0; axis < 3; axis++) {
            const int64_t x = (r[axis] + win->shift[axis]) % (along[axis] * size[axis]);

            z->region[t] = 3 * z->region[t] + region_along(win, axis, r[axis]);
            row = row < 0 || x >= win->size[axis] ? -1 : row * win->size[axis] + x;
        }
        z->row[t] = row;
    }
}

/* m[e,t] = x[row of t, first + e]; a padding token holds pad[first + e], else 0 */
static void
gather(const struct window *z, X x, int64_t first, X pad, double *m)
{
    const int64_t cols = voco_cols(x);

    for (int64_t e = 0; e < z->head_dim; e++)
        for (int64_t t = 0; t < z->tokens; t++)
            m[e * z->tokens + t] = z->row[t] >= 0 ? f64(x)[z->row[t] * cols + first + e]
                                                  : pad ? f64(pad)[first + e] : 0;
}

/* The way back: padding tokens add to pad. */
static void
scatter(const struct window *z, const double *m, int64_t first, Y x, Y pad)
{
    const int64_t cols = voco_cols(x);

    for (int64_t e = 0; e < z->head_dim; e++)
        for (int64_t t = 0; t < z->tokens; t++) {
            if (z->row[t] >= 0)
                f64(x)[z->row[t] * cols + first + e] = m[e * z->tokens + t];
            else if (pad)
                f64(pad)[first + e] += m[e * z->tokens + t];
        }
}

static void
gather_qkv(const struct window *z, X qkv, X qkv_bias, int64_t head)
{
    const int64_t c = voco_cols(qkv) / 3, first = head * z->head_dim;

    gather(z, qkv, first, qkv_bias, z->q);
    gather(z, qkv, first + c, qkv_bias, z->k);
    gather(z, qkv, first + 2 * c, qkv_bias, z->v);
}

/* p[j] = scale q[i].k[j] + bias of (i, j), - 100 between regions */
static void
score_row(const struct window *z, X table, int64_t head, int64_t i)
{
    const int64_t t = z->tokens;

    for (int64_t j = 0; j < t; j++)
        z->p[j] = f64(table)[table_row(z, i, j) * z->heads + head]
                - (z->region[i] == z->region[j] ? 0 : 100);
    for (int64_t e = 0; e < z->head_dim; e++)
        axpy(t, z->scale * z->q[e * t + i], z->k + e * t, z->p);
}

/* y[i] = sum over j of softmax(score[i])[j] v[j]; lse[i] = log sum exp score[i].  What
 * padding tokens ask for is cut off again. */
static void
attend_forward(const struct window *z, X table, int64_t head, double *lse)
{
    const int64_t t = z->tokens;

    for (int64_t i = 0; i < t; i++) {
        double max = -INFINITY, sum = 0;

        lse[i] = 0;
        if (z->row[i] < 0)
            continue;
        score_row(z, table, head, i);
        for (int64_t j = 0; j < t; j++)
            max = z->p[j] > max ? z->p[j] : max;
        for (int64_t j = 0; j < t; j++)
            sum += z->p[j] = exp(z->p[j] - max);
        lse[i] = max + log(sum);
        for (int64_t e = 0; e < z->head_dim; e++)
            z->y[e * t + i] = dot(t, z->p, z->v + e * t) / sum;
    }
}

void
voco_oracle_attn_forward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                         X qkv_bias, X table, Y y, Y lse)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t head_dim = voco_cols(y) / win->heads, count = window_count(win);
    const int64_t size = scratch_size(win, head_dim);
    const struct voco_tensor scratch = voco_push(ctx, &ctx->temp, 1, ctx->threads * size);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t at = 0; at < y->dim[0] * count; at++) {
        struct window z = window_in(f64(&scratch) + thread() * size, win, head_dim);

        place_window(&z, win, at / count, at % count);
        for (int64_t head = 0; head < win->heads; head++) {
            gather_qkv(&z, qkv, qkv_bias, head);
            attend_forward(&z, table, head,
                           f64(lse) + (at * win->heads + head) * z.tokens);
            scatter(&z, z.y, head * head_dim, y, NULL);
        }
    }
    voco_arena_release(&ctx->temp, mark);
}

/* With dp = dy[i].v[j]:  ds = p (dp - dy[i].y[i]), the softmax's derivative, then
 * dv[j] += p dy[i],  dq[i] = scale ds.k,  dk[j] += scale ds q[i],  dtable += ds.
 * Nothing reads the y of a padding token: its dy is zero. */
static void
attend_backward(const struct window *z, X table, int64_t head, const double *lse,
                Y dtable)
{
    const int64_t t = z->tokens, size = z->head_dim * t;

    memset(z->dq, 0, (size_t)size * sizeof(double));
    memset(z->dk, 0, (size_t)size * sizeof(double));
    memset(z->dv, 0, (size_t)size * sizeof(double));
    for (int64_t i = 0; i < t; i++) {
        double delta = 0;

        if (z->row[i] < 0)
            continue;
        score_row(z, table, head, i);
        memset(z->dp, 0, (size_t)t * sizeof(double));
        for (int64_t e = 0; e < z->head_dim; e++) {
            axpy(t, z->dy[e * t + i], z->v + e * t, z->dp);
            delta += z->dy[e * t + i] * z->y[e * t + i];
        }
        for (int64_t j = 0; j < t; j++) {
            z->p[j] = exp(z->p[j] - lse[i]);
            z->dp[j] = z->p[j] * (z->dp[j] - delta);            /* now ds */
            f64(dtable)[table_row(z, i, j) * z->heads + head] += z->dp[j];
        }
        for (int64_t e = 0; e < z->head_dim; e++) {
            axpy(t, z->dy[e * t + i], z->p, z->dv + e * t);
            axpy(t, z->scale * z->q[e * t + i], z->dp, z->dk + e * t);
            z->dq[e * t + i] = z->scale * dot(t, z->dp, z->k + e * t);
        }
    }
}

/* Threads share the heads, each of which owns its columns of every gradient. */
void
voco_oracle_attn_backward(struct voco_ctx *ctx, const struct voco_windows *win, X qkv,
                          X qkv_bias, X table, X y, X lse, X dy, Y dqkv, Y dqkv_bias,
                          Y dtable)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t c = voco_cols(y), head_dim = c / win->heads, count = window_count(win);
    const int64_t size = scratch_size(win, head_dim);
    const struct voco_tensor scratch = voco_push(ctx, &ctx->temp, 1, ctx->threads * size);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t head = 0; head < win->heads; head++) {
        struct window z = window_in(f64(&scratch) + thread() * size, win, head_dim);
        const int64_t first = head * head_dim;

        for (int64_t at = 0; at < y->dim[0] * count; at++) {
            place_window(&z, win, at / count, at % count);
            gather_qkv(&z, qkv, qkv_bias, head);
            gather(&z, y, first, NULL, z.y);
            gather(&z, dy, first, NULL, z.dy);
            attend_backward(&z, table, head,
                            f64(lse) + (at * win->heads + head) * z.tokens, dtable);
            scatter(&z, z.dq, first, dqkv, dqkv_bias);
            scatter(&z, z.dk, first + c, dqkv, dqkv_bias);
            scatter(&z, z.dv, first + 2 * c, dqkv, dqkv_bias);
        }
    }
    voco_arena_release(&ctx->temp, mark);
}
