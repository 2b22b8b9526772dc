/* The picture of the model's predictions for a batch. */
#include "objective/voco/batch_mosaic.h"

#include <stdlib.h>

#include "objective/voco/mosaic.h"

enum { SHOWN = 2 };

static enum voco_err
draw(const char *path, const char *title, const struct voco_tiling *grid,
     const struct voco_batch *b, struct voco_step *step)
{
    const int64_t voxels = (int64_t)b->roi * b->roi * b->roi;
    const int n = b->head.n_volumes, shown = n < SHOWN ? n : SHOWN, sw = b->sw;
    const int bases = b->bases;
    float *predicted = malloc((size_t)n * (size_t)(sw * bases) * sizeof *predicted);
    struct voco_mosaic m[SHOWN] = { { 0 } };
    enum voco_err err = voco_step_predict(step, &(struct voco_step_input){
                                              b->img, b->crops, b->labels, NULL });

    VOCO_NEED(predicted);
    if (err == VOCO_OK) {
        voco_step_predicted(step, predicted);
        for (int i = 0; i < shown; i++)
            m[i] = (struct voco_mosaic){
                .name = voco_store_entry(b->head.store, b->head.volume[i])->id,
                .roi = b->roi, .sw = sw, .grid = *grid,
                .crops = b->crops + i * bases * voxels,
                .img = b->img + i * sw * voxels,
                .start = (const int *)b->start + 3 * i * sw,
                .labels = b->labels + i * sw * bases,
                .predicted = predicted + i * sw * bases };
        err = voco_mosaic_write(path, title, m, shown);
    }
    free(predicted);
    return err;
}

enum voco_err
voco_batch_mosaic(const char *path, const char *title, struct voco_store *store,
                  const struct voco_loader_options *o, struct voco_step *step)
{
    struct voco_loader *loader = NULL;
    struct voco_batches *batches = NULL;
    const void *b;
    enum voco_err err;

    if ((err = voco_loader_open(store, o, &loader)) == VOCO_OK
        && (err = voco_batches_open(&voco_crops_kind, loader, o->batch, 1, 1, 0, &batches))
           == VOCO_OK
        && (err = voco_batches_next(batches, &b, NULL)) == VOCO_OK)
        err = draw(path, title, &o->grid, b, step);
    voco_batches_close(batches);
    voco_loader_close(loader);
    return err;
}
