/*
 * Trilinear upsampling by two on the cpu device.
 *
 * Along an axis y[2i] is 1/4 x[i-1] + 3/4 x[i] and y[2i+1] is 3/4 x[i] + 1/4 x[i+1], the
 * index kept inside.  A row of y along the last axis mixes four rows of x, then the voxels
 * of the mixture; backward goes the other way.
 */
#include <omp.h>

#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* Items of [n,d,h,w,c], or of twice the size. */
struct volume {
    const struct voco_kernels *kernels;
    int64_t n, d, h, w, c;      /* of the smaller */
};

static struct volume
volume_of(struct voco_ctx *ctx, X small, X large)
{
    VOCO_ASSERT(small->rank == 5 && large->rank == 5 && small->dim[0] == large->dim[0]
                && small->dim[4] == large->dim[4]);
    for (int i = 1; i < 4; i++)
        VOCO_ASSERT(large->dim[i] == 2 * small->dim[i]);
    return (struct volume){ voco_cpu_state(ctx)->kernels, small->dim[0], small->dim[1],
                            small->dim[2], small->dim[3], small->dim[4] };
}

/* to[n] += share times elements of x from at on, through a block */
static void
add_share(const struct voco_kernels *k, X x, int64_t at, int64_t n, float share, float *to)
{
    float spare[VOCO_BLOCK];

    for (int64_t q = 0; q < n; q += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, q);
        const float *from = voco_block_read(k, x, at + q, m, spare);

#pragma omp simd
        for (int64_t i = 0; i < m; i++)
            to[q + i] += share * from[i];
    }
}

/* y [n] = 3/4 a + 1/4 b */
static void
mix(int64_t n, const float *a, const float *b, float *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = 0.75f * a[i] + 0.25f * b[i];
}

static void
write_row(const struct voco_kernels *k, Y y, int64_t at, int64_t n, const float *from)
{
    for (int64_t q = 0; q < n; q += VOCO_BLOCK)
        voco_block_put(k, y, at + q, voco_block_size(n, q), from + q);
}

/* Voxel i of the larger axis: the other one of the n voxels that it lies between. */
static int64_t
other(int64_t i, int64_t n)
{
    const int64_t j = i % 2 ? i / 2 + 1 : i / 2 - 1;

    return j < 0 ? 0 : j < n ? j : n - 1;
}

/* Row (i,j) of an item of y, through buf [3 w c]. */
static void
row_forward(const struct volume *v, X x, int64_t item, int64_t i, int64_t j, float *buf, Y y)
{
    const int64_t d[2] = { i / 2, other(i, v->d) }, h[2] = { j / 2, other(j, v->h) };
    const int64_t c = v->c, row = v->w * c;
    float *out = buf + row;

    memset(buf, 0, (size_t)row * sizeof *buf);
    for (int o = 0; o < 4; o++)
        add_share(v->kernels, x, ((item * v->d + d[o / 2]) * v->h + h[o % 2]) * row, row,
                  (o / 2 ? 0.25f : 0.75f) * (o % 2 ? 0.25f : 0.75f), buf);
    for (int64_t k = 0; k < 2 * v->w; k++)
        mix(c, buf + k / 2 * c, buf + other(k, v->w) * c, out + k * c);
    write_row(v->kernels, y, ((item * 2 * v->d + i) * 2 * v->h + j) * 2 * row, 2 * row, out);
}

/* The voxels of the larger axis that have a share of voxel i of n, and their shares. */
struct shares {
    int64_t from;
    int n;
    float share[4];
};

static struct shares
shares_of(int64_t i, int64_t n)
{
    struct shares s = { .from = 2 * i - 1, .n = 4, .share = { 0.25f, 0.75f, 0.75f, 0.25f } };

    if (i == n - 1) {           /* nothing follows: its last voxel is its own */
        s.n--;
        s.share[2] = 1;
    }
    if (i == 0) {
        s.from++;
        s.n--;
        s.share[0] = 1;
        s.share[1] = s.share[2];
        s.share[2] = s.share[3];
    }
    return s;
}

/* Row (i,j) of an item of dx, through buf [3 w c]. */
static void
row_backward(const struct volume *v, X dy, int64_t item, int64_t i, int64_t j, float *buf,
             Y dx)
{
    const struct shares d = shares_of(i, v->d), h = shares_of(j, v->h);
    const int64_t c = v->c, row = v->w * c;
    float *out = buf + 2 * row;

    memset(buf, 0, (size_t)(3 * row) * sizeof *buf);
    for (int a = 0; a < d.n; a++)
        for (int b = 0; b < h.n; b++)
            add_share(v->kernels, dy, ((item * 2 * v->d + d.from + a) * 2 * v->h + h.from + b)
                                      * 2 * row, 2 * row, d.share[a] * h.share[b], buf);
    for (int64_t k = 0; k < v->w; k++) {
        const struct shares w = shares_of(k, v->w);

        for (int o = 0; o < w.n; o++) {
            const float *from = buf + (w.from + o) * c;

#pragma omp simd
            for (int64_t q = 0; q < c; q++)
                out[k * c + q] += w.share[o] * from[q];
        }
    }
    write_row(v->kernels, dx, ((item * v->d + i) * v->h + j) * row, row, out);
}

/* Room for a row of each thread. */
static float *
rows_of_threads(struct voco_ctx *ctx, const struct volume *v)
{
    return voco_cpu_scratch(ctx, (size_t)(ctx->threads * 3 * v->w * v->c) * sizeof(float));
}

void
voco_cpu_upsample_forward(struct voco_ctx *ctx, X x, Y y)
{
    const struct volume v = volume_of(ctx, x, y);
    const int64_t planes = 2 * v.d, rows = 2 * v.h;
    float *buf;

    if (ctx->err || !(buf = rows_of_threads(ctx, &v)))
        return;
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < v.n * planes * rows; r++)
        row_forward(&v, x, r / rows / planes, r / rows % planes, r % rows,
                    buf + omp_get_thread_num() * 3 * v.w * v.c, y);
}

void
voco_cpu_upsample_backward(struct voco_ctx *ctx, X dy, Y dx)
{
    const struct volume v = volume_of(ctx, dx, dy);
    float *buf;

    if (ctx->err || !(buf = rows_of_threads(ctx, &v)))
        return;
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < v.n * v.d * v.h; r++)
        row_backward(&v, dy, r / v.h / v.d, r / v.h % v.d, r % v.h,
                     buf + omp_get_thread_num() * 3 * v.w * v.c, dx);
}
