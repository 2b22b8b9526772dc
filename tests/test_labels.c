/* Label maps: rules, the way of a labelled case through the transforms (against MONAI),
 * and what a store keeps of it. */
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "data/dataset/case.h"
#include "data/store/hdf5.h"
#include "data/transform/transform.h"
#include "store_util.h"
#include "tests/test.h"

static struct voco_label_map map;

/* ---- rules ---- */

START_TEST(rules_say_which_value_is_which_class)
{
    ok(voco_label_map_parse("0-2,8:2,20-29:3,65535", &map));
    ck_assert_int_eq(map.to[0], 0);
    ck_assert_int_eq(map.to[2], 2);
    ck_assert_int_eq(map.to[8], 2);
    ck_assert_int_eq(map.to[20], 3);
    ck_assert_int_eq(map.to[29], 3);
    ck_assert_int_eq(map.to[65535], 65535);
    ck_assert_int_eq(map.to[3], VOCO_LABEL_UNKNOWN);
    ck_assert_int_eq(map.to[30], VOCO_LABEL_UNKNOWN);
    ok(voco_label_map_parse("*:0,4:1", &map));
    ck_assert_int_eq(map.to[3], 0);
    ck_assert_int_eq(map.to[4], 1);
    ck_assert_int_eq(map.others, 0);
    ok(voco_label_map_parse("any", &map));
    ck_assert_int_eq(map.to[777], 777);
}
END_TEST

START_TEST(wrong_rules_are_named)
{
    static const char *const wrong[] = {
        "", ",", "1,", "1,,2", "a", "-1", "1-", "5-3", "1:", "1:x", "*", "*:0,*:1", "1,1",
        "0-5,3:1", "65536", "1:65536", "1 ,2", "anything", "1:2:3", "99999999999"
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(voco_label_map_parse(wrong[i], &map) == VOCO_EUSAGE, "'%s'",
                      wrong[i]);
        says("label map");
    }
    fails(VOCO_EUSAGE, voco_label_map_parse("0-3,7:x", &map));
    says("'7:x'");
}
END_TEST

START_TEST(unknown_values_are_listed_and_the_volume_is_left_alone)
{
    float voxel[] = {0, 1, 7, 7, 2.5f, -1, NAN, 1};
    struct voco_volume v = {.dim = {2, 2, 2}, .voxel = voxel};

    ok(voco_label_map_parse("0,1:5", &map));
    fails(VOCO_EFORMAT, voco_label_map_apply(&map, &v));
    says("7 (2 voxels), 2.5 (1 voxels), -1 (1 voxels)");
    ck_assert_float_eq(voxel[1], 1);
    voxel[2] = voxel[3] = voxel[4] = voxel[5] = voxel[6] = 0.9999f;     /* slope, rounded */
    ok(voco_label_map_apply(&map, &v));
    ck_assert_float_eq(voxel[4], 5);
    ck_assert_float_eq(voxel[7], 5);
    voxel[0] = 70000;
    ok(voco_label_map_parse("*:3", &map));
    ok(voco_label_map_apply(&map, &v));
    ck_assert_float_eq(voxel[0], 3);
}
END_TEST

/* ---- the transforms, against MONAI ---- */

static float *
golden_voxels(struct voco_h5 *h, const char *group, const char *name, int64_t dim[3])
{
    char *path = voco_format("%s/%s", group, name);
    int64_t shape[VOCO_H5_RANK_MAX];
    int rank;

    ok(voco_h5_shape(h, path, &rank, shape));
    ck_assert_int_eq(rank, 3);
    memcpy(dim, shape, 3 * sizeof *dim);
    float *x = malloc((size_t)(dim[0] * dim[1] * dim[2]) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    ok(voco_h5_read_f32(h, path, dim[0] * dim[1] * dim[2], x));
    free(path);
    return x;
}

static struct voco_volume
golden_volume(struct voco_h5 *h, const char *group, const char *name)
{
    struct voco_volume v = {.affine = {{0}}};
    int64_t dim[3];

    v.voxel = golden_voxels(h, group, name, v.dim);
    float *affine = golden_voxels(h, group, "affine", dim);
    for (int i = 0; i < 16; i++)
        v.affine[i / 4][i % 4] = affine[i];
    free(affine);
    return v;
}

/* Images to a few ulps of the float arithmetic of MONAI, labels exactly. */
static void
compare(struct voco_h5 *h, const char *group, const char *name,
        const struct voco_volume *v, double tolerance)
{
    int64_t dim[3];
    float *want = golden_voxels(h, group, name, dim);

    for (int a = 0; a < 3; a++)
        ck_assert_msg(dim[a] == v->dim[a], "%s/%s: axis %d has %d voxels, want %d", group,
                      name, a, (int)v->dim[a], (int)dim[a]);
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++)
        ck_assert_msg(fabs((double)v->voxel[i] - want[i]) <= tolerance,
                      "%s/%s: voxel %d is %g, want %g", group, name, (int)i,
                      (double)v->voxel[i], (double)want[i]);
    free(want);
}

static void
run_chain(struct voco_h5 *h, const char *group, bool mr)
{
    struct voco_transform t = {.orient = true, .pad = {14, 12, 10}, .labels = "0-4",
                               .scaling = mr ? VOCO_SCALING_NORMALIZE
                                             : VOCO_SCALING_RANGE,
                               .window = {-175, 250},
                               .foreground = VOCO_FOREGROUND_WINDOW};
    struct voco_case c = {.n_channels = mr ? 2 : 1};
    struct voco_transform_report r;
    int64_t dim[3];

    c.channel = calloc(2, sizeof *c.channel);
    ck_assert_ptr_nonnull(c.channel);
    c.channel[0] = golden_volume(h, group, "image0");
    if (mr)
        c.channel[1] = golden_volume(h, group, "image1");
    c.label = golden_volume(h, group, "label");
    float *mm = golden_voxels(h, group, "mm", dim);
    for (int a = 0; a < 3; a++)
        t.spacing_mm[a] = mr ? 0 : round(1e4 * mm[a]) / 1e4;
    ok(voco_transform_case(&c, &t, &r));
    compare(h, group, mr ? "mr_image0" : "ct_image", &c.channel[0], 2e-5);
    if (mr)
        compare(h, group, "mr_image1", &c.channel[1], 2e-5);
    compare(h, group, mr ? "mr_label" : "ct_label", &c.label, 0);
    voco_transform_report_free(&r);
    voco_case_free(&c);
    free(mm);
}

START_TEST(labelled_cases_come_out_as_from_monai)
{
    static const char *const grid[] = {
        "ras_down", "ras_up", "lps_mixed", "permuted", "permuted_back", "oblique",
        "oblique_steep", "gantry_tilt", "gantry_tilt_back", "one_slice", "near_enough",
        "one_axis_near", "keep_z", "to_one_voxel"
    };
    const char *folder = getenv("VOCO_GOLDEN");
    char *path = voco_format("%s/labels_small.h5", folder ? folder : "tests/golden");
    struct voco_h5 *h;

    ok(voco_h5_open(path, &h));
    for (size_t i = 0; i < sizeof grid / sizeof *grid; i++)
        for (int mr = 0; mr < 2; mr++)
            run_chain(h, grid[i], mr);
    ok(voco_h5_close(h));
    free(path);
}
END_TEST

/* ---- grids that must agree ---- */

static char *
write_grid(const char *folder, const char *name, int64_t nx, double shift)
{
    char *path = voco_format("%s/%s.nii", folder, name);
    struct voco_volume v;

    ok(voco_volume_alloc(&v, (int64_t[3]){nx, 4, 5}));
    for (int64_t i = 0; i < nx * 20; i++)
        v.voxel[i] = (float)(i % 3);
    v.affine[0][0] = 2;
    v.affine[1][3] = shift;
    ok(voco_volume_write(path, &v));
    voco_volume_free(&v);
    return path;
}

START_TEST(a_label_map_on_another_grid_is_refused_with_both)
{
    char *folder = scratch_folder();
    char *image[1] = {write_grid(folder, "image", 6, 0)};
    const struct {
        int64_t nx;
        double shift;
        const char *says;       /* NULL: fine */
    } grid[] = {
        {6, 0, NULL}, {6, 0.04, NULL}, {6, 0.06, "not the same grid"},
        {6, -5, "0 -5 0 mm"}, {7, 0, "has 7 x 4 x 5 voxels, expected the 6 x 4 x 5"}
    };
    struct voco_item item = {.id = "case", .image = image, .n_images = 1};
    struct voco_volume_header header;
    struct voco_case c;

    ok(voco_label_map_parse("any", &map));
    for (size_t i = 0; i < sizeof grid / sizeof *grid; i++) {
        item.label = write_grid(folder, "label", grid[i].nx, grid[i].shift);
        const enum voco_err want = grid[i].says ? VOCO_EFORMAT : VOCO_OK;

        fails(want, voco_case_describe(&item, VOCO_CHANNEL_REFUSE, true, &header));
        fails(want, voco_case_read(&item, VOCO_CHANNEL_REFUSE, &map, &c));
        if (grid[i].says) {
            says(grid[i].says);
            says("label.nii");
            says("image.nii");
        } else
            ck_assert_double_eq(c.label.affine[1][3], 0);       /* now the image's */
        voco_case_free(&c);
        free(item.label);
    }
    item.label = NULL;
    fails(VOCO_EFORMAT, voco_case_read(&item, VOCO_CHANNEL_REFUSE, &map, &c));
    says("no label map");
    free(image[0]);
    scratch_remove(folder);
}
END_TEST

START_TEST(channels_are_taken_from_several_files)
{
    char *folder = scratch_folder();
    char *image[2] = {write_grid(folder, "a", 6, 0), write_grid(folder, "b", 6, 0)};
    struct voco_item item = {.id = "case", .image = image, .n_images = 2};
    struct voco_volume_header header;
    struct voco_case c;

    fails(VOCO_EFORMAT, voco_case_read(&item, VOCO_CHANNEL_REFUSE, NULL, &c));
    says("--channel");
    fails(VOCO_EFORMAT, voco_case_read(&item, 2, NULL, &c));
    ok(voco_case_read(&item, 1, NULL, &c));
    ck_assert_int_eq(c.n_channels, 1);
    voco_case_free(&c);
    ok(voco_case_describe(&item, VOCO_CHANNEL_ALL, false, &header));
    ck_assert_int_eq(header.channels, 2);
    ok(voco_case_read(&item, VOCO_CHANNEL_ALL, NULL, &c));
    ck_assert_int_eq(c.n_channels, 2);
    voco_case_free(&c);
    free(image[1]);
    image[1] = write_grid(folder, "b", 5, 0);
    fails(VOCO_EFORMAT, voco_case_read(&item, VOCO_CHANNEL_ALL, NULL, &c));
    says("b.nii");
    free(image[0]);
    free(image[1]);
    scratch_remove(folder);
}
END_TEST

/* ---- the store ---- */

enum { NX = 21, NY = 18, NZ = 19, VOXELS = NX * NY * NZ };

/* Class of voxel i of case k: blobs of classes up to most, else 0. */
static int
class_at(int k, int i, int most)
{
    const uint32_t h = (uint32_t)(i / 40 + 31 * k) * 2654435761u;

    return h >> 30 ? 0 : (int)(h >> 8 & 0xffff) % (most + 1);
}

static void
add_case(struct voco_store_writer *w, int k, int channels, int most)
{
    char *id = voco_format("case%d", k);
    struct voco_store_entry e = entry_of(id, "abdomen");
    struct voco_volume channel[3];
    struct voco_case c = {.channel = channel, .n_channels = channels};

    for (int i = 0; i < channels; i++) {
        channel[i] = volume_of(k + i, NX, NY, NZ, 1, 0);
        for (int j = 0; j < VOXELS; j += 3)
            channel[i].voxel[j] = 0;
    }
    if (most >= 0) {
        c.label = volume_of(0, NX, NY, NZ, 1, 0);
        e.label.source = "in/label.nii.gz";
        for (int i = 0; i < VOXELS; i++)
            c.label.voxel[i] = (float)class_at(k, i, most);
    }
    ok(voco_store_add_case(w, &e, &c, NULL));
    for (int i = 0; i < channels; i++)
        free(channel[i].voxel);
    free(c.label.voxel);
    free(id);
}

static const struct {
    int channels, most;         /* most: largest class, -1: no labels */
} cases[] = {{1, 3}, {2, 300}, {3, -1}, {1, 0}, {1, -1}};

enum { CASES = sizeof cases / sizeof *cases };

static struct voco_store *
labelled_store(const char *folder, enum voco_store_type type)
{
    static const char *const name[] = {"background", "liver", "spleen", "aorta"};
    const struct voco_store_options o = {.type = type, .chunk = 8, .class_name = name,
                                         .n_classes = 4};
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &o, &w));
    for (int k = 0; k < CASES; k++)
        add_case(w, k, cases[k].channels, cases[k].most);
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    return s;
}

START_TEST(channels_and_classes_read_back)
{
    static float got[VOXELS];
    static uint16_t label[VOXELS];
    const int64_t all[3] = {NX, NY, NZ}, zero[3] = {0, 0, 0};
    const int64_t start[3] = {3, 5, 7}, size[3] = {11, 9, 12};
    struct voco_store_scratch scratch = {0};
    char *folder = scratch_folder();
    struct voco_store *s = labelled_store(folder, VOCO_STORE_U16);
    int n, most = 0;

    ck_assert_int_eq(voco_store_count(s), CASES);
    for (int i = 0; i < VOXELS; i++)
        most = class_at(1, i, 300) > most ? class_at(1, i, 300) : most;
    ck_assert_int_eq(voco_store_n_classes(s), most + 1);
    ck_assert_str_eq(voco_store_classes(s, &n)[2], "spleen");
    ck_assert_int_eq(n, 4);
    for (int k = 0; k < CASES; k++) {
        const struct voco_store_entry *e = voco_store_entry(s, k);

        ck_assert_int_eq(e->channels, cases[k].channels);
        for (int c = 0; c < e->channels; c++) {
            struct voco_volume want = volume_of(k + c, NX, NY, NZ, 1, 0);

            ok(voco_store_read_channel(s, k, c, zero, all, got, &scratch));
            for (int i = 0; i < VOXELS; i++)
                ck_assert_float_le(fabsf(got[i] - (i % 3 ? want.voxel[i] : 0)), 8e-6f);
            free(want.voxel);
        }
        ck_assert_int_eq(e->label.source != NULL, cases[k].most >= 0);
        if (!e->label.source)
            continue;
        ck_assert_int_eq(e->label.type, cases[k].most > 255 ? VOCO_STORE_LABEL16
                                                            : VOCO_STORE_LABEL8);
        ok(voco_store_read_label(s, k, start, size, label, &scratch));
        for (int64_t x = 0, i = 0; x < size[0]; x++)
            for (int64_t y = 0; y < size[1]; y++)
                for (int64_t z = 0; z < size[2]; z++, i++) {
                    const int64_t at = ((start[0] + x) * NY + start[1] + y) * NZ
                        + start[2] + z;

                    ck_assert_int_eq(label[i], class_at(k, (int)at, cases[k].most));
                }
    }
    ok(voco_store_verify(s, &check_all));
    voco_store_scratch_free(&scratch);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* Ranks enumerate the voxels of each kind: every one of them, once. */
START_TEST(ranks_enumerate_voxels_of_a_kind)
{
    static const enum voco_store_type type[] = {VOCO_STORE_U16, VOCO_STORE_F32};
    struct voco_store_scratch scratch = {0};
    int64_t at[3];

    for (int t = 0; t < 2; t++) {
        char *folder = scratch_folder();
        struct voco_store *s = labelled_store(folder, type[t]);

        for (int kind = 0; kind < 2; kind++) {
            static char met[VOXELS];
            const int64_t n = voco_store_voxels(s, 0, kind);
            int64_t want = 0;

            memset(met, 0, sizeof met);
            for (int i = 0; i < VOXELS; i++) {
                const bool labelled = class_at(0, i, 3) > 0;

                want += kind == VOCO_VOXEL_LABELLED ? labelled : !labelled && i % 3;
            }
            ck_assert_int_eq(n, want);
            ck_assert_int_gt(n, 100);
            for (int64_t rank = 0; rank < n; rank++) {
                ok(voco_store_find(s, 0, kind, rank, at, &scratch));
                const int64_t i = (at[0] * NY + at[1]) * NZ + at[2];
                const bool labelled = class_at(0, (int)i, 3) > 0;

                ck_assert_int_eq(met[i]++, 0);
                ck_assert(kind == VOCO_VOXEL_LABELLED ? labelled : !labelled && i % 3);
            }
            fails(VOCO_EFORMAT, voco_store_find(s, 0, kind, n, at, &scratch));
        }
        ck_assert_int_eq(voco_store_voxels(s, 3, VOCO_VOXEL_LABELLED), 0);
        voco_store_close(s);
        scratch_remove(folder);
    }
    voco_store_scratch_free(&scratch);
}
END_TEST

START_TEST(verify_finds_every_changed_byte_of_a_labelled_shard)
{
    char *folder = scratch_folder(), *path = voco_format("%s/shard-00000.h5", folder);
    struct voco_store *s = labelled_store(folder, VOCO_STORE_U16);
    char *bytes;
    size_t n;

    voco_store_close(s);
    ok(voco_file_read(path, 1 << 24, &bytes, &n));
    for (size_t at = 0; at < n; at += at + 4000 > n ? 1 : 61) {
        const int fd = open(path, O_WRONLY);
        const char odd = (char)(bytes[at] ^ 4);
        enum voco_err err;

        ck_assert_int_eq(pwrite(fd, &odd, 1, (off_t)at), 1);
        err = voco_store_open(folder, &s);
        if (!err)
            err = voco_store_verify(s, &check_all);
        ck_assert_msg(err == VOCO_EFORMAT, "byte %zu of %zu", at, n);
        voco_store_close(s);
        ck_assert_int_eq(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
        close(fd);
    }
    ok(voco_store_open(folder, &s));
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    free(bytes);
    free(path);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_store_keeps_the_names_of_its_classes)
{
    static const char *const other[] = {"background", "liver", "spleen", "heart"};
    struct voco_store_options o = {.type = VOCO_STORE_U16, .class_name = other,
                                   .n_classes = 4};
    char *folder = scratch_folder();
    struct voco_store_writer *w;

    voco_store_close(labelled_store(folder, VOCO_STORE_U16));
    fails(VOCO_EUSAGE, voco_store_create(folder, &o, &w));
    says("class 3 of this store is aorta, asked was for heart");
    o.n_classes = 3;
    fails(VOCO_EUSAGE, voco_store_create(folder, &o, &w));
    o.n_classes = 0;
    ok(voco_store_create(folder, &o, &w));
    ok(voco_store_finish(w));
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("labels");
    TCase *rules = tcase_create("rules"), *cases_ = tcase_create("cases");
    TCase *store = tcase_create("store");

    tcase_add_test(rules, rules_say_which_value_is_which_class);
    tcase_add_test(rules, wrong_rules_are_named);
    tcase_add_test(rules, unknown_values_are_listed_and_the_volume_is_left_alone);
    suite_add_tcase(suite, rules);
    tcase_add_test(cases_, labelled_cases_come_out_as_from_monai);
    tcase_add_test(cases_, a_label_map_on_another_grid_is_refused_with_both);
    tcase_add_test(cases_, channels_are_taken_from_several_files);
    suite_add_tcase(suite, cases_);
    tcase_add_test(store, channels_and_classes_read_back);
    tcase_add_test(store, ranks_enumerate_voxels_of_a_kind);
    tcase_add_test(store, verify_finds_every_changed_byte_of_a_labelled_shard);
    tcase_add_test(store, a_store_keeps_the_names_of_its_classes);
    tcase_set_timeout(store, 120);
    suite_add_tcase(suite, store);
    return suite;
}
