/* The oracle's entries on volumes: axes, boxes, rotation, upsampling. */
#include <math.h>

#include "dev/oracle/oracle.h"

/* The channels of voxel p of item n. */
static double *
at(X x, int64_t n, const int64_t p[3])
{
    return f64(x) + (((n * x->dim[1] + p[0]) * x->dim[2] + p[1]) * x->dim[3] + p[2])
                    * x->dim[4];
}

#define FOR_EACH_VOXEL(y, n, p)                                         \
    for (int64_t n = 0; n < (y)->dim[0]; n++)                           \
        for (int64_t p[3] = { 0 }; p[0] < (y)->dim[1]; p[0]++)          \
            for (p[1] = 0; p[1] < (y)->dim[2]; p[1]++)                  \
                for (p[2] = 0; p[2] < (y)->dim[3]; p[2]++)

/* ---- axes ---- */

void
voco_oracle_permute(struct voco_ctx *ctx, X x, const int axis[3], Y y)
{
    if (ctx->err)
        return;
    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(y->dim[1 + i] == x->dim[1 + axis[i]]);
    FOR_EACH_VOXEL(y, n, p) {
        int64_t q[3];

        for (int i = 0; i < 3; i++)
            q[axis[i]] = p[i];
        memcpy(at(y, n, p), at(x, n, q), (size_t)x->dim[4] * sizeof(double));
    }
}

void
voco_oracle_subsample(struct voco_ctx *ctx, X x, const int64_t by[3], Y y)
{
    if (ctx->err)
        return;
    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(y->dim[1 + i] * by[i] == x->dim[1 + i]);
    FOR_EACH_VOXEL(y, n, p) {
        int64_t q[3];

        for (int i = 0; i < 3; i++)
            q[i] = p[i] * by[i] + by[i] / 2;
        memcpy(at(y, n, p), at(x, n, q), (size_t)x->dim[4] * sizeof(double));
    }
}

/* numpy's rot90: [i,j] of the plane comes from [j, last - i], [last - i, last - j] or
 * [last - j, i], where last is that of the source's axis. */
void
voco_oracle_rotate(struct voco_ctx *ctx, X x, const int *turns, const int plane[2], Y y)
{
    const int a = plane[0] - 1, b = plane[1] - 1;

    if (ctx->err)
        return;
    VOCO_ASSERT(a >= 0 && a < 3 && b >= 0 && b < 3 && a != b && x->dim[0] == y->dim[0]
                && x->dim[4] == y->dim[4]);
    for (int64_t n = 0; n < y->dim[0]; n++)
        for (int i = 0; i < 3; i++) {
            const int from = turns[n] % 2 == 0 ? i : i == a ? b : i == b ? a : i;

            VOCO_ASSERT(turns[n] >= 0 && turns[n] < 4 && y->dim[1 + i] == x->dim[1 + from]);
        }
    FOR_EACH_VOXEL(y, n, p) {
        const int64_t last_a = x->dim[1 + a] - 1, last_b = x->dim[1 + b] - 1;
        const int k = turns[n];
        int64_t q[3] = { p[0], p[1], p[2] };

        q[a] = k == 0 ? p[a] : k == 1 ? p[b] : k == 2 ? last_a - p[a] : last_a - p[b];
        q[b] = k == 0 ? p[b] : k == 1 ? last_b - p[a] : k == 2 ? last_b - p[b] : p[a];
        memcpy(at(y, n, p), at(x, n, q), (size_t)x->dim[4] * sizeof(double));
    }
}

/* ---- boxes ---- */

static void
check_box(const struct voco_box *box, X y)
{
    VOCO_ASSERT(y->rank == 5 && box->item >= 0 && box->item < y->dim[0]);
    for (int i = 0; i < 3; i++)
        VOCO_ASSERT(box->start[i] >= 0 && box->extent[i] >= 0
                    && box->start[i] + box->extent[i] <= y->dim[1 + i]);
}

#define FOR_EACH_OF_BOX(box, p)                                                         \
    for (int64_t p[3] = { (box)->start[0] }; p[0] < (box)->start[0] + (box)->extent[0]; \
         p[0]++)                                                                        \
        for (p[1] = (box)->start[1]; p[1] < (box)->start[1] + (box)->extent[1]; p[1]++) \
            for (p[2] = (box)->start[2]; p[2] < (box)->start[2] + (box)->extent[2]; p[2]++)

void
voco_oracle_box_fill(struct voco_ctx *ctx, const struct voco_box *box, int n, Y y)
{
    if (ctx->err)
        return;
    for (int i = 0; i < n; i++) {
        check_box(&box[i], y);
        FOR_EACH_OF_BOX(&box[i], p)
            for (int64_t k = 0; k < y->dim[4]; k++)
                at(y, box[i].item, p)[k] = box[i].value;
    }
}

void
voco_oracle_box_copy(struct voco_ctx *ctx, const struct voco_box *box, int n, X x, Y y)
{
    if (ctx->err)
        return;
    for (int i = 0; i < 4; i++)
        VOCO_ASSERT(x->rank == 5 && x->dim[1 + i] == y->dim[1 + i]);
    for (int i = 0; i < n; i++) {
        check_box(&box[i], y);
        VOCO_ASSERT(box[i].from >= 0 && box[i].from < x->dim[0]);
        FOR_EACH_OF_BOX(&box[i], p)
            memmove(at(y, box[i].item, p), at(x, box[i].from, p),
                    (size_t)y->dim[4] * sizeof(double));
    }
}

/* ---- upsampling ---- */

/* Voxel i of an axis of n voxels, twice as many after upsampling, lies between two: 3/4 of
 * the nearer one and 1/4 of the other. */
struct between {
    int64_t near, far;
};

static struct between
between(int64_t i, int64_t n)
{
    const int64_t near = i / 2, far = i % 2 ? near + 1 : near - 1;

    return (struct between){ near, far < 0 ? 0 : far < n ? far : n - 1 };
}

/* Corner o of the eight that voxel p of y lies between, and its share. */
static double
corner(X x, const int64_t p[3], int o, int64_t q[3])
{
    double share = 1;

    for (int i = 0; i < 3; i++) {
        const struct between b = between(p[i], x->dim[1 + i]);
        const bool far = o >> i & 1;

        q[i] = far ? b.far : b.near;
        share *= far ? 0.25 : 0.75;
    }
    return share;
}

static void
check_upsample(X x, X y)
{
    VOCO_ASSERT(x->rank == 5 && y->rank == 5 && x->dim[0] == y->dim[0]
                && x->dim[4] == y->dim[4]);
    for (int i = 1; i < 4; i++)
        VOCO_ASSERT(y->dim[i] == 2 * x->dim[i]);
}

void
voco_oracle_upsample_forward(struct voco_ctx *ctx, X x, Y y)
{
    if (ctx->err)
        return;
    check_upsample(x, y);
    voco_oracle_fill(ctx, y, 0);
    FOR_EACH_VOXEL(y, n, p)
        for (int o = 0; o < 8; o++) {
            int64_t q[3];
            const double share = corner(x, p, o, q);

            axpy(y->dim[4], share, at(x, n, q), at(y, n, p));
        }
}

void
voco_oracle_upsample_backward(struct voco_ctx *ctx, X dy, Y dx)
{
    if (ctx->err)
        return;
    check_upsample(dx, dy);
    voco_oracle_fill(ctx, dx, 0);
    FOR_EACH_VOXEL(dy, n, p)
        for (int o = 0; o < 8; o++) {
            int64_t q[3];
            const double share = corner(dx, p, o, q);

            axpy(dy->dim[4], share, at(dy, n, p), at(dx, n, q));
        }
}
