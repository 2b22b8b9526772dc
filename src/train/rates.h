/*
 * Learning rates by depth: layers far from the output learn more slowly, or not at all.
 *
 *   depth of a PlainConvUNet: 0 to 5 the stages of the encoder, 6 the decoder
 *   depth of a Swin UNETR: 0 patch embedding; 1 to 4 layersN and layersNc; 5 encoderN; 6 decoder, output
 *   rate    lr * decay^(6 - depth); 0 for depths up to 5 where the encoder is frozen
 */
#ifndef VOCO_TRAIN_RATES_H
#define VOCO_TRAIN_RATES_H

#include "model/model.h"

struct voco_rates {
    struct voco_rate {
        int64_t from, to;           /* elements of the slabs */
        double factor;              /* on the learning rate; 0: left as it is */
    } *span;
    int n;
};

/* decay in (0,1]. */
enum voco_err voco_rates_make(struct voco_rates *rates, const struct voco_model *model,
                              double decay, bool frozen);
void voco_rates_free(struct voco_rates *rates);     /* accepts {0} */

/* AdamW or SGD on the gradient at hand, with these rates; parameters with factor 0 stay as
 * they are.  o->step counts updates from 1. */
enum voco_err voco_rates_update(const struct voco_rates *rates, struct voco_model *model,
                                struct voco_ctx *ctx, const struct voco_adamw *o);
enum voco_err voco_rates_sgd(const struct voco_rates *rates, struct voco_model *model,
                             struct voco_ctx *ctx, const struct voco_sgd *o);

#endif
