/*
 * The losses of VoCo.
 */
#ifndef VOCO_OBJECTIVE_VOCO_CONTRAST_H
#define VOCO_OBJECTIVE_VOCO_CONTRAST_H

#include "dev/device.h"

/*
 * The three losses on projected rows: student and teacher [B*sw + B*9, c], the random
 * crops of all volumes first, both volume-major; labels [B*sw, 9].
 *
 *   intra = mean_i CE(label_i, assign(S random_i, T base_i))
 *   inter = mean_i CE(assign(T random_i, T base_j), assign(S random_i, S base_j))
 *   reg   = mean_i mean_{p<q} assign(S base_i[p], stopgrad S base_i[q])^2
 *   with j = i+1 modulo B; gradients flow into S only.
 *
 * terms [3] gets intra, inter, reg; predicted [B*sw, 9] the weights of the intra term;
 * dstudent is overwritten.
 */
void voco_contrast(struct voco_ctx *ctx, int64_t volumes, int64_t sw,
                   const struct voco_tensor *student, const struct voco_tensor *teacher,
                   const struct voco_tensor *labels, const struct voco_tensor *terms,
                   const struct voco_tensor *predicted, const struct voco_tensor *dstudent);

#endif
