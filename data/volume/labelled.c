/* Images and label maps told apart by their voxels. */
#include <stdlib.h>

#include "data/volume/labels.h"

/* An image has noise: even one of 8 bits has more values than FEW, and of two neighbours
 * that are not both 0 seldom the same.  In Debian's mricron-data the share is at most 0.23
 * for the images of whole numbers, three of them, and at least 0.64 for the label maps,
 * nine; phantoms of voco have fractions.  For the CT of invesalius-examples it is 0.09 in
 * HU, and at most 0.24 as 8 bits, through windows of bone, soft tissue or all. */
enum { FEW = 16, MANY = 2048 };
static const double AGREE = 0.5;

/* How many different numbers there are; 0 if they are not labels, or too many. */
static int
count_values(const struct voco_volume *v)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    bool *seen = calloc(VOCO_LABEL_MAX + 1, sizeof *seen);
    int values = 0;

    for (int64_t i = 0; seen != NULL && i < n; i++) {
        const float x = v->voxel[i];

        if (!(x >= 0 && x <= VOCO_LABEL_MAX) || x != (float)(int)x ||
            (!seen[(int)x] && ++values > MANY)) {
            values = 0;
            break;
        }
        seen[(int)x] = true;
    }
    free(seen);
    return values;
}

/* Of neighbours along the axes that are not both 0, the share with one value. */
static double
agreement(const struct voco_volume *v)
{
    const int64_t step[3] = {v->dim[1] * v->dim[2], v->dim[2], 1};
    int64_t pairs = 0, equal = 0;

    for (int64_t x = 0; x < v->dim[0]; x++)
        for (int64_t y = 0; y < v->dim[1]; y++)
            for (int64_t z = 0; z < v->dim[2]; z++) {
                const int64_t at[3] = {x, y, z};
                const float *p = v->voxel + x * step[0] + y * step[1] + z;

                for (int a = 0; a < 3; a++)
                    if (at[a] + 1 < v->dim[a] && (p[0] != 0 || p[step[a]] != 0)) {
                        pairs++;
                        equal += p[0] == p[step[a]];
                    }
            }
    return pairs > 0 ? (double)equal / (double)pairs : 0;
}

bool
voco_volume_looks_labelled(const struct voco_volume *v, int *ret_values)
{
    *ret_values = count_values(v);
    return *ret_values >= 2 && (*ret_values <= FEW || agreement(v) >= AGREE);
}
