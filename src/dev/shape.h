/*
 * Shapes that several implementations can compute, and which of them to take.
 *
 * A table of choices comes from measurements (voco tune); a shape that it does not list is
 * left to the device's own rules.
 */
#ifndef VOCO_DEV_SHAPE_H
#define VOCO_DEV_SHAPE_H

#include "dev/device.h"

enum voco_shape_op { VOCO_SHAPE_CONV, VOCO_SHAPE_CONV_DATA, VOCO_SHAPE_CONV_WEIGHTS,
                     VOCO_SHAPE_LINEAR, VOCO_SHAPE_LINEAR_DATA, VOCO_SHAPE_LINEAR_WEIGHTS,
                     VOCO_SHAPE_OPS };

extern const char *const voco_shape_names[VOCO_SHAPE_OPS + 1];  /* as in bench; NULL last */

enum { VOCO_SHAPE_SIZES = 15, VOCO_IMPL_NAME = 16 };

/* Convolution: n, in[3], cin, cout, kernel[3], stride[3], pad[3].  Linear layer: rows,
 * inputs, outputs; the rest is 0. */
struct voco_shape {
    enum voco_shape_op op;
    int64_t size[VOCO_SHAPE_SIZES];
};

/* what: one of VOCO_WS_CONV_x; x: the input, or its gradient. */
struct voco_shape voco_shape_conv(enum voco_workspace what, const struct voco_conv *conv,
                                  int64_t n, const int64_t in[3]);
struct voco_shape voco_shape_linear(enum voco_shape_op op, int64_t rows, int64_t inputs,
                                    int64_t outputs);

bool voco_shape_is_conv(const struct voco_shape *s);
struct voco_conv voco_shape_conv_of(const struct voco_shape *s);
bool voco_shape_equal(const struct voco_shape *a, const struct voco_shape *b);

/* Sizes are positive, and no product of them exceeds 2^53: the limit for files. */
bool voco_shape_sane(const struct voco_shape *s);

/* "conv_data n4 48>96 32x32x32 k3", "linear 131072x48>144"; writes at most 80 bytes. */
const char *voco_shape_text(const struct voco_shape *s, char buf[80]);

/* ---- choices ---- */

struct voco_choice {
    struct voco_shape shape;
    char impl[VOCO_IMPL_NAME];
};

struct voco_choices {
    int threads;                /* measured with so many; good for no other number */
    struct voco_choice *row;
    int n, room;
};

/* The implementation for a shape; NULL: not listed.  c may be NULL. */
const char *voco_choices_find(const struct voco_choices *c, const struct voco_shape *s);

/* Adds a row for a shape that is not listed. */
void voco_choices_add(struct voco_choices *c, const struct voco_shape *s, const char *impl);

/* A row whose shape an earlier one has, too; -1: there is none. */
int voco_choices_repeated(const struct voco_choices *c);

/* Adds or replaces a row. */
void voco_choices_set(struct voco_choices *c, const struct voco_shape *s, const char *impl);

/* The same for the same rows in any order. */
uint32_t voco_choices_hash(const struct voco_choices *c);

void voco_choices_free(struct voco_choices *c);         /* accepts {0} */

/* The choices measured on this machine for a device with this number of threads, for
 * voco_ctx_options; a line of output names their table.  run: NULL, or the folder of a
 * run that may have begun with other choices.  A table that cannot be used is warned of. */
struct voco_choices voco_choices_read(const struct voco_device *dev, int threads,
                                      const char *run);

/* ---- uses: the shapes that a step calls, listed by dry.c ---- */

enum { VOCO_USE_WEIGHTS = 16 };

struct voco_use {
    struct voco_shape shape;
    int64_t calls;
    const void *weight[VOCO_USE_WEIGHTS];   /* different ones */
    int weights;
};

struct voco_uses {
    struct voco_use *row;
    int n, room;
};

void voco_uses_add(struct voco_uses *u, const struct voco_shape *s, int64_t calls,
                   const void *weight);
void voco_uses_free(struct voco_uses *u);               /* accepts {0} */

/* The implementations that an open device takes for the shapes of a step: _used is false
 * where there is no choice; _keep writes them to RUN/tune.json, for resumes, unless that
 * file exists. */
bool voco_choices_used(const struct voco_ctx *ctx, const struct voco_uses *uses,
                       uint32_t *ret_hash);
enum voco_err voco_choices_keep(const struct voco_ctx *ctx, const struct voco_uses *uses,
                                const char *run);

#endif
