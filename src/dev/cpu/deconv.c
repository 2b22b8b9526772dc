/*
 * Transposed convolution whose stride is its kernel: a linear layer for each place of the
 * output cell.
 *
 * A row of w input voxels and one of the k0 k1 places (a,b) of its cells make one row of
 * the output, [w,k2,cout]: the matrix [w,line], line = k2 cout, which lies there in one
 * piece.  So each product reads or writes it where it is.  Rows of few voxels would leave
 * the tiles of the kernel half empty, and bfloat16 has to be widened: then the lines of
 * CELLS voxels are copied together.
 */
#include <omp.h>
#include <string.h>

#include "dev/cpu/block.h"
#include "dev/cpu/conv.h"

enum { CELLS = 96 };            /* voxels that are worked on together, where copied */
enum { LONG_ROW = 12,           /* voxels of a row that is used where it is */
       LONG_SUM = 24 };         /* by the gradient of weights, which sums over them */
enum { GRAIN = 16 };            /* columns: whole vectors of any kernel */
enum { PIECES = 4 };            /* of a thread, or it rather takes some columns of all */
enum { MANY_ROWS = 8192 };      /* so many that sums of dw per thread pay */

struct shape {
    int64_t m, d, h, w, cin, cout;      /* m = n d h w input voxels */
    int64_t k[3], places, line;         /* places = k0 k1, line = k2 cout */
    bool direct;                        /* y is used where it is */
    int64_t piece;                      /* voxels that are worked on together */
    int threads;                        /* that pack weights */
};

/* y is used where it is if its rows come from at least so many voxels. */
static struct shape
shape_of(const struct voco_tensor *x, const struct voco_tensor *w,
         const struct voco_tensor *y, int64_t least)
{
    const int64_t *k = w->dim + 2;
    const bool direct = !voco_is_bf16(y) && x->dim[3] >= least;
    const struct shape s = {
        .m = voco_rows(x), .d = x->dim[1], .h = x->dim[2], .w = x->dim[3],
        .cin = x->dim[4], .cout = w->dim[1], .k = { k[0], k[1], k[2] },
        .places = k[0] * k[1], .line = k[2] * w->dim[1],
        .direct = direct, .piece = direct ? x->dim[3] : CELLS,
    };

    VOCO_ASSERT(w->rank == 5 && w->dim[0] == s.cin);
    VOCO_ASSERT(voco_count(y) == s.m * s.places * s.line);
    return s;
}

/* ---- weights: torch [cin,cout,k0 k1,k2] ---- */

/* -> [k0 k1,cin,k2,cout] */
static enum voco_err
pack_forward(void *arg, const float *w, float *packed)
{
    const struct shape *s = arg;
    const int64_t taps = s->places * s->k[2];

    #pragma omp parallel for collapse(2) schedule(static) num_threads(s->threads)
    for (int64_t a = 0; a < s->places; a++)
        for (int64_t i = 0; i < s->cin; i++) {
            const float *from = w + i * s->cout * taps + a * s->k[2];
            float *to = packed + (a * s->cin + i) * s->line;

            for (int64_t l = 0; l < s->k[2]; l++)
                for (int64_t o = 0; o < s->cout; o++)
                    to[l * s->cout + o] = from[o * taps + l];
        }
    return VOCO_OK;
}

/* -> [k0 k1,k2,cout,cin] */
static enum voco_err
pack_data(void *arg, const float *w, float *packed)
{
    const struct shape *s = arg;
    const int64_t taps = s->places * s->k[2];

    #pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t o = 0; o < s->cout; o++)
        for (int64_t i = 0; i < s->cin; i++)
            for (int64_t a = 0; a < taps; a++)
                packed[(a * s->cout + o) * s->cin + i] = w[(i * s->cout + o) * taps + a];
    return VOCO_OK;
}

static const float *
packed_of(struct voco_ctx *ctx, const struct voco_tensor *w, struct shape *s, int layout)
{
    const int64_t count = voco_count(w);

    s->threads = ctx->threads;
    return voco_packed(ctx, w->data, count, layout, (size_t)count * sizeof(float),
                       layout == VOCO_LAYOUT_DECONV ? pack_forward : pack_data, s);
}

/* ---- products and shares ---- */

/* The own kernel where rows of c are whole vectors. */
static void
multiply(const struct voco_kernels *k, const struct voco_product *p)
{
    const bool transposed = p->row == 1 && p->depth > 1;

    if (k->lanes > 1 && p->n % k->lanes == 0) {
        k->product(p);
        return;
    }
    for (size_t i = 0; p->bias && i < p->m; i++)
        memcpy(p->c + i * p->ldc, p->bias, p->n * sizeof *p->c);
    voco_cpu_sgemm(transposed, false, (int64_t)p->m, (int64_t)p->n, (int64_t)p->depth,
                   p->a, (int64_t)(transposed ? p->step : p->row), p->b,
                   (int64_t)p->ldb, p->add || p->bias, p->c, (int64_t)p->ldc);
}

/* Voxels [r0,r1) and columns [c0,c1) of one thread: it shares either with the others. */
struct share {
    int64_t r0, r1, c0, c1;
};

static struct share
share_of(const struct shape *s, bool by_rows, int64_t columns)
{
    const int t = omp_get_thread_num(), n = omp_get_num_threads();
    struct share a = { 0, s->m, 0, columns };

    if (by_rows)
        voco_cpu_share(s->m, s->piece, t, n, &a.r0, &a.r1);
    else
        voco_cpu_share(columns, GRAIN, t, n, &a.c0, &a.c1);
    return a;
}

static bool
has_many_pieces(const struct voco_ctx *ctx, const struct shape *s)
{
    return s->m >= PIECES * ctx->threads * s->piece;
}

/* The end of the piece at r. */
static int64_t
piece_end(const struct shape *s, const struct share *own, int64_t r)
{
    return own->r1 - r < s->piece ? own->r1 : r + s->piece;
}

/* ---- lines of the output ---- */

/* Columns [j,j+n) of the lines of voxels [r,end) at place a. */
struct lines {
    int64_t r, end, a, j, n;
};

/* Of columns [k0 k1,line]: those of place a that are in a share; n <= 0: none. */
static struct lines
lines_of(const struct shape *s, const struct share *own, int64_t r, int64_t a)
{
    const int64_t from = own->c0 - a * s->line, to = own->c1 - a * s->line;
    struct lines l = { .r = r, .end = piece_end(s, own, r), .a = a,
                       .j = from > 0 ? from : 0 };

    l.n = (to < s->line ? to : s->line) - l.j;
    return l;
}

/* Where in y that of voxel r is. */
static int64_t
line_at(const struct shape *s, const struct lines *l, int64_t r)
{
    const int64_t x = r % s->w, j = r / s->w % s->h, i = r / s->w / s->h;    /* i: n d */
    const int64_t row = (s->k[0] * i + l->a / s->k[1]) * s->k[1] * s->h
                      + s->k[1] * j + l->a % s->k[1];

    return (row * s->w + x) * s->line + l->j;
}

/* Floats from one voxel to the next. */
static size_t
lines_step(const struct shape *s, const struct lines *l)
{
    return (size_t)(s->direct ? s->line : l->n);
}

/* Where they are, or room for them. */
static float *
lines_room(const struct shape *s, const struct voco_tensor *y, const struct lines *l,
           float *spare)
{
    return s->direct ? (float *)y->data + line_at(s, l, l->r) : spare;
}

static const float *
lines_read(const struct voco_kernels *k, const struct shape *s,
           const struct voco_tensor *y, const struct lines *l, float *spare)
{
    for (int64_t r = l->r; !s->direct && r < l->end; r++)
        voco_block_get(k, y, line_at(s, l, r), l->n, spare + (r - l->r) * l->n);
    return lines_room(s, y, l, spare);
}

static void
lines_done(const struct voco_kernels *k, const struct shape *s,
           const struct voco_tensor *y, const struct lines *l, const float *from)
{
    for (int64_t r = l->r; !s->direct && r < l->end; r++)
        voco_block_put(k, y, line_at(s, l, r), l->n, from + (r - l->r) * l->n);
}

/* The copies of a thread of a piece: lines, and rows of x. */
struct spare {
    float *lines, *x;
};

static int64_t
spare_floats(const struct shape *s)
{
    return s->piece * (s->line + s->cin);
}

/* So many floats, and room for every thread's copies behind them. */
static float *
scratch_of(struct voco_ctx *ctx, const struct shape *s, int64_t floats)
{
    return voco_cpu_scratch(ctx, (size_t)(floats + ctx->threads * spare_floats(s))
                                 * sizeof(float));
}

static struct spare
spare_of(const struct shape *s, float *room)
{
    float *lines = room + omp_get_thread_num() * spare_floats(s);

    return (struct spare){ lines, lines + s->piece * s->line };
}

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- forward ---- */

/* The bias of a line: that of the channels, k2 times. */
static const float *
line_bias(const struct shape *s, const float *b, float *room)
{
    for (int64_t l = 0; b && l < s->k[2]; l++)
        memcpy(room + l * s->cout, b, (size_t)s->cout * sizeof *b);
    return b ? room : NULL;
}

/* y = x w + bias for some lines; x is their rows of it. */
static void
make_lines(const struct voco_kernels *k, const struct shape *s, const float *x,
           const float *packed, const float *bias, Y y, const struct lines *l,
           float *spare)
{
    float *to = lines_room(s, y, l, spare);

    multiply(k, &(struct voco_product){
        .a = x, .row = (size_t)s->cin, .step = 1,
        .b = packed + l->a * s->cin * s->line + l->j, .ldb = (size_t)s->line,
        .bias = bias ? bias + l->j : NULL, .c = to, .ldc = lines_step(s, l),
        .m = (size_t)(l->end - l->r), .n = (size_t)l->n, .depth = (size_t)s->cin,
        .stream = s->direct && voco_cpu_stream(voco_count(y)) });
    lines_done(k, s, y, l, to);
}

void
voco_cpu_deconv_forward(struct voco_ctx *ctx, X x, X w, X b, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    struct shape s = shape_of(x, w, y, LONG_ROW);
    const bool by_rows = has_many_pieces(ctx, &s);
    const float *packed, *bias;
    float *scratch;

    if (ctx->err)
        return;
    packed = packed_of(ctx, w, &s, VOCO_LAYOUT_DECONV);
    scratch = scratch_of(ctx, &s, s.line);
    if (!packed || !scratch)
        return;
    bias = line_bias(&s, voco_f32(b), scratch);
    #pragma omp parallel num_threads(ctx->threads)
    {
        const struct share own = share_of(&s, by_rows, s.places * s.line);
        const struct spare spare = spare_of(&s, scratch + s.line);

        for (int64_t r = own.r0; r < own.r1; r = piece_end(&s, &own, r)) {
            const int64_t rows = piece_end(&s, &own, r) - r;
            const float *from = voco_block_read(k, x, r * s.cin, rows * s.cin, spare.x);

            for (int64_t a = 0; a < s.places; a++) {
                const struct lines l = lines_of(&s, &own, r, a);

                if (l.n > 0)
                    make_lines(k, &s, from, packed, bias, y, &l, spare.lines);
            }
        }
    }
}

/* ---- backward ---- */

/* dx = sum over places of dy w' */
static void
backward_data(struct voco_ctx *ctx, X w, X dy, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    struct shape s = shape_of(dx, w, dy, LONG_ROW);
    const bool by_rows = has_many_pieces(ctx, &s) || voco_is_bf16(dx);
    const float *packed = packed_of(ctx, w, &s, VOCO_LAYOUT_DECONV_DATA);
    float *scratch = scratch_of(ctx, &s, 0);

    if (!packed || !scratch)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        const struct share own = share_of(&s, by_rows, s.cin);
        const struct share lines = { own.r0, own.r1, 0, s.places * s.line };
        const struct spare spare = spare_of(&s, scratch);

        for (int64_t r = own.r0; r < own.r1; r = piece_end(&s, &own, r)) {
            const int64_t rows = piece_end(&s, &own, r) - r;
            float *to = voco_block_room(dx, r * s.cin, spare.x);

            for (int64_t a = 0; own.c0 < own.c1 && a < s.places; a++) {
                const struct lines l = lines_of(&s, &lines, r, a);

                multiply(k, &(struct voco_product){
                    .a = lines_read(k, &s, dy, &l, spare.lines), .row = (size_t)s.line,
                    .step = 1, .b = packed + a * s.line * s.cin + own.c0,
                    .ldb = (size_t)s.cin, .c = to + own.c0, .ldc = (size_t)s.cin,
                    .m = (size_t)rows, .n = (size_t)(own.c1 - own.c0),
                    .depth = (size_t)s.line, .add = a > 0 });
            }
            voco_block_done(k, dx, r * s.cin, rows * s.cin, to);
        }
    }
}

/* sum [k0 k1,cin,line] += x' dy over a share */
static void
sum_weights(const struct voco_kernels *k, const struct shape *s, const struct share *own,
            X x, X dy, const struct spare *spare, float *sum)
{
    for (int64_t r = own->r0; r < own->r1; r = piece_end(s, own, r)) {
        const int64_t rows = piece_end(s, own, r) - r;
        const float *from = voco_block_read(k, x, r * s->cin, rows * s->cin, spare->x);

        for (int64_t a = 0; a < s->places; a++) {
            const struct lines l = lines_of(s, own, r, a);

            if (l.n > 0)
                multiply(k, &(struct voco_product){
                    .a = from, .row = 1, .step = (size_t)s->cin,
                    .b = lines_read(k, s, dy, &l, spare->lines), .ldb = lines_step(s, &l),
                    .c = sum + a * s->cin * s->line + l.j, .ldc = (size_t)s->line,
                    .m = (size_t)s->cin, .n = (size_t)l.n, .depth = (size_t)rows,
                    .add = true });
        }
    }
}

/* dw [cin,cout,k0 k1,k2] += sums [n,k0 k1,cin,k2,cout] in their order, for input channels
 * [i0,i1) */
static void
add_sums(const struct shape *s, const float *sums, int64_t n, int64_t i0, int64_t i1,
         float *dw)
{
    const int64_t count = s->places * s->cin * s->line;

    for (int64_t i = i0; i < i1; i++)
        for (int64_t a = 0; a < s->places; a++)
            for (int64_t l = 0; l < s->k[2]; l++)
                for (int64_t o = 0; o < s->cout; o++) {
                    const float *from = sums + (a * s->cin + i) * s->line + l * s->cout
                                        + o;
                    float sum = from[0];

                    for (int64_t p = 1; p < n; p++)
                        sum += from[p * count];
                    dw[((i * s->cout + o) * s->places + a) * s->k[2] + l] += sum;
                }
}

static void
backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const struct shape s = shape_of(x, dw, dy, LONG_SUM);
    const int64_t columns = s.places * s.line, count = s.cin * columns;
    const bool by_rows = s.m >= MANY_ROWS;      /* then each thread has its own sum */
    const int64_t n = by_rows ? ctx->threads : 1;
    float *sums = scratch_of(ctx, &s, n * count);

    if (!sums)
        return;
    #pragma omp parallel num_threads(ctx->threads)
    {
        const int t = omp_get_thread_num(), nt = omp_get_num_threads();
        const struct share own = share_of(&s, by_rows, columns);
        const struct spare spare = spare_of(&s, sums + n * count);
        int64_t i0, i1;

        voco_cpu_share(n * count, GRAIN, t, nt, &i0, &i1);
        memset(sums + i0, 0, (size_t)(i1 - i0) * sizeof *sums);
        #pragma omp barrier
        sum_weights(k, &s, &own, x, dy, &spare, by_rows ? sums + t * count : sums);
        #pragma omp barrier
        voco_cpu_share(s.cin, 1, t, nt, &i0, &i1);
        add_sums(&s, sums, n, i0, i1, dw->data);
    }
}

void
voco_cpu_deconv_backward(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db)
{
    if (ctx->err)
        return;
    if (dx)
        backward_data(ctx, w, dy, dx);
    if (!ctx->err)
        backward_weights(ctx, x, dy, dw);
    if (db && !ctx->err)
        voco_cpu_columns_add(ctx, dy, voco_f32(db));
}
