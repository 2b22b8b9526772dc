/* oneDNN's primitives by shape, made once. */
#include "dev/cpu/dnnl_shim.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "dev/cpu/dnnl_shim_api.h"

enum { SRC, WEIGHTS, BIAS, DST, N_SLOT };
enum { KEY = 20, MAX_LAYOUT = 256 };

struct reorder {
    dnnl_primitive_t prim;      /* NULL: not needed */
    dnnl_memory_t from, to;
};

struct voco_dnnl_op {
    int64_t key[KEY];
    enum voco_dnnl_kind kind;
    dnnl_primitive_t prim;
    int arg[N_SLOT];            /* DNNL_ARG_x of each slot, 0: absent */
    struct md md[N_SLOT];       /* as the library wants it */
    dnnl_memory_t mem[N_SLOT], scratchpad;
    struct reorder src, weights, dst;       /* between plain and library order */
    size_t pad_bytes;           /* the primitive's own scratch */
    size_t src_bytes, dst_bytes;            /* reordered copies in our scratch */
    int layout;
    char path[48];
    struct voco_dnnl_op *next;
};

struct voco_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int threads;
    struct voco_dnnl_op *ops;
    struct md layout[MAX_LAYOUT];
    int layouts;
};

static size_t
aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static enum voco_err
failed(dnnl_status_t st, const char *what)
{
    return voco_fail(st == dnnl_out_of_memory ? VOCO_EMEMORY : VOCO_EINTERNAL,
                     "oneDNN could not %s (%s)", what,
                     st == dnnl_out_of_memory
                         ? voco_addresses_left() < UINT64_MAX
                               ? "out of memory; raise the limit of the address space, "
                                 "ulimit -v" : "out of memory"
                     : st == dnnl_unimplemented ? "not implemented"
                     : st == dnnl_invalid_arguments ? "invalid arguments" : "run-time error");
}

enum voco_err
voco_dnnl_open(int threads, const char *isa, struct voco_dnnl **ret)
{
    struct voco_dnnl *dnnl = calloc(1, sizeof *dnnl);
    dnnl_status_t st;

    *ret = NULL;
    if (!dnnl)
        return voco_fail(VOCO_EMEMORY, "no memory for oneDNN's state");
    /* refused after the first primitive of the process: then the first choice stays */
    if (isa && strcmp(isa, "avx2") == 0)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    else if (isa && strcmp(isa, "avx512") == 0)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core);
    else if (isa && strcmp(isa, "ref") == 0)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    dnnl->threads = threads;
    if ((st = dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0)) != dnnl_success
        || (st = dnnl_stream_create(&dnnl->stream, dnnl->engine,
                                    dnnl_stream_default_flags)) != dnnl_success) {
        voco_dnnl_close(dnnl);
        return failed(st, "start");
    }
    *ret = dnnl;
    return VOCO_OK;
}

static void
reorder_free(struct reorder *r)
{
    if (r->prim)
        dnnl_primitive_destroy(r->prim);
    if (r->from)
        dnnl_memory_destroy(r->from);
    if (r->to)
        dnnl_memory_destroy(r->to);
}

static void
op_free(struct voco_dnnl_op *op)
{
    if (op->prim)
        dnnl_primitive_destroy(op->prim);
    for (int i = 0; i < N_SLOT; i++) {
        if (op->mem[i])
            dnnl_memory_destroy(op->mem[i]);
        md_free(&op->md[i]);
    }
    if (op->scratchpad)
        dnnl_memory_destroy(op->scratchpad);
    reorder_free(&op->src);
    reorder_free(&op->weights);
    reorder_free(&op->dst);
    free(op);
}

void
voco_dnnl_close(struct voco_dnnl *dnnl)
{
    if (!dnnl)
        return;
    while (dnnl->ops) {
        struct voco_dnnl_op *next = dnnl->ops->next;

        op_free(dnnl->ops);
        dnnl->ops = next;
    }
    for (int i = 0; i < dnnl->layouts; i++)
        md_free(&dnnl->layout[i]);
    if (dnnl->stream)
        dnnl_stream_destroy(dnnl->stream);
    if (dnnl->engine)
        dnnl_engine_destroy(dnnl->engine);
    free(dnnl);
}

static struct voco_dnnl_op *
find(struct voco_dnnl *dnnl, const int64_t key[KEY])
{
    for (struct voco_dnnl_op *op = dnnl->ops; op; op = op->next)
        if (memcmp(op->key, key, sizeof op->key) == 0)
            return op;
    return NULL;
}

/* The index of a packed order; new orders are appended. */
static int
layout_of(struct voco_dnnl *dnnl, MD md)
{
    int i = 0;

    while (i < dnnl->layouts && !md_equal(ref(&dnnl->layout[i]), md))
        i++;
    if (i == dnnl->layouts) {
        if (i == MAX_LAYOUT || md_copy(&dnnl->layout[i], md) != dnnl_success)
            return -1;
        dnnl->layouts++;
    }
    return i;
}

/* dnnl_primitive_create, but with an error where oneDNN would crash: it does not check
 * whether it was given memory for the code that it generates. */
static dnnl_status_t
create(dnnl_primitive_t *ret, dnnl_primitive_desc_t pd)
{
    const uint64_t code_bytes = UINT64_C(16) << 20;     /* 2 MiB were the most */

    return voco_addresses_left() < code_bytes ? dnnl_out_of_memory
                                              : dnnl_primitive_create(ret, pd);
}

static dnnl_status_t
reorder_make(struct voco_dnnl *dnnl, struct reorder *r, MD from, MD to, bool add)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st;

    if ((st = dnnl_primitive_attr_create(&attr)) != dnnl_success)
        return st;
    if (add && ((st = dnnl_post_ops_create(&ops)) != dnnl_success
                || (st = append_sum(ops)) != dnnl_success
                || (st = dnnl_primitive_attr_set_post_ops(attr, ops)) != dnnl_success))
        goto out;
    if ((st = dnnl_reorder_primitive_desc_create(&pd, from, dnnl->engine, to, dnnl->engine,
                                                 attr)) != dnnl_success
        || (st = create(&r->prim, pd)) != dnnl_success
        || (st = dnnl_memory_create(&r->from, from, dnnl->engine, DNNL_MEMORY_NONE))
           != dnnl_success
        || (st = dnnl_memory_create(&r->to, to, dnnl->engine, DNNL_MEMORY_NONE))
           != dnnl_success)
        goto out;
out:
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    if (ops)
        dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_status_t
reorder_run(struct voco_dnnl *dnnl, const struct reorder *r, const void *from, void *to)
{
    const dnnl_exec_arg_t arg[2] = { { DNNL_ARG_FROM, r->from }, { DNNL_ARG_TO, r->to } };
    dnnl_status_t st;

    if ((st = dnnl_memory_set_data_handle(r->from, (void *)from)) != dnnl_success
        || (st = dnnl_memory_set_data_handle(r->to, to)) != dnnl_success
        || (st = dnnl_primitive_execute(r->prim, dnnl->stream, 2, arg)) != dnnl_success)
        return st;
    return dnnl_stream_wait(dnnl->stream);
}

/* Everything of op but its reorders; takes pd. */
static dnnl_status_t
op_fill(struct voco_dnnl *dnnl, struct voco_dnnl_op *op, dnnl_primitive_desc_t pd)
{
    const char *path = NULL;
    dnnl_status_t st = create(&op->prim, pd);
    MD pad = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD);

    for (int i = 0; i < N_SLOT && st == dnnl_success; i++) {
        if (!op->arg[i])
            continue;
        st = md_copy(&op->md[i], dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md,
                                                              op->arg[i]));
        if (st == dnnl_success)
            st = dnnl_memory_create(&op->mem[i], ref(&op->md[i]), dnnl->engine,
                                    DNNL_MEMORY_NONE);
    }
    op->pad_bytes = pad ? aligned(md_bytes(pad)) : 0;
    if (st == dnnl_success && op->pad_bytes)
        st = dnnl_memory_create(&op->scratchpad, pad, dnnl->engine, DNNL_MEMORY_NONE);
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &path) == dnnl_success)
        snprintf(op->path, sizeof op->path, "%s", path);
    dnnl_primitive_desc_destroy(pd);
    return st;
}

static dnnl_status_t
user_scratch(dnnl_primitive_attr_t *attr)
{
    const dnnl_status_t st = dnnl_primitive_attr_create(attr);

    return st != dnnl_success ? st
           : dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
}

static dnnl_status_t
make_conv(struct voco_dnnl *dnnl, const struct voco_dnnl_conv *c, struct voco_dnnl_op *op)
{
    const struct voco_conv *v = &c->conv;
    const dnnl_dims_t x = { c->n, v->cin, c->in[0], c->in[1], c->in[2] };
    const dnnl_dims_t y = { c->n, v->cout, c->out[0], c->out[1], c->out[2] };
    const dnnl_dims_t w = { v->cout, v->cin, v->kernel[0], v->kernel[1], v->kernel[2] };
    const dnnl_dims_t stride = { v->stride[0], v->stride[1], v->stride[2] };
    const dnnl_dims_t pad = { v->pad[0], v->pad[1], v->pad[2] };
    const dnnl_format_tag_t act = c->blocked ? dnnl_format_tag_any : dnnl_ndhwc;
    struct md m[N_SLOT], plain[N_SLOT];
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st;

    memset(m, 0, sizeof m);
    memset(plain, 0, sizeof plain);
    op->arg[SRC] = c->kind == VOCO_DNNL_BACKWARD_DATA ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC;
    op->arg[WEIGHTS] = c->kind == VOCO_DNNL_BACKWARD_WEIGHTS ? DNNL_ARG_DIFF_WEIGHTS
                                                             : DNNL_ARG_WEIGHTS;
    op->arg[DST] = c->kind == VOCO_DNNL_FORWARD ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
    if ((st = md_tag(&m[SRC], 5, x, act)) != dnnl_success
        || (st = md_tag(&m[WEIGHTS], 5, w, dnnl_format_tag_any)) != dnnl_success
        || (st = md_tag(&m[DST], 5, y, act)) != dnnl_success
        || (st = md_tag(&plain[SRC], 5, x, dnnl_ndhwc)) != dnnl_success
        || (st = md_tag(&plain[WEIGHTS], 5, w, dnnl_oidhw)) != dnnl_success
        || (st = md_tag(&plain[DST], 5, y, dnnl_ndhwc)) != dnnl_success
        || (st = user_scratch(&attr)) != dnnl_success
        || (st = conv_pd(&pd, dnnl->engine, c->kind, m, stride, pad, attr)) != dnnl_success
        || (st = op_fill(dnnl, op, pd)) != dnnl_success)
        goto out;

    op->layout = layout_of(dnnl, ref(&op->md[WEIGHTS]));
    if (c->kind == VOCO_DNNL_BACKWARD_WEIGHTS)
        st = reorder_make(dnnl, &op->weights, ref(&op->md[WEIGHTS]), ref(&plain[WEIGHTS]),
                          true);
    else
        st = reorder_make(dnnl, &op->weights, ref(&plain[WEIGHTS]), ref(&op->md[WEIGHTS]),
                          false);
    if (st == dnnl_success && !md_equal(ref(&op->md[SRC]), ref(&plain[SRC]))) {
        const bool out = c->kind == VOCO_DNNL_BACKWARD_DATA;

        op->src_bytes = aligned(md_bytes(ref(&op->md[SRC])));
        st = reorder_make(dnnl, &op->src, ref(out ? &op->md[SRC] : &plain[SRC]),
                          ref(out ? &plain[SRC] : &op->md[SRC]), false);
    }
    if (st == dnnl_success && !md_equal(ref(&op->md[DST]), ref(&plain[DST]))) {
        const bool out = c->kind == VOCO_DNNL_FORWARD;

        op->dst_bytes = aligned(md_bytes(ref(&op->md[DST])));
        st = reorder_make(dnnl, &op->dst, ref(out ? &op->md[DST] : &plain[DST]),
                          ref(out ? &plain[DST] : &op->md[DST]), false);
    }
out:
    for (int i = 0; i < N_SLOT; i++) {
        md_free(&m[i]);
        md_free(&plain[i]);
    }
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_status_t
make_matmul(struct voco_dnnl *dnnl, const struct voco_dnnl_matmul *mm,
            struct voco_dnnl_op *op)
{
    const dnnl_dims_t a = { mm->m, mm->k }, b = { mm->k, mm->n }, y = { mm->m, mm->n };
    const dnnl_dims_t bias = { 1, mm->n };
    const dnnl_data_type_t in = mm->bf16 ? dnnl_bf16 : dnnl_f32;
    struct md m[N_SLOT];
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st;

    memset(m, 0, sizeof m);
    op->arg[SRC] = DNNL_ARG_SRC;
    op->arg[WEIGHTS] = DNNL_ARG_WEIGHTS;
    op->arg[BIAS] = mm->bias ? DNNL_ARG_BIAS : 0;
    op->arg[DST] = DNNL_ARG_DST;
    if ((st = md_typed(&m[SRC], 2, a, in, mm->a_transposed ? dnnl_ba : dnnl_ab))
        != dnnl_success
        || (st = md_typed(&m[WEIGHTS], 2, b, in, mm->b_transposed ? dnnl_ba : dnnl_ab))
           != dnnl_success
        || (mm->bias && (st = md_tag(&m[BIAS], 2, bias, dnnl_ab)) != dnnl_success)
        || (st = md_typed(&m[DST], 2, y, mm->bf16_y ? dnnl_bf16 : dnnl_f32, dnnl_ab))
           != dnnl_success
        || (st = user_scratch(&attr)) != dnnl_success
        || (mm->add && ((st = dnnl_post_ops_create(&ops)) != dnnl_success
                        || (st = append_sum(ops)) != dnnl_success
                        || (st = dnnl_primitive_attr_set_post_ops(attr, ops))
                           != dnnl_success))
        || (st = matmul_pd(&pd, dnnl->engine, m, attr)) != dnnl_success
        || (st = op_fill(dnnl, op, pd)) != dnnl_success)
        goto out;
out:
    for (int i = 0; i < N_SLOT; i++)
        md_free(&m[i]);
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return st;
}

/* A primitive is made for a number of threads, and must run with the same. */
static void
use_threads(const struct voco_dnnl *dnnl)
{
    if (omp_get_max_threads() != dnnl->threads)
        omp_set_num_threads(dnnl->threads);
}

const struct voco_dnnl_op *
voco_dnnl_conv(struct voco_dnnl *dnnl, const struct voco_dnnl_conv *c)
{
    const struct voco_conv *v = &c->conv;
    const int64_t key[KEY] = { c->kind, c->blocked, c->n, c->in[0], c->in[1], c->in[2],
                               c->out[0], c->out[1], c->out[2], v->cin, v->cout,
                               v->kernel[0], v->kernel[1], v->kernel[2], v->stride[0],
                               v->stride[1], v->stride[2], v->pad[0], v->pad[1], v->pad[2] };
    struct voco_dnnl_op *op = find(dnnl, key);
    dnnl_status_t st;

    if (op)
        return op;
    op = calloc(1, sizeof *op);
    VOCO_NEED(op);
    use_threads(dnnl);
    op->kind = c->kind;
    memcpy(op->key, key, sizeof key);
    if ((st = make_conv(dnnl, c, op)) != dnnl_success || op->layout < 0) {
        op_free(op);
        failed(st, "prepare a convolution");
        voco_fail_in(VOCO_EINTERNAL, "conv n%lld %lldx%lldx%lld c%lld to %lld k%dx%dx%d "
                     "s%dx%dx%d p%dx%dx%d", (long long)c->n, (long long)c->in[0],
                     (long long)c->in[1], (long long)c->in[2], (long long)v->cin,
                     (long long)v->cout, v->kernel[0], v->kernel[1], v->kernel[2],
                     v->stride[0], v->stride[1], v->stride[2], v->pad[0], v->pad[1],
                     v->pad[2]);
        return NULL;
    }
    op->next = dnnl->ops;
    return dnnl->ops = op;
}

const struct voco_dnnl_op *
voco_dnnl_matmul(struct voco_dnnl *dnnl, const struct voco_dnnl_matmul *mm)
{
    const int64_t key[KEY] = { VOCO_DNNL_MATMUL, mm->m, mm->n, mm->k, mm->a_transposed,
                               mm->b_transposed, mm->bias, mm->add, mm->bf16, mm->bf16_y };
    struct voco_dnnl_op *op = find(dnnl, key);
    dnnl_status_t st;

    if (op)
        return op;
    op = calloc(1, sizeof *op);
    VOCO_NEED(op);
    use_threads(dnnl);
    op->kind = VOCO_DNNL_MATMUL;
    memcpy(op->key, key, sizeof key);
    if ((st = make_matmul(dnnl, mm, op)) != dnnl_success) {
        op_free(op);
        failed(st, "prepare a matmul");
        voco_fail_in(VOCO_EINTERNAL, "matmul m%lld n%lld k%lld", (long long)mm->m,
                     (long long)mm->n, (long long)mm->k);
        return NULL;
    }
    op->next = dnnl->ops;
    return dnnl->ops = op;
}

size_t
voco_dnnl_scratch_bytes(const struct voco_dnnl_op *op)
{
    return op->pad_bytes + op->src_bytes + op->dst_bytes;
}

size_t
voco_dnnl_packed_bytes(const struct voco_dnnl_op *op)
{
    return aligned(md_bytes(ref(&op->md[WEIGHTS])));
}

int
voco_dnnl_layout(const struct voco_dnnl_op *op)
{
    return op->layout;
}

const char *
voco_dnnl_path(const struct voco_dnnl_op *op)
{
    return op->path;
}

enum voco_err
voco_dnnl_pack(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op, const float *w,
               float *packed)
{
    dnnl_status_t st;

    use_threads(dnnl);
    st = reorder_run(dnnl, &op->weights, w, packed);
    return st == dnnl_success ? VOCO_OK : failed(st, "reorder weights");
}

enum voco_err
voco_dnnl_unpack_add(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op,
                     const float *packed, float *dw)
{
    dnnl_status_t st;

    use_threads(dnnl);
    st = reorder_run(dnnl, &op->weights, packed, dw);
    return st == dnnl_success ? VOCO_OK : failed(st, "reorder a gradient");
}

enum voco_err
voco_dnnl_run(struct voco_dnnl *dnnl, const struct voco_dnnl_op *op,
              const struct voco_dnnl_io *io)
{
    char *const src = (char *)io->scratch + op->pad_bytes, *const dst = src + op->src_bytes;
    const void *const data[N_SLOT] = { op->src.prim ? src : io->src, io->weights, io->bias,
                                       op->dst.prim ? dst : io->dst };
    const bool src_out = op->kind == VOCO_DNNL_BACKWARD_DATA;
    const bool dst_out = op->kind == VOCO_DNNL_FORWARD;
    dnnl_exec_arg_t arg[N_SLOT + 1];
    dnnl_status_t st = dnnl_success;
    int n = 0;

    use_threads(dnnl);
    for (int i = 0; i < N_SLOT && st == dnnl_success; i++) {
        if (!op->arg[i])
            continue;
        st = dnnl_memory_set_data_handle(op->mem[i], (void *)data[i]);
        arg[n++] = (dnnl_exec_arg_t){ op->arg[i], op->mem[i] };
    }
    if (st == dnnl_success && op->scratchpad) {
        st = dnnl_memory_set_data_handle(op->scratchpad, io->scratch);
        arg[n++] = (dnnl_exec_arg_t){ DNNL_ARG_SCRATCHPAD, op->scratchpad };
    }
    if (st == dnnl_success && op->src.prim && !src_out)
        st = reorder_run(dnnl, &op->src, io->src, src);
    if (st == dnnl_success && op->dst.prim && !dst_out)
        st = reorder_run(dnnl, &op->dst, io->dst, dst);
    if (st == dnnl_success)
        st = dnnl_primitive_execute(op->prim, dnnl->stream, n, arg);
    if (st == dnnl_success)
        st = dnnl_stream_wait(dnnl->stream);
    if (st == dnnl_success && op->src.prim && src_out)
        st = reorder_run(dnnl, &op->src, src, (void *)io->src);
    if (st == dnnl_success && op->dst.prim && dst_out)
        st = reorder_run(dnnl, &op->dst, dst, (void *)io->dst);
    return st == dnnl_success ? VOCO_OK
           : failed(st, op->kind == VOCO_DNNL_MATMUL ? "run a matmul" : "run a convolution");
}

bool
voco_dnnl_has_avx512(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core)
           == dnnl_cpu_isa_avx512_core;
}

bool
voco_dnnl_has_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16)
           == dnnl_cpu_isa_avx512_core_bf16;
}

void
voco_dnnl_describe(char *buf, size_t n)
{
    static const struct {
        unsigned bits;
        const char *name;
    } isa[] = {     /* richest first; the values are those of both versions */
        { dnnl_cpu_isa_avx512_core_amx, "avx512 + amx" },
        { dnnl_cpu_isa_avx512_core_bf16, "avx512 + bf16" },
        { dnnl_cpu_isa_avx512_core_vnni, "avx512 + vnni" },
        { dnnl_cpu_isa_avx512_core, "avx512" },
        { dnnl_cpu_isa_avx2, "avx2" },
        { dnnl_cpu_isa_avx, "avx" },
        { dnnl_cpu_isa_sse41, "sse4.1" },
    };
    const dnnl_version_t *v = dnnl_version();
    const unsigned have = (unsigned)dnnl_get_effective_cpu_isa();
    const char *name = "unknown instructions";

    for (size_t i = 0; i < sizeof isa / sizeof isa[0]; i++)
        if ((have & isa[i].bits) == isa[i].bits) {
            name = isa[i].name;
            break;
        }
    snprintf(buf, n, "%d.%d.%d, %s", v->major, v->minor, v->patch, name);
}
