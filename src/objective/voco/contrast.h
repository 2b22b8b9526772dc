/*
 * The losses of VoCo.
 */
#ifndef VOCO_OBJECTIVE_VOCO_CONTRAST_H
#define VOCO_OBJECTIVE_VOCO_CONTRAST_H

#include "dev/device.h"

/* A set of volumes whose losses are taken together, and which of the losses. */
struct voco_contrast_set {
    int64_t volumes, sw;        /* B, random crops of a volume */
    double weight;              /* of a volume in the terms: 1/B for the mean over this set */
    bool inter, reg;            /* a term that is off is 0 and has no gradient */
};

/*
 * The three losses on projected rows: student and teacher [B*sw + B*9, c], the random
 * crops of all volumes first, both volume-major; labels [B*sw, 9].  teacher NULL: the
 * student without its gradient takes the teacher's place; then there is no inter term,
 * whose target would be its prediction.
 *
 *   intra = mean_i CE(label_i, assign(S random_i, T base_i))
 *   inter = mean_i CE(assign(T random_i, T base_j), assign(S random_i, S base_j))
 *   reg   = mean_i mean_{p<q} assign(S base_i[p], stopgrad S base_i[q])^2
 *   with j = i+1 modulo B; gradients flow into S only.
 *
 * intra, inter and reg are added to terms [3]; predicted [B*sw, 9] gets the weights of the
 * intra term; dstudent is overwritten.
 */
void voco_contrast(struct voco_ctx *ctx, const struct voco_contrast_set *set,
                   const struct voco_tensor *student, const struct voco_tensor *teacher,
                   const struct voco_tensor *labels, const struct voco_tensor *terms,
                   const struct voco_tensor *predicted, const struct voco_tensor *dstudent);

#endif
