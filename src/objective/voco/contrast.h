/*
 * The losses of VoCo and its variants.
 */
#ifndef VOCO_OBJECTIVE_VOCO_CONTRAST_H
#define VOCO_OBJECTIVE_VOCO_CONTRAST_H

#include "dev/device.h"

/* The terms of the loss; of forms other than VOCO_FORM_VOCO, the first two are the positive
 * and the negative part of the position term. */
enum { VOCO_TERM_INTRA, VOCO_TERM_INTER, VOCO_TERM_REG, VOCO_CONTRAST_TERMS,
       VOCO_TERM_POS = VOCO_TERM_INTRA, VOCO_TERM_NEG = VOCO_TERM_INTER };

/* The published forms of the loss: of the method; of its first version; that of the package
 * nnssl, which has no teacher. */
enum voco_form { VOCO_FORM_VOCO, VOCO_FORM_CVPR, VOCO_FORM_NNSSL };

/* A set of volumes whose losses are taken together, and which of the losses. */
struct voco_contrast_set {
    enum voco_form form;
    int64_t volumes, sw;        /* B, random crops of a volume */
    double weight;              /* of a volume in the terms: 1/B for the mean over this set */
    bool inter, reg;            /* a term that is off is 0 and has no gradient */
};

/*
 * The losses on projected rows: student and teacher [B*sw + B*bases, c], the random crops of
 * all volumes first, both volume-major; labels [B*sw, bases].  teacher NULL: the student
 * without its gradient takes the teacher's place; then there is no inter term, whose target
 * would be its prediction.
 *
 *   VOCO    intra = mean_i CE(label_i, assign(S random_i, T base_i))
 *           inter = mean_i CE(assign(T random_i, T base_j), assign(S random_i, S base_j))
 *           reg   = mean_i mean_{p<q} assign(S base_i[p], stopgrad S base_i[q])^2
 *           with j = i+1 modulo B
 *   CVPR    pos + neg = mean_i CE(label_i, w_i), squared where the label is 0, with
 *           w_i = (assign(S random_i, T base_i) + assign(T random_i, S base_i)) / 2
 *           reg as above
 *   NNSSL   pos + neg = CE(label, w), squared where the label is 0, with sums over the rows
 *           of all volumes; w_i = assign(S random_i, T base_i)
 *           reg   = mean_i mean_{p<q} assign(S base_i[p], S base_i[q])
 *
 * Gradients flow into S only.  The terms are added to terms [3]; predicted [B*sw, bases]
 * gets the weights of the position term; dstudent is overwritten.
 */
void voco_contrast(struct voco_ctx *ctx, const struct voco_contrast_set *set,
                   const struct voco_tensor *student, const struct voco_tensor *teacher,
                   const struct voco_tensor *labels, const struct voco_tensor *terms,
                   const struct voco_tensor *predicted, const struct voco_tensor *dstudent);

#endif
