/* What fine-tuning does to weights before and while it learns: channels that are adapted,
 * rates by depth, the best of a run. */
#include <math.h>

#include "dev/cpu/cpu.h"
#include "tests/devices.h"
#include "tests/golden_model.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "train/best.h"
#include "train/rates.h"
#include "model/weights.h"

struct rig {
    struct voco_ctx ctx;
    struct voco_model model;
};

static void
rig_open(struct rig *r, int64_t channels, bool training, uint64_t seed)
{
    const struct voco_model_config config = { .feature = 12, .in_channels = channels,
                                              .classes = 3 };

    *r = (struct rig){ 0 };
    ck_assert_int_eq(voco_ctx_open(&r->ctx, device_under_test(),
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 34,
                                                               .threads = 2 }), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&r->model, &config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&r->model, &r->ctx, training), VOCO_OK);
    voco_model_fill(&r->model, &r->ctx, VOCO_INIT_HASH, seed);
}

static void
rig_close(struct rig *r)
{
    voco_model_free(&r->model);
    voco_ctx_close(&r->ctx);
}

/* The numbers of a parameter.  Free them. */
static double *
values(struct rig *r, const char *name, const struct voco_param **ret)
{
    const struct voco_weights w = { .table = &r->model.params, .weight = r->model.weight };
    const int id = voco_params_find(&r->model.params, name);
    struct voco_tensor x;

    ck_assert_msg(id >= 0, "%s", name);
    *ret = &r->model.params.item[id];
    x = voco_weight(&w, id);
    return golden_host_copy(&r->ctx, &x);
}

static enum voco_err
load_adapted(struct rig *r, enum voco_adapter adapter, struct voco_coverage *cover)
{
    const struct voco_demand demand = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_BACKBONE,
                                        .adapter = adapter, .quiet = true };

    return voco_model_load(scratch("one.safetensors"), &r->ctx, &r->model, &demand, cover);
}

static const char *const first_layers[] = { "swinViT.patch_embed.proj.weight",
                                            "encoder1.layer.conv1.conv.weight",
                                            "encoder1.layer.conv3.conv.weight" };

START_TEST(weights_of_one_channel_are_repeated_or_shared_among_channels)
{
    static const enum voco_adapter adapter[] = { VOCO_ADAPT_REPEAT, VOCO_ADAPT_MEAN };
    static const float factor[] = { 1.0f, 1.0f / 3.0f };
    struct voco_coverage cover;
    struct rig one, three;

    rig_open(&one, 1, false, 1);
    rig_open(&three, 3, false, 2);
    ck_assert_int_eq(voco_model_save(scratch("one.safetensors"), &one.ctx, &one.model, NULL,
                                     NULL), VOCO_OK);
    ck_assert_int_eq(load_adapted(&three, adapter[_i], &cover), VOCO_OK);
    ck_assert_int_eq(cover.adapted, 3);
    ck_assert_int_eq(cover.loaded, one.model.params.n);
    for (int l = 0; l < 3; l++) {
        const struct voco_param *a, *b;
        double *x = values(&one, first_layers[l], &a);
        double *y = values(&three, first_layers[l], &b);
        const int64_t each = a->count / a->dim[0];

        ck_assert_int_eq(b->count, 3 * a->count);
        for (int64_t i = 0; i < b->count; i++)
            ck_assert(y[i] == factor[_i] * (float)x[i / each / 3 * each + i % each]);
        free(x);
        free(y);
    }
    rig_close(&one);
    rig_close(&three);
}
END_TEST

START_TEST(other_channels_are_refused_or_begin_anew)
{
    struct voco_coverage cover;
    struct rig one, two, fresh;

    rig_open(&one, 1, false, 1);
    rig_open(&two, 2, false, 2);
    rig_open(&fresh, 2, false, 2);
    ck_assert_int_eq(voco_model_save(scratch("one.safetensors"), &one.ctx, &one.model, NULL,
                                     NULL), VOCO_OK);
    ck_assert_int_eq(load_adapted(&two, VOCO_ADAPT_REFUSE, &cover), VOCO_ECHECKPOINT);
    ck_assert_int_eq(load_adapted(&two, VOCO_ADAPT_DROP, &cover), VOCO_OK);
    ck_assert_int_eq(cover.adapted, 3);
    for (int l = 0; l < 3; l++) {
        const struct voco_param *p;
        double *was = values(&fresh, first_layers[l], &p);
        double *is = values(&two, first_layers[l], &p);

        ck_assert_mem_eq(was, is, (size_t)p->count * sizeof *is);
        free(was);
        free(is);
    }
    rig_close(&one);
    rig_close(&two);
    rig_close(&fresh);
}
END_TEST

/* How far one update moves a parameter, with a gradient of ones: the learning rate. */
static double
moved(struct rig *r, const double *before, const char *name)
{
    const struct voco_param *p;
    double *after = values(r, name, &p), far;

    for (int64_t i = 1; i < p->count; i++)
        ck_assert_double_eq_tol(before[p->offset + i] - after[i],
                                before[p->offset] - after[0], 2e-6);
    far = before[p->offset] - after[0];
    free(after);
    return far;
}

START_TEST(rates_fall_with_depth_and_a_frozen_encoder_stays)
{
    static const struct { const char *name; int below; } param[] = {
        { "swinViT.patch_embed.proj.weight", 6 },
        { "swinViT.layers1.0.blocks.0.attn.qkv.weight", 5 },
        { "swinViT.layers4c.0.layer.conv1.conv.weight", 2 },
        { "encoder10.layer.conv1.conv.weight", 1 },
        { "decoder1.transp_conv.conv.weight", 0 }, { "out.conv.conv.bias", 0 },
    };
    const struct voco_adamw o = { .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                                  .step = 1 };
    const bool frozen = _i;
    struct voco_rates rates;
    struct rig r;
    double *before;

    rig_open(&r, 1, true, 3);
    before = golden_host_copy(&r.ctx, &r.model.weight);
    r.ctx.dev->fill(&r.ctx, &r.model.grad, 1.0);
    ck_assert_int_eq(voco_rates_make(&rates, &r.model, 0.5, frozen), VOCO_OK);
    ck_assert_int_eq(voco_rates_update(&rates, &r.model, &r.ctx, &o), VOCO_OK);
    for (size_t i = 0; i < sizeof param / sizeof *param; i++)
        ck_assert_double_eq_tol(moved(&r, before, param[i].name),
                                frozen && param[i].below ? 0 : 0.01 / (1 << param[i].below),
                                2e-6);
    voco_rates_free(&rates);
    free(before);
    rig_close(&r);
}
END_TEST

static const struct voco_score_name dice = { .name = "dice", .word = "Dice" };
static const struct voco_score_name error = { .name = "error", .word = "error",
                                              .less_is_better = true };

START_TEST(best_is_that_of_the_part_of_the_run_that_is_done)
{
    struct voco_best best = voco_best_read(&dice, scratch_folder, 100);
    struct rig r;

    ck_assert(isnan(best.score));
    ck_assert(voco_best_beaten(&best, 0.0));
    rig_open(&r, 1, false, 4);
    ck_assert_int_eq(voco_best_keep(&best, scratch_folder, 0.5, 10, &r.ctx, &r.model,
                                    json_pack("{s:[f,n]}", "class_dice", 0.25)), VOCO_OK);
    ck_assert(!voco_best_beaten(&best, 0.5));
    ck_assert(voco_best_beaten(&best, 0.6));
    best = voco_best_read(&dice, scratch_folder, 10);
    ck_assert(best.score == 0.5 && best.step == 10);
    best = voco_best_read(&dice, scratch_folder, 9);
    ck_assert(isnan(best.score));
    best = voco_best_read(&error, scratch_folder, 10);
    ck_assert(isnan(best.score));
    rig_close(&r);
}
END_TEST

START_TEST(the_best_of_an_error_is_the_least)
{
    const struct voco_best best = { .name = &error, .score = 0.5, .step = 1 };

    ck_assert(voco_best_beaten(&best, 0.4));
    ck_assert(!voco_best_beaten(&best, 0.5));
    ck_assert(!voco_best_beaten(&best, 0.6));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("finetune");
    TCase *all = tcase_create("weights");

    tcase_add_checked_fixture(all, scratch_setup, scratch_teardown);
    tcase_set_timeout(all, 300);
    tcase_add_loop_test(all, weights_of_one_channel_are_repeated_or_shared_among_channels, 0,
                        2);
    tcase_add_test(all, other_channels_are_refused_or_begin_anew);
    tcase_add_loop_test(all, rates_fall_with_depth_and_a_frozen_encoder_stays, 0, 2);
    tcase_add_test(all, best_is_that_of_the_part_of_the_run_that_is_done);
    tcase_add_test(all, the_best_of_an_error_is_the_least);
    suite_add_tcase(suite, all);
    return suite;
}
