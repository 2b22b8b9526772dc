/*
 * Blocks of the network on every device against tests/golden/ops.h5 and views.h5: outputs, input
 * gradients and all parameter gradients.  Tolerances as in test_golden_ops.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/head.h"
#include "net/resblock.h"
#include "net/stage.h"
#include "net/upblock.h"
#include "tests/compare.h"
#include "tests/devices.h"
#include "tests/golden_read.h"
#include "tests/tensors.h"
#include "tests/test.h"

static struct golden golden;
static struct voco_ctx ctx;

enum { INPUTS = 2 };            /* at most */

/* A block under test: how it is made and run; x and dx are as many as it has inputs. */
union block {
    struct voco_resblock res;
    struct voco_upblock up;
    struct voco_stage stage;
    struct voco_head head;
};

struct golden_case {
    const char *file, *group;
    void (*init)(const struct golden_case *c, union block *b, struct voco_params *t);
    void (*run)(const union block *b, const struct voco_weights *w,
                const struct voco_tensor *x, const struct voco_tensor *y,
                const struct voco_tensor *dy, const struct voco_tensor *dx);
    int64_t cin, cout;
    enum voco_merging merging;
    enum voco_head_norm norm;
    double floor;               /* gradients of parameters are judged against no less */
    int inputs;
    double cosine;              /* at least, with activations in bfloat16 */
};

static void
init_res(const struct golden_case *c, union block *b, struct voco_params *t)
{
    char name[64];

    snprintf(name, sizeof name, "%s.layer", c->group);
    voco_resblock_init(&b->res, t, c->cin, c->cout, name);
}

static void
run_res(const union block *b, const struct voco_weights *w, const struct voco_tensor *x,
        const struct voco_tensor *y, const struct voco_tensor *dy,
        const struct voco_tensor *dx)
{
    struct voco_resblock_saved saved;

    voco_resblock_forward(&ctx, w, &b->res, x, y, &saved);
    voco_resblock_backward(&ctx, w, &b->res, &saved, dy, dx);
}

static void
init_up(const struct golden_case *c, union block *b, struct voco_params *t)
{
    voco_upblock_init(&b->up, t, c->cin, c->cout, c->group);
}

static void
run_up(const union block *b, const struct voco_weights *w, const struct voco_tensor *x,
       const struct voco_tensor *y, const struct voco_tensor *dy,
       const struct voco_tensor *dx)
{
    struct voco_upblock_saved saved;

    voco_upblock_forward(&ctx, w, &b->up, &x[0], &x[1], y, &saved);
    voco_upblock_backward(&ctx, w, &b->up, &saved, dy, &dx[0], &dx[1]);
}

static void
init_stage(const struct golden_case *c, union block *b, struct voco_params *t)
{
    voco_stage_init(&b->stage, t, c->cin, 3, c->merging, c->group);
}

static void
run_stage(const union block *b, const struct voco_weights *w, const struct voco_tensor *x,
          const struct voco_tensor *y, const struct voco_tensor *dy,
          const struct voco_tensor *dx)
{
    struct voco_stage_saved saved;

    voco_stage_forward(&ctx, w, &b->stage, x, y, &saved);
    voco_stage_backward(&ctx, w, &b->stage, &saved, dy, dx);
}

static void
init_head(const struct golden_case *c, union block *b, struct voco_params *t)
{
    char prefix[64];

    snprintf(prefix, sizeof prefix, "%s.", c->group);
    voco_head_init(&b->head, t, c->norm, c->cin, 32, c->cout, prefix);
}

static void
run_head(const union block *b, const struct voco_weights *w, const struct voco_tensor *x,
         const struct voco_tensor *y, const struct voco_tensor *dy,
         const struct voco_tensor *dx)
{
    struct voco_head_saved saved;

    voco_head_forward(&ctx, w, &b->head, x, y, &saved);
    voco_head_backward(&ctx, w, &b->head, &saved, dy, dx);
}

/*
 * Some gradients are small because large terms cancel: a norm takes the size of the
 * weights in front of it away again (conv3 of resblock_proj has nothing but size: 3072
 * terms leave 0.2), and it takes a bias away altogether.
 *
 * In bfloat16 the kink of the leaky ReLU sets the limit for convolution blocks: a number near
 * 0 whose sign turns lets 100 times more or less of its gradient through.  Nothing but the
 * input of such a block rounded gives cosines of 0.999 in double.
 */
static const struct golden_case cases[] = {
    { "ops", "resblock_same", init_res, run_res, 12, 12, VOCO_MERGING_FIXED, 0, 1, 1, 0.998 },
    { "ops", "resblock_proj", init_res, run_res, 1, 12, VOCO_MERGING_FIXED, 0, 10, 1, 0.998 },
    { "ops", "upblock", init_up, run_up, 24, 12, VOCO_MERGING_FIXED, 0, 10, 2, 0.998 },
    { "ops", "swin_8", init_stage, run_stage, 12, 24, VOCO_MERGING_FIXED, 0, 1, 1, 0.9999 },
    { "ops", "swin_8_legacy", init_stage, run_stage, 12, 24, VOCO_MERGING_LEGACY, 0, 1, 1, 0.9999 },
    { "ops", "swin_4", init_stage, run_stage, 12, 24, VOCO_MERGING_FIXED, 0, 1, 1, 0.9999 },
    { "ops", "swin_9x8x10", init_stage, run_stage, 12, 24, VOCO_MERGING_FIXED, 0, 1, 1, 0.9999 },
    { "ops", "swin_16x7x14", init_stage, run_stage, 12, 24, VOCO_MERGING_FIXED, 0, 1, 1, 0.9999 },
    { "ops", "projector", init_head, run_head, 48, 24, VOCO_MERGING_FIXED,
      VOCO_HEAD_BATCH_NORM, 1, 1, 0.9999 },
    { "views", "projector_row", init_head, run_head, 48, 24, VOCO_MERGING_FIXED,
      VOCO_HEAD_ROW_NORM, 1, 1, 0.9999 },
    { "views", "projector_plain", init_head, run_head, 48, 24, VOCO_MERGING_FIXED,
      VOCO_HEAD_NO_NORM, 1, 1, 0.9999 },
};

/* ---- golden arrays on the device ---- */

static struct voco_tensor
upload(struct golden_array a)
{
    struct voco_tensor host, x;

    golden_channels_last(&a);
    host = x = golden_view(&a);
    if (x.rank == 5)            /* the heads' rows are no activations */
        x.type = ctx.dev->act;
    x = voco_push_like(&ctx, &ctx.keep, &x);
    ctx.dev->upload(&ctx, &host, &x);
    golden_free(&a);
    return x;
}

/* Parameters are named GROUP.rest here and GROUP/rest in the file. */
static const char *
rest_of(const struct golden_case *c, const struct voco_param *p)
{
    return p->name + strlen(c->group) + 1;
}

static void
fill_weights(const struct golden_case *c, const struct voco_weights *w)
{
    for (int i = 0; i < w->table->n; i++) {
        const struct voco_param *p = &w->table->item[i];
        const struct voco_tensor x = voco_weight(w, i);
        struct golden_array a = golden_param(&golden, p->rank, p->dim, "%s/%s", c->group,
                                             rest_of(c, p));
        const struct voco_tensor host = golden_view(&a);

        ctx.dev->upload(&ctx, &host, &x);
        golden_free(&a);
    }
}

/* Of joined vectors: the reference's, ours. */
struct angle {
    double ab, aa, bb;
};

static void
join(struct angle *v, const double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        v->ab += a[i] * b[i];
        v->aa += a[i] * a[i];
        v->bb += b[i] * b[i];
    }
}

/* Single elements of eight bits tell little; the direction must be right. */
static bool
points_alike(const char *what, const struct angle *v, double least)
{
    const double cosine = v->aa > 0 ? v->ab / sqrt(v->aa * v->bb) : 1;

    if (!(cosine > least))
        printf("bf16: %s: cosine %.6f\n", what, cosine);
    return cosine > least;
}

/* f32: the tolerance on devices of single precision; floor: what counts as the largest
 * value at the least.  With activations in bfloat16 it is only joined to v. */
static bool
agrees(const char *group, const char *what, bool last, const struct voco_tensor *got,
       double f32, double floor, struct angle *v)
{
    const double tolerance = ctx.dev->real == VOCO_F64 ? 1e-6 : f32;
    struct golden_array want = golden_read(&golden, "%s/%s", group, what);
    const int64_t n = voco_count(got);
    double *host = malloc((size_t)n * sizeof *host), largest = 0;
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, n);
    char label[192];
    bool ok;

    ck_assert_ptr_nonnull(host);
    ck_assert_int_eq(want.count, n);
    if (last)
        golden_channels_last(&want);
    ctx.dev->download(&ctx, got, &view);
    for (int64_t i = 0; i < n; i++) {
        const double size = want.x[i] < 0 ? -want.x[i] : want.x[i];

        largest = size > largest ? size : largest;
    }
    snprintf(label, sizeof label, "%s: %s/%s", ctx.dev->name, group, what);
    join(v, want.x, host, n);
    ok = ctx.dev->act == VOCO_BF16
         || compare(label, want.x, host, n,
                    largest < floor ? tolerance * floor / largest : tolerance);
    golden_free(&want);
    free(host);
    return ok;
}

START_TEST(block_agrees_with_the_reference)
{
    const struct golden_case *c = &cases[_i % COUNT(cases)];
    struct voco_params table = { 0 };
    struct voco_weights w = { .table = &table };
    struct voco_tensor x[INPUTS], dx[INPUTS], y, dy;
    struct golden_array shape;
    struct angle forward = { 0 }, backward = { 0 }, gradient = { 0 };
    char path[160];
    union block b;
    bool ok;

    golden = golden_open(c->file);
    ck_assert_int_eq(voco_ctx_open(&ctx, devices[_i / COUNT(cases)],
                                   &(struct voco_ctx_options){ .limit = (size_t)256 << 20,
                                                               .threads = 2 }), VOCO_OK);
    c->init(c, &b, &table);
    w.weight = voco_push_real(&ctx, &ctx.keep, 1, table.count);
    w.grad = voco_push_real(&ctx, &ctx.keep, 1, table.count);
    ctx.dev->fill(&ctx, &w.weight, 0);
    ctx.dev->fill(&ctx, &w.grad, 0);
    fill_weights(c, &w);

    for (int i = 0; i < c->inputs; i++) {
        x[i] = upload(golden_input(&golden, c->group, i, -1, 1));
        dx[i] = voco_push_like(&ctx, &ctx.keep, &x[i]);
    }
    shape = golden_read(&golden, "%s/y", c->group);
    dy = upload(golden_upstream(&golden, c->group, &shape));
    golden_free(&shape);
    y = voco_push_like(&ctx, &ctx.keep, &dy);
    c->run(&b, &w, x, &y, &dy, dx);
    ck_assert_int_eq(ctx.err, VOCO_OK);

    ok = agrees(c->group, "y", true, &y, 1e-5, 0, &forward);
    for (int i = 0; i < c->inputs; i++) {
        snprintf(path, sizeof path, "dx%d", i);
        ok = agrees(c->group, path, true, &dx[i], 1e-4, 0, &backward) && ok;
    }
    for (int i = 0; i < table.n; i++) {
        const struct voco_tensor grad = voco_gradient(&w, i);

        snprintf(path, sizeof path, "grad/%s", rest_of(c, &table.item[i]));
        ok = agrees(c->group, path, false, &grad, 1e-4, c->floor, &gradient) && ok;
    }
    if (ctx.dev->act == VOCO_BF16) {
        ok = points_alike("y", &forward, c->cosine) && ok;
        ok = points_alike("dx", &backward, c->cosine) && ok;
        ok = points_alike("gradient", &gradient, c->cosine) && ok;
    }
    ck_assert_msg(ok, "%s on %s", c->group, ctx.dev->name);
    voco_params_free(&table);
    voco_ctx_close(&ctx);
    golden_close(&golden);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("golden_net");
    TCase *tc = tcase_create("blocks");

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, block_agrees_with_the_reference, 0, ALL_DEVICES * COUNT(cases));
    suite_add_tcase(suite, tc);
    return suite;
}
