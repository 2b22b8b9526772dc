/* Copies of phantoms that were changed in every way are found, other phantoms are not;
 * and the report about a store says which of its volumes are meant. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/phantom/phantom.h"
#include "data/store/leaklist.h"
#include "data/transform/geometry.h"
#include "dev/device.h"
#include "leak/align.h"
#include "leak/feature.h"
#include "leak/leak.h"
#include "leak/match.h"
#include "leak/turn.h"
#include "store_util.h"
#include "tests/test.h"

static const double THRESHOLD = 0.88;   /* voco leak's default; doc/leak.md has its margin */

/* ---- turns ---- */

START_TEST(turns_are_a_group_of_48)
{
    const double x[3] = { 1, 2, 3 };

    for (int a = 0; a < VOCO_TURNS; a++) {
        const struct voco_turn t = voco_turn_at(a);

        ck_assert_int_eq(voco_turn_number(&t), a);
        ck_assert_int_eq(voco_turn_then(a, voco_turn_inverse(a)), 0);
        for (int b = 0; b < VOCO_TURNS; b++) {
            double once[3], twice[3], both[3];

            voco_turn_apply(a, x, once);
            voco_turn_apply(b, once, twice);
            voco_turn_apply(voco_turn_then(a, b), x, both);
            ck_assert_mem_eq(twice, both, sizeof both);
        }
    }
}
END_TEST

START_TEST(turns_have_names)
{
    char buf[8];

    ck_assert_str_eq(voco_turn_name(0, buf), "+x+y+z");
    ck_assert_str_eq(voco_turn_name(1, buf), "-x+y+z");
    ck_assert_str_eq(voco_turn_name(voco_turn_then(8, 1), buf), "-x+z+y");
}
END_TEST

/* ---- copies ---- */

static struct voco_volume
phantom(uint32_t index)
{
    const struct voco_phantom_options o = { .seed = 5, .index = index,
                                            .dim = { 100, 84, 66 },
                                            .spacing_mm = { 3.4, 3.4, 4.2 } };
    struct voco_volume v;

    ok(voco_phantom_make(&o, &v, NULL, NULL));
    return v;
}

static void
keep_it(struct voco_volume *v)
{
    (void)v;
}

static void
scale_it(struct voco_volume *v)
{
    for (int64_t i = 0; i < v->dim[0] * v->dim[1] * v->dim[2]; i++)
        v->voxel[i] = 3 + 0.02f * v->voxel[i];
}

static void
window_it(struct voco_volume *v)
{
    for (int64_t i = 0; i < v->dim[0] * v->dim[1] * v->dim[2]; i++)
        v->voxel[i] = fminf(fmaxf((v->voxel[i] + 175) / 425, 0), 1);
}

static void
add_noise(struct voco_volume *v)
{
    const struct voco_rng_key key = { .seed = 1, .purpose = VOCO_RNG_TEST };

    for (int64_t i = 0; i < v->dim[0] * v->dim[1] * v->dim[2]; i++)
        v->voxel[i] += 60 * (float)voco_rng_normal(&key, (uint32_t)i);
}

static void
resample_to(struct voco_volume *v, const double mm[3])
{
    struct voco_regrid g;

    ok(voco_spacing_plan(v->dim, (const double (*)[4])v->affine, mm, &g));
    ok(voco_regrid(v, &g, VOCO_LINEAR));
}

static void
resample_it(struct voco_volume *v)
{
    const double mm[3] = { 5, 3, 6 };

    resample_to(v, mm);
}

static void
crop_it(struct voco_volume *v)
{
    const struct voco_crop_box box = { { 17, 9, 11 }, { 65, 55, 43 } };      /* two thirds */

    voco_crop(v, &box);
}

static void
crop_and_window_it(struct voco_volume *v)
{
    const struct voco_crop_box box = { { 10, 6, 7 }, { 80, 68, 53 } };       /* four fifths */
    const double mm[3] = { 3, 3, 3 };

    voco_crop(v, &box);
    window_it(v);
    resample_to(v, mm);
}

/* The header says what was before. */
static void
flip_it(struct voco_volume *v)
{
    const struct voco_orientation o = { { 1, 0, 2 }, { false, true, false } };
    double affine[4][4];

    memcpy(affine, v->affine, sizeof affine);
    ok(voco_orient(v, &o));
    memcpy(v->affine, affine, sizeof affine);
    v->affine[0][0] *= 0.5;             /* and a wrong spacing */
}

static const struct {
    const char *name;
    void (*change)(struct voco_volume *v);
    bool same_axes;
} change[] = {
    { "as it was", keep_it, true }, { "other units", scale_it, true },
    { "soft tissue window", window_it, true }, { "noise", add_noise, true },
    { "resampled", resample_it, true }, { "cropped", crop_it, true },
    { "cropped, windowed, resampled", crop_and_window_it, true },
    { "axes exchanged, spacing wrong", flip_it, false }
};

enum { N = 6 };

START_TEST(changed_copies_are_found_and_other_volumes_are_not)
{
    struct voco_thumb thumb[N], copy;
    const struct voco_thumb *list[N];
    struct voco_gallery g;
    struct voco_ctx ctx;
    struct voco_volume v;
    struct voco_match *match;
    int n;

    for (int i = 0; i < N; i++) {
        v = phantom((uint32_t)i);
        ok(voco_thumb_make(&v, false, &thumb[i]));
        voco_volume_free(&v);
        list[i] = &thumb[i];
    }
    ok(voco_ctx_open(&ctx, &voco_cpu, &(struct voco_ctx_options){ .threads = 2 }));
    ok(voco_gallery_make(list, N, &g));
    v = phantom((uint32_t)_i % N);
    change[_i].change(&v);
    ok(voco_thumb_make(&v, true, &copy));
    ok(voco_gallery_search(&ctx, &g, &copy, THRESHOLD, &match, &n));
    ck_assert_msg(n == 1 && match[0].index == _i % N, "%s: %d found, the first is %d with %.3f",
                  change[_i].name, n, n ? match[0].index : -1,
                  n ? match[0].alignment.score : 0);
    ck_assert_msg(change[_i].same_axes == (match[0].alignment.turn == 0), "%s: turn %d",
                  change[_i].name, match[0].alignment.turn);
    ck_assert_double_gt(match[0].alignment.shared, 0.6);
    free(match);
    voco_volume_free(&v);
    voco_thumb_free(&copy);
    voco_gallery_free(&g);
    voco_ctx_close(&ctx);
    for (int i = 0; i < N; i++)
        voco_thumb_free(&thumb[i]);
}
END_TEST

/* Where a crop lies in the whole is known to a tenth of a cell or so. */
START_TEST(a_crop_is_placed_where_it_was_cut_out)
{
    const double start_mm[3] = { 17 * 3.4, 9 * 3.4, 11 * 4.2 };
    struct voco_volume v = phantom(0);
    struct voco_thumb whole, part;
    struct voco_alignment a = { .turn = 0 };

    ok(voco_thumb_make(&v, false, &whole));
    crop_it(&v);        /* of axes that run to R, A, S now */
    ok(voco_thumb_make(&v, true, &part));
    for (int k = 0; k < 3; k++)
        a.shift[k] = round(start_mm[k] / VOCO_THUMB_MM);
    voco_align_grids(&whole, &part, &a);
    ck_assert_double_gt(a.score, 0.97);
    for (int k = 0; k < 3; k++)
        ck_assert_msg(fabs(a.shift[k] * VOCO_THUMB_MM - start_mm[k]) < 0.15 * VOCO_THUMB_MM,
                      "axis %d: %g mm, want %g", k, a.shift[k] * VOCO_THUMB_MM, start_mm[k]);
    voco_volume_free(&v);
    voco_thumb_free(&whole);
    voco_thumb_free(&part);
}
END_TEST

START_TEST(what_cannot_be_compared_is_refused)
{
    struct voco_volume v = phantom(0);
    struct voco_thumb t;

    for (int64_t i = 0; i < v.dim[0] * v.dim[1] * v.dim[2]; i++)
        v.voxel[i] = 7;
    fails(VOCO_EFORMAT, voco_thumb_make(&v, true, &t));
    says("all voxels are 7");
    voco_thumb_free(&t);
    for (int a = 0; a < 3; a++)
        v.affine[a][a] *= 1e6;
    fails(VOCO_EFORMAT, voco_thumb_make(&v, true, &t));
    voco_thumb_free(&t);
    voco_volume_free(&v);
}
END_TEST

START_TEST(tiny_volumes_are_compared_as_wholes)
{
    struct voco_volume v = volume_of(1, 5, 6, 3, 1, 0);
    struct voco_thumb t;

    ok(voco_thumb_make(&v, true, &t));
    ck_assert_int_eq(t.dim[2], 1);
    voco_thumb_free(&t);
    voco_volume_free(&v);
}
END_TEST

/* ---- reports ---- */

static void
write_report(const char *path, uint32_t hash, const char *pairs)
{
    char *text = voco_format("{\"voco-leak\": 1, \"scans\": [{\"hash\": null}, {\"hash\": "
                             "\"%08x\"}], \"pairs\": %s}", (unsigned)hash, pairs);

    ok(voco_file_write_text(path, text));
    free(text);
}

START_TEST(a_report_names_volumes_of_its_store_only)
{
    char *folder = scratch_folder(), *path = voco_format("%s/s", folder);
    char *report = voco_format("%s/leak.json", folder);
    const struct voco_store_options o = { .type = VOCO_STORE_U16 };
    struct voco_store *s;
    bool *out;
    int n;

    store_of(path, &o, 4, 8, 8, 8);
    ok(voco_store_open(path, &s));
    write_report(report, voco_store_hash(s),
                 "[{\"scan\": {\"input\": 1, \"id\": \"case002\"}},"
                 " {\"scan\": {\"input\": 0, \"id\": \"case001\"}},"
                 " {\"scan\": {\"input\": 1, \"id\": \"case002\"}},"
                 " {\"scan\": {\"input\": 1, \"id\": \"case003\"}}]");
    ok(voco_leak_report_read(report, s, &out, &n));
    ck_assert_int_eq(n, 2);
    ck_assert(!out[0] && !out[1] && out[2] && out[3]);
    free(out);
    write_report(report, voco_store_hash(s), "[]");
    ok(voco_leak_report_read(report, s, &out, &n));
    ck_assert_int_eq(n, 0);
    free(out);

    write_report(report, voco_store_hash(s) + 1, "[]");
    fails(VOCO_EUSAGE, voco_leak_report_read(report, s, &out, &n));
    says("run voco leak again");
    write_report(report, voco_store_hash(s), "[{\"scan\": {\"input\": 1, \"id\": \"x\"}}]");
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    says("pair 1 names 'x'");
    write_report(report, voco_store_hash(s), "[{\"scan\": {\"input\": 1}}]");
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    write_report(report, voco_store_hash(s), "{}");
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    ok(voco_file_write_text(report, "{\"voco-leak\": 2}"));
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    says("expected 1");
    ok(voco_file_write_text(report, "[]"));
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    ok(voco_file_write_text(report, "{"));
    fails(VOCO_EFORMAT, voco_leak_report_read(report, s, &out, &n));
    says("wrong JSON");
    voco_store_close(s);
    free(path);
    free(report);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("leak");
    TCase *t = tcase_create("leak");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, turns_are_a_group_of_48);
    tcase_add_test(t, turns_have_names);
    tcase_add_loop_test(t, changed_copies_are_found_and_other_volumes_are_not, 0,
                        sizeof change / sizeof *change);
    tcase_add_test(t, a_crop_is_placed_where_it_was_cut_out);
    tcase_add_test(t, what_cannot_be_compared_is_refused);
    tcase_add_test(t, tiny_volumes_are_compared_as_wholes);
    tcase_add_test(t, a_report_names_volumes_of_its_store_only);
    suite_add_tcase(s, t);
    return s;
}
