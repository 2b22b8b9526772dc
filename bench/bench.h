/* Problems of bench: a name, letters with numbers, and how to run them. */
#ifndef VOCO_BENCH_BENCH_H
#define VOCO_BENCH_BENCH_H

#include <stdbool.h>

#include "dev/device.h"

struct problem {
    char name[32];
    int64_t arg[26];            /* by letter; -1: not given */
};

/* The operands of a problem; unused ones have no data. */
enum { BENCH_TENSORS = 10 };

struct kind {
    const char *name;
    /* Push the operands on keep, into t; they are filled afterwards. */
    void (*setup)(struct voco_ctx *ctx, const struct problem *p, struct voco_tensor *t);
    void (*run)(struct voco_ctx *ctx, const struct problem *p,
                const struct voco_tensor *t);
    double (*flops)(const struct problem *p);   /* NULL: not a matter of arithmetic */
    double (*bytes)(const struct problem *p);   /* that must move at least; or NULL */
};

/* The number behind a letter. */
static inline int64_t
bench_arg(const struct problem *p, char letter, int64_t missing)
{
    const int64_t v = p->arg[letter - 'a'];

    return v < 0 ? missing : v;
}

/* Each ends with a NULL name. */
extern const struct kind bench_losses_kinds[];
extern const struct kind bench_matrix_kinds[];
extern const struct kind bench_rows_kinds[];

#endif
