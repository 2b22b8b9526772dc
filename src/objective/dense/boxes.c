/* Boxes from uniform numbers. */
#include "objective/dense/boxes.h"

#include <string.h>

/* A whole number from low to high, uniform as u is in [0,1). */
static int64_t
between(float u, int64_t low, int64_t high)
{
    return low + (int64_t)((double)u * (double)(high - low + 1));
}

/* Extents are given; the start is at least `border` away from the ends. */
static void
place(const float u[3], const int64_t size[3], int64_t border, struct voco_box *b)
{
    for (int a = 0; a < 3; a++)
        b->start[a] = between(u[a], border, size[a] - b->extent[a] - border);
}

struct voco_box
voco_box_fusion(const float u[VOCO_BOX_NUMBERS], const int64_t size[3])
{
    struct voco_box b = { 0 };

    for (int a = 0; a < 3; a++)
        b.extent[a] = between(u[3 + a], VOCO_FUSION_BOX_MIN,
                              (int64_t)(0.625 * (double)size[a]));
    place(u, size, 0, &b);
    return b;
}

struct voco_box
voco_box_shuffle(const float u[VOCO_BOX_NUMBERS], const int64_t size[3])
{
    struct voco_box b = { 0 };

    for (int a = 0; a < 3; a++)
        b.extent[a] = between(u[3 + a], 1, size[a] / 10);
    place(u, size, 0, &b);
    return b;
}

struct voco_box
voco_box_inpaint(const float u[VOCO_BOX_NUMBERS], const int64_t size[3])
{
    struct voco_box b = { 0 };

    for (int a = 0; a < 3; a++)
        b.extent[a] = between(u[3 + a], size[a] / 6, size[a] / 3);
    place(u, size, 3, &b);
    return b;
}

struct voco_box
voco_box_outpaint(const float u[VOCO_BOX_NUMBERS], const int64_t size[3])
{
    struct voco_box b = { 0 };

    for (int a = 0; a < 3; a++)
        b.extent[a] = size[a] - between(u[3 + a], 3 * size[a] / 7, 4 * size[a] / 7);
    place(u, size, 3, &b);
    return b;
}

int64_t
voco_box_voxels(const struct voco_box *b)
{
    return b->extent[0] * b->extent[1] * b->extent[2];
}

void
voco_box_copy(const float *from, const int64_t size[3], const struct voco_box *b, float *to)
{
    for (int64_t i = 0; i < b->extent[0]; i++)
        for (int64_t j = 0; j < b->extent[1]; j++) {
            const int64_t at = ((b->start[0] + i) * size[1] + b->start[1] + j) * size[2]
                               + b->start[2];

            memcpy(to + at, from + at, (size_t)b->extent[2] * sizeof *to);
        }
}
