/* Images and label maps told apart by their voxels. */
#include <stdlib.h>

#include "data/volume/labels.h"

/* An image has noise: of two neighbours that are not both 0, seldom the same value.  In Debian's
 * mricron-data the share is at most 0.23 for the images of whole numbers, three of them, and at
 * least 0.64 for the label maps, nine; phantoms of voco have fractions.  For the CT of
 * invesalius-examples it is 0.09 in HU, and at most 0.24 as 8 bits, through windows of bone, soft
 * tissue or all.
 *
 * An image of few grey levels has no noise that is left.  But it is smooth: neighbours that
 * differ are mostly of two levels next to each other, while any two labels may meet, and many
 * meet the background.  The share is at least 0.43 for those images in 9 to 32 grey levels, and at
 * most 0.35 for the label maps, also with their labels renumbered to 8, 15 or 30.  Up to FEW values
 * the two cannot be told apart, since tissues lie around each other as levels do, and an image of
 * so few is a rarity. */
enum { FEW = 8, SOME = 16, MANY = 2048 };
static const double AGREE = 0.5, NEXT = 0.4;

/* The values that there are, by number; -1 for those that there are not. */
struct values {
    int rank[VOCO_LABEL_MAX + 1];
    int n;
};

/* False if the voxels are no labels, or have too many values. */
static bool
find_values(const struct voco_volume *v, struct values *to)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];

    for (int i = 0; i <= VOCO_LABEL_MAX; i++)
        to->rank[i] = -1;
    for (int64_t i = 0; i < n; i++) {
        const float x = v->voxel[i];

        if (!(x >= 0 && x <= VOCO_LABEL_MAX) || x != (float)(int)x)
            return false;
        if (to->rank[(int)x] < 0 && ++to->n > MANY)
            return false;
        to->rank[(int)x] = 0;
    }
    for (int i = 0, k = 0; i <= VOCO_LABEL_MAX; i++)
        if (to->rank[i] >= 0)
            to->rank[i] = k++;
    return true;
}

/* Of neighbours along the axes that are not both 0. */
struct neighbours {
    int64_t equal, next, other;         /* next: of two values without one between them */
};

static void
count_pair(const struct values *values, float a, float b, struct neighbours *to)
{
    const int steps = abs(values->rank[(int)a] - values->rank[(int)b]);

    if (a == 0 && b == 0)
        return;
    to->equal += steps == 0;
    to->next += steps == 1;
    to->other += steps > 1;
}

static struct neighbours
count_neighbours(const struct voco_volume *v, const struct values *values)
{
    const int64_t step[3] = {v->dim[1] * v->dim[2], v->dim[2], 1};
    struct neighbours found = {0, 0, 0};

    for (int64_t x = 0; x < v->dim[0]; x++)
        for (int64_t y = 0; y < v->dim[1]; y++)
            for (int64_t z = 0; z < v->dim[2]; z++) {
                const int64_t at[3] = {x, y, z};
                const float *p = v->voxel + x * step[0] + y * step[1] + z;

                for (int a = 0; a < 3; a++)
                    if (at[a] + 1 < v->dim[a])
                        count_pair(values, p[0], p[step[a]], &found);
            }
    return found;
}

static bool
are_labels(const struct voco_volume *v, const struct values *values)
{
    const struct neighbours found = count_neighbours(v, values);
    const double differ = (double)(found.next + found.other);

    if ((double)found.next >= NEXT * differ)
        return false;
    return values->n <= SOME
        || (double)found.equal >= AGREE * ((double)found.equal + differ);
}

bool
voco_volume_looks_labelled(const struct voco_volume *v, int *ret_values)
{
    struct values *values = calloc(1, sizeof *values);
    bool labelled;

    VOCO_NEED(values);
    labelled = find_values(v, values) && values->n >= 2
        && (values->n <= FEW || are_labels(v, values));
    *ret_values = values->n;
    free(values);
    return labelled;
}
