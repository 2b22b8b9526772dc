/*
 * make_views OUT.h5 N [M]: views for voco pretrain --objective simclr --replay, with edges
 * of 32: v0 of N crops, v1 of M, which is N unless given; 0: no v1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "data/store/hdf5.h"

enum { ROI = 32, VOXELS = ROI * ROI * ROI };

static enum voco_err
write_view(struct voco_h5 *h, const char *name, int n)
{
    float *x = malloc((size_t)n * VOXELS * sizeof *x + 1);
    enum voco_err err = VOCO_OK;

    if (!x)
        return VOCO_EMEMORY;
    voco_hash_uniform(1, name, (int64_t)n * VOXELS, 0, 1, x);
    if (n > 0)
        err = voco_h5_write_f32(h, name, 5, (int64_t[]){ n, 1, ROI, ROI, ROI }, x);
    free(x);
    return err;
}

int
main(int argc, char **argv)
{
    struct voco_h5 *h;
    enum voco_err err;

    if (argc < 3)
        return 2;
    if ((err = voco_h5_create(argv[1], &h)) == VOCO_OK) {
        if ((err = write_view(h, "v0", atoi(argv[2]))) == VOCO_OK)
            err = write_view(h, "v1", atoi(argv[argc > 3 ? 3 : 2]));
        if (voco_h5_close(h) != VOCO_OK && err == VOCO_OK)
            err = VOCO_EIO;
    }
    if (err != VOCO_OK)
        fprintf(stderr, "make_views: %s\n", voco_fail_text());
    return err == VOCO_OK ? 0 : 1;
}
