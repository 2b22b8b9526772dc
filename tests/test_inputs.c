/* Inputs of a command line: their order, names that clash, and what is read of them. */
#include "data/dataset/inputs.h"
#include "store_util.h"
#include "tests/test.h"

static const struct voco_inputs_options plain = { .test_split = false };

static char *folder, *store, *volume;

/* FOLDER/store with volumes case000 to case002, and a volume of its own. */
static void
set_up(void)
{
    const struct voco_store_options o = { .type = VOCO_STORE_F32, .chunk = 8 };
    struct voco_volume v = volume_of(7, 5, 6, 7, 1, 0);

    folder = scratch_folder();
    store = voco_format("%s/store", folder);
    volume = voco_format("%s/case001.nii", folder);
    store_of(store, &o, 3, 9, 8, 10);
    ok(voco_volume_write(volume, &v));
    free(v.voxel);
}

static void
tear_down(void)
{
    free(volume);
    free(store);
    scratch_remove(folder);
}

START_TEST(stores_come_first_and_each_volume_knows_where_it_is)
{
    const char *const path[] = { volume, store };
    struct voco_inputs in;

    ok(voco_inputs_open(&in, 2, path, &plain));
    ck_assert_int_eq(in.n, 4);
    ck_assert_int_eq(in.n_stores, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(in.entry[i].store, in.store[0]);
        ck_assert_ptr_null(in.entry[i].item);
        ck_assert_int_eq(in.entry[i].index, i);
        ck_assert_str_eq(in.entry[i].source, "in/case.nii.gz");
    }
    ck_assert_ptr_null(in.entry[3].store);
    ck_assert_ptr_nonnull(in.entry[3].item);
    ck_assert_str_eq(in.entry[3].id, "case001");
    ck_assert_str_eq(in.entry[3].source, volume);
    voco_inputs_free(&in);
}
END_TEST

START_TEST(a_volume_named_as_one_of_a_store_clashes_with_it)
{
    const char *const path[] = { store, volume };
    const struct voco_input_entry *a, *b;
    struct voco_inputs in;

    ok(voco_inputs_open(&in, 1, path, &plain));
    ck_assert(!voco_inputs_clash(&in, &a, &b));
    voco_inputs_free(&in);
    ok(voco_inputs_open(&in, 2, path, &plain));
    ck_assert(voco_inputs_clash(&in, &a, &b));
    ck_assert_ptr_ne(a, b);
    ck_assert_str_eq(a->id, "case001");
    ck_assert_str_eq(b->id, "case001");
    voco_inputs_free(&in);
}
END_TEST

START_TEST(volumes_are_read_whole_from_either)
{
    const char *const path[] = { store, volume };
    struct voco_inputs in;

    ok(voco_inputs_open(&in, 2, path, &plain));
    for (int i = 0; i < in.n; i++) {
        const int k = i < 3 ? i : 7;
        struct voco_case c;
        int64_t at = 0;

        ok(voco_input_read(&in.entry[i], &c));
        ck_assert_int_eq(c.n_channels, 1);
        ck_assert_int_eq(c.channel[0].dim[2], i < 3 ? 10 : 7);
        ck_assert_double_eq(c.channel[0].affine[1][3], -10);
        for (int64_t x = 0; x < c.channel[0].dim[0]; x++)
            for (int64_t y = 0; y < c.channel[0].dim[1]; y++)
                for (int64_t z = 0; z < c.channel[0].dim[2]; z++)
                    ck_assert_float_eq(c.channel[0].voxel[at++], voxel_of(k, x, y, z));
        voco_case_free(&c);
    }
    voco_inputs_free(&in);
}
END_TEST

START_TEST(what_is_not_there_is_an_error_and_what_cannot_be_read_is_counted)
{
    char *list = voco_format("%s/list.txt", folder);
    const char *const path[] = { list }, *const none[] = { store, "/nowhere/x.nii" };
    struct voco_inputs in;
    struct voco_case c;
    int rejected = 0;

    fails(VOCO_EFORMAT, voco_inputs_open(&in, 2, none, &plain));
    voco_inputs_free(&in);
    ok(voco_file_write_text(list, "gone.nii\n"));
    ok(voco_inputs_open(&in, 1, path, &plain));
    ck_assert_int_eq(in.n, 1);
    ok(voco_input_reject(voco_input_read(&in.entry[0], &c), &rejected));
    ck_assert_int_eq(rejected, 1);
    says("gone.nii: no such file");
    ck_assert_ptr_null(c.channel);
    ck_assert_int_eq(voco_input_reject(VOCO_EMEMORY, &rejected), VOCO_EMEMORY);
    ck_assert_int_eq(rejected, 1);
    voco_inputs_free(&in);
    free(list);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("inputs");
    TCase *tc = tcase_create("inputs");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, stores_come_first_and_each_volume_knows_where_it_is);
    tcase_add_test(tc, a_volume_named_as_one_of_a_store_clashes_with_it);
    tcase_add_test(tc, volumes_are_read_whole_from_either);
    tcase_add_test(tc, what_is_not_there_is_an_error_and_what_cannot_be_read_is_counted);
    suite_add_tcase(s, tc);
    return s;
}
