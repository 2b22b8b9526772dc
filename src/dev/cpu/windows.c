/* Geometry of window attention on the cpu device: classes of windows, expanded bias. */
#include "dev/cpu/windows.h"

#include <math.h>
#include <string.h>

#include "simd/kernels.h"

/* ---- along one axis ---- */

/* Place in the volume of token l of window i; >= size: padding. */
static int
place(const struct voco_window_axis *a, int i, int l)
{
    const int x = i * a->window + l + a->shift, padded = a->windows * a->window;

    return x < padded ? x : x - padded;
}

/* Whether the roll has put token l of window i next to tokens from the other end. */
static int
region(const struct voco_window_axis *a, int i, int l)
{
    return i == a->windows - 1 && l >= a->window - a->shift && a->shift > 0;
}

static bool
alike(const struct voco_window_axis *a, int i, int j)
{
    for (int l = 0; l < a->window; l++)
        if ((place(a, i, l) < a->size) != (place(a, j, l) < a->size)
            || region(a, i, l) != region(a, j, l))
            return false;
    return true;
}

/* The class of window i, a new one if it is unlike all so far. */
static int
classify(struct voco_window_axis *a, int i)
{
    int k = 0;

    while (k < a->classes && !alike(a, a->first[k], i))
        k++;
    VOCO_ASSERT(k < VOCO_AXIS_CLASSES);
    if (k == a->classes)
        a->first[a->classes++] = i;
    return k;
}

static int
class_along(const struct voco_window_axis *a, int i)
{
    const int back = a->windows - 1 - i;

    return back < 2 ? a->tail[back] : 0;
}

/* Padding and the roll are less than a window each: they change the last two windows. */
static struct voco_window_axis
plan_axis(const struct voco_windows *win, int axis)
{
    struct voco_window_axis a = { .size = (int)win->size[axis],
                                  .window = win->window[axis],
                                  .shift = win->shift[axis] };

    VOCO_ASSERT(a.window > 0 && a.shift >= 0 && a.shift < a.window);
    a.windows = (a.size + a.window - 1) / a.window;
    if (a.windows > 2)
        classify(&a, 0);            /* class 0: as all before the last two */
    for (int back = a.windows > 1; back >= 0; back--)
        a.tail[back] = classify(&a, a.windows - 1 - back);
    for (int i = 0; i < a.windows; i++)
        a.count[class_along(&a, i)]++;
    return a;
}

/* ---- three axes ---- */

static int
class_of(const struct voco_window_plan *p, const int at[3])
{
    int k = 0;

    for (int a = 0; a < 3; a++)
        k = k * p->axis[a].classes + class_along(&p->axis[a], at[a]);
    return k;
}

/* A window of class k, by its number along each axis. */
static void
window_of_class(const struct voco_window_plan *p, int k, int at[3])
{
    for (int a = 2; a >= 0; a--) {
        at[a] = p->axis[a].first[k % p->axis[a].classes];
        k /= p->axis[a].classes;
    }
}

static void
split_window(const struct voco_window_plan *p, int window, int at[3])
{
    at[2] = window % p->axis[2].windows;
    at[1] = window / p->axis[2].windows % p->axis[1].windows;
    at[0] = window / p->axis[2].windows / p->axis[1].windows;
}

static void
split_token(const struct voco_window_plan *p, int token, int at[3])
{
    at[2] = token % p->axis[2].window;
    at[1] = token / p->axis[2].window % p->axis[1].window;
    at[0] = token / p->axis[2].window / p->axis[1].window;
}

/* Tokens of a window along one axis that lie inside the volume. */
static int
real_along(const struct voco_window_axis *a, int i)
{
    int real = 0;

    for (int l = 0; l < a->window; l++)
        real += place(a, i, l) < a->size;
    return real;
}

static size_t
round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

void
voco_windows_plan(const struct voco_windows *win, const struct voco_tensor *qkv,
                  size_t lanes, struct voco_window_plan *ret)
{
    const int span = 2 * win->full_window - 1;
    struct voco_window_plan p = { .items = qkv->dim[0], .heads = win->heads,
                                  .head_dim = (int)(voco_cols(qkv) / 3 / win->heads),
                                  .full = win->full_window, .lanes = lanes,
                                  .table_rows = (int64_t)span * span * span };

    p.head_row = round_up((size_t)p.head_dim, lanes);
    p.windows = p.tokens = p.classes = 1;
    for (int a = 0; a < 3; a++) {
        p.axis[a] = plan_axis(win, a);
        p.windows *= p.axis[a].windows;
        p.tokens *= p.axis[a].window;
        p.classes *= p.axis[a].classes;
    }
    for (int k = 0; k < p.classes; k++) {
        struct voco_window_class *z = &p.class[k];
        int at[3];

        window_of_class(&p, k, at);
        z->real = 1;
        z->count = 1;
        for (int a = 0; a < 3; a++) {
            z->real *= real_along(&p.axis[a], at[a]);
            z->count *= p.axis[a].count[class_along(&p.axis[a], at[a])];
        }
        z->pads = p.tokens - z->real;
        z->keys = z->real + (z->pads > 0);
        z->cols = (int)round_up((size_t)z->keys, lanes);
        p.real_max = z->real > p.real_max ? z->real : p.real_max;
        p.cols_max = z->cols > p.cols_max ? z->cols : p.cols_max;
        p.bias_floats += (size_t)p.heads * (size_t)z->real * (size_t)z->cols;
    }
    p.table_stride = (int64_t)round_up((size_t)p.table_rows + VOCO_RUN, 16);
    p.ints_bytes = round_up(((size_t)p.classes * (4 * (size_t)p.tokens + 1)
                             + (size_t)p.windows) * sizeof(int), VOCO_ALIGN);
    *ret = p;
}

size_t
voco_windows_bytes(const struct voco_window_plan *p)
{
    const size_t table = (size_t)p->heads * (size_t)p->table_stride;

    return p->ints_bytes + (table + round_up(p->bias_floats, 16)) * sizeof(float);
}

/* Tokens of class k, those inside the volume first. */
static void
list_tokens(const struct voco_window_plan *p, int k, struct voco_window_class *z)
{
    const int span = 2 * p->full - 1;
    int at[3], real = 0, pads = z->real;

    window_of_class(p, k, at);
    for (int t = 0; t < p->tokens; t++) {
        int l[3], i, inside = 1, where = 0;

        split_token(p, t, l);
        for (int a = 0; a < 3; a++) {
            inside &= place(&p->axis[a], at[a], l[a]) < p->axis[a].size;
            where = 2 * where + region(&p->axis[a], at[a], l[a]);
        }
        i = inside ? real++ : pads++;
        z->token[i] = t;
        z->region[i] = where;
        z->split |= where != 0;
        /* token t of a full window, clipped or not: published weights depend on it */
        z->code[i] = (t / p->full / p->full * span + t / p->full % p->full) * span
                     + t % p->full;
    }
}

static void
list_runs(const struct voco_window_plan *p, struct voco_window_class *z)
{
    z->runs = 0;
    for (int t = 0; t < p->tokens; t++) {
        if (t == z->real)
            z->real_runs = z->runs;
        if (t == 0 || t == z->real || z->code[t] != z->code[t - 1] + 1)
            z->run[z->runs++] = t;
    }
    z->run[z->runs] = p->tokens;
    if (z->pads == 0)
        z->real_runs = z->runs;
}

/* Numbers of the windows in order of their classes. */
static void
list_windows(struct voco_window_plan *p, int *window)
{
    int *next[VOCO_WINDOW_CLASSES], at[3];

    for (int k = 0; k < p->classes; k++) {
        p->class[k].window = next[k] = window;
        window += p->class[k].count;
    }
    for (int64_t w = 0; w < p->windows; w++) {
        split_window(p, (int)w, at);
        *next[class_of(p, at)]++ = (int)w;
    }
}

void
voco_windows_place(struct voco_window_plan *p, const float *table, void *memory)
{
    float *bias;
    int *list = memory;

    p->ints = memory;
    p->table = (float *)(void *)((char *)memory + p->ints_bytes);
    p->bias = p->table + p->heads * p->table_stride;
    bias = p->bias;
    for (int k = 0; k < p->classes; k++) {
        struct voco_window_class *z = &p->class[k];

        z->token = list;
        z->code = list + p->tokens;
        z->region = list + 2 * p->tokens;
        z->run = list + 3 * p->tokens;
        list += 4 * p->tokens + 1;
        z->bias = bias;
        bias += (size_t)p->heads * (size_t)z->real * (size_t)z->cols;
        list_tokens(p, k, z);
        list_runs(p, z);
    }
    list_windows(p, list);
    for (int h = 0; h < p->heads; h++) {
        float *own = p->table + h * p->table_stride;

        for (int64_t i = 0; i < p->table_rows; i++)
            own[p->table_rows - 1 - i] = table[i * p->heads + h];
        memset(own + p->table_rows, 0,
               (size_t)(p->table_stride - p->table_rows) * sizeof *own);
    }
}

/*
 * Bias of query i and the tokens of runs [from,to): out gets VOCO_RUN more than they are.
 * Code rises by 1 within a run and the table lies from its end: a run is a piece of it.
 */
static void
copy_runs(const struct voco_window_plan *p, const struct voco_window_class *z, int head,
          int i, int from, int to, float *out)
{
    const float *own = p->table + head * p->table_stride;
    const float *table = own + p->table_rows / 2 - z->code[i];
    const int first = z->run[from];

    for (int r = from; r < to; r++)
        for (int j = z->run[r]; j < z->run[r + 1]; j += VOCO_RUN)
            memcpy(out + j - first, table + z->code[j], VOCO_RUN * sizeof *out);
}

/* out[j] = x[j], - 100 where token from + j is of another region than token i */
static void
mask(const struct voco_window_class *z, int i, int from, int n, const float *x,
     float *out)
{
    const int *region = z->region + from, mine = z->region[i];

#pragma omp simd
    for (int j = 0; j < n; j++)
        out[j] = x[j] - (region[j] == mine ? 0.0f : 100.0f);
}

void
voco_windows_pad_scores(const struct voco_window_plan *p,
                        const struct voco_window_class *z, int head, int i, float *out)
{
    copy_runs(p, z, head, i, z->real_runs, z->runs, out);
    if (z->split)
        mask(z, i, z->real, z->pads, out, out);
}

void
voco_windows_expand(const struct voco_window_plan *p, const struct voco_kernels *k,
                    const struct voco_window_class *z, int head, int i, float *spare)
{
    float *row = voco_windows_bias(z, head) + i * z->cols;

    copy_runs(p, z, head, i, 0, z->real_runs, spare);
    mask(z, i, 0, z->real, spare, row);
    if (z->pads > 0) {
        voco_windows_pad_scores(p, z, head, i, spare);
        row[z->real] = k->log_sum_exp(spare, (size_t)z->pads);
    }
    for (int j = z->keys; j < z->cols; j++)
        row[j] = VOCO_ATTN_NONE;
}

void
voco_windows_rows(const struct voco_window_plan *p, int64_t n, int window, int64_t *rows)
{
    const struct voco_window_axis *a = p->axis;
    int at[3], x[3];

    split_window(p, window, at);
    for (int i = 0; i < a[0].window; i++)
        for (int j = 0; j < a[1].window; j++)
            for (int k = 0; k < a[2].window; k++) {
                x[0] = place(&a[0], at[0], i);
                x[1] = place(&a[1], at[1], j);
                x[2] = place(&a[2], at[2], k);
                if (x[0] < a[0].size && x[1] < a[1].size && x[2] < a[2].size)
                    *rows++ = ((n * a[0].size + x[0]) * a[1].size + x[1]) * a[2].size
                              + x[2];
            }
}
