/* Boxes of volumes, and volumes turned by quarters, on the cpu device. */
#include "dev/cpu/block.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- boxes ---- */

static void
check_boxes(const struct voco_box *box, int n, X y)
{
    VOCO_ASSERT(y->rank == 5);
    for (int b = 0; b < n; b++) {
        VOCO_ASSERT(box[b].item >= 0 && box[b].item < y->dim[0]);
        for (int i = 0; i < 3; i++)
            VOCO_ASSERT(box[b].start[i] >= 0 && box[b].extent[i] >= 0
                        && box[b].start[i] + box[b].extent[i] <= y->dim[1 + i]);
    }
}

/* Has the box voxels in plane i of the first axis? */
static bool
cuts(const struct voco_box *box, int64_t i)
{
    return i >= box->start[0] && i < box->start[0] + box->extent[0];
}

/* The first voxel of row j of a box, in plane i of an item. */
static char *
row_of_box(const struct voco_box *box, X y, int item, int64_t i, int64_t j)
{
    const int64_t plane = item * y->dim[1] + i, row = plane * y->dim[2] + box->start[1] + j;

    return voco_element(y, (row * y->dim[3] + box->start[2]) * y->dim[4]);
}

/* A plane of y, of all items, is a thread's work: in it boxes are done in their order. */
void
voco_cpu_box_fill(struct voco_ctx *ctx, const struct voco_box *box, int n, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;

    if (ctx->err)
        return;
    check_boxes(box, n, y);
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < y->dim[1]; i++)
        for (int b = 0; b < n; b++) {
            const int64_t count = box[b].extent[2] * y->dim[4];
            const float value = (float)box[b].value;
            uint16_t half;

            k->narrow(&value, &half, 1);
            for (int64_t j = 0; j < box[b].extent[1] && cuts(&box[b], i); j++) {
                void *to = row_of_box(&box[b], y, box[b].item, i, j);

                if (voco_is_bf16(y))
                    for (int64_t e = 0; e < count; e++)
                        ((uint16_t *)to)[e] = half;
                else
                    for (int64_t e = 0; e < count; e++)
                        ((float *)to)[e] = value;
            }
        }
}

/* The same; a plane of y depends on the same plane of x alone, also where y is x. */
void
voco_cpu_box_copy(struct voco_ctx *ctx, const struct voco_box *box, int n, X x, Y y)
{
    if (ctx->err)
        return;
    check_boxes(box, n, y);
    VOCO_ASSERT(x->rank == 5 && x->type == y->type);
    for (int i = 1; i < 5; i++)
        VOCO_ASSERT(x->dim[i] == y->dim[i]);
    for (int b = 0; b < n; b++)
        VOCO_ASSERT(box[b].from >= 0 && box[b].from < x->dim[0]);
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < y->dim[1]; i++)
        for (int b = 0; b < n; b++)
            for (int64_t j = 0; j < box[b].extent[1] && cuts(&box[b], i); j++)
                memmove(row_of_box(&box[b], y, box[b].item, i, j),
                        row_of_box(&box[b], x, box[b].from, i, j),
                        (size_t)(box[b].extent[2] * y->dim[4]) * voco_type_bytes(y->type));
}

/* ---- rotation ---- */

/* Where the voxels of an item of y are in x: voxel p at first + sum of p[i] step[i], in
 * bytes. */
struct walk {
    const char *first;
    int64_t step[3];
};

/* numpy's rot90: [i,j] of the plane comes from [j, last - i], [last - i, last - j] or
 * [last - j, i], where last is that of the source's axis. */
static struct walk
walk_of(X x, int64_t item, int turns, const int plane[2], X y)
{
    const int a = plane[0] - 1, b = plane[1] - 1;
    const int64_t voxel = x->dim[4] * (int64_t)voco_type_bytes(x->type);
    const int64_t step[3] = { x->dim[2] * x->dim[3] * voxel, x->dim[3] * voxel, voxel };
    const int64_t back_a = (x->dim[1 + a] - 1) * step[a];
    const int64_t back_b = (x->dim[1 + b] - 1) * step[b];
    struct walk w = { .first = (const char *)x->data + item * x->dim[1] * step[0],
                      .step = { step[0], step[1], step[2] } };

    VOCO_ASSERT(turns >= 0 && turns < 4);
    for (int i = 0; i < 3; i++) {
        const int from = turns % 2 == 0 ? i : i == a ? b : i == b ? a : i;

        VOCO_ASSERT(y->dim[1 + i] == x->dim[1 + from]);
    }
    if (turns == 1)
        w.first += back_b, w.step[a] = -step[b], w.step[b] = step[a];
    if (turns == 2)
        w.first += back_a + back_b, w.step[a] = -step[a], w.step[b] = -step[b];
    if (turns == 3)
        w.first += back_a, w.step[a] = step[b], w.step[b] = -step[a];
    return w;
}

/* n voxels, step bytes apart, to neighbours. */
static void
gather(const char *from, int64_t step, int64_t n, int64_t bytes, char *to)
{
    if (step == bytes)
        memcpy(to, from, (size_t)(n * bytes));
    else if (bytes == (int64_t)sizeof(float))
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * (int64_t)sizeof(float), from + i * step, sizeof(float));
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * bytes, from + i * step, (size_t)bytes);
}

void
voco_cpu_rotate(struct voco_ctx *ctx, X x, const int *turns, const int plane[2], Y y)
{
    const int64_t bytes = x->dim[4] * (int64_t)voco_type_bytes(x->type);

    if (ctx->err)
        return;
    VOCO_ASSERT(x->rank == 5 && y->rank == 5 && x->type == y->type && x->dim[0] == y->dim[0]
                && x->dim[4] == y->dim[4] && plane[0] != plane[1] && plane[0] >= 1
                && plane[0] <= 3 && plane[1] >= 1 && plane[1] <= 3);
#pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < y->dim[0] * y->dim[1]; r++) {
        const int64_t item = r / y->dim[1], i = r % y->dim[1];
        const struct walk w = walk_of(x, item, turns[item], plane, y);
        char *to = (char *)y->data + r * y->dim[2] * y->dim[3] * bytes;

        for (int64_t j = 0; j < y->dim[2]; j++, to += y->dim[3] * bytes)
            gather(w.first + i * w.step[0] + j * w.step[1], w.step[2], y->dim[3], bytes, to);
    }
}
