/*
 * The run and its table of objectives: an objective that is the sum of two, settings that
 * are recorded and compared, followers.
 */
#include <math.h>

#include "base/rng.h"
#include "dev/cpu/cpu.h"
#include "objective/voco/step.h"
#include "objective/voco/voco.h"
#include "report/metrics.h"
#include "tensorfile/tensorfile.h"
#include "tests/devices.h"
#include "tests/golden_model.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "train/schedule.h"
#include "train/settings.h"

enum { EDGE = 32, VOXELS = EDGE * EDGE * EDGE, BASES = 9, CROPS = 1 + BASES };

/* ---- batches that are a formula of the source's seed and the step ---- */

static enum voco_err
made_up_alloc(const void *source, void *batch)
{
    struct voco_batch *b = batch;

    (void)source;
    *b = (struct voco_batch){ .sw = 1, .roi = EDGE };
    b->img = voco_batch_array(CROPS * VOXELS, sizeof *b->img);
    b->labels = voco_batch_array(BASES, sizeof *b->labels);
    ck_assert(b->img && b->labels);
    b->crops = b->img + VOXELS;
    return VOCO_OK;
}

static void
made_up_free(void *batch)
{
    free(((struct voco_batch *)batch)->img);
    free(((struct voco_batch *)batch)->labels);
}

static void
made_up_begin(void *source, void *batch, int unit)
{
    struct voco_batch *b = batch;
    char name[32];

    (void)unit;
    snprintf(name, sizeof name, "step%d", (int)b->head.step);
    voco_hash_uniform(*(const uint64_t *)source, name, CROPS * VOXELS, 0, 1, b->img);
    memset(b->labels, 0, BASES * sizeof *b->labels);
    b->labels[b->head.step % BASES] = 1;
}

static enum voco_err
made_up_fill(const void *source, void *batch, int unit, void *own)
{
    (void)source;
    (void)batch;
    (void)unit;
    (void)own;
    return VOCO_OK;
}

static void *
made_up_own(const void *source)
{
    return (void *)source;
}

static void
made_up_own_free(void *own)
{
    (void)own;
}

static const struct voco_batch_kind made_up = {
    .name = "made-up crops", .bytes = sizeof(struct voco_batch), .alloc = made_up_alloc,
    .free = made_up_free, .begin = made_up_begin, .fill = made_up_fill,
    .own_new = made_up_own, .own_free = made_up_own_free,
};

/* ---- VoCo on one such stream, and the sum of two ---- */

static uint64_t seeds[2] = { 5, 6 };

static struct voco_pretrain_config
small_config(int64_t steps)
{
    struct voco_pretrain_config c = VOCO_PRETRAIN_DEFAULTS;

    c.common.feature = 12;
    c.size = (struct voco_contrast_size){ .volumes = 1, .sw = 1, .bases = BASES,
                                           .roi = EDGE };
    c.common.group = 4;
    c.common.run.loop.out = scratch("run");
    c.common.run.loop.steps = steps;
    c.common.run.loop.keep_last = 9;
    c.common.run.schedule = VOCO_CONSTANT;
    c.common.run.lr = 1e-3;
    c.common.run.threads = 2;
    c.common.run.precision = VOCO_PRECISION_F32;
    return c;
}

static enum voco_err
prepare(void *config, void **data, struct voco_setup *ret)
{
    *data = NULL;
    ret->model = voco_pretrain_model(config);
    ret->init = VOCO_INIT_TORCH;
    return VOCO_OK;
}

static void
release(void *data)
{
    (void)data;
}

static void
announce(const void *config, void *data, const struct voco_setup *setup,
         const struct voco_device *dev, const struct voco_plan *plan)
{
    (void)config;
    (void)data;
    (void)setup;
    (void)dev;
    (void)plan;
}

static void
facts(const void *config, void *data, const struct voco_setup *setup, json_t *options,
      json_t *more)
{
    (void)config;
    (void)data;
    (void)setup;
    (void)options;
    (void)more;
}

static enum voco_err
one_input(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX], int *ret_n)
{
    (void)config;
    (void)data;
    ret[0] = (struct voco_input){ &made_up, &seeds[0], 1 };
    *ret_n = 1;
    return VOCO_OK;
}

static enum voco_err
two_inputs(const void *config, void *data, struct voco_input ret[VOCO_INPUTS_MAX],
           int *ret_n)
{
    for (*ret_n = 0; *ret_n < 2; (*ret_n)++)
        ret[*ret_n] = (struct voco_input){ &made_up, &seeds[*ret_n], 1 };
    (void)config;
    (void)data;
    return VOCO_OK;
}

/* The first stream, then the second, onto the same gradient. */
static enum voco_err
sum_gradient(void *work, const struct voco_batch_head *const batch[],
             const volatile sig_atomic_t *stop, double *ret_term)
{
    const enum voco_err err = voco_objective_voco.gradient(work, batch, stop, ret_term);

    return err == VOCO_OK ? voco_objective_voco.gradient(work, batch + 1, stop,
                                                         ret_term + VOCO_CONTRAST_TERMS)
                          : err;
}

enum { TERMS = 3 };

static const struct voco_term sum_terms[2 * TERMS] = {
    { "intra", "intra" }, { "inter", "inter" }, { "reg", "reg" },
    { "intra_2", "intra" }, { "inter_2", "inter" }, { "reg_2", "reg" },
};

/* VoCo's row with parts of our own. */
static struct voco_objective
objective(bool sum)
{
    struct voco_objective o = voco_objective_voco;

    o.name = sum ? "sum" : "single";
    o.prepare = prepare;
    o.release = release;
    o.announce = announce;
    o.facts = facts;
    o.inputs = sum ? two_inputs : one_input;
    o.gradient = sum ? sum_gradient : o.gradient;
    o.term = sum_terms;
    o.n_terms = sum ? 2 * TERMS : TERMS;
    o.observe = NULL;
    o.finish = NULL;
    return o;
}

/* The gradient of step 0 of the streams [first, first+n) on a fresh model; free it. */
static double *
gradient_of(int first, int n, double *ret_loss, int64_t *ret_count)
{
    const struct voco_objective o = objective(n == 2);
    const struct voco_pretrain_config config = small_config(1);
    const struct voco_model_config described = voco_pretrain_model(&config);
    const struct voco_batch_head *batch[2];
    struct voco_batch made[2];
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_gradient g;
    void *work;
    double *copy;

    ck_assert_int_eq(voco_ctx_open(&ctx, device_under_test(),
                                   &(struct voco_ctx_options){ .threads = 2 }), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &described), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_TORCH, 1);
    ck_assert_int_eq(o.open(&config, &ctx, &model, &(struct voco_grouping){ 4, 3 }, &work),
                     VOCO_OK);
    for (int i = 0; i < n; i++) {
        made_up_alloc(NULL, &made[i]);
        made[i].head.step = 0;
        made_up_begin(&seeds[first + i], &made[i], 0);
        batch[i] = &made[i].head;
    }
    ck_assert_int_eq(voco_take_gradient(&o, work, &ctx, &model, &voco_comm_self, batch, NULL,
                                        &g), VOCO_OK);
    ck_assert(g.finite);
    *ret_loss = g.loss;
    *ret_count = model.trained;
    copy = golden_host_copy(&ctx, &model.grad);
    for (int i = 0; i < n; i++)
        made_up_free(&made[i]);
    o.close(work);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    return copy;
}

START_TEST(sum_of_objectives_has_the_sum_of_losses_and_gradients)
{
    double loss[3], off = 0, norm = 0;
    int64_t n;
    double *first = gradient_of(0, 1, &loss[0], &n);
    double *second = gradient_of(1, 1, &loss[1], &n);
    double *both = gradient_of(0, 2, &loss[2], &n);

    ck_assert_double_eq_tol(loss[2], loss[0] + loss[1], 1e-5);
    for (int64_t i = 0; i < n; i++) {
        off += pow(both[i] - first[i] - second[i], 2);
        norm += both[i] * both[i];
    }
    ck_assert_double_gt(norm, 0);
    ck_assert_double_lt(sqrt(off / norm), 1e-5);
    free(first);
    free(second);
    free(both);
}
END_TEST

static void
run_config(const struct voco_objective *o, struct voco_pretrain_config config,
           int64_t stop_after, enum voco_err want)
{
    config.common.run.loop.stop_after = stop_after;
    ck_assert_int_eq(voco_run(o, NULL, &config), want);
}

static void
run(const struct voco_objective *o, int64_t steps, int64_t stop_after, enum voco_err want)
{
    run_config(o, small_config(steps), stop_after, want);
}

static uint32_t
weights_sum(void)
{
    char *text;
    size_t n;
    uint32_t sum;

    ck_assert_int_eq(voco_file_read(scratch("run/model.safetensors"), (size_t)1 << 30, &text,
                                    &n), VOCO_OK);
    sum = voco_crc32c(0, text, n);
    free(text);
    return sum;
}

START_TEST(run_of_a_sum_logs_all_terms_and_resumes_with_the_same_bits)
{
    const struct voco_objective o = objective(true);
    char *metrics;
    size_t n;
    uint32_t whole;

    run(&o, 3, 0, VOCO_OK);
    whole = weights_sum();
    ck_assert_int_eq(voco_file_read(scratch("run/metrics.jsonl"), 1 << 20, &metrics, &n),
                     VOCO_OK);
    ck_assert_ptr_nonnull(strstr(metrics, "\"reg_2\":"));
    ck_assert_ptr_nonnull(strstr(metrics, "{\"step\":2,"));
    free(metrics);
    ck_assert_int_eq(voco_folder_remove(scratch("run")), VOCO_OK);
    run(&o, 3, 1, VOCO_ESTOPPED);
    run(&o, 3, 2, VOCO_ESTOPPED);
    run(&o, 3, 0, VOCO_OK);
    ck_assert_uint_eq(weights_sum(), whole);
}
END_TEST

/* ---- SGD ---- */

/* Clipped, so that the norm, too, must come back with the same bits. */
static struct voco_pretrain_config
sgd_config(int64_t steps)
{
    struct voco_pretrain_config c = small_config(steps);

    c.common.run.optimizer = VOCO_SGD;
    c.common.run.schedule = VOCO_POLY;
    c.common.run.warmup = 0;
    c.common.run.lr = 1e-2;
    c.common.run.clip = 1e-3;
    return c;
}

/* The prefix of all names of a file: "m." of one that has the first moments alone. */
static void
ck_assert_prefix(const char *path, const char *prefix)
{
    struct voco_tensorfile file;

    ck_assert_int_eq(voco_tensorfile_open(&file, path), VOCO_OK);
    ck_assert_str_eq(file.prefix, prefix);
    voco_tensorfile_close(&file);
}

START_TEST(run_with_sgd_resumes_with_the_same_bits_and_no_other_optimizer)
{
    const struct voco_objective o = objective(false);
    uint32_t whole;

    run_config(&o, sgd_config(3), 0, VOCO_OK);
    whole = weights_sum();
    ck_assert_int_eq(voco_folder_remove(scratch("run")), VOCO_OK);
    run_config(&o, sgd_config(3), 2, VOCO_ESTOPPED);
    ck_assert_prefix(scratch("run/ckpt-2/optimizer.safetensors"), "m.");
    run(&o, 3, 0, VOCO_ECHECKPOINT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "--optimizer \"sgd\", now it is \"adamw\""));
    run_config(&o, sgd_config(3), 0, VOCO_OK);
    ck_assert_uint_eq(weights_sum(), whole);
}
END_TEST

/* ---- followers ---- */

/* Before its start a teacher stays as it is, then it is the backbone, then it follows it, or
 * stays.  Only momentum 1 is exact. */
START_TEST(teacher_is_copied_at_its_start_and_then_follows)
{
    const double momentum = _i ? 0.5 : 1.0;
    const struct voco_model_config config = {
        .feature = 12, .in_channels = 1, .classes = 2,
        .teacher = { .there = true, .start = 3, .momentum = momentum } };
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_tensor trained;
    double *first, *x;
    int64_t wrong = 0;

    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_oracle, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 1);
    ck_assert_int_eq(model.params.n, 2 * model.n_released);
    trained = voco_slice(&model.weight, 0, model.trained);
    first = golden_host_copy(&ctx, &model.weight);
    for (int64_t step = 2; step <= 4; step++) {
        voco_model_follow(&model, &ctx, step);
        voco_model_follow_undo(&model, &ctx, step);
        voco_model_follow(&model, &ctx, step);
        x = golden_host_copy(&ctx, &model.weight);
        for (int64_t i = 0, at = model.follower[0].at; i < model.follower[0].count; i++) {
            const double want = step == 2 ? first[at + i] : first[i];

            wrong += step < 4 || momentum == 1.0 ? x[at + i] != want
                     : !(fabs(x[at + i] - 0.5 * first[i]) <= 1e-15);
        }
        ck_assert_int_eq(wrong, 0);
        if (step == 3)
            ctx.dev->fill(&ctx, &trained, 0.0);
        free(x);
    }
    free(first);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}
END_TEST

START_TEST(followers_move_by_their_momentum_and_come_back)
{
    struct voco_model_config config = { .feature = 12, .in_channels = 1 };
    struct voco_ctx ctx;
    struct voco_model model;
    double *before, *moved, *after;
    const struct voco_follower *f = &model.follower[0];

    voco_model_contrast_heads(&config, 8, 8, 0.75);
    ck_assert_int_eq(voco_ctx_open(&ctx, &voco_oracle, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, true), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 1);
    ck_assert_int_eq(model.n_followers, 1);
    before = golden_host_copy(&ctx, &model.weight);
    voco_model_follow(&model, &ctx, 0);
    moved = golden_host_copy(&ctx, &model.weight);
    for (int64_t i = 0; i < model.trained; i++)
        ck_assert(moved[i] == before[i]);
    for (int64_t i = 0; i < f->count; i++)
        ck_assert_double_eq_tol(moved[f->at + i],
                                0.75 * before[f->at + i] + 0.25 * before[f->from + i],
                                1e-15);
    voco_model_follow_undo(&model, &ctx, 0);
    after = golden_host_copy(&ctx, &model.weight);
    ck_assert_mem_eq(before, after, (size_t)model.params.count * sizeof *before);
    free(before);
    free(moved);
    free(after);
    voco_model_free(&model);
    voco_ctx_close(&ctx);
}
END_TEST

/* ---- settings ---- */

static char *
record_of(const struct voco_pretrain_config *c)
{
    json_t *record = voco_settings_record(voco_pretrain_options, c);
    char *text = json_dumps(record, JSON_COMPACT);

    json_decref(record);
    return text;
}

static enum voco_err
compare_with(const struct voco_pretrain_config *then, const struct voco_pretrain_config *now)
{
    char *a = record_of(then), *b = record_of(now);
    const enum voco_err err = voco_settings_compare(&voco_objective_voco, "ckpt", a, b);

    free(a);
    free(b);
    return err;
}

START_TEST(record_has_what_decides_numbers_under_the_names_of_options)
{
    struct voco_pretrain_config c = small_config(7);
    char *text;

    c.common.repeat.item[c.common.repeat.n++] = "abdomen=2";
    c.augment = false;
    text = record_of(&c);
    ck_assert_ptr_nonnull(strstr(text, "\"feature-size\":12"));
    ck_assert_ptr_nonnull(strstr(text, "\"augment\":false"));
    ck_assert_ptr_nonnull(strstr(text, "\"repeat\":[\"abdomen=2\"]"));
    ck_assert_ptr_nonnull(strstr(text, "\"schedule\":\"constant\""));
    ck_assert_ptr_nonnull(strstr(text, "\"replay\":null"));
    ck_assert_ptr_nonnull(strstr(text, "\"window\":null"));
    ck_assert_ptr_null(strstr(text, "\"threads\""));
    ck_assert_ptr_null(strstr(text, "\"out\""));
    free(text);
}
END_TEST

START_TEST(another_identity_is_refused_and_other_numbers_are_not)
{
    const struct voco_pretrain_config then = small_config(7);
    struct voco_pretrain_config now = then;

    ck_assert_int_eq(compare_with(&then, &now), VOCO_OK);
    now.common.run.lr = 0.5;
    ck_assert_int_eq(compare_with(&then, &now), VOCO_OK);
    now.common.feature = 24;
    ck_assert_int_eq(compare_with(&then, &now), VOCO_ECHECKPOINT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "--feature-size 12, now it is 24"));
}
END_TEST

/* Runs cases in which lines for people are expected on stderr, and reads them. */
static char *
warnings_of(const char *then, const char *now, enum voco_err want)
{
    const char *path = scratch("stderr");
    const int saved = dup(2);
    char *text;
    size_t n;

    ck_assert_ptr_nonnull(freopen(path, "w", stderr));
    ck_assert_int_eq(voco_settings_compare(&voco_objective_voco, "ckpt", then, now), want);
    fflush(stderr);
    ck_assert_int_ge(dup2(saved, 2), 0);
    close(saved);
    ck_assert_int_eq(voco_file_read(path, 1 << 16, &text, &n), VOCO_OK);
    return text;
}

START_TEST(names_that_vanish_or_appear_are_differences)
{
    static const struct { const char *then, *now; enum voco_err err; const char *says; } c[] = {
        { "{\"lr\":1}", "{\"lr\":1.0}", VOCO_OK, NULL },
        { "{\"lr\":1,\"gone\":3}", "{\"lr\":1}", VOCO_OK, "gone was 3 and is now unset" },
        { "{}", "{\"momentum\":0.9}", VOCO_OK, NULL },          /* the default */
        { "{}", "{\"momentum\":0.5}", VOCO_OK, "momentum was 0.9 and is now 0.5" },
        { "{}", "{\"a-new-fact\":1}", VOCO_OK, NULL },
        { "{\"roi\":[96,96,96]}", "{\"roi\":[96.0,96.0,96.0]}", VOCO_OK, NULL },
        { "{\"precision\":\"f32\"}", "{\"precision\":\"bf16\"}", VOCO_ECHECKPOINT, NULL },
        { "{\"merging\":\"fixed\"}", "{}", VOCO_ECHECKPOINT, NULL },
    };
    char *text = warnings_of(c[_i].then, c[_i].now, c[_i].err);

    if (c[_i].says)
        ck_assert_msg(strstr(text, c[_i].says) != NULL, "'%s' in '%s'", c[_i].says, text);
    else
        ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("run");
    TCase *tc = tcase_create("run");

    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, sum_of_objectives_has_the_sum_of_losses_and_gradients);
    tcase_add_test(tc, run_of_a_sum_logs_all_terms_and_resumes_with_the_same_bits);
    tcase_add_test(tc, run_with_sgd_resumes_with_the_same_bits_and_no_other_optimizer);
    tcase_add_test(tc, followers_move_by_their_momentum_and_come_back);
    tcase_add_loop_test(tc, teacher_is_copied_at_its_start_and_then_follows, 0, 2);
    tcase_add_test(tc, record_has_what_decides_numbers_under_the_names_of_options);
    tcase_add_test(tc, another_identity_is_refused_and_other_numbers_are_not);
    tcase_add_loop_test(tc, names_that_vanish_or_appear_are_differences, 0, 8);
    suite_add_tcase(suite, tc);
    return suite;
}
