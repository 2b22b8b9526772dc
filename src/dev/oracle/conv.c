/* The oracle's convolutions and matrix products: direct sums as torch.nn.Conv3d,
 * ConvTranspose3d and Linear define them, on volumes whose channels are contiguous. */
#include "dev/oracle/oracle.h"

/* The channels of one voxel; NULL outside of the volume, where the padding is zero. */
static double *
voxel(X x, int64_t n, int64_t d, int64_t h, int64_t w)
{
    const int64_t *dim = x->dim;

    if (d < 0 || d >= dim[1] || h < 0 || h >= dim[2] || w < 0 || w >= dim[3])
        return NULL;
    return f64(x) + (((n * dim[1] + d) * dim[2] + h) * dim[3] + w) * dim[4];
}

/* Row r of the n*d*h rows of a volume. */
static void
split_row(X x, int64_t r, int64_t *n, int64_t *d, int64_t *h)
{
    *h = r % x->dim[2];
    *d = r / x->dim[2] % x->dim[1];
    *n = r / x->dim[2] / x->dim[1];
}

/* The input voxel that tap (i,j,k) joins with output voxel (d,h,w). */
static double *
joined(const struct voco_conv *c, X x, int64_t n, const int64_t out[3], int i, int j, int k)
{
    return voxel(x, n, out[0] * c->stride[0] + i - c->pad[0],
                 out[1] * c->stride[1] + j - c->pad[1],
                 out[2] * c->stride[2] + k - c->pad[2]);
}

size_t
voco_oracle_conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                           const struct voco_conv *conv, X x)
{
    (void)ctx, (void)what, (void)x;
    return (size_t)(voco_kernel_taps(conv) * conv->cin * conv->cout) * sizeof(double);
}

/* y[co] = b[co] + sum over taps and ci of w[co,ci,tap] x[ci] */
void
voco_oracle_conv3d_forward(struct voco_ctx *ctx, const struct voco_conv *conv, X x, X w,
                           X b, Y y, Y moments)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t cin = conv->cin, cout = conv->cout, size = voco_kernel_taps(conv);
    const struct voco_tensor packed = voco_push(ctx, &ctx->temp, 3, size, cin, cout);

    if (ctx->err)
        return;
    for (int64_t t = 0; t < size; t++)
        for (int64_t ci = 0; ci < cin; ci++)
            for (int64_t co = 0; co < cout; co++)
                f64(&packed)[(t * cin + ci) * cout + co]
                    = f64(w)[(co * cin + ci) * size + t];

#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < y->dim[0] * y->dim[1] * y->dim[2]; row++) {
        int64_t n, od, oh;

        split_row(y, row, &n, &od, &oh);
        for (int64_t ow = 0; ow < y->dim[3]; ow++) {
            const double *tap = f64(&packed);
            double *out = voxel(y, n, od, oh, ow);

            for (int64_t co = 0; co < cout; co++)
                out[co] = b ? f64(b)[co] : 0;
            for (int i = 0; i < conv->kernel[0]; i++)
                for (int j = 0; j < conv->kernel[1]; j++)
                    for (int k = 0; k < conv->kernel[2]; k++, tap += cin * cout) {
                        const double *in = joined(conv, x, n, (int64_t[]){ od, oh, ow }, i,
                                                  j, k);

                        if (in)
                            add_row_times_matrix(cin, cout, in, tap, out);
                    }
        }
    }
    voco_arena_release(&ctx->temp, mark);
    if (moments)
        voco_oracle_moments(ctx, y, moments);
}

/* Where on an axis the output meets input voxel at under tap: at = out*stride + tap - pad.
 * -1 (outside) when the stride skips it. */
static int64_t
meets(const struct voco_conv *conv, int axis, int64_t at, int tap)
{
    const int64_t out = at + conv->pad[axis] - tap;

    return out % conv->stride[axis] ? -1 : out / conv->stride[axis];
}

/* dx[ci] = sum over taps and co of w[co,ci,tap] dy[co] */
void
voco_oracle_conv3d_backward_data(struct voco_ctx *ctx, const struct voco_conv *conv, X dy,
                                 X w, Y dx)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t cin = conv->cin, cout = conv->cout, size = voco_kernel_taps(conv);
    const struct voco_tensor packed = voco_push(ctx, &ctx->temp, 3, size, cout, cin);

    if (ctx->err)
        return;
    for (int64_t t = 0; t < size; t++)
        for (int64_t io = 0; io < cout * cin; io++)
            f64(&packed)[t * cout * cin + io] = f64(w)[io * size + t];

#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < dx->dim[0] * dx->dim[1] * dx->dim[2]; row++) {
        int64_t n, id, ih;

        split_row(dx, row, &n, &id, &ih);
        for (int64_t iw = 0; iw < dx->dim[3]; iw++) {
            const double *tap = f64(&packed);
            double *in = voxel(dx, n, id, ih, iw);

            memset(in, 0, (size_t)cin * sizeof *in);
            for (int i = 0; i < conv->kernel[0]; i++)
                for (int j = 0; j < conv->kernel[1]; j++)
                    for (int k = 0; k < conv->kernel[2]; k++, tap += cout * cin) {
                        const double *out = voxel(dy, n, meets(conv, 0, id, i),
                                                  meets(conv, 1, ih, j),
                                                  meets(conv, 2, iw, k));
                        if (out)
                            add_row_times_matrix(cout, cin, out, tap, in);
                    }
        }
    }
    voco_arena_release(&ctx->temp, mark);
}

/* dwt[ci,co] = sum over voxels of x[ci] dy[co], for the tap at offset (i,j,k) */
static void
one_tap_backward(const struct voco_conv *conv, X x, X dy, int i, int j, int k,
                 double *dwt)
{
    memset(dwt, 0, (size_t)(conv->cin * conv->cout) * sizeof *dwt);
    for (int64_t row = 0; row < dy->dim[0] * dy->dim[1] * dy->dim[2]; row++) {
        int64_t n, od, oh;

        split_row(dy, row, &n, &od, &oh);
        for (int64_t ow = 0; ow < dy->dim[3]; ow++) {
            const double *out = voxel(dy, n, od, oh, ow);
            const double *in = joined(conv, x, n, (int64_t[]){ od, oh, ow }, i, j, k);

            for (int64_t ci = 0; in && ci < conv->cin; ci++)
                axpy(conv->cout, in[ci], out, dwt + ci * conv->cout);
        }
    }
}

/* dw[co,ci,tap] += sum of x[ci] dy[co], db[co] += sum of dy[co] */
void
voco_oracle_conv3d_backward_weights(struct voco_ctx *ctx, const struct voco_conv *conv,
                                    X x, X dy, Y dw, Y db)
{
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t cin = conv->cin, cout = conv->cout, size = voco_kernel_taps(conv);
    const struct voco_tensor packed = voco_push(ctx, &ctx->temp, 3, size, cin, cout);
    const int kh = conv->kernel[1], kw = conv->kernel[2];

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t t = 0; t < size; t++) {
        double *dwt = f64(&packed) + t * cin * cout;

        one_tap_backward(conv, x, dy, (int)t / kw / kh, (int)t / kw % kh, (int)t % kw, dwt);
        for (int64_t co = 0; co < cout; co++)
            for (int64_t ci = 0; ci < cin; ci++)
                f64(dw)[(co * cin + ci) * size + t] += dwt[ci * cout + co];
    }
    for (int64_t row = 0; db && row < voco_rows(dy); row++)
        axpy(cout, 1, f64(dy) + row * cout, f64(db));
    voco_arena_release(&ctx->temp, mark);
}

/* y[Id+i,Jh+j,Kw+k, co] = b[co] + sum over ci of x[d,h,w, ci] w[ci,co,i,j,k], I,J,K the
 * sizes of the kernel */
void
voco_oracle_deconv_forward(struct voco_ctx *ctx, X x, X w, X b, Y y)
{
    const int64_t cin = x->dim[4], cout = y->dim[4], *k = w->dim + 2;
    const int64_t size = k[0] * k[1] * k[2];

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t row = 0; row < y->dim[0] * y->dim[1] * y->dim[2]; row++) {
        int64_t n, d, h;

        split_row(y, row, &n, &d, &h);
        for (int64_t v = 0; v < y->dim[3]; v++) {
            const double *in = voxel(x, n, d / k[0], h / k[1], v / k[2]);
            const int64_t at = (d % k[0] * k[1] + h % k[1]) * k[2] + v % k[2];
            double *out = voxel(y, n, d, h, v);

            for (int64_t co = 0; co < cout; co++) {
                const double *tap = f64(w) + co * size + at;

                out[co] = b ? f64(b)[co] : 0;
                for (int64_t ci = 0; ci < cin; ci++)
                    out[co] += in[ci] * tap[ci * cout * size];
            }
        }
    }
}

/* The adjoint: one pass over ci, which owns dw[ci] and channel ci of dx. */
void
voco_oracle_deconv_backward(struct voco_ctx *ctx, X x, X w, X dy, Y dx, Y dw, Y db)
{
    const int64_t cin = x->dim[4], cout = dy->dim[4], *k = w->dim + 2;
    const int64_t size = k[0] * k[1] * k[2];

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t ci = 0; ci < cin; ci++)
        for (int64_t row = 0; row < x->dim[0] * x->dim[1] * x->dim[2]; row++) {
            int64_t n, d, h;

            split_row(x, row, &n, &d, &h);
            for (int64_t v = 0; v < x->dim[3]; v++) {
                const double in = voxel(x, n, d, h, v)[ci];
                double sum = 0;

                for (int64_t t = 0; t < size; t++) {
                    const double *out = voxel(dy, n, k[0] * d + t / k[2] / k[1],
                                              k[1] * h + t / k[2] % k[1],
                                              k[2] * v + t % k[2]);

                    for (int64_t co = 0; co < cout; co++) {
                        sum += out[co] * f64(w)[(ci * cout + co) * size + t];
                        f64(dw)[(ci * cout + co) * size + t] += out[co] * in;
                    }
                }
                if (dx)
                    voxel(dx, n, d, h, v)[ci] = sum;
            }
        }
    for (int64_t row = 0; db && row < voco_rows(dy); row++)
        axpy(cout, 1, f64(dy) + row * cout, f64(db));
}

/* y[m,n] = sum over k of x[m,k] w[n,k] + b[n] */
void
voco_oracle_linear_forward(struct voco_ctx *ctx, X x, X w, X b, Y y)
{
    const int64_t k = voco_cols(x), n = voco_cols(y);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t i = 0; i < voco_rows(x); i++)
        for (int64_t j = 0; j < n; j++)
            f64(y)[i * n + j] = dot(k, f64(x) + i * k, f64(w) + j * k)
                              + (b ? f64(b)[j] : 0);
}

/* dx[m,k] = sum over n of dy[m,n] w[n,k] */
void
voco_oracle_linear_backward_data(struct voco_ctx *ctx, X dy, X w, Y dx)
{
    const int64_t k = voco_cols(dx), n = voco_cols(dy);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t i = 0; i < voco_rows(dy); i++) {
        memset(f64(dx) + i * k, 0, (size_t)k * sizeof(double));
        add_row_times_matrix(n, k, f64(dy) + i * n, f64(w), f64(dx) + i * k);
    }
}

/* dw[n,k] += sum over m of dy[m,n] x[m,k]; db[n] += sum over m of dy[m,n] */
void
voco_oracle_linear_backward_weights(struct voco_ctx *ctx, X x, X dy, Y dw, Y db)
{
    const int64_t k = voco_cols(x), n = voco_cols(dy);

    if (ctx->err)
        return;
#pragma omp parallel for num_threads(ctx->threads)
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < voco_rows(x); i++) {
            axpy(k, f64(dy)[i * n + j], f64(x) + i * k, f64(dw) + j * k);
            if (db)
                f64(db)[j] += f64(dy)[i * n + j];
        }
}
