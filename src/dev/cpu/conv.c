/* The convolution entries of the cpu device: choice of implementation, packed weights. */
#include "dev/cpu/conv.h"

#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "dev/cpu/block.h"

/* ---- packed weights ---- */

struct pack {
    const float *w;
    int layout;
    uint64_t version;
    uint64_t sample;            /* of some elements of w, to catch a forgotten version */
    size_t bytes;
    float *data;
};

struct voco_packs {
    struct pack *pack;
    int n, room;
};

/* A hash of 64 elements spread over w. */
static uint64_t
sample_of(const float *w, int64_t count)
{
    uint64_t h = 1469598103934665603u;

    for (int64_t i = 0; i < 64; i++) {
        uint32_t bits;

        memcpy(&bits, w + (count - 1) * i / 63, sizeof bits);
        h = (h ^ bits) * 1099511628211u;
    }
    return h;
}

static struct pack *
find_pack(struct voco_packs *packs, const float *w, int layout, size_t bytes)
{
    struct pack *p;

    for (int i = 0; i < packs->n; i++) {
        p = &packs->pack[i];
        if (p->w == w && p->layout == layout && p->bytes == bytes)
            return p;
    }
    if (packs->n == packs->room) {
        const int room = packs->room ? 2 * packs->room : 32;
        struct pack *more = realloc(packs->pack, (size_t)room * sizeof *more);

        if (!more)
            return NULL;
        packs->pack = more;
        packs->room = room;
    }
    p = &packs->pack[packs->n];
    *p = (struct pack){ .w = w, .layout = layout, .bytes = bytes };
    if (!(p->data = voco_pages_alloc(bytes)))
        return NULL;
    packs->n++;
    return p;
}

const float *
voco_packed(struct voco_ctx *ctx, const float *w, int64_t count, int layout, size_t bytes,
            voco_pack_make *make, void *arg)
{
    struct pack *p = find_pack(voco_cpu_state(ctx)->packs, w, layout, bytes);
    enum voco_err err;

    if (!p) {
        voco_ctx_fail(ctx, voco_fail(VOCO_EMEMORY, "no memory for %zu MiB of packed "
                                     "weights", bytes >> 20));
        return NULL;
    }
    if (p->version == ctx->weights_version) {
        /* weights were changed without ctx->weights_version++ */
        VOCO_ASSERT(p->sample == sample_of(w, count));
        return p->data;
    }
    if ((err = make(arg, w, p->data)) != VOCO_OK) {
        voco_ctx_fail(ctx, err);
        return NULL;
    }
    p->version = ctx->weights_version;
    p->sample = sample_of(w, count);
    return p->data;
}

enum voco_err
voco_cpu_conv_open(struct voco_ctx *ctx)
{
    struct voco_cpu *cpu = voco_cpu_state(ctx);

    if (!(cpu->packs = calloc(1, sizeof *cpu->packs)))
        return voco_fail(VOCO_EMEMORY, "no memory for the table of packed weights");
    return VOCO_OK;
}

void
voco_cpu_conv_close(struct voco_ctx *ctx)
{
    struct voco_packs *packs = voco_cpu_state(ctx)->packs;

    if (!packs)
        return;
    for (int i = 0; i < packs->n; i++)
        free(packs->pack[i].data);
    free(packs->pack);
    free(packs);
    voco_cpu_state(ctx)->packs = NULL;
}

void
voco_conv_add_bias(const struct voco_ctx *ctx, const float *bias, float *y, int64_t m,
                   int64_t n)
{
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] += bias[j];
}

/* ---- choice ---- */

static const struct voco_conv_impl *const impls[] = {
    &voco_conv_outer, &voco_conv_linear, &voco_conv_stem, &voco_conv_taps,
    &voco_conv_winograd4, &voco_conv_winograd, &voco_conv_blocked, &voco_conv_dnnl,
};
enum { N_IMPL = sizeof impls / sizeof impls[0] };

static const struct voco_conv_impl *
named(const struct voco_ctx *ctx, const struct voco_conv_problem *p, const char *names)
{
    for (int i = 0; i < N_IMPL; i++)
        if (voco_cpu_listed(names, impls[i]->name) && impls[i]->can(ctx, p))
            return impls[i];
    return NULL;
}

/* The implementations that were fastest in measurements. */
static const struct voco_conv_impl *
rule(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    for (int i = 0; i < N_IMPL; i++)
        if (impls[i]->can(ctx, p) && impls[i]->best(ctx, p))
            return impls[i];
    return &voco_conv_dnnl;
}

static const struct voco_conv_impl *
choose(const struct voco_ctx *ctx, const struct voco_conv_problem *p)
{
    const struct voco_cpu *cpu = voco_cpu_state(ctx);
    const struct voco_shape shape = voco_shape_conv(p->what, &p->conv, p->n, p->in);
    const struct voco_conv_impl *impl = named(ctx, p, cpu->forced);

    if (!impl)
        impl = named(ctx, p, voco_choices_find(cpu->choices, &shape));
    return impl ? impl : rule(ctx, p);
}

static struct voco_conv_problem
problem_of(const struct voco_shape *s)
{
    struct voco_conv_problem p = { .what = s->op == VOCO_SHAPE_CONV ? VOCO_WS_CONV_FORWARD
                                         : s->op == VOCO_SHAPE_CONV_DATA
                                         ? VOCO_WS_CONV_BACKWARD_DATA
                                         : VOCO_WS_CONV_BACKWARD_WEIGHTS,
                                   .conv = voco_shape_conv_of(s), .n = s->size[0] };

    for (int i = 0; i < 3; i++) {
        p.in[i] = s->size[1 + i];
        p.out[i] = voco_conv_out(&p.conv, i, p.in[i]);
    }
    return p;
}

int
voco_cpu_conv_impls(const struct voco_ctx *ctx, const struct voco_shape *s,
                    const char *ret[VOCO_IMPLS_MAX])
{
    const struct voco_conv_problem p = problem_of(s);
    const struct voco_conv_impl *const first = rule(ctx, &p);
    int n = 0;

    _Static_assert((int)N_IMPL <= (int)VOCO_IMPLS_MAX, "all implementations find room");
    ret[n++] = first->name;
    for (int i = 0; i < N_IMPL; i++)
        if (impls[i] != first && impls[i]->can(ctx, &p)
            && (!impls[i]->coarse || impls[i]->best(ctx, &p)))
            ret[n++] = impls[i]->name;
    return n;
}

const char *
voco_cpu_conv_chosen(const struct voco_ctx *ctx, const struct voco_shape *s)
{
    const struct voco_conv_problem p = problem_of(s);

    return choose(ctx, &p)->name;
}

bool
voco_cpu_conv_knows(const char *impl)
{
    for (int i = 0; i < N_IMPL; i++)
        if (strcmp(impls[i]->name, impl) == 0)
            return true;
    return false;
}

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

static int64_t
volume(const int64_t size[3])
{
    return size[0] * size[1] * size[2];
}

static struct voco_conv_problem
problem(enum voco_workspace what, const struct voco_conv *conv, X x)
{
    struct voco_conv_problem p = { .what = what, .conv = *conv, .n = x->dim[0] };

    VOCO_ASSERT(x->rank == 5 && x->dim[4] == conv->cin);
    for (int i = 0; i < 3; i++) {
        p.in[i] = x->dim[1 + i];
        p.out[i] = voco_conv_out(conv, i, p.in[i]);
    }
    return p;
}

static bool
makes_moments(const struct voco_conv_impl *impl, const struct voco_conv_problem *p)
{
    return impl->moments && impl->moments(p);
}

/* The most floats of an item of x and of y that are copies of bfloat16: tensors that are
 * written, and those that the implementation cannot read as bfloat16. */
static void
copies(const struct voco_ctx *ctx, const struct voco_conv_impl *impl,
       const struct voco_conv_problem *p, int64_t *ret_x, int64_t *ret_y)
{
    const bool any = ctx->dev->act == VOCO_BF16;

    *ret_x = any && (!impl->bf16 || p->what == VOCO_WS_CONV_BACKWARD_DATA)
             ? volume(p->in) * p->conv.cin : 0;
    *ret_y = any && (!impl->bf16 || p->what == VOCO_WS_CONV_FORWARD)
             ? volume(p->out) * p->conv.cout : 0;
}

/* Items whose copies take about 64 MiB: those of a group, or one of large maps. */
static int64_t
items_at_once(const struct voco_ctx *ctx, const struct voco_conv_impl *impl,
              const struct voco_conv_problem *p)
{
    int64_t x, y, items;

    copies(ctx, impl, p, &x, &y);
    items = x + y ? (16 << 20) / (x + y) : p->n;
    return items < 1 ? 1 : items < p->n ? items : p->n;
}

/* Tensors that are written are f32, and those that are read, too, unless impl->bf16. */
static void
run_some(struct voco_ctx *ctx, const struct voco_conv_impl *impl, enum voco_workspace what,
        const struct voco_conv *conv, X x, X w, X b, X y, X moments)
{
    const struct voco_conv_problem p = problem(what, conv, x);
    const struct voco_conv_io io = { .x = x->data, .w = voco_f32(w), .y = y->data,
                                     .x_bf16 = voco_is_bf16(x), .y_bf16 = voco_is_bf16(y),
                                     .bias = voco_f32(b), .moments = moments };
    struct voco_tensor scratch;

    scratch = voco_push_real(ctx, &ctx->temp, 1,
                             (int64_t)((impl->scratch(ctx, &p) + 3) / sizeof(float)));
    if (!ctx->err)
        impl->run(ctx, &p, &io, scratch.data);
}

static void
run(struct voco_ctx *ctx, enum voco_workspace what, const struct voco_conv *conv, X x, X w,
    X b, X y, X moments)
{
    const struct voco_conv_problem p = problem(what, conv, x);
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct voco_conv_impl *impl = choose(ctx, &p);
    const int64_t step = items_at_once(ctx, impl, &p);

    VOCO_ASSERT(y->dim[0] == p.n && y->dim[1] == p.out[0] && y->dim[2] == p.out[1]
                && y->dim[3] == p.out[2] && y->dim[4] == conv->cout);
    VOCO_ASSERT(voco_count(w) == conv->cout * conv->cin * voco_kernel_taps(conv));
    VOCO_ASSERT(!moments || makes_moments(impl, &p));
    for (int64_t i = 0; i < p.n && !ctx->err; i += step) {
        const int64_t n = p.n - i < step ? p.n - i : step;
        const struct voco_tensor some_x = voco_slice(x, i, n), some_y = voco_slice(y, i, n);
        const bool to_x = what == VOCO_WS_CONV_BACKWARD_DATA;
        const bool to_y = what == VOCO_WS_CONV_FORWARD;
        const struct voco_tensor wide_x = to_x ? voco_cpu_room(ctx, &some_x)
                                          : impl->bf16 ? some_x
                                          : voco_cpu_widened(ctx, &some_x);
        const struct voco_tensor wide_y = to_y ? voco_cpu_room(ctx, &some_y)
                                          : impl->bf16 ? some_y
                                          : voco_cpu_widened(ctx, &some_y);

        if (!ctx->err) {
            const struct voco_tensor of = moments ? voco_slice(moments, i, n) : some_y;

            run_some(ctx, impl, what, conv, &wide_x, w, b, &wide_y, moments ? &of : NULL);
        }
        if (to_x)
            voco_cpu_narrow(ctx, &wide_x, &some_x);
        if (to_y)
            voco_cpu_narrow(ctx, &wide_y, &some_y);
        voco_arena_release(&ctx->temp, mark);
    }
}

void
voco_cpu_conv3d_forward(struct voco_ctx *ctx, const struct voco_conv *conv, X x, X w, X b,
                        Y y, Y moments)
{
    if (!ctx->err)
        run(ctx, VOCO_WS_CONV_FORWARD, conv, x, w, b, y, moments);
}

void
voco_cpu_conv3d_backward_data(struct voco_ctx *ctx, const struct voco_conv *conv, X dy, X w,
                              Y dx)
{
    if (!ctx->err)
        run(ctx, VOCO_WS_CONV_BACKWARD_DATA, conv, dx, w, NULL, dy, NULL);
}

void
voco_cpu_conv3d_backward_weights(struct voco_ctx *ctx, const struct voco_conv *conv, X x,
                                 X dy, Y dw, Y db)
{
    if (!ctx->err)
        run(ctx, VOCO_WS_CONV_BACKWARD_WEIGHTS, conv, x, dw, NULL, dy, NULL);
    if (db && !ctx->err)
        voco_cpu_columns_add(ctx, dy, voco_f32(db));
}

size_t
voco_cpu_conv_workspace(struct voco_ctx *ctx, enum voco_workspace what,
                        const struct voco_conv *conv, X x)
{
    struct voco_conv_problem p = problem(what, conv, x);
    const struct voco_conv_impl *impl = choose(ctx, &p);
    int64_t copy_x, copy_y;

    p.n = items_at_once(ctx, impl, &p);
    copies(ctx, impl, &p, &copy_x, &copy_y);
    return voco_aligned((size_t)(p.n * copy_x) * sizeof(float))
           + voco_aligned((size_t)(p.n * copy_y) * sizeof(float))
           + voco_aligned(impl->scratch(ctx, &p));
}

size_t
voco_cpu_conv_packed_bytes(struct voco_ctx *ctx, const struct voco_conv *conv, X x)
{
    struct voco_conv_problem p = problem(VOCO_WS_CONV_FORWARD, conv, x);
    size_t bytes = choose(ctx, &p)->packed(ctx, &p);

    p.what = VOCO_WS_CONV_BACKWARD_DATA;
    return bytes + choose(ctx, &p)->packed(ctx, &p);
}

bool
voco_cpu_conv_moments(struct voco_ctx *ctx, const struct voco_conv *conv, X x)
{
    const struct voco_conv_problem p = problem(VOCO_WS_CONV_FORWARD, conv, x);

    return makes_moments(choose(ctx, &p), &p);
}
