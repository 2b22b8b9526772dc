/* The picture of the model's predictions for a batch. */
#include "objective/voco/batch_mosaic.h"

#include <stdlib.h>

#include "objective/voco/mosaic.h"

enum { BASES = 9, SHOWN = 2 };

enum voco_err
voco_batch_mosaic(const char *path, const char *title, struct voco_store *store,
                  const struct voco_loader_options *o, struct voco_step *step)
{
    const int64_t voxels = (int64_t)o->roi * o->roi * o->roi;
    const int shown = o->batch < SHOWN ? o->batch : SHOWN, sw = o->sw;
    float *predicted = malloc((size_t)(o->batch * sw) * BASES * sizeof *predicted);
    struct voco_mosaic m[SHOWN] = { { 0 } };
    struct voco_loader *loader = NULL;
    const struct voco_batch *b;
    enum voco_err err;

    VOCO_NEED(predicted);
    if ((err = voco_loader_open(store, o, 0, &loader)) == VOCO_OK
        && (err = voco_loader_next(loader, &b, NULL)) == VOCO_OK
        && (err = voco_step_predict(step, &(struct voco_step_input){
                b->img, b->crops, b->labels, NULL })) == VOCO_OK) {
        voco_step_predicted(step, predicted);
        for (int i = 0; i < shown; i++)
            m[i] = (struct voco_mosaic){
                .name = voco_store_entry(store, b->head.volume[i])->id, .roi = o->roi, .sw = sw,
                .crops = b->crops + i * BASES * voxels, .img = b->img + i * sw * voxels,
                .center = (const int *)b->center + 2 * i * sw,
                .labels = b->labels + i * sw * BASES,
                .predicted = predicted + i * sw * BASES };
        err = voco_mosaic_write(path, title, m, shown);
    }
    voco_loader_close(loader);
    free(predicted);
    return err;
}
