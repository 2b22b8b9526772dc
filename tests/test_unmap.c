/*
 * Transforms undone.  Volumes hold a millimetre coordinate, which is linear, so that
 * trilinear sampling is exact whatever grid it goes through and comes back to.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/transform/transform.h"
#include "data/transform/unmap.h"
#include "tests/tensors.h"
#include "tests/test.h"

struct geometry {
    const char *name;
    int64_t dim[3];
    double affine[4][4];
    struct voco_transform t;
};

/* RAS at 1.5 mm; LPS, thick slices; axes permuted; rotated by 20 degrees and anisotropic;
 * resized and padded. */
static const struct geometry cases[] = {
    { "plain", { 20, 22, 18 },
      { { 1.5, 0, 0, -9 }, { 0, 1.5, 0, 4 }, { 0, 0, 1.5, 7 }, { 0, 0, 0, 1 } },
      { .orient = true } },
    { "thick slices", { 30, 26, 9 },
      { { -0.9, 0, 0, 12 }, { 0, -0.9, 0, 30 }, { 0, 0, 5, -80 }, { 0, 0, 0, 1 } },
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 } } },
    { "permuted", { 24, 20, 16 },
      { { 0, 0, -2, 1 }, { 1.25, 0, 0, 2 }, { 0, -0.8, 0, 3 }, { 0, 0, 0, 1 } },
      { .orient = true, .spacing_mm = { 1, 1, 3 } } },
    { "rotated", { 24, 28, 20 },
      { { 1.1276, -0.4446, 0, 5 }, { 0.4104, 1.2216, 0, -6 }, { 0, 0, 2.5, 8 },
        { 0, 0, 0, 1 } },
      { .orient = true, .spacing_mm = { 1.3, 1, 1.7 } } },
    { "padded", { 24, 28, 20 },
      { { -1, 0, 0, 5 }, { 0, 1.2, 0, -6 }, { 0, 0, 2.5, 8 }, { 0, 0, 0, 1 } },
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 }, .pad = { 40, 12, 60 } } },
    { "resized", { 24, 28, 20 },
      { { -1, 0, 0, 5 }, { 0, 1.2, 0, -6 }, { 0, 0, 2.5, 8 }, { 0, 0, 0, 1 } },
      { .orient = true, .spacing_mm = { 1.5, 1.5, 1.5 }, .pad_first = { 32, 32, 32 },
        .resize = { 48, 40, 36 }, .pad = { 64, 20, 64 } } },
};

static void
make(struct voco_volume *v, const struct geometry *g, int axis)
{
    ck_assert_int_eq(voco_volume_alloc(v, g->dim), VOCO_OK);
    memcpy(v->affine, g->affine, sizeof v->affine);
    for (int64_t x = 0; x < g->dim[0]; x++)
        for (int64_t y = 0; y < g->dim[1]; y++)
            for (int64_t z = 0; z < g->dim[2]; z++)
                v->voxel[(x * g->dim[1] + y) * g->dim[2] + z] = (float)
                    (g->affine[axis][0] * (double)x + g->affine[axis][1] * (double)y
                     + g->affine[axis][2] * (double)z + g->affine[axis][3]);
}

/* Borders that resampling stretched are not linear: leave a margin of the source out. */
enum { MARGIN = 3 };

START_TEST(coordinates_come_back)
{
    const struct geometry *g = &cases[_i / 3];
    struct voco_transform_report report;
    struct voco_unmap m;
    struct voco_volume v, source;
    float *back;
    int64_t i = 0;

    make(&v, g, _i % 3);
    make(&source, g, _i % 3);
    ck_assert_int_eq(voco_transform_run(&v, &g->t, &report), VOCO_OK);
    ck_assert_int_eq(voco_unmap_parse(report.json, &m), VOCO_OK);
    ck_assert(memcmp(m.source_dim, g->dim, sizeof m.source_dim) == 0);
    ck_assert(memcmp(m.source_affine, g->affine, sizeof m.source_affine) == 0);
    ck_assert(memcmp(m.dim, v.dim, sizeof m.dim) == 0);
    back = malloc((size_t)(g->dim[0] * g->dim[1] * g->dim[2]) * sizeof *back);
    ck_assert_ptr_nonnull(back);
    voco_unmap_linear(&m, v.voxel, -1e6f, back);
    for (int64_t x = 0; x < g->dim[0]; x++)
        for (int64_t y = 0; y < g->dim[1]; y++)
            for (int64_t z = 0; z < g->dim[2]; z++, i++)
                if (x >= MARGIN && x < g->dim[0] - MARGIN && y >= MARGIN
                    && y < g->dim[1] - MARGIN && z >= MARGIN && z < g->dim[2] - MARGIN)
                    ck_assert_msg(fabsf(back[i] - source.voxel[i]) < 1e-3f,
                                  "%s: voxel %d %d %d: %g mm, want %g", g->name, (int)x,
                                  (int)y, (int)z, (double)back[i], (double)source.voxel[i]);
    free(back);
    voco_transform_report_free(&report);
    voco_volume_free(&v);
    voco_volume_free(&source);
}
END_TEST

/* Without resampling labels come back voxel by voxel, and 0 where the crop cut. */
START_TEST(labels_of_a_cropped_volume_come_back_exactly)
{
    const struct geometry *g = &cases[2];
    const struct voco_transform t = { .orient = true, .scaling = VOCO_SCALING_RANGE,
                                      .window = { 0, 10 },
                                      .foreground = VOCO_FOREGROUND_WINDOW,
                                      .pad = { 30, 8, 30 } };
    struct voco_transform_report report;
    struct voco_unmap m;
    struct voco_volume v, source;
    uint8_t *label, *back;
    int64_t inside = 0, n;

    make(&v, g, 1);
    make(&source, g, 1);                        /* 2 .. 30 mm along the first axis */
    for (int64_t i = 0; i < g->dim[0] * g->dim[1] * g->dim[2]; i++)
        v.voxel[i] = source.voxel[i] = source.voxel[i] - 15;
    ck_assert_int_eq(voco_transform_run(&v, &t, &report), VOCO_OK);
    ck_assert_int_eq(voco_unmap_parse(report.json, &m), VOCO_OK);
    n = v.dim[0] * v.dim[1] * v.dim[2];
    label = malloc((size_t)n);
    back = malloc((size_t)(g->dim[0] * g->dim[1] * g->dim[2]));
    ck_assert(label && back);
    for (int64_t i = 0; i < n; i++)
        label[i] = v.voxel[i] > 0 ? 7 : 0;
    voco_unmap_labels(&m, label, back);
    for (int64_t i = 0; i < g->dim[0] * g->dim[1] * g->dim[2]; i++) {
        ck_assert_int_eq(back[i], source.voxel[i] > 0 ? 7 : 0);
        inside += back[i] == 7;
    }
    ck_assert_int_gt(inside, 0);
    free(label);
    free(back);
    voco_transform_report_free(&report);
    voco_volume_free(&v);
    voco_volume_free(&source);
}
END_TEST

START_TEST(records_that_are_no_records_are_refused)
{
    static const char *const bad[] = {
        "", "{}", "[1,2]", "{\"source\":{},\"steps\":[]}",
        "{\"source\":{\"dim\":[1,2,3],\"affine\":[[1,0,0,0],[0,1,0,0],[0,0,1,0]]}}",
        "{\"source\":{\"dim\":[1,2,-3],\"affine\":[[1,0,0,0],[0,1,0,0],[0,0,1,0]]},"
            "\"steps\":[]}",
        "{\"source\":{\"dim\":[1,2,3],\"affine\":[[1,0,0,0],[0,1,0,0],[0,0,1,0]]},"
            "\"steps\":[{\"step\":\"warp\"}]}",
        "{\"source\":{\"dim\":[1,2,3],\"affine\":[[1,0,0,0],[0,1,0,0],[0,0,1,0]]},"
            "\"steps\":[{\"step\":\"orient\",\"axes\":[0,1,1],\"flip\":[false,false,false]}]}",
        "{\"source\":{\"dim\":[1,2,3],\"affine\":[[1,0,0,0],[0,1,0,0],[0,0,1,0]]},"
            "\"steps\":[{\"step\":\"spacing\",\"dim\":[2,2,2],"
            "\"to_source\":[[0,0,0,0],[0,1,0,0],[0,0,1,0]]}]}",
    };
    struct voco_unmap m;

    ck_assert_int_eq(voco_unmap_parse(bad[_i], &m), VOCO_EFORMAT);
}
END_TEST

START_TEST(transform_options_are_read_back)
{
    const struct voco_transform t = {
        .orient = true, .spacing_mm = { 1.5, 0, 3 }, .scaling = VOCO_SCALING_PERCENTILE,
        .window = { 0.5, 99.5 }, .foreground = VOCO_FOREGROUND_NONZERO,
        .pad_first = { 1, 2, 3 }, .resize = { 4, 5, 6 }, .pad = { 7, 8, 9 },
        .replace_nonfinite = true, .nonfinite_value = -3, .all_channels = true,
    };
    char *text = voco_transform_options(&t), *again;
    struct voco_transform back;

    ck_assert_int_eq(voco_transform_parse(text, &back), VOCO_OK);
    again = voco_transform_options(&back);
    ck_assert_str_eq(text, again);
    free(again);
    text[strlen(text) / 2] = '\0';
    ck_assert_int_eq(voco_transform_parse(text, &back), VOCO_EFORMAT);
    free(text);
    ck_assert_int_eq(voco_transform_parse("{\"spacing\":[1,1]}", &back), VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "spacing"));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("unmap");
    TCase *tc = tcase_create("unmap");

    tcase_add_loop_test(tc, coordinates_come_back, 0, 3 * COUNT(cases));
    tcase_add_test(tc, labels_of_a_cropped_volume_come_back_exactly);
    tcase_add_loop_test(tc, records_that_are_no_records_are_refused, 0, 9);
    tcase_add_test(tc, transform_options_are_read_back);
    suite_add_tcase(suite, tc);
    return suite;
}
