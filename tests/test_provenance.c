/* Provenance in files of weights: what a run writes is what is read, generation by
 * generation, and orientations are held against it. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/provenance.h"
#include "model/weights.h"
#include "tests/devices.h"
#include "tests/scratch.h"
#include "tests/test.h"

static const struct voco_model_config config = {
    .feature = 12, .in_channels = 1, .merging = VOCO_MERGING_FIXED,
};
static const double ras[4][4] = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 } };
static const double lps[4][4] = { { -1, 0, 0, 0 }, { 0, -1, 0, 0 }, { 0, 0, 1, 0 },
                                  { 0, 0, 0, 1 } };
static const double sar[4][4] = { { 0, 0, 1, 0 }, { 0, 1, 0, 0 }, { 1, 0, 0, 0 },
                                  { 0, 0, 0, 1 } };
static const char options[] = "{\"seed\":7,\"lr\":0.001}";
static struct voco_ctx ctx;

static void
setup(void)
{
    scratch_setup();
    ck_assert_int_eq(voco_ctx_open(&ctx, device_under_test(),
                                   &(struct voco_ctx_options){ .threads = 1 }), VOCO_OK);
}

static void
teardown(void)
{
    voco_ctx_close(&ctx);
    scratch_teardown();
}

/* Weights with this provenance; NULL: none. */
static void
save(const char *name, const struct voco_provenance *p)
{
    struct voco_model model;

    ck_assert_int_eq(voco_model_describe(&model, &config), VOCO_OK);
    ck_assert_int_eq(voco_model_allocate(&model, &ctx, false), VOCO_OK);
    voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 1);
    model.provenance = p;
    ck_assert_int_eq(voco_model_save(scratch(name), &ctx, &model, NULL, NULL), VOCO_OK);
    voco_model_free(&model);
}

/* The entry of a file; json_decref it. */
static json_t *
provenance_of(const char *name)
{
    struct voco_tensorfile f;
    json_t *root;

    ck_assert_int_eq(voco_tensorfile_open(&f, scratch(name)), VOCO_OK);
    ck_assert_ptr_nonnull(voco_tensorfile_meta(&f, "voco.provenance"));
    root = json_loads(voco_tensorfile_meta(&f, "voco.provenance"), 0, NULL);
    ck_assert_ptr_nonnull(root);
    voco_tensorfile_close(&f);
    return root;
}

static const char *
word(json_t *at, const char *key)
{
    const char *text = json_string_value(json_object_get(at, key));

    ck_assert_msg(text != NULL, "no %s", key);
    return text;
}

START_TEST(a_run_tells_data_options_and_parent_weights)
{
    struct voco_provenance first, second;
    int64_t step = 3;
    json_t *root, *parent, *store;
    char *bytes, crc[16];
    size_t n;

    voco_provenance_begin(&first, "voco", options, &config, &step);
    voco_provenance_store(&first, "store", "ct/store", 0xbeef);
    voco_provenance_volume(&first, "store", "a", ras);
    voco_provenance_volume(&first, "store", "b", ras);
    voco_provenance_parent(&first, "hash:1");
    step = 5;                                   /* the run has gone on */
    save("first.safetensors", &first);
    voco_provenance_begin(&second, "segment", options, &config, &step);
    voco_provenance_parent(&second, scratch("first.safetensors"));
    save("second.safetensors", &second);

    root = provenance_of("first.safetensors");
    ck_assert_str_eq(word(root, "objective"), "voco");
    ck_assert_str_eq(word(root, "axes"), "xyz");
    ck_assert_str_eq(word(root, "merging"), "fixed");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "step")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(root, "options"),
                                                        "seed")), 7);
    store = json_object_get(root, "store");
    ck_assert_str_eq(word(store, "path"), "ct/store");
    ck_assert_str_eq(word(store, "hash"), "0000beef");
    ck_assert_int_eq(json_array_size(json_object_get(store, "volumes")), 2);
    parent = json_object_get(root, "parent");
    ck_assert_str_eq(word(parent, "path"), "hash:1");
    ck_assert_int_eq(json_object_size(parent), 1);
    json_decref(root);

    root = provenance_of("second.safetensors");
    parent = json_object_get(root, "parent");
    ck_assert_int_eq(voco_file_read(scratch("first.safetensors"), 1 << 28, &bytes, &n), VOCO_OK);
    snprintf(crc, sizeof crc, "%08x", voco_crc32c(0, bytes, n));
    free(bytes);
    ck_assert_str_eq(word(parent, "crc32c"), crc);
    ck_assert_int_eq(json_integer_value(json_object_get(parent, "bytes")), (json_int_t)n);
    parent = json_object_get(parent, "provenance");
    ck_assert_str_eq(word(parent, "objective"), "voco");
    store = json_object_get(parent, "store");
    ck_assert_int_eq(json_integer_value(json_object_get(store, "volumes")), 2);
    json_decref(root);
    voco_provenance_free(&first);
    voco_provenance_free(&second);
}
END_TEST

START_TEST(weights_without_provenance_are_as_before)
{
    struct voco_tensorfile f;
    char lies[8];

    save("plain.safetensors", NULL);
    ck_assert_int_eq(voco_tensorfile_open(&f, scratch("plain.safetensors")), VOCO_OK);
    ck_assert_int_eq(f.n_meta, VOCO_MODEL_KEYS);
    voco_tensorfile_close(&f);
    ck_assert_int_eq(voco_orientation_of(scratch("plain.safetensors"), lies), VOCO_OK);
    ck_assert_str_eq(lies, "");
    ck_assert_int_eq(voco_orientation_expect(lies, lps, "v"), VOCO_OK);
}
END_TEST

START_TEST(orientation_is_that_of_all_volumes_or_mixed)
{
    const double (*const volume[][2])[4] = { { ras, ras }, { lps, lps }, { sar, sar },
                                             { ras, lps } };
    static const char *const said[] = { "RAS", "LPS", "SAR", "" };

    for (int i = 0; i < 4; i++) {
        struct voco_provenance p;
        char lies[8];

        voco_provenance_begin(&p, "voco", options, &config, NULL);
        voco_provenance_store(&p, "store", "s", 1);
        voco_provenance_volume(&p, "store", "a", volume[i][0]);
        voco_provenance_volume(&p, "store", "b", volume[i][1]);
        save("o.safetensors", &p);
        ck_assert_int_eq(voco_orientation_of(scratch("o.safetensors"), lies), VOCO_OK);
        ck_assert_str_eq(lies, said[i]);
        ck_assert_int_eq(voco_orientation_expect(lies, volume[i][0], "v"), VOCO_OK);
        voco_provenance_free(&p);
    }
    ck_assert_int_eq(voco_orientation_expect("RAS", lps, "v.nii"), VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "v.nii: its axes run LPS"));
    ck_assert_int_eq(voco_orientation_expect("RAS", sar, "v.nii"), VOCO_EFORMAT);
}
END_TEST

/* By hand, as a file of a stranger. */
static enum voco_err
read_said(const char *key, const char *value, char lies[8])
{
    const struct voco_filemeta meta = { key, value };

    ck_assert_int_eq(voco_safetensors_write(scratch("said.safetensors"), NULL, 0, &meta, 1,
                                            NULL, NULL), VOCO_OK);
    return voco_orientation_of(scratch("said.safetensors"), lies);
}

START_TEST(what_is_no_orientation_is_refused)
{
    static const char *const odd[] = { "", "RA", "RASL", "RAX", "RRS", "RLS", "ras", "MIXED" };
    char lies[8];

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        ck_assert_int_eq(read_said("voco.orientation", odd[i], lies), VOCO_EFORMAT);
        ck_assert_str_eq(lies, "");
    }
    ck_assert_int_eq(read_said("voco.orientation", "ASL", lies), VOCO_OK);
    ck_assert_str_eq(lies, "ASL");
    ck_assert_int_eq(read_said("voco.provenance", "not JSON", lies), VOCO_OK);
    ck_assert_str_eq(lies, "");
}
END_TEST

/* A parent is read while a run is set up: whatever it says, the run begins. */
START_TEST(odd_provenance_of_a_parent_is_left_out)
{
    static const char *const odd[] = { "not JSON", "[1]", "{\"store\":3}",
                                       "{\"store\":{\"volumes\":{}}}" };

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct voco_filemeta meta[VOCO_PROVENANCE_KEYS];
        struct voco_provenance p;
        char lies[8];

        ck_assert_int_eq(read_said("voco.provenance", odd[i], lies), VOCO_OK);
        voco_provenance_begin(&p, "voco", options, &config, NULL);
        voco_provenance_parent(&p, scratch("said.safetensors"));
        ck_assert_int_eq(voco_provenance_meta(&p, meta), 1);
        ck_assert_ptr_nonnull(strstr(meta[0].value, "\"crc32c\""));
        free((char *)(uintptr_t)meta[0].value);
        voco_provenance_free(&p);
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("provenance");
    TCase *tc = tcase_create("provenance");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_run_tells_data_options_and_parent_weights);
    tcase_add_test(tc, weights_without_provenance_are_as_before);
    tcase_add_test(tc, orientation_is_that_of_all_volumes_or_mixed);
    tcase_add_test(tc, what_is_no_orientation_is_refused);
    tcase_add_test(tc, odd_provenance_of_a_parent_is_left_out);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return s;
}
