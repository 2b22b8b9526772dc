/*
 * make_dense OUT.h5 OBJECTIVE: the batch of tests/golden/dense_small.h5 for voco pretrain
 * --objective fusion|mae|genesis --replay: two crops of 64 x 32 x 32.
 */
#include <stdio.h>
#include <string.h>

#include "data/store/hdf5.h"
#include "objective/dense/boxes.h"
#include "objective/dense/mask.h"
#include "tests/images.h"

enum { SEED = 7, ITEMS = 2, BLOCKS = 16, HIDDEN = 9, BOXES = 9, COLUMNS = 7 };

static const int64_t size[3] = { 64, 32, 32 };

static enum voco_err
write_crops(struct voco_h5 *h, const char *objective, const char *dataset)
{
    const int64_t dim[] = { ITEMS, 1, size[0], size[1], size[2] };
    char name[64];
    float *x;
    enum voco_err err;

    snprintf(name, sizeof name, "%s/%s", objective, dataset);
    x = test_image(SEED, name, ITEMS, size);
    err = voco_h5_write_f32(h, dataset, 5, dim, x);
    free(x);
    return err;
}

static enum voco_err
write_mask(struct voco_h5 *h)
{
    float mask[ITEMS * BLOCKS];

    for (int i = 0; i < ITEMS; i++) {
        struct voco_mask_key key[BLOCKS];
        uint8_t visible[BLOCKS];
        char name[64];

        snprintf(name, sizeof name, "mae/mask/%d", i);
        for (int k = 0; k < BLOCKS; k++)
            key[k] = (struct voco_mask_key){
                (float)voco_hash_unit(voco_hash_base(SEED, name), (uint64_t)k), k };
        voco_mask_choose(key, BLOCKS, HIDDEN, visible);
        for (int k = 0; k < BLOCKS; k++)
            mask[i * BLOCKS + k] = visible[k];
    }
    return voco_h5_write_f32(h, "mask", 4, (int64_t[]){ ITEMS, 4, 2, 2 }, mask);
}

static enum voco_err
write_boxes(struct voco_h5 *h)
{
    float row[ITEMS * BOXES * COLUMNS];

    for (int i = 0; i < ITEMS * BOXES; i++) {
        float u[COLUMNS], *to = row + i * COLUMNS;
        struct voco_box b;
        char name[64];

        snprintf(name, sizeof name, "fusion/boxes/%d", i / BOXES);
        for (int k = 0; k < COLUMNS; k++)
            u[k] = (float)voco_hash_unit(voco_hash_base(SEED, name),
                                         (uint64_t)(i % BOXES * COLUMNS + k));
        b = voco_box_fusion(u, size);
        for (int a = 0; a < 3; a++) {
            to[a] = (float)b.start[a];
            to[3 + a] = (float)b.extent[a];
        }
        to[6] = (float)(int)(u[6] * 5);
    }
    return voco_h5_write_f32(h, "boxes", 3, (int64_t[]){ ITEMS, BOXES, COLUMNS }, row);
}

int
main(int argc, char **argv)
{
    const char *objective = argc > 2 ? argv[2] : "";
    const bool fusion = strcmp(objective, "fusion") == 0;
    struct voco_h5 *h;
    enum voco_err err;

    if (argc < 3)
        return 2;
    if ((err = voco_h5_create(argv[1], &h)) == VOCO_OK) {
        err = write_crops(h, objective, fusion ? "foreground" : "x");
        if (err == VOCO_OK && strcmp(objective, "mae") != 0)
            err = write_crops(h, objective, fusion ? "background" : "y");
        if (err == VOCO_OK && fusion)
            err = write_boxes(h);
        if (err == VOCO_OK && strcmp(objective, "mae") == 0)
            err = write_mask(h);
        if (voco_h5_close(h) != VOCO_OK && err == VOCO_OK)
            err = VOCO_EIO;
    }
    if (err != VOCO_OK)
        fprintf(stderr, "make_dense: %s\n", voco_fail_text());
    return err == VOCO_OK ? 0 : 1;
}
