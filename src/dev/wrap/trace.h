/*
 * A device that records the calls of another one: a line for each call, and a table of
 * where the time went.
 *
 * The shapes are those of a call's main tensors.  Operations are those of the direct
 * method (flops.h).  Bytes are the call's tensors, each counted once, so that GB/s is the
 * least rate that a memory without caches would need.
 */
#ifndef VOCO_DEV_WRAP_TRACE_H
#define VOCO_DEV_WRAP_TRACE_H

#include <stdio.h>

#include "dev/device.h"

enum { VOCO_TRACE_SHAPES = 64 };

/* Calls of one entry with one set of shapes. */
struct voco_trace_row {
    const char *op;
    char shapes[VOCO_TRACE_SHAPES];
    int64_t calls;
    double seconds, flops, bytes;
};

struct voco_trace {
    struct voco_device device;          /* first: ctx->dev points to it */
    const struct voco_device *inner;
    FILE *out;                          /* a line per call; NULL: only the table */
    struct voco_peak peak;              /* of the machine; flops 0: not known */
    int threads;                        /* of the context that was opened with it */
    struct voco_trace_row *row;
    int rows, room;
};

/* For voco_ctx_open(&ctx, &ret->device, ...).  The owner may set the peak afterwards. */
void voco_trace_init(struct voco_trace *ret, const struct voco_device *inner, FILE *out);

/* "445 GFLOP/s, bf16 products on registers, 2 threads", and what to think of it where the
 * machine was busy; writes at most 160 bytes. */
const char *voco_peak_words(const struct voco_peak *peak, int threads, char buf[160]);

/* The device of a context that is traced or not: ret's, or inner itself. */
const struct voco_device *voco_trace_wrap(struct voco_trace *ret, bool traced,
                                          const struct voco_device *inner);

/* The table of a context on that device, on stderr; nothing if it is not traced, or was not
 * opened. */
void voco_trace_tell(struct voco_trace *trace, struct voco_ctx *ctx);

/* The table, longest time first. */
void voco_trace_report(struct voco_trace *trace, FILE *out);

/* Forget the calls so far. */
void voco_trace_clear(struct voco_trace *trace);

void voco_trace_free(struct voco_trace *trace);     /* accepts {0} */

#endif
