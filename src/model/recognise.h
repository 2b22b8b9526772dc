/*
 * The network that a file of weights belongs to, by names and shapes alone.
 */
#ifndef VOCO_MODEL_RECOGNISE_H
#define VOCO_MODEL_RECOGNISE_H

#include "tensorfile/tensorfile.h"
#include "model/model.h"

enum voco_network_kind { VOCO_NETWORK_UNKNOWN, VOCO_NETWORK_SWINUNETR,
                         VOCO_NETWORK_PLAINCONV };

struct voco_network {
    enum voco_network_kind kind;
    int version;                /* of Swin UNETR: 2 with convolutions in front of stages */
    int64_t feature;            /* of the first stage */
    int64_t in_channels, classes;       /* classes 0: no output layer */
    int64_t hidden, out;        /* of the heads; 0: none */
    bool maps;                  /* encoder1 .. encoder10 are there, not swinViT alone */
    bool decoder, student, teacher;
    bool swinheads;             /* those of Swin UNETR's own pre-training */
    bool merging_known;         /* else legacy is assumed, as that of all published weights */
    enum voco_merging merging;
    char merging_odd[24];       /* an unknown order that the file names; "": none */
    struct voco_plainconv_config plainconv;
    int axes;                   /* index of voco_axes_name */
    bool axes_known;            /* else nnU-Net's are assumed, zyx */
    char holds[512];            /* not recognised: the contents of the file */
    char problem[160];          /* why voco cannot compute this network; "": it can */
};

enum voco_err voco_network_recognise(const struct voco_tensorfile *f, const char *path,
                                     struct voco_network *ret);

/* Completes properties that the file does not have: merging is the caller's, unless -1;
 * else a warning names the assumption.  Every user of a network calls this function,
 * before voco_network_config. */
void voco_network_settle(struct voco_network *net, const char *path, int merging);

/* "Swin UNETR v2 (use_v2), encoder and decoder"; writes at most 96 bytes to buf. */
const char *voco_network_words(const struct voco_network *net, char buf[96]);

/* The name of a network in our files: "swinunetr-v2", "swinunetr-v1-encoder" (plain is
 * version 1), "plainconvunet". */
const char *voco_architecture_name(enum voco_net net, bool plain, bool decoder);

/* "legacy" or "fixed". */
const char *voco_merging_name(enum voco_merging merging);
extern const char *const voco_merging_names[];          /* for an option, NULL at the end */

#endif
