/* Checkpoints and weights files: what comes back, what damage is noticed, what is kept. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "tensorfile/safetensors.h"
#include "tests/devices.h"
#include "tests/golden_model.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "train/checkpoint.h"

static const struct voco_model_config config = {
    .feature = 12, .in_channels = 1, .merging = VOCO_MERGING_FIXED,
    .head = { { .prefix = "student.", .hidden = 16, .out = 8 },
              { .prefix = "teacher.", .hidden = 16, .out = 8, .follower = true,
                .momentum = 0.9 } },
    .n_heads = VOCO_CONTRAST_HEADS,
};
static struct voco_ctx ctx;

#define BIAS "backbone.swinViT.patch_embed.proj.bias"

static void
setup(void)
{
    scratch_setup();
    ck_assert_int_eq(voco_ctx_open(&ctx, device_under_test(),
                                   &(struct voco_ctx_options){ .limit = (size_t)1 << 30,
                                                               .threads = 1 }), VOCO_OK);
}

static void
teardown(void)
{
    voco_ctx_close(&ctx);
    scratch_teardown();
}

/* A model whose slabs hold numbers of this seed, all different. */
static void
open_model(struct voco_model *model, const struct voco_model_config *c, uint64_t seed)
{
    ck_assert_int_eq(voco_model_describe(model, c), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(model, &ctx, true), VOCO_OK);
    for (int i = 0; i < model->params.n; i++) {
        const struct voco_param *p = &model->params.item[i];
        const struct voco_tensor *slab[] = { &model->weight, &model->m, &model->v,
                                             &model->vmax };
        static const char *const name[] = { "w", "m", "v", "x" };

        for (int k = 0; k < (p->offset < model->trained ? 4 : 1); k++) {
            const struct voco_weights w = { .table = &model->params, .weight = *slab[k] };
            const struct voco_tensor to = voco_weight(&w, i);
            struct voco_tensor from = to;
            char key[256];

            from.type = VOCO_F32;
            from.data = malloc((size_t)p->count * sizeof(float));
            snprintf(key, sizeof key, "%s.%s", name[k], p->name);
            voco_hash_uniform(seed, key, p->count, -1, 1, from.data);
            ctx.dev->upload(&ctx, &from, &to);
            free(from.data);
        }
    }
}

/* The first n numbers of two buffers. */
static bool
same_numbers(const struct voco_tensor *a, const struct voco_tensor *b, int64_t n)
{
    double *x = golden_host_copy(&ctx, a), *y = golden_host_copy(&ctx, b);
    const bool same = memcmp(x, y, (size_t)n * sizeof *x) == 0;

    free(x);
    free(y);
    return same;
}

static bool
same_slab(const struct voco_tensor *a, const struct voco_tensor *b)
{
    return same_numbers(a, b, voco_count(a));
}

/* Number i of the first parameter. */
static double
first_number(const struct voco_model *model, int i)
{
    double *x = golden_host_copy(&ctx, &model->weight);
    const double first = x[i];

    free(x);
    return first;
}

static void
ck_assert_same_model(const struct voco_model *a, const struct voco_model *b)
{
    ck_assert(same_slab(&a->weight, &b->weight));
    ck_assert(same_slab(&a->m, &b->m));
    ck_assert(same_slab(&a->v, &b->v));
    ck_assert(same_slab(&a->vmax, &b->vmax));
}

static void
write_at(const struct voco_model *model, int64_t step, int keep_last)
{
    const struct voco_state state = { .step = step, .updates = step - 1, .skipped_in_row = 2,
                                      .rollbacks = 1, .lr_scale = 0.1,
                                      .options = "{\"lr\":0.0001}" };

    ck_assert_int_eq(voco_checkpoint_write(scratch("run"), &ctx, model, &state, keep_last),
                     VOCO_OK);
}

static void
flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_int_eq(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    ck_assert_int_ge(c, 0);
    ck_assert_int_eq(fseek(f, -1, SEEK_CUR), 0);
    fputc(c ^ 0x10, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* The name of the newest whole checkpoint, "" for none. */
static void
ck_assert_newest(const char *want)
{
    char *path;

    ck_assert_int_eq(voco_checkpoint_newest(scratch("run"), &path), VOCO_OK);
    ck_assert_str_eq(path ? strrchr(path, '/') + 1 : "", want);
    free(path);
}

/* ---- checkpoints ---- */

START_TEST(checkpoint_brings_back_every_slab_and_the_state)
{
    struct voco_model a, b;
    struct voco_state state;

    ck_assert_newest("");
    open_model(&a, &config, 1);
    open_model(&b, &config, 2);
    write_at(&a, 7, 3);
    ck_assert_newest("ckpt-7");
    ck_assert_int_eq(voco_checkpoint_verify(scratch("run/ckpt-7")), VOCO_OK);
    ck_assert_int_eq(voco_checkpoint_read(scratch("run/ckpt-7"), &ctx, &b, &state), VOCO_OK);
    ck_assert_same_model(&a, &b);
    ck_assert_int_eq(state.step, 7);
    ck_assert_int_eq(state.updates, 6);
    ck_assert_int_eq(state.skipped_in_row, 2);
    ck_assert_int_eq(state.rollbacks, 1);
    ck_assert(state.lr_scale == 0.1);
    ck_assert_str_eq(state.options, "{\"lr\":0.0001}");
    free((char *)state.options);
    voco_model_free(&a);
    voco_model_free(&b);
}
END_TEST

/* A teacher is in checkpoints, and files of weights for use are without it. */
START_TEST(teacher_of_the_backbone_is_of_checkpoints_alone)
{
    struct voco_model_config taught = { .feature = 12, .in_channels = 1, .classes = 2 }, found;
    struct voco_model a, b, c;
    struct voco_state state;
    struct voco_coverage cover;
    const char *path;

    open_model(&c, &taught, 3);
    taught.teacher.there = true;
    open_model(&a, &taught, 1);
    open_model(&b, &taught, 2);
    write_at(&a, 7, 3);
    ck_assert_int_eq(voco_checkpoint_read(scratch("run/ckpt-7"), &ctx, &b, &state), VOCO_OK);
    ck_assert_same_model(&a, &b);
    free((char *)state.options);
    path = scratch("run/ckpt-7/model.safetensors");
    ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_OK);
    ck_assert_int_eq(found.classes, 2);
    ck_assert_int_eq(voco_model_load(path, &ctx, &c, &voco_demand_all, &cover), VOCO_OK);
    ck_assert(same_numbers(&a.weight, &c.weight, a.trained));
    path = scratch("model.safetensors");
    ck_assert_int_eq(voco_model_save(path, &ctx, &a, NULL, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_load(path, &ctx, &c, &voco_demand_all, &cover), VOCO_OK);
    ck_assert_int_eq(cover.unexpected, 0);
    voco_model_free(&a);
    voco_model_free(&b);
    voco_model_free(&c);
}
END_TEST

START_TEST(states_that_no_run_has_are_refused)
{
    static const char *const wrong[] = {
        "[]", "{}",
        "{\"step\":5,\"updates\":5,\"skipped_in_row\":0,\"rollbacks\":0,\"lr_scale\":0,"
        "\"options\":{}}",
        "{\"step\":5,\"updates\":5,\"skipped_in_row\":0,\"rollbacks\":0,\"lr_scale\":1,"
        "\"options\":5}",
        "{\"step\":9223372036854775807,\"updates\":5,\"skipped_in_row\":0,\"rollbacks\":0,"
        "\"lr_scale\":1,\"options\":{}}",
        "{\"step\":5,\"updates\":5,\"skipped_in_row\":-1,\"rollbacks\":0,\"lr_scale\":1,"
        "\"options\":{}}",
    };
    struct voco_state state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        scratch_text("run/ckpt-5/state.json", wrong[i]);
        ck_assert_int_eq(voco_checkpoint_state(scratch("run/ckpt-5"), &state),
                         VOCO_ECHECKPOINT);
    }
}
END_TEST

START_TEST(damage_in_any_file_is_found_and_an_older_one_used)
{
    static const struct { const char *file; long at; } damage[] = {
        { "model.safetensors", 3 }, { "model.safetensors", 100 },
        { "model.safetensors", 1234567 }, { "model.safetensors", -1 },
        { "optimizer.safetensors", 9 }, { "optimizer.safetensors", -5 },
        { "state.json", 12 }, { "SUMS", 0 }, { "SUMS", 40 }, { "SUMS", -2 }, { "SUMS", -8 },
    };
    struct voco_model model;
    char path[64];

    open_model(&model, &config, 1);
    write_at(&model, 5, 3);
    write_at(&model, 6, 3);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        snprintf(path, sizeof path, "run/ckpt-6/%s", damage[i].file);
        flip(scratch(path), damage[i].at);
        ck_assert_msg(voco_checkpoint_verify(scratch("run/ckpt-6")) == VOCO_ECHECKPOINT,
                      "%s at %ld", damage[i].file, damage[i].at);
        if (i % 3 == 0)
            ck_assert_newest("ckpt-5");
        flip(scratch(path), damage[i].at);
    }
    ck_assert_newest("ckpt-6");
    ck_assert_int_eq(truncate(scratch("run/ckpt-6/optimizer.safetensors"), 1000), 0);
    ck_assert_newest("ckpt-5");
    ck_assert_int_eq(unlink(scratch("run/ckpt-5/state.json")), 0);
    ck_assert_int_eq(voco_checkpoint_newest(scratch("run"), &(char *){ NULL }),
                     VOCO_ECHECKPOINT);
    ck_assert_says("all 2 checkpoints are damaged");
    voco_model_free(&model);
}
END_TEST

START_TEST(last_ones_are_kept_and_damaged_ones_do_not_count)
{
    struct voco_model model;

    open_model(&model, &config, 1);
    for (int step = 1; step <= 3; step++)
        write_at(&model, step, 2);
    ck_assert(!voco_file_exists(scratch("run/ckpt-1")));
    ck_assert(voco_file_exists(scratch("run/ckpt-2")));
    flip(scratch("run/ckpt-3/SUMS"), 1);
    ck_assert_newest("ckpt-2");
    write_at(&model, 2, 1);                         /* again, as after a roll-back */
    ck_assert_newest("ckpt-2");
    ck_assert(!voco_file_exists(scratch("run/ckpt-3")));
    ck_assert_int_eq(voco_folder_make(scratch("run/.ckpt-9.tmp")), VOCO_OK);
    ck_assert_int_eq(voco_folder_make(scratch("run/ckpt-010")), VOCO_OK);
    ck_assert_int_eq(voco_folder_make(scratch("run/ckpt-11x")), VOCO_OK);
    write_at(&model, 4, 1);
    ck_assert_newest("ckpt-4");
    ck_assert(!voco_file_exists(scratch("run/ckpt-2")));
    ck_assert(!voco_file_exists(scratch("run/.ckpt-9.tmp")));
    ck_assert(voco_file_exists(scratch("run/ckpt-010")));       /* not ours */
    voco_model_free(&model);
}
END_TEST

START_TEST(full_disk_leaves_the_checkpoint_before)
{
    static const rlim_t sizes[] = { 1000, 1 << 20, 24 << 20 };
    const struct voco_state state = { .step = 9, .lr_scale = 1 };
    const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
    struct voco_model model;

    open_model(&model, &config, 1);
    write_at(&model, 8, 1);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct rlimit limit = { sizes[i], RLIM_INFINITY };

        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_int_eq(voco_checkpoint_write(scratch("run"), &ctx, &model, &state, 1),
                         VOCO_EIO);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
        ck_assert_says("File too large");
        ck_assert_newest("ckpt-8");
        ck_assert(!voco_file_exists(scratch("run/.ckpt-9.tmp")));
    }
    voco_model_free(&model);
}
END_TEST

START_TEST(checkpoint_of_another_model_is_refused)
{
    struct voco_model_config wider = config;
    struct voco_model a, b;
    struct voco_state state;

    wider.head[VOCO_STUDENT].hidden = wider.head[VOCO_TEACHER].hidden = 32;
    open_model(&a, &config, 1);
    open_model(&b, &wider, 1);
    write_at(&a, 1, 1);
    ck_assert_int_eq(voco_checkpoint_read(scratch("run/ckpt-1"), &ctx, &b, &state),
                     VOCO_ECHECKPOINT);
    ck_assert_ptr_null(state.options);
    voco_model_free(&a);
    voco_model_free(&b);
}
END_TEST

/* ---- weights ---- */

static const struct voco_demand all = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_ALL };
static const struct voco_demand some = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_ALL,
                                         .partial = true };
static const struct voco_demand backbone = { .want = VOCO_PARTS_BACKBONE,
                                             .need = VOCO_PARTS_BACKBONE };

struct file {
    struct voco_filetensor item[400];
    char name[400][256];
    int n;
    float *spare;                       /* the model's numbers, for data of items */
};

static void
file_free(struct file *f)
{
    free(f->spare);
    free(f);
}

/* The model's parameters that begin with prefix, under other names. */
static void
rename_all(struct file *f, const struct voco_model *model, const char *prefix, size_t cut,
           const char *front)
{
    const int64_t n = voco_count(&model->weight);
    double *host = golden_host_copy(&ctx, &model->weight);

    free(f->spare);
    f->spare = malloc((size_t)n * sizeof *f->spare);
    for (int64_t i = 0; i < n; i++)
        f->spare[i] = (float)host[i];
    free(host);
    f->n = 0;
    for (int i = 0; i < model->params.n; i++) {
        const struct voco_param *p = &model->params.item[i];

        if (strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        ck_assert_int_lt(f->n, 400);
        snprintf(f->name[f->n], sizeof f->name[0], "%s%s", front, p->name + cut);
        f->item[f->n] = (struct voco_filetensor){
            .name = f->name[f->n], .type = "F32", .rank = p->rank,
            .data = f->spare + p->offset,
            .bytes = (size_t)p->count * 4 };
        memcpy(f->item[f->n].dim, p->dim, sizeof p->dim);
        f->n++;
    }
}

static const char *
write_file(const struct file *f)
{
    const char *path = scratch("weights.safetensors");

    ck_assert_int_eq(voco_safetensors_write(path, f->item, f->n, NULL, 0, NULL, NULL), VOCO_OK);
    return path;
}

START_TEST(saved_weights_load_and_tell_what_they_are)
{
    struct voco_model a, b;
    struct voco_coverage cover;
    struct voco_model_config found;
    const char *path = scratch("model.safetensors");

    open_model(&a, &config, 1);
    open_model(&b, &config, 2);
    ck_assert_int_eq(voco_model_save(path, &ctx, &a, NULL, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_OK);
    ck_assert_int_eq(found.feature, 12);
    ck_assert_int_eq(found.in_channels, 1);
    ck_assert_int_eq(found.head[VOCO_STUDENT].hidden, 16);
    ck_assert_int_eq(found.head[VOCO_STUDENT].out, 8);
    ck_assert_int_eq(found.merging, VOCO_MERGING_FIXED);
    ck_assert_int_eq(voco_model_load(path, &ctx, &b, &all, &cover), VOCO_OK);
    ck_assert_int_eq(cover.loaded, a.params.n);
    ck_assert_int_eq(cover.unexpected, 0);
    ck_assert_int_eq(cover.loaded_elements, cover.model_elements);
    ck_assert(same_slab(&a.weight, &b.weight));
    voco_model_free(&a);
    voco_model_free(&b);
}
END_TEST

START_TEST(names_with_and_without_prefixes_load)
{
    static const struct { const char *prefix; size_t cut; const char *front; } form[] = {
        { "", 0, "module." }, { "backbone.", 9, "" }, { "backbone.", 9, "module." },
        { "backbone.", 0, "" },
    };
    struct file *f = calloc(1, sizeof *f);
    struct voco_model_config found;
    struct voco_coverage cover;
    struct voco_model a, b;

    open_model(&a, &config, 1);
    open_model(&b, &config, 2);
    for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
        const char *path;

        rename_all(f, &a, form[i].prefix, form[i].cut, form[i].front);
        path = write_file(f);
        ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_OK);
        ck_assert_int_eq(found.feature, 12);
        ck_assert_int_eq(found.merging, VOCO_MERGING_LEGACY);   /* as others' files are */
        ck_assert_int_eq(voco_model_load(path, &ctx, &b, &backbone, &cover),
                         VOCO_OK);
        ck_assert_int_eq(cover.missing + cover.mismatched, 0);
        ck_assert(same_numbers(&a.weight, &b.weight, a.follower[0].from));
        if (form[i].cut || !*form[i].front)
            ck_assert_int_eq(voco_model_load(path, &ctx, &b, &all, &cover),
                             VOCO_ECHECKPOINT);         /* it has no heads */
        ctx.dev->fill(&ctx, &b.weight, 0);
    }
    voco_model_free(&a);
    voco_model_free(&b);
    file_free(f);
}
END_TEST

START_TEST(coverage_counts_missing_misshapen_and_unknown)
{
    struct file *f = calloc(1, sizeof *f);
    struct voco_coverage cover;
    struct voco_model a, b;
    double first;

    open_model(&a, &config, 1);
    open_model(&b, &config, 2);
    first = first_number(&b, 0);
    rename_all(f, &a, "", 0, "");
    f->item[0].dim[0] = 6;                          /* patch embedding: [6,2,2,2,2] */
    f->item[0].dim[1] = 2;
    f->item[1].name = "other.bias";
    f->item[2].type = "I32";                        /* of the same size */
    f->n--;                                         /* the teacher's last bias */
    ck_assert_int_eq(voco_model_load(write_file(f), &ctx, &b, &some, &cover), VOCO_OK);
    ck_assert_int_eq(cover.loaded, a.params.n - 4);
    ck_assert_int_eq(cover.missing, 2);
    ck_assert_int_eq(cover.mismatched, 2);
    ck_assert_int_eq(cover.unexpected, 1);
    ck_assert(first_number(&b, 0) == first);                    /* kept its values */
    ck_assert_int_eq(voco_model_load(write_file(f), &ctx, &b, &all, &cover),
                     VOCO_ECHECKPOINT);
    ck_assert_says("2 of");
    voco_model_free(&a);
    voco_model_free(&b);
    file_free(f);
}
END_TEST

/* The first three numbers of the bias of the patch embedding. */
static void
ck_assert_bias(const struct voco_model *model, const double want[3])
{
    const int i = voco_params_find(&model->params, BIAS);

    ck_assert_int_ge(i, 0);
    for (int k = 0; k < 3; k++)
        ck_assert_double_eq(first_number(model, (int)model->params.item[i].offset + k),
                            want[k]);
}

START_TEST(other_float_types_are_converted)
{
    const double d[12] = { 0.1, -2, 3 };
    const uint16_t h[12] = { 0x3C00, 0xC000 };
    struct file *f = calloc(1, sizeof *f);
    struct voco_coverage cover;
    struct voco_model model;
    open_model(&model, &config, 1);
    rename_all(f, &model, BIAS, 0, "");
    ck_assert_int_eq(f->n, 1);
    f->item[0].type = "F64";
    f->item[0].data = d;
    f->item[0].bytes = sizeof d;
    ck_assert_int_eq(voco_model_load(write_file(f), &ctx, &model, &some, &cover),
                     VOCO_OK);
    ck_assert_bias(&model, (double[]){ ctx.dev->real == VOCO_F64 ? 0.1 : 0.1f, -2, 3 });
    f->item[0].type = "F16";
    f->item[0].data = h;
    f->item[0].bytes = sizeof h;
    ck_assert_int_eq(voco_model_load(write_file(f), &ctx, &model, &some, &cover),
                     VOCO_OK);
    ck_assert_bias(&model, (double[]){ 1, -2, 0 });
    voco_model_free(&model);
    file_free(f);
}
END_TEST

START_TEST(files_of_something_else_are_refused)
{
    static const float x[8];
    struct voco_filetensor t = { .name = "fc.weight", .type = "F32", .rank = 1, .dim = { 8 },
                                .data = x, .bytes = sizeof x };
    const char *path = scratch("other.safetensors");
    struct voco_model_config found;
    struct voco_coverage cover;
    struct voco_model model;

    ck_assert_int_eq(voco_safetensors_write(path, &t, 1, NULL, 0, NULL, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_ECHECKPOINT);
    ck_assert_says("neither a Swin UNETR");
    open_model(&model, &config, 1);
    ck_assert_int_eq(voco_model_load(path, &ctx, &model, &some, &cover),
                     VOCO_ECHECKPOINT);
    ck_assert_says("none of its 1 tensors");
    voco_model_free(&model);

    /* sizes that no file should talk us into */
    t = (struct voco_filetensor){ .name = "swinViT.patch_embed.proj.weight", .type = "F32",
                                 .rank = 5, .dim = { INT64_C(1) << 40, 1, 0, 2, 2 },
                                 .data = x };
    ck_assert_int_eq(voco_safetensors_write(path, &t, 1, NULL, 0, NULL, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &found), VOCO_EUSAGE);
    voco_model_free(&model);
    t.dim[0] = 12;
    t.dim[1] = INT64_C(1) << 50;
    ck_assert_int_eq(voco_safetensors_write(path, &t, 1, NULL, 0, NULL, NULL), VOCO_OK);
    ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_OK);
    ck_assert_int_eq(voco_model_describe(&model, &found), VOCO_EUSAGE);
    voco_model_free(&model);
    {
        const struct voco_filetensor stages[2] = {
            { .name = "encoder.stages.0.0.convs.0.conv.weight", .type = "F32", .rank = 5,
              .dim = { INT64_C(1) << 50, 1, 3, 3, 0 }, .data = x },
            { .name = "encoder.stages.1.0.convs.0.conv.weight", .type = "F32", .rank = 5,
              .dim = { 8, 8, 0, 3, 3 }, .data = x },
        };

        ck_assert_int_eq(voco_safetensors_write(path, stages, 2, NULL, 0, NULL, NULL), VOCO_OK);
        ck_assert_int_eq(voco_model_recognise(path, &found), VOCO_ECHECKPOINT);
        ck_assert_says("channels, expected 1 to 8192");
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tc = tcase_create("checkpoint");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, checkpoint_brings_back_every_slab_and_the_state);
    tcase_add_test(tc, teacher_of_the_backbone_is_of_checkpoints_alone);
    tcase_add_test(tc, states_that_no_run_has_are_refused);
    tcase_add_test(tc, damage_in_any_file_is_found_and_an_older_one_used);
    tcase_add_test(tc, last_ones_are_kept_and_damaged_ones_do_not_count);
    tcase_add_test(tc, full_disk_leaves_the_checkpoint_before);
    tcase_add_test(tc, checkpoint_of_another_model_is_refused);
    tcase_add_test(tc, saved_weights_load_and_tell_what_they_are);
    tcase_add_test(tc, names_with_and_without_prefixes_load);
    tcase_add_test(tc, coverage_counts_missing_misshapen_and_unknown);
    tcase_add_test(tc, other_float_types_are_converted);
    tcase_add_test(tc, files_of_something_else_are_refused);
    suite_add_tcase(suite, tc);
    return suite;
}
