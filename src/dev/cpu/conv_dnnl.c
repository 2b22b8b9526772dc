/* Convolutions by oneDNN: anything it can do. */
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/conv.h"
#include "dev/cpu/dnnl_shim.h"

static const struct voco_dnnl_op *
op_of(struct voco_ctx *ctx, const struct voco_conv_problem *p, bool blocked)
{
    const struct voco_dnnl_conv c = {
        .kind = p->what == VOCO_WS_CONV_FORWARD ? VOCO_DNNL_FORWARD
              : p->what == VOCO_WS_CONV_BACKWARD_DATA ? VOCO_DNNL_BACKWARD_DATA
              : VOCO_DNNL_BACKWARD_WEIGHTS,
        .blocked = blocked, .n = p->n, .in = { p->in[0], p->in[1], p->in[2] },
        .out = { p->out[0], p->out[1], p->out[2] }, .conv = p->conv };
    const struct voco_dnnl_op *op = voco_dnnl_conv(voco_cpu_state(ctx)->dnnl, &c);

    if (!op)
        voco_ctx_fail(ctx, VOCO_EINTERNAL);
    return op;
}

struct make_arg {
    struct voco_dnnl *dnnl;
    const struct voco_dnnl_op *op;
};

static enum voco_err
make_packed(void *arg, const float *w, float *packed)
{
    const struct make_arg *a = arg;

    return voco_dnnl_pack(a->dnnl, a->op, w, packed);
}

/* The packed gradient goes behind the library's own scratch. */
static void
run(struct voco_ctx *ctx, const struct voco_conv_problem *p, const struct voco_conv_io *io,
    void *scratch, bool blocked)
{
    struct make_arg arg = { voco_cpu_state(ctx)->dnnl, op_of(ctx, p, blocked) };
    struct voco_dnnl_io d = { .src = io->x, .dst = io->y, .scratch = scratch };
    enum voco_err err;

    if (!arg.op)
        return;
    if (p->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        d.weights = (char *)scratch + voco_dnnl_scratch_bytes(arg.op);
    else
        d.weights = voco_packed(ctx, io->w,
                                p->conv.cin * p->conv.cout * voco_kernel_taps(&p->conv),
                                voco_dnnl_layout(arg.op), voco_dnnl_packed_bytes(arg.op),
                                make_packed, &arg);
    if (ctx->err)
        return;
    if ((err = voco_dnnl_run(arg.dnnl, arg.op, &d)) == VOCO_OK
        && p->what == VOCO_WS_CONV_BACKWARD_WEIGHTS)
        err = voco_dnnl_unpack_add(arg.dnnl, arg.op, d.weights, io->w);
    if (err != VOCO_OK)
        voco_ctx_fail(ctx, err);
    else if (io->bias)
        voco_conv_add_bias(ctx, io->bias, io->y, p->n * p->out[0] * p->out[1] * p->out[2],
                           p->conv.cout);
}

static size_t
scratch_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *p, bool blocked)
{
    const struct voco_dnnl_op *op = op_of(ctx, p, blocked);

    if (!op)
        return 0;
    return voco_dnnl_scratch_bytes(op) + (p->what == VOCO_WS_CONV_BACKWARD_WEIGHTS
                                          ? voco_dnnl_packed_bytes(op) : 0);
}

static size_t
packed_bytes(struct voco_ctx *ctx, const struct voco_conv_problem *p, bool blocked)
{
    const struct voco_dnnl_op *op = op_of(ctx, p, blocked);

    return op ? voco_dnnl_packed_bytes(op) : 0;
}

static bool
can(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    (void)p;
    return true;
}

/* ---- over plain NDHWC ---- */

static size_t
plain_scratch(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    return scratch_bytes(ctx, p, false);
}

static size_t
plain_packed(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    return packed_bytes(ctx, p, false);
}

static void
plain_run(struct voco_ctx *ctx, const struct voco_conv_problem *p,
          const struct voco_conv_io *io, void *scratch)
{
    run(ctx, p, io, scratch, false);
}

const struct voco_conv_impl voco_conv_dnnl = {
    "dnnl", can, can, plain_scratch, plain_packed, plain_run
};

/* ---- over the library's order ---- */

static bool
blocked_best(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    (void)ctx;
    (void)p;
    return false;
}

static size_t
blocked_scratch(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    return scratch_bytes(ctx, p, true);
}

static size_t
blocked_packed(struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    return packed_bytes(ctx, p, true);
}

static void
blocked_run(struct voco_ctx *ctx, const struct voco_conv_problem *p,
            const struct voco_conv_io *io, void *scratch)
{
    run(ctx, p, io, scratch, true);
}

const struct voco_conv_impl voco_conv_blocked = {
    "blocked", can, blocked_best, blocked_scratch, blocked_packed, blocked_run
};
