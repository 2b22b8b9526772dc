/*
 * Swin UNETR's pre-training: the draws of views, and replayed batches.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/store/hdf5.h"
#include "objective/heads/replay.h"
#include "tests/scratch.h"
#include "tests/tensors.h"
#include "tests/test.h"

/* ---- draws ---- */

static int64_t
volume(const struct voco_box *b)
{
    return b->extent[0] * b->extent[1] * b->extent[2];
}

static void
check_pass(const struct voco_box *box, int n, int roi)
{
    int64_t cut = 0;

    for (int i = 0; i < n; i++) {
        cut += volume(&box[i]);
        for (int a = 0; a < 3; a++) {
            const bool at_border = box[i].start[a] + box[i].extent[a] == roi;

            ck_assert_int_ge(box[i].start[a], 0);
            ck_assert_int_lt(box[i].start[a], roi - roi / 20);
            ck_assert_int_le(box[i].start[a] + box[i].extent[a], roi);
            ck_assert_int_lt(box[i].extent[a], roi / 4);
            ck_assert(box[i].extent[a] >= roi / 20 || at_border);
        }
    }
    /* the last box reaches the goal, which is at most 0.3 of the voxels */
    if (n)
        ck_assert_double_lt((double)(cut - volume(&box[n - 1])), 0.3 * roi * roi * roi);
}

START_TEST(views_are_drawn_as_described)
{
    enum { ROI = 64, STEPS = 200, SHARD = 4 };
    struct voco_cutview v = { 0 };
    int turns[VOCO_TURNS] = { 0 }, donors[SHARD] = { 0 };
    double share = 0;

    for (int step = 0; step < STEPS; step++) {
        const struct voco_cutview_key key = { 3, step, 6, step % 2 };
        const float *noise;

        voco_cutview_draw(&v, &key, SHARD, ROI);
        turns[v.turns]++;
        donors[v.donor]++;
        ck_assert_int_le(v.n_noise, v.n);
        ck_assert(v.donor != 6 % SHARD || v.n == v.n_noise);
        check_pass(v.box, v.n_noise, ROI);
        check_pass(v.box + v.n_noise, v.n - v.n_noise, ROI);
        noise = v.noise;
        for (int i = 0; i < v.n_noise; noise += volume(&v.box[i++])) {
            float low = 1, high = 0;

            for (int64_t k = 0; k < volume(&v.box[i]); k++) {
                low = fminf(low, noise[k]);
                high = fmaxf(high, noise[k]);
            }
            ck_assert(low == 0 && high == 1);
            share += (double)volume(&v.box[i]) / ((double)ROI * ROI * ROI * STEPS);
        }
    }
    /* the goal is 0.15 on average, and the last box goes a little beyond it */
    ck_assert_msg(share > 0.13 && share < 0.18, "%g of the voxels are noise", share);
    for (int k = 0; k < VOCO_TURNS; k++) {
        ck_assert_int_ge(turns[k], 32);
        ck_assert_int_ge(donors[k], 32);
    }
    voco_cutview_free(&v);
}
END_TEST

START_TEST(views_are_functions_of_their_key)
{
    struct voco_cutview a = { 0 }, b = { 0 };
    const struct voco_cutview_key key = { 3, 17, 1, 0 };
    const struct voco_cutview_key others[] = { { 4, 17, 1, 0 }, { 3, 18, 1, 0 }, { 3, 17, 2, 0 },
                                            { 3, 17, 1, 1 } };

    voco_cutview_draw(&a, &key, 4, 64);
    for (int i = 0; i < COUNT(others); i++) {
        voco_cutview_draw(&b, &others[i], 4, 64);
        ck_assert(b.n != a.n || memcmp(b.box, a.box, (size_t)a.n * sizeof *a.box) != 0);
    }
    voco_cutview_draw(&b, &key, 4, 64);
    ck_assert_int_eq(a.turns, b.turns);
    ck_assert_int_eq(a.donor, b.donor);
    ck_assert_int_eq(a.n, b.n);
    ck_assert_int_eq(a.n_noise, b.n_noise);
    ck_assert(memcmp(b.box, a.box, (size_t)a.n * sizeof *a.box) == 0);
    for (int64_t i = 0, at = 0; i < a.n_noise; at += volume(&a.box[i++]))
        ck_assert(memcmp(a.noise + at, b.noise + at,
                         (size_t)volume(&a.box[i]) * sizeof(float)) == 0);
    voco_cutview_free(&a);
    voco_cutview_free(&b);
}
END_TEST

/* ---- replays ---- */

/* A dataset of a file that is wrong on purpose. */
struct wrong {
    const char *name;           /* of the dataset; NULL: none is wrong */
    int rank;                   /* -1: it is missing */
    int64_t dim[3];             /* 0: that of the batch */
    int at;                     /* element that is replaced */
    float value;
    const char *says;
};

static void
write_one(struct voco_h5 *h, const char *name, int rank, const int64_t *dim, const float *x,
          const struct wrong *w)
{
    const bool wrong = w->name && strcmp(w->name, name) == 0;
    int64_t sizes[5], n = 1;
    float *copy;

    if (wrong && w->rank < 0)
        return;
    for (int i = 0; i < rank; i++) {
        sizes[i] = wrong && i < 3 && w->dim[i] ? w->dim[i] : dim[i];
        n *= sizes[i];
    }
    copy = malloc((size_t)n * sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, x, (size_t)n * sizeof *copy);
    if (wrong && !w->dim[0])
        copy[w->at] = w->value;
    ck_assert_int_eq(voco_h5_write_f32(h, name, wrong && w->rank ? w->rank : rank, sizes,
                                       copy), VOCO_OK);
    free(copy);
}

/* The batch as a file, but for what is wrong. */
static const char *
write_batch(const struct voco_heads_replay *b, const struct wrong *w)
{
    const int rows = VOCO_CUTVIEWS * b->crops;
    const char *path = scratch("batch.h5");
    float *turns = calloc((size_t)rows, sizeof *turns);
    float *cut = calloc((size_t)rows * 6, sizeof *cut);
    struct voco_h5 *h;

    ck_assert(turns && cut);
    ck_assert_int_eq(voco_h5_create(path, &h), VOCO_OK);
    for (int i = 0; i < rows; i++) {
        const struct voco_cutview *v = &b->views[i];
        char name[32];

        turns[i] = (float)v->turns;
        for (int a = 0; a < 3; a++) {
            cut[6 * i + a] = (float)v->box->start[a];
            cut[6 * i + 3 + a] = (float)v->box->extent[a];
        }
        snprintf(name, sizeof name, "fill%d", i);
        write_one(h, name, 3, v->box->extent, v->noise, w);
    }
    write_one(h, "x", 5, (int64_t[]){ b->crops, 1, b->roi, b->roi, b->roi }, b->x, w);
    write_one(h, "rotation_labels", 2, (int64_t[]){ VOCO_CUTVIEWS, b->crops }, turns, w);
    write_one(h, "cut", 2, (int64_t[]){ rows, 6 }, cut, w);
    ck_assert_int_eq(voco_h5_close(h), VOCO_OK);
    free(turns);
    free(cut);
    return path;
}

START_TEST(file_of_a_batch_gives_the_batch)
{
    struct voco_heads_replay want, got;

    ck_assert_int_eq(voco_heads_replay_open("hash:9:2", &want), VOCO_OK);
    ck_assert_int_eq(voco_heads_replay_open(write_batch(&want, &(struct wrong){ 0 }), &got),
                     VOCO_OK);
    ck_assert_int_eq(got.crops, 2);
    ck_assert_int_eq(got.roi, 64);
    ck_assert(memcmp(got.x, want.x, 2 * sizeof(float) << 18) == 0);
    for (int i = 0; i < VOCO_CUTVIEWS * 2; i++) {
        ck_assert_int_eq(got.views[i].turns, want.views[i].turns);
        ck_assert_int_eq(got.views[i].n_noise, 1);
        ck_assert(memcmp(got.views[i].box, want.views[i].box, sizeof *got.views[i].box) == 0);
        ck_assert(memcmp(got.views[i].noise, want.views[i].noise,
                         (size_t)volume(want.views[i].box) * sizeof(float)) == 0);
    }
    voco_heads_replay_free(&want);
    voco_heads_replay_free(&got);
}
END_TEST

static const struct wrong wrongs[] = {
    { "x", -1, .says = "no dataset x" },
    { "x", 4, .says = "rank 4" },
    { "x", .dim = { 1, 1, 32 }, .says = "expected [crops,1,r,r,r]" },
    { "rotation_labels", -1, .says = "no dataset rotation_labels" },
    { "rotation_labels", .dim = { 1, 2 }, .says = "expected [2,2]" },
    { "rotation_labels", .at = 3, .value = 4, .says = "element 3 is 4" },
    { "rotation_labels", .at = 0, .value = 0.5f, .says = "element 0 is 0.5" },
    { "rotation_labels", .at = 1, .value = NAN, .says = "element 1 is nan" },
    { "cut", -1, .says = "no dataset cut" },
    { "cut", .dim = { 3, 6 }, .says = "expected [4,6]" },
    { "cut", .at = 8, .value = -1, .says = "element 8 is -1" },
    { "cut", .at = 8, .value = 64, .says = "box 1 of cut begins at 64" },
    { "cut", .at = 11, .value = 0, .says = "has 0 voxels on axis 2" },
    { "cut", .at = 22, .value = 1, .says = "fill3 has rank 3" },
    { "fill2", -1, .says = "no dataset fill2" },
    { "fill2", 2, .says = "fill2 has rank 2" },
};

START_TEST(wrong_file_is_refused_in_words)
{
    struct voco_heads_replay batch, got;

    ck_assert_int_eq(voco_heads_replay_open("hash:9:2", &batch), VOCO_OK);
    ck_assert_int_eq(voco_heads_replay_open(write_batch(&batch, &wrongs[_i]), &got),
                     VOCO_EFORMAT);
    ck_assert_says(wrongs[_i].says);
    voco_heads_replay_free(&batch);
    voco_heads_replay_free(&got);
}
END_TEST

static const char *const wrong_formulas[] = {
    "hash:", "hash:1", "hash:1:0", "hash:1:2:", "hash:1:2:32", "hash:1:2:100", "hash:1:2:64:1",
    "hash:1:1025"
};

START_TEST(wrong_formula_is_refused_in_words)
{
    struct voco_heads_replay r;

    ck_assert_int_eq(voco_heads_replay_open(wrong_formulas[_i], &r), VOCO_EUSAGE);
    ck_assert_says("expected hash:SEED:CROPS");
    voco_heads_replay_free(&r);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("heads_views");
    TCase *tc = tcase_create("heads_views");

    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_add_test(tc, views_are_drawn_as_described);
    tcase_add_test(tc, views_are_functions_of_their_key);
    tcase_add_test(tc, file_of_a_batch_gives_the_batch);
    tcase_add_loop_test(tc, wrong_file_is_refused_in_words, 0, COUNT(wrongs));
    tcase_add_loop_test(tc, wrong_formula_is_refused_in_words, 0, COUNT(wrong_formulas));
    suite_add_tcase(suite, tc);
    return suite;
}
