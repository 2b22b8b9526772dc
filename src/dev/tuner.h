/*
 * Measuring the implementations of a device: the entries of a device that has several for a
 * shape.  voco tune and voco doctor call it, and runs through voco_choices_read, _used and
 * _keep (shape.h).
 *
 * Measurements are kept in tables.  A table is good for one machine, one build and one
 * number of threads; threads 0: those of this machine.
 */
#ifndef VOCO_DEV_TUNER_H
#define VOCO_DEV_TUNER_H

#include "dev/shape.h"

enum { VOCO_IMPLS_MAX = 12 };

struct voco_timing {
    const char *impl;
    double seconds;             /* of a call: the best of turns; of a far slower
                                 * implementation, its first calls */
    double median;              /* of the turns: far from the best on a busy machine */
    double pack_seconds;        /* of bringing the weights into its order */
};

/* A shape with its measurements; the choice is one of t[0..n). */
struct voco_tuned {
    struct voco_shape shape;
    struct voco_timing t[VOCO_IMPLS_MAX];
    int n, choice;
};

struct voco_tuner {
    /* Times the implementations that can compute a shape, in turns; the first of ret is
     * that of the rules.  Returns their number; 0 with ctx->err set on failure. */
    int (*time)(struct voco_ctx *ctx, const struct voco_shape *s,
                struct voco_timing ret[VOCO_IMPLS_MAX]);

    /* The machine that a table is good for, in words, and where it is or would be.  Free both. */
    char *(*machine)(int threads);
    char *(*path)(int threads);
    /* Whether a table can be written there; makes its folder. */
    enum voco_err (*prepare)(const char *path);
    /* Adds n rows to the table, or begins it anew if what is there cannot be used. */
    enum voco_err (*write)(const char *path, int threads, const struct voco_tuned *row,
                           int n);
    /* One sentence on the table that would be taken without a run; false: there is none
     * that can be used.  Free *ret. */
    bool (*describe)(char **ret);

    /* The choices of a run, if it began, else those of this machine. */
    void (*choices)(int threads, const char *run, struct voco_choices *ret);
    uint32_t (*used)(const struct voco_ctx *ctx, const struct voco_uses *uses);
    enum voco_err (*keep)(const struct voco_ctx *ctx, const struct voco_uses *uses,
                          const char *run);
};

#endif
