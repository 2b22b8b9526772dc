/* The cpu device: its table, life, memory, and what is too small for a file of its own. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/block.h"
#include "dev/cpu/dnnl_shim.h"
#include "dev/cpu/tuning.h"

#define X const struct voco_tensor *
#define Y const struct voco_tensor *

/* ---- life ---- */

static void
close_cpu(struct voco_ctx *ctx)
{
    struct voco_cpu *cpu = voco_cpu_state(ctx);

    if (!cpu)
        return;
    voco_cpu_conv_close(ctx);
    voco_dnnl_close(cpu->dnnl);
    voco_cpu_kernels_close(ctx);
    free(cpu->scratch);
    free(cpu);
    ctx->state = NULL;
}

static enum voco_err
open_cpu(struct voco_ctx *ctx, const struct voco_ctx_options *options)
{
    struct voco_cpu *cpu = calloc(1, sizeof *cpu);
    enum voco_err err;

    if (!cpu)
        return voco_fail(VOCO_EMEMORY, "no memory for the device's state");
    ctx->state = cpu;
    omp_set_num_threads(ctx->threads);
    if ((err = voco_cpu_blas_open(ctx->threads)) != VOCO_OK
        || (err = voco_cpu_tune_open(ctx, options->choices)) != VOCO_OK
        || (err = voco_cpu_kernels_open(ctx)) != VOCO_OK
        || (err = voco_dnnl_open(ctx->threads, getenv("VOCO_ISA"), &cpu->dnnl)) != VOCO_OK
        || (err = voco_cpu_conv_open(ctx)) != VOCO_OK)
        close_cpu(ctx);
    return err;
}

void *
voco_cpu_scratch(struct voco_ctx *ctx, size_t bytes)
{
    struct voco_cpu *cpu = voco_cpu_state(ctx);

    if (bytes > cpu->scratch_bytes || !cpu->scratch) {
        const size_t room = (bytes + ((size_t)1 << 20)) >> 20 << 20;

        free(cpu->scratch);
        cpu->scratch = aligned_alloc(VOCO_ALIGN, room);
        cpu->scratch_bytes = cpu->scratch ? room : 0;
    }
    if (!cpu->scratch)
        voco_ctx_fail(ctx, voco_fail(VOCO_EMEMORY, "no memory for %zu bytes of scratch",
                                     bytes));
    return cpu->scratch;
}

void
voco_cpu_info(struct voco_cpu_info *ret)
{
    const char *note;

    memset(ret, 0, sizeof *ret);
    snprintf(ret->isa, sizeof ret->isa, "%s", voco_cpu_isa(&note));
    voco_dnnl_describe(ret->dnnl, sizeof ret->dnnl);
    voco_cpu_blas_describe(ret);
}

static int
describe(struct voco_fact ret[VOCO_FACTS_MAX])
{
    struct voco_cpu_info info;
    int n = 0;

    voco_cpu_info(&info);
    ret[n] = (struct voco_fact){ .name = "isa", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.isa);
    ret[n] = (struct voco_fact){ .name = "onednn", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.dnnl);
    ret[n] = (struct voco_fact){ .name = "blas", .decides = true };
    snprintf(ret[n++].text, sizeof ret->text, "%s", info.blas);
    ret[n] = (struct voco_fact){ .name = "blas-threads" };
    snprintf(ret[n++].text, sizeof ret->text, "%d", info.blas_threads);
    return n;
}

/* Entries return when they are done. */
static void
sync_cpu(struct voco_ctx *ctx)
{
    (void)ctx;
}

static enum voco_err
reserve(struct voco_ctx *ctx, size_t limit, struct voco_arena *ret)
{
    (void)ctx;
    return voco_arena_init(ret, limit, false);
}

/* ---- memory ---- */

static void
upload(struct voco_ctx *ctx, X host, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == n
                && (host->type == VOCO_F32 || host->type == VOCO_F64));
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK], *to = voco_block_room(y, i, spare);

        if (host->type == VOCO_F32)
            memcpy(to, (const float *)host->data + i, (size_t)m * sizeof *to);
        else
            for (int64_t j = 0; j < m; j++)
                to[j] = (float)((const double *)host->data)[i + j];
        voco_block_done(k, y, i, m, to);
    }
}

static void
download(struct voco_ctx *ctx, X x, Y host)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(x);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(host) == n
                && (host->type == VOCO_F32 || host->type == VOCO_F64));
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK];
        const float *from = voco_block_read(k, x, i, m, spare);

        if (host->type == VOCO_F32)
            memcpy((float *)host->data + i, from, (size_t)m * sizeof *from);
        else
            for (int64_t j = 0; j < m; j++)
                ((double *)host->data)[i + j] = (double)from[j];
    }
}

static void
fill(struct voco_ctx *ctx, Y y, double value)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare[VOCO_BLOCK], *to = voco_block_room(y, i, spare);

        #pragma omp simd
        for (int64_t j = 0; j < m; j++)
            to[j] = (float)value;
        voco_block_done(k, y, i, m, to);
    }
}

static void
copy(struct voco_ctx *ctx, X x, Y y)
{
    const size_t size = voco_type_bytes(x->type);
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == n && x->type == y->type);
    #pragma omp parallel num_threads(ctx->threads)
    {
        int64_t i0, i1;

        voco_cpu_share(n, 4096, omp_get_thread_num(), omp_get_num_threads(), &i0, &i1);
        if (i0 < i1)
            memcpy((char *)y->data + (size_t)i0 * size,
                   (const char *)x->data + (size_t)i0 * size, (size_t)(i1 - i0) * size);
    }
}

static void
add(struct voco_ctx *ctx, X x, Y y)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = voco_count(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(x) == n);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t i = 0; i < n; i += VOCO_BLOCK) {
        const int64_t m = voco_block_size(n, i);
        float spare_x[VOCO_BLOCK], spare_y[VOCO_BLOCK], *to = voco_block_room(y, i, spare_y);

        (void)voco_block_read(k, y, i, m, to);
        k->add(voco_block_read(k, x, i, m, spare_x), to, (size_t)m);
        voco_block_done(k, y, i, m, to);
    }
}

static void
scale_rows(struct voco_ctx *ctx, X x, X factor, Y y)
{
    const int64_t m = voco_rows(x), c = voco_cols(x);
    const float *px = voco_f32(x), *pf = voco_f32(factor);
    float *py = voco_f32(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(factor) == m && voco_count(y) == m * c);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < c; j++)
            py[i * c + j] = px[i * c + j] * pf[i];
}

/* ---- patch merging ---- */

static void
merge_forward(struct voco_ctx *ctx, X x, const int (*order)[3], Y y)
{
    const int64_t d = x->dim[1], h = x->dim[2], w = x->dim[3], c = x->dim[4];
    const int64_t d2 = (d + 1) / 2, h2 = (h + 1) / 2, w2 = (w + 1) / 2;
    const int64_t rows = x->dim[0] * d2 * h2 * w2;
    const size_t bytes = (size_t)c * voco_type_bytes(x->type);
    const char *px = x->data;
    char *py = y->data;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(y) == rows * 8 * c && x->type == y->type);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int o = 0; o < 8; o++) {
            const int64_t k = r % w2 * 2 + order[o][2], j = r / w2 % h2 * 2 + order[o][1];
            const int64_t i = r / (w2 * h2) % d2 * 2 + order[o][0], n = r / (w2 * h2 * d2);
            char *to = py + (size_t)(r * 8 + o) * bytes;

            if (i < d && j < h && k < w)
                memcpy(to, px + (size_t)(((n * d + i) * h + j) * w + k) * bytes, bytes);
            else
                memset(to, 0, bytes);
        }
}

/* Each voxel gathers from the places of its row of dy that came from it: channels
 * [q, q + m) of voxel (i,j,k), whose row begins at element row. */
static void
gather_places(const struct voco_kernels *kernels, X dy, const int (*order)[3],
              const int64_t odd[3], int64_t row, int64_t c, int64_t q, int64_t m, float *to)
{
    float spare[VOCO_BLOCK];

    memset(to, 0, (size_t)m * sizeof *to);
    for (int o = 0; o < 8; o++)
        if (order[o][0] == odd[0] && order[o][1] == odd[1] && order[o][2] == odd[2])
            kernels->add(voco_block_read(kernels, dy, row + o * c + q, m, spare), to,
                         (size_t)m);
}

static void
merge_backward(struct voco_ctx *ctx, X dy, const int (*order)[3], Y dx)
{
    const struct voco_kernels *kernels = voco_cpu_state(ctx)->kernels;
    const int64_t d = dx->dim[1], h = dx->dim[2], w = dx->dim[3], c = dx->dim[4];
    const int64_t d2 = (d + 1) / 2, h2 = (h + 1) / 2, w2 = (w + 1) / 2;
    const int64_t voxels = dx->dim[0] * d * h * w;

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_count(dy) == dx->dim[0] * d2 * h2 * w2 * 8 * c);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t v = 0; v < voxels; v++) {
        const int64_t k = v % w, j = v / w % h, i = v / (w * h) % d, n = v / (w * h * d);
        const int64_t odd[3] = { i % 2, j % 2, k % 2 };
        const int64_t row = (((n * d2 + i / 2) * h2 + j / 2) * w2 + k / 2) * 8 * c;

        for (int64_t q = 0; q < c; q += VOCO_BLOCK) {
            const int64_t m = voco_block_size(c, q);
            float spare[VOCO_BLOCK], *to = voco_block_room(dx, v * c + q, spare);

            gather_places(kernels, dy, order, odd, row, c, q, m, to);
            voco_block_done(kernels, dx, v * c + q, m, to);
        }
    }
}

/* ---- global average pooling ---- */

static void
pool_forward(struct voco_ctx *ctx, X x, Y y, int64_t first)
{
    const int64_t n = x->dim[0], c = voco_cols(x), s = voco_rows(x) / (n ? n : 1);
    const int64_t cols = voco_cols(y);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(y) == n && first >= 0 && first + c <= cols);
    for (int64_t i = 0; i < n; i++) {
        const struct voco_tensor item = voco_slice(x, i, 1);
        float *to = voco_f32(y) + i * cols + first;

        memset(to, 0, (size_t)c * sizeof *to);
        voco_cpu_columns_add(ctx, &item, to);
        for (int64_t j = 0; j < c; j++)
            to[j] /= (float)s;
    }
}

/* All rows of an item are the same. */
static void
pool_backward(struct voco_ctx *ctx, X dy, int64_t first, Y dx)
{
    const struct voco_kernels *k = voco_cpu_state(ctx)->kernels;
    const int64_t n = dx->dim[0], c = voco_cols(dx), s = voco_rows(dx) / (n ? n : 1);
    const size_t bytes = (size_t)c * voco_type_bytes(dx->type);
    struct voco_tensor row = { .dim = { c, 1, 1, 1, 1 }, .rank = 1, .type = dx->type };
    float *mean = voco_cpu_scratch(ctx, (size_t)c * 2 * sizeof *mean);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(dy) == n && first >= 0 && first + c <= voco_cols(dy));
    row.data = mean + c;
    for (int64_t i = 0; i < n; i++) {
        float *to = voco_block_room(&row, 0, mean);

        for (int64_t j = 0; j < c; j++)
            to[j] = voco_f32(dy)[i * voco_cols(dy) + first + j] / (float)s;
        voco_block_done(k, &row, 0, c, to);
        #pragma omp parallel for num_threads(ctx->threads) schedule(static)
        for (int64_t r = 0; r < s; r++)
            memcpy((char *)dx->data + (size_t)(i * s + r) * bytes, row.data, bytes);
    }
}

/* ---- columns ---- */

static void
copy_columns(struct voco_ctx *ctx, X x, int64_t from, Y y, int64_t to, int64_t n)
{
    const int64_t cx = voco_cols(x), cy = voco_cols(y), rows = voco_rows(x);
    const int64_t size = (int64_t)voco_type_bytes(x->type);

    if (ctx->err)
        return;
    VOCO_ASSERT(voco_rows(y) == rows && from >= 0 && from + n <= cx && to >= 0
                && to + n <= cy && x->type == y->type);
    #pragma omp parallel for num_threads(ctx->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        memcpy((char *)y->data + (r * cy + to) * size,
               (const char *)x->data + (r * cx + from) * size, (size_t)(n * size));
}

/* ---- the tables ---- */

/* Entries look at the types of their tensors, so both devices have the same ones. */
#define ENTRIES \
    .open = open_cpu, \
    .close = close_cpu, \
    .describe = describe, \
    .peak = voco_cpu_peak, \
    .sync = sync_cpu, \
    .reserve = reserve, \
    .choices_read = voco_tuning_choices, \
    .choices_used = voco_tuning_hash, \
    .choices_keep = voco_tuning_keep, \
    .upload = upload, \
    .download = download, \
    .fill = fill, \
    .copy = copy, \
    .add = add, \
    .conv3d_forward = voco_cpu_conv3d_forward, \
    .conv3d_backward_data = voco_cpu_conv3d_backward_data, \
    .conv3d_backward_weights = voco_cpu_conv3d_backward_weights, \
    .deconv_forward = voco_cpu_deconv_forward, \
    .deconv_backward = voco_cpu_deconv_backward, \
    .linear_forward = voco_cpu_linear_forward, \
    .linear_backward_data = voco_cpu_linear_backward_data, \
    .linear_backward_weights = voco_cpu_linear_backward_weights, \
    .instnorm_forward = voco_cpu_instnorm_forward, \
    .instnorm_backward = voco_cpu_instnorm_backward, \
    .layernorm_forward = voco_cpu_layernorm_forward, \
    .layernorm_backward = voco_cpu_layernorm_backward, \
    .affine_forward = voco_cpu_affine_forward, \
    .affine_backward = voco_cpu_affine_backward, \
    .leaky_forward = voco_cpu_leaky_forward, \
    .leaky_backward = voco_cpu_leaky_backward, \
    .gelu_forward = voco_cpu_gelu_forward, \
    .gelu_backward = voco_cpu_gelu_backward, \
    .scale_rows = scale_rows, \
    .attn_forward = voco_cpu_attn_forward, \
    .attn_backward = voco_cpu_attn_backward, \
    .merge_forward = merge_forward, \
    .merge_backward = merge_backward, \
    .pool_forward = pool_forward, \
    .pool_backward = pool_backward, \
    .copy_columns = copy_columns, \
    .assign_forward = voco_cpu_assign_forward, \
    .assign_backward = voco_cpu_assign_backward, \
    .ce_forward = voco_cpu_ce_forward, \
    .ce_backward = voco_cpu_ce_backward, \
    .decor_forward = voco_cpu_decor_forward, \
    .decor_backward = voco_cpu_decor_backward, \
    .dicece_forward = voco_cpu_dicece_forward, \
    .dicece_backward = voco_cpu_dicece_backward, \
    .sum_squares = voco_cpu_sum_squares, \
    .adamw = voco_cpu_adamw, \
    .ema = voco_cpu_ema, \
    .conv_workspace = voco_cpu_conv_workspace, \
    .attn_workspace = voco_cpu_attn_workspace, \
    .conv_packed_bytes = voco_cpu_conv_packed_bytes, \
    .conv_moments = voco_cpu_conv_moments,

const struct voco_device voco_cpu = {
    .name = "cpu", .option = "cpu", .real = VOCO_F32, .act = VOCO_F32, ENTRIES
};
const struct voco_device voco_cpu_bf16 = {
    .name = "bf16", .option = "cpu", .real = VOCO_F32, .act = VOCO_BF16, ENTRIES
};

bool
voco_cpu_has_bf16(void)
{
    const char *note;

    return strcmp(voco_cpu_isa(&note), voco_isa_name(VOCO_ISA_AVX512BF16)) == 0;
}
