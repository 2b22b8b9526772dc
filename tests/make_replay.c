/*
 * make_replay OUT.h5 [WRONG]: a batch for voco pretrain --replay, small enough that a step
 * takes a second: one volume, two random crops, edges of 32.  WRONG spoils it:
 *
 *   nan     a voxel that is not a number      label   a label of 2
 *   shape   labels of two volumes             keep    a row mask of 3 rows
 *   missing no crops                          wide    no fault: 16 base crops, not 9
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/store/hdf5.h"

enum { ROI = 32, SW = 2, BASES_MAX = 16, VOXELS = ROI * ROI * ROI };

static enum voco_err
write_batch(struct voco_h5 *h, const char *wrong, float *img, float *crops)
{
    const int bases = strcmp(wrong, "wide") == 0 ? 16 : 9;
    float labels[2 * SW * BASES_MAX] = { [0] = 0.25f, [1] = 0.75f };
    float keep[3 * (SW + BASES_MAX)];
    const int64_t volumes = strcmp(wrong, "shape") == 0 ? 2 : 1;
    enum voco_err err;

    labels[bases + 4] = 1.0f;
    for (int i = 0; i < 3 * (SW + bases); i++)
        keep[i] = i % 5 != 2;
    if (strcmp(wrong, "nan") == 0)
        img[1234] = NAN;
    if (strcmp(wrong, "label") == 0)
        labels[3] = 2.0f;
    err = voco_h5_write_f32(h, "img", 5, (int64_t[]){ SW, 1, ROI, ROI, ROI }, img);
    if (err == VOCO_OK && strcmp(wrong, "missing") != 0)
        err = voco_h5_write_f32(h, "crops", 5, (int64_t[]){ bases, 1, ROI, ROI, ROI }, crops);
    if (err == VOCO_OK)
        err = voco_h5_write_f32(h, "labels", 3, (int64_t[]){ volumes, SW, bases }, labels);
    if (err == VOCO_OK && strcmp(wrong, "keep") == 0)
        err = voco_h5_write_f32(h, "keep", 2, (int64_t[]){ 3, SW + bases }, keep);
    return err;
}

int
main(int argc, char **argv)
{
    float *img = malloc(SW * VOXELS * sizeof *img);
    float *crops = malloc(BASES_MAX * VOXELS * sizeof *crops);
    struct voco_h5 *h;
    enum voco_err err;

    if (argc < 2 || !img || !crops)
        return 2;
    voco_hash_uniform(1, "img", SW * VOXELS, 0, 1, img);
    voco_hash_uniform(1, "crops", BASES_MAX * VOXELS, 0, 1, crops);
    if ((err = voco_h5_create(argv[1], &h)) == VOCO_OK) {
        err = write_batch(h, argc > 2 ? argv[2] : "", img, crops);
        if (voco_h5_close(h) != VOCO_OK && err == VOCO_OK)
            err = VOCO_EIO;
    }
    if (err != VOCO_OK)
        fprintf(stderr, "make_replay: %s\n", voco_fail_text());
    free(img);
    free(crops);
    return err == VOCO_OK ? 0 : 1;
}
