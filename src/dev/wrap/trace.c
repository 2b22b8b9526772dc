/* The tracing device: every entry of entries.h between two looks at the clock. */
#include "dev/wrap/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dev/entries.h"

static struct voco_trace *
trace_of(const struct voco_ctx *ctx)
{
    return (struct voco_trace *)ctx->dev;       /* its first member */
}

/* ---- life: the inner device is itself meanwhile ---- */

static enum voco_err
open_inner(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    const struct voco_device *self = ctx->dev;
    enum voco_err err;

    ctx->dev = trace_of(ctx)->inner;
    err = ctx->dev->open(ctx, options);
    ctx->dev = self;
    trace_of(ctx)->threads = ctx->threads;
    return err;
}

static void
close_inner(struct voco_ctx *ctx)
{
    const struct voco_device *self = ctx->dev;

    ctx->dev = trace_of(ctx)->inner;
    ctx->dev->close(ctx);
    ctx->dev = self;
}

/* ---- the operands of a call ---- */

static bool
same_shape(const struct voco_tensor *a, const struct voco_tensor *b)
{
    return a->rank == b->rank
        && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

/* "2x64x64x64x12 12x12x3x3x3": up to three different shapes; vectors only when they are
 * all there is. */
static void
describe(const struct voco_tensor *const *list, int n, char out[VOCO_TRACE_SHAPES])
{
    const struct voco_tensor *seen[3];
    size_t used = 0;
    int shown = 0;

    out[0] = '\0';
    for (int i = 0; i < n && shown < 3; i++) {
        bool skip = !list[i] || (list[i]->rank < 2 && shown > 0);

        for (int j = 0; j < shown && !skip; j++)
            skip = same_shape(list[i], seen[j]);
        if (skip)
            continue;
        for (int k = 0; k < list[i]->rank && used < VOCO_TRACE_SHAPES; k++)
            used += (size_t)snprintf(out + used, VOCO_TRACE_SHAPES - used, "%s%" PRId64,
                                     k > 0 ? "x" : shown > 0 ? " " : "", list[i]->dim[k]);
        seen[shown++] = list[i];
        if (used >= VOCO_TRACE_SHAPES)
            return;                     /* cut, still a string */
    }
}

static double
bytes_of(const struct voco_tensor *const *list, int n)
{
    double bytes = 0;

    for (int i = 0; i < n; i++)
        if (list[i])
            bytes += (double)voco_tensor_bytes(list[i]);
    return bytes;
}

/* ---- bookkeeping ---- */

/* The row of op and shapes, made if need be; NULL without memory: the call is not in the
 * table then. */
static struct voco_trace_row *
find_row(struct voco_trace *t, const char *op, const char *shapes)
{
    for (int i = 0; i < t->rows; i++)
        if (t->row[i].op == op && strcmp(t->row[i].shapes, shapes) == 0)
            return &t->row[i];
    if (t->rows == t->room) {
        const int room = t->room ? 2 * t->room : 64;
        struct voco_trace_row *more = realloc(t->row, (size_t)room * sizeof *more);

        if (!more)
            return NULL;
        t->row = more;
        t->room = room;
    }
    t->row[t->rows] = (struct voco_trace_row){ .op = op };
    memcpy(t->row[t->rows].shapes, shapes, VOCO_TRACE_SHAPES);
    return &t->row[t->rows++];
}

static double
rate(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds / 1e9 : 0;
}

/* "  450.1   12.0  63%"; the last only when the peak is known. */
static void
print_rates(const struct voco_trace *t, double seconds, double flops, double bytes,
            FILE *out)
{
    fprintf(out, " %8.1f %7.1f", rate(flops, seconds), rate(bytes, seconds));
    if (t->peak.flops > 0)
        fprintf(out, " %5.1f%%", 100 * rate(flops, seconds) / (t->peak.flops * 1e-9));
    putc('\n', out);
}

static void
record(struct voco_trace *t, const char *op, const struct voco_tensor *const *list, int n,
       double flops, double seconds)
{
    const double bytes = bytes_of(list, n);
    char shapes[VOCO_TRACE_SHAPES] = "";
    struct voco_trace_row *row;

    describe(list, n, shapes);
    if ((row = find_row(t, op, shapes)) != NULL) {
        row->calls++;
        row->seconds += seconds;
        row->flops += flops;
        row->bytes += bytes;
    }
    if (t->out) {
        fprintf(t->out, "%-23s %-*s %10.1f", op, VOCO_TRACE_SHAPES, shapes,
                seconds * 1e6);
        print_rates(t, seconds, flops, bytes, t->out);
    }
}

/* ---- the entries ---- */

/* While inside, ctx->dev is the inner device: its own calls are not traced. */
#define TRACE(P, name, parameters, arguments, tensors, operations)                      \
    static void name(struct voco_ctx *ctx, VOCO_BARE parameters)                        \
    {                                                                                   \
        const struct voco_tensor *const list[] = { VOCO_BARE tensors };                 \
        struct voco_trace *t = trace_of(ctx);                                           \
        const double start = voco_seconds();                                            \
                                                                                        \
        ctx->dev = t->inner;                                                            \
        t->inner->name(ctx, VOCO_BARE arguments);                                       \
        t->inner->sync(ctx);                                                            \
        ctx->dev = &t->device;                                                          \
        if (!ctx->err)                                                                  \
            record(t, #name, list, (int)(sizeof list / sizeof list[0]),                 \
                   (double)(operations), voco_seconds() - start);                       \
    }

VOCO_DEVICE_ENTRIES(TRACE, , VOCO_TENSOR, VOCO_TENSOR)

#define SET(P, entry, ...) ret->device.entry = entry;

void
voco_trace_init(struct voco_trace *ret, const struct voco_device *inner, FILE *out)
{
    *ret = (struct voco_trace){ .device = *inner, .inner = inner, .out = out };
    ret->device.open = open_inner;
    ret->device.close = close_inner;
    VOCO_DEVICE_ENTRIES(SET, , VOCO_TENSOR, VOCO_TENSOR)
    if (out)
        fprintf(out, "%-23s %-*s %10s %8s %7s\n", "op", VOCO_TRACE_SHAPES, "shapes",
                "us", "GFLOP/s", "GB/s");
}

/* ---- the table ---- */

static int
by_time(const void *a, const void *b)
{
    const struct voco_trace_row *p = a, *q = b;

    return p->seconds < q->seconds ? 1 : p->seconds > q->seconds ? -1 : 0;
}

static void
print_row(const struct voco_trace *t, const struct voco_trace_row *row, double total,
          FILE *out)
{
    fprintf(out, "%-23s %-*s %7" PRId64 " %10.2f %5.1f%% %10.1f", row->op,
            VOCO_TRACE_SHAPES, row->shapes, row->calls, row->seconds * 1e3,
            total > 0 ? 100 * row->seconds / total : 0,
            row->seconds / (double)row->calls * 1e6);
    print_rates(t, row->seconds, row->flops, row->bytes, out);
}

void
voco_trace_report(struct voco_trace *t, FILE *out)
{
    struct voco_trace_row all = { .op = "all" };
    char words[160];

    if (t->rows == 0)
        return;
    for (int i = 0; i < t->rows; i++) {
        all.calls += t->row[i].calls;
        all.seconds += t->row[i].seconds;
        all.flops += t->row[i].flops;
        all.bytes += t->row[i].bytes;
    }
    qsort(t->row, (size_t)t->rows, sizeof *t->row, by_time);
    fprintf(out, "%-23s %-*s %7s %10s %6s %10s %8s %7s%s\n", "op", VOCO_TRACE_SHAPES,
            "shapes", "calls", "ms", "share", "us/call", "GFLOP/s", "GB/s",
            t->peak.flops > 0 ? "  peak" : "");
    for (int i = 0; i < t->rows; i++)
        print_row(t, &t->row[i], all.seconds, out);
    print_row(t, &all, all.seconds, out);
    if (t->peak.flops > 0)
        fprintf(out, "peak: %s; convolutions do fewer operations than are counted and may "
                "exceed it\n", voco_peak_words(&t->peak, t->threads, words));
}

const char *
voco_peak_words(const struct voco_peak *p, int threads, char buf[160])
{
    const int n = snprintf(buf, 160, "%.0f GFLOP/s, %s on registers, %d thread%s",
                           p->flops * 1e-9, p->of, threads, voco_plural(threads));

    if (p->share < 0.9)
        snprintf(buf + n, 160 - (size_t)n, " (the machine was busy: they ran %.0f %% of the "
                 "time)", 100 * p->share);
    return buf;
}

const struct voco_device *
voco_trace_wrap(struct voco_trace *ret, bool traced, const struct voco_device *inner)
{
    if (!traced)
        return inner;
    voco_trace_init(ret, inner, NULL);
    return &ret->device;
}

void
voco_trace_tell(struct voco_trace *t, struct voco_ctx *ctx)
{
    if (!t->inner || !ctx->dev)
        return;
    if (t->peak.flops == 0)
        ctx->dev->peak(ctx, &t->peak);
    voco_trace_report(t, stderr);
}

void
voco_trace_clear(struct voco_trace *t)
{
    t->rows = 0;
}

void
voco_trace_free(struct voco_trace *t)
{
    free(t->row);
    t->row = NULL;
    t->rows = t->room = 0;
}
