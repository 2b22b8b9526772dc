/*
 * How a file of weights covers a model: which parameter gets which tensor, and the report
 * that every loading of weights prints.  Nothing is skipped silently.
 */
#ifndef VOCO_MODEL_COVERAGE_H
#define VOCO_MODEL_COVERAGE_H

#include "net/param.h"
#include "tensorfile/names.h"

/* Sets of enum voco_name_part. */
enum {
    VOCO_PARTS_BACKBONE = 1 << VOCO_PART_ENCODER | 1 << VOCO_PART_BACKBONE,
    VOCO_PARTS_NETWORK = VOCO_PARTS_BACKBONE | 1 << VOCO_PART_DECODER,
    VOCO_PARTS_ALL = (1 << (VOCO_PART_OTHER + 1)) - 1
};

/* The use of a convolution's weights for one channel in a model whose images have
 * several: they are refused; the model's own values stay; every channel gets them; every
 * channel gets them divided by the number of channels. */
enum voco_adapter { VOCO_ADAPT_REFUSE, VOCO_ADAPT_DROP, VOCO_ADAPT_REPEAT, VOCO_ADAPT_MEAN };

/* How much is asked for. */
struct voco_demand {
    unsigned want;              /* parts that are loaded where the file has them */
    unsigned need;              /* parts of these that must be there */
    bool trunk_alone;           /* a file that has swinViT and none of encoder1 .. encoder10
                                 * need not have these */
    unsigned keep;              /* parts whose other tensors are no news: the caller keeps them */
    bool run;                   /* the network is run, not trained from here: a tensor of it
                                 * that no parameter takes is an error */
    bool no_partial;            /* the verb has no --partial that an error could advise */
    bool partial;               /* take tensors that fit, at least one ... */
    double min_percent;         /* ... and this share of the numbers needed; above 0: partial */
    enum voco_adapter adapter;
    bool quiet;                 /* no report where all is well */
};

/* Every parameter, and no tensor of the network beyond them: of networks that are run. */
extern const struct voco_demand voco_demand_all;

struct voco_coverage {
    int loaded, missing, unexpected, mismatched;        /* tensors */
    int strays;                 /* of the unexpected: floats that belong to the network */
    int copies;                 /* tensors that repeat others */
    int adapted;                /* of those loaded, or left as they are: to more channels */
    int64_t loaded_elements, model_elements;            /* of the parts that are wanted */
    int64_t needed_loaded, needed_elements;
    int needed_missing, needed_mismatched;
    bool trunk_alone;           /* that is such a file */
};

struct voco_match {
    const char *path;
    const struct voco_params *params;
    const struct voco_tensorfile *file;
    int *tensor;                /* of each parameter: that it gets; -1: none */
    enum voco_fit { VOCO_FIT_LOADED, VOCO_FIT_MISSING, VOCO_FIT_SHAPE, VOCO_FIT_UNWANTED,
                    VOCO_FIT_DROPPED } *fit;
    int *param;                 /* of each tensor: that it was meant for; -1: none */
    int *original;              /* of each tensor that is a copy; else its own number */
    bool *stray;                /* of each tensor: it belongs to a module that the model has
                                 * (coverage.c), and no parameter takes it; no copy */
    unsigned keep;              /* that of the demand */
    struct voco_coverage cover;
};

/* The caller keeps file and params.  VOCO_EFORMAT where names are ambiguous. */
enum voco_err voco_match_make(struct voco_match *m, const struct voco_tensorfile *file,
                              const char *path, const struct voco_params *params,
                              const struct voco_demand *demand);
void voco_match_free(struct voco_match *m);         /* accepts {0} */

/* Loaded, missing, unexpected and misshapen, with names, as notes. */
void voco_match_report(const struct voco_match *m);

/* VOCO_ECHECKPOINT in words, where it is less than the demand. */
enum voco_err voco_match_enough(const struct voco_match *m, const struct voco_demand *demand);

#endif
