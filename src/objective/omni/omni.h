/*
 * Omni-supervised pre-training: self-supervised and semi-supervised at once, as VoCo's authors
 * trained their VoComni networks.
 *
 *   intra, inter, reg   VoCo's terms on crops of a store, through the encoder (objective/voco)
 *   labelled            DiceCE on crops of a labelled store, through the whole network
 *   semi                from the middle of the run on, DiceCE of the random crops of the first
 *                       store with the labels of a teacher: a copy of the network that was made
 *                       then.  Its gradient ends at the maps of the encoder, so that it trains
 *                       the decoder, and the encoder by hidden state 3 alone
 *
 * The network is encoder, decoder and VoCo's heads.
 */
#ifndef VOCO_OBJECTIVE_OMNI_OMNI_H
#define VOCO_OBJECTIVE_OMNI_OMNI_H

#include "objective/segment/semi.h"
#include "objective/voco/step.h"
#include "objective/voco/voco.h"

struct voco_omni_config {
    struct voco_pretrain_config voco;   /* with the settings of all pre-training */
    const char *labelled;       /* a store with label maps */
    int64_t classes;            /* 0: as it has */
    int64_t batch, samples, roi;        /* volumes of a step, crops of a volume, their edge */
    double positive;            /* share of crops on labelled voxels */
    struct voco_semi_config semi;
    int n;                      /* labelled crops of a step; prepare sets it */
};

#define VOCO_OMNI_DEFAULTS {                                                            \
    .voco = VOCO_CONTRAST_DEFAULTS(VOCO_PRETRAIN_OMNI),                                 \
    .batch = 1, .samples = 4, .roi = VOCO_ROI, .positive = 0.9, .semi = VOCO_SEMI_DEFAULTS }

extern const struct voco_objective voco_objective_omni;
extern const struct voco_opt voco_omni_options[];
enum voco_err voco_omni_check(const void *config);

enum { VOCO_OMNI_LABELLED = VOCO_CONTRAST_TERMS, VOCO_OMNI_SEMI, VOCO_OMNI_TERMS };

#endif
