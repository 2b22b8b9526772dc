/* Softmax of rows of a few classes, and how losses cut rows into pieces. */
#ifndef VOCO_DEV_CPU_SOFTMAX_H
#define VOCO_DEV_CPU_SOFTMAX_H

#include "dev/cpu/cpu.h"
#include "simd/kernels.h"

enum { VOCO_SOFTMAX_ROWS = 64 };

/* Rows of c numbers that one call takes: few where rows are long. */
static inline int64_t
voco_cpu_softmax_rows(int64_t c)
{
    return c <= VOCO_CLASSES_MAX ? VOCO_SOFTMAX_ROWS : 1;
}

/*
 * p [c,rows] = softmax of scale times each row of x [m,c], m <= rows, the number of above;
 * beyond m it has numbers of no meaning.  Classes are the rows of p, so that loops run along
 * rows of x.  top, sum [rows], or NULL: the log of a row's sum is top + log(sum).  Row i
 * leaves out column without + i, whose p is 0; where without is negative, none.
 */
void voco_cpu_softmax(const struct voco_kernels *kernels, const float *x, int64_t m, int64_t c,
                      float scale, int64_t without, float *p, float *top, float *sum);

/* Pieces of an item are a thread's work; sums of pieces are in double and are joined in
 * their order, so the number of threads does not matter. */
struct voco_pieces {
    int64_t items, rows, each;          /* each: rows of a piece */
    int64_t count;                      /* of an item */
};

static inline struct voco_pieces
voco_cpu_pieces(int64_t items, int64_t rows, int64_t each)
{
    return (struct voco_pieces){ .items = items, .rows = rows, .each = each,
                                 .count = (rows + each - 1) / each };
}

/* Rows [*ret_from, return value) of item piece / count are those of a piece. */
static inline int64_t
voco_cpu_piece(const struct voco_pieces *z, int64_t piece, int64_t *ret_from)
{
    const int64_t from = piece % z->count * z->each;

    *ret_from = from;
    return from + z->each < z->rows ? from + z->each : z->rows;
}

#endif
