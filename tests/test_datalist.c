/* Inputs of convert as a list: folders, text, CSV, JSON of several makers, unique ids. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "data/dataset/datalist.h"
#include "data/dataset/pairing.h"
#include "scratch.h"
#include "tests/test.h"

static const struct voco_datalist_options PLAIN;

/* The stat of this program: that of a file system which gives every file one number, if
 * asked to. */
static bool one_number;

int
stat(const char *restrict path, struct stat *restrict st)
{
    const int failed = fstatat(AT_FDCWD, path, st, 0);

    if (!failed && one_number)
        st->st_ino = 128;
    return failed;
}

/* An empty file: what is in a volume does not matter here. */
static void
touch(const char *name)
{
    scratch_bytes(name, "", 0);
}

static struct voco_datalist
add_ok(const char *input, const struct voco_datalist_options *o)
{
    struct voco_datalist l = {.n = 0};

    ck_assert_msg(voco_datalist_add(&l, input, o) == VOCO_OK, "%s", voco_fail_text());
    ck_assert_int_eq(voco_datalist_finish(&l), VOCO_OK);
    return l;
}

static void
assert_item(const struct voco_datalist *l, int i, const char *id, const char *image,
            const char *label)
{
    ck_assert_int_lt(i, l->n);
    ck_assert_str_eq(l->item[i].id, id);
    ck_assert_str_eq(l->item[i].image[0], scratch(image));
    ck_assert_msg(l->item[i].problem == NULL, "%s", l->item[i].problem);
    if (label == NULL)
        ck_assert_ptr_null(l->item[i].label);
    else
        ck_assert_str_eq(l->item[i].label, scratch(label));
}

static void
assert_refused(const char *input, const char *reason)
{
    struct voco_datalist l = {.n = 0};

    ck_assert_int_eq(voco_datalist_add(&l, input, &PLAIN), VOCO_EFORMAT);
    ck_assert_says(reason);
    ck_assert_says(input);
    ck_assert_int_eq(l.n, 0);
    voco_datalist_free(&l);
}

/* ---- files and folders ---- */

START_TEST(single_file_is_one_item_named_after_it)
{
    touch("ct.nii.gz");
    struct voco_datalist l = add_ok(scratch("ct.nii.gz"), &PLAIN);
    ck_assert_int_eq(l.n, 1);
    assert_item(&l, 0, "ct", "ct.nii.gz", NULL);
    ck_assert_str_eq(l.item[0].dataset, "");
    voco_datalist_free(&l);
    assert_refused(scratch("absent.nii"), "No such file");
    assert_refused(scratch_text("a.bin", "hello"), "neither a volume");
}
END_TEST

START_TEST(folder_gives_its_volumes_in_order_without_labels_and_hidden_files)
{
    static const char *const FILES[] = {
        "d/b.mha", "d/a.NII", "d/sub/c.nrrd", "d/sub/pair.hdr", "d/sub/pair.img",
        "d/.hidden/x.nii", "d/.y.nii", "d/readme.txt", "d/labelsTr/a.nii",
        "d/segmentations/liver.nii.gz", "d/detached.mhd", "d/detached.raw"
    };
    char dicom[132] = "";

    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        touch(FILES[i]);
    memcpy(dicom + 128, "DICM", 4);
    scratch_bytes("d/study/IM1", dicom, sizeof dicom);
    scratch_bytes("d/study/IM2", dicom, sizeof dicom);
    ck_assert_int_eq(symlink("..", scratch("d/sub/up")), 0);
    char *input = voco_format("%s/", scratch("d"));
    struct voco_datalist l = add_ok(input, &PLAIN);
    free(input);
    ck_assert_int_eq(l.n, 6);
    assert_item(&l, 0, "a", "d/a.NII", NULL);
    assert_item(&l, 1, "b", "d/b.mha", NULL);
    assert_item(&l, 2, "detached", "d/detached.mhd", NULL);
    assert_item(&l, 3, "study", "d/study", NULL);
    assert_item(&l, 4, "c", "d/sub/c.nrrd", NULL);
    assert_item(&l, 5, "pair", "d/sub/pair.hdr", NULL);
    ck_assert_str_eq(l.item[0].dataset, "d");
    voco_datalist_free(&l);
    ck_assert_int_eq(voco_folder_make(scratch("empty")), VOCO_OK);
    assert_refused(scratch("empty"), "no volume in this folder");
}
END_TEST

/* ---- ids ---- */

START_TEST(repeated_names_get_their_folders_in_front)
{
    touch("p1/day1/ct.nii");
    touch("p1/day2/ct.nii");
    touch("p2/day1/ct.nii");
    touch("p2/mr.nii");
    struct voco_datalist l = add_ok(scratch_folder, &PLAIN);
    assert_item(&l, 0, "p1-day1-ct", "p1/day1/ct.nii", NULL);
    assert_item(&l, 1, "day2-ct", "p1/day2/ct.nii", NULL);
    assert_item(&l, 2, "p2-day1-ct", "p2/day1/ct.nii", NULL);
    assert_item(&l, 3, "mr", "p2/mr.nii", NULL);
    ck_assert_int_eq(l.n_renamed, 3);
    voco_datalist_free(&l);
}
END_TEST

START_TEST(equal_stems_in_one_folder_keep_their_endings)
{
    touch("d/ct.mha");
    touch("d/ct.nii.gz");
    touch("e/ct.mha");
    struct voco_datalist l = add_ok(scratch_folder, &PLAIN);
    assert_item(&l, 0, "ct.mha", "d/ct.mha", NULL);
    assert_item(&l, 1, "ct.nii.gz", "d/ct.nii.gz", NULL);
    assert_item(&l, 2, "ct", "e/ct.mha", NULL);
    voco_datalist_free(&l);
}
END_TEST

START_TEST(ids_are_safe_names_whatever_the_files_are_called)
{
    touch("d/line\nbreak.nii");
    touch("d/sp ace.nii");
    touch("d/bad\xff" "utf8.nii");
    touch("d/stra\xc3\x9f" "e.nii");
    touch("d/quote\".nii");
    struct voco_datalist l = add_ok(scratch("d"), &PLAIN);
    assert_item(&l, 0, "bad_utf8", "d/bad\xff" "utf8.nii", NULL);
    assert_item(&l, 1, "line_break", "d/line\nbreak.nii", NULL);
    assert_item(&l, 2, "quote_", "d/quote\".nii", NULL);
    assert_item(&l, 3, "sp_ace", "d/sp ace.nii", NULL);
    assert_item(&l, 4, "stra\xc3\x9f" "e", "d/stra\xc3\x9f" "e.nii", NULL);
    voco_datalist_free(&l);
}
END_TEST

START_TEST(ids_stay_unique_where_no_folder_helps)
{
    char name[256] = "d/";

    memset(name + 2, 'x', 240);
    strcpy(name + 242, ".nii");
    touch("d/a b.nii");
    touch("d/a_b.nii");
    touch(name);
    struct voco_datalist l = add_ok(scratch("d"), &PLAIN);
    ck_assert_int_eq(l.n, 3);
    ck_assert_str_ne(l.item[0].id, l.item[1].id);
    ck_assert_int_eq(strncmp(l.item[0].id, "a_b-", 4), 0);
    ck_assert_uint_le(strlen(l.item[2].id), 200);
    voco_datalist_free(&l);
}
END_TEST

/* Their ids are not made longer and longer until the paths differ. */
START_TEST(ids_of_long_paths_take_no_time)
{
    enum { FOLDERS = 4000 };
    char text[2 * (2 * FOLDERS + 8)], *to = text;

    for (int line = 0; line < 2; line++) {
        for (int i = 0; i < FOLDERS; i++)
            to += sprintf(to, "%c/", i ? 'd' : 'a' + line);
        to += sprintf(to, "x.nii\n");
    }
    struct voco_datalist l = add_ok(scratch_text("long.txt", text), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    ck_assert_str_ne(l.item[0].id, l.item[1].id);
    for (int i = 0; i < 2; i++)
        ck_assert_uint_le(strlen(l.item[i].id), 200);
    voco_datalist_free(&l);
}
END_TEST

START_TEST(file_listed_twice_is_a_problem_of_the_second_item)
{
    struct voco_datalist l = {.n = 0};

    touch("a.nii");
    scratch_text("l.txt", "a.nii\n./a.nii\n");
    ck_assert_int_eq(voco_datalist_add(&l, scratch("l.txt"), &PLAIN), VOCO_OK);
    ck_assert_int_eq(voco_datalist_add(&l, scratch("a.nii"), &PLAIN), VOCO_OK);
    ck_assert_int_eq(voco_datalist_finish(&l), VOCO_OK);
    ck_assert_int_eq(l.n, 3);
    ck_assert_int_eq(l.n_problems, 2);
    ck_assert_ptr_null(l.item[0].problem);
    ck_assert_ptr_nonnull(strstr(l.item[1].problem, "listed twice"));
    ck_assert_str_eq(l.item[0].id, "a");
    ck_assert_str_eq(l.item[1].id, "a-again2");
    ck_assert_str_eq(l.item[2].id, "a-again3");
    voco_datalist_free(&l);
}
END_TEST

START_TEST(files_with_one_inode_number_are_files_of_their_own)
{
    struct stat st[2];

    touch("a.nii");
    touch("b.nii");
    touch("sub/c.nii");
    ck_assert_int_eq(symlink("..", scratch("sub/up")), 0);
    one_number = true;
    ck_assert_int_eq(stat(scratch("a.nii"), &st[0]), 0);
    ck_assert_int_eq(stat(scratch("sub/c.nii"), &st[1]), 0);
    ck_assert(st[0].st_ino == st[1].st_ino);
    struct voco_datalist l = add_ok(scratch_folder, &PLAIN);
    ck_assert_int_eq(l.n, 3);
    ck_assert_int_eq(l.n_problems, 0);
    voco_datalist_free(&l);
    ck_assert_int_eq(link(scratch("a.nii"), scratch("z.nii")), 0);
    l = add_ok(scratch_folder, &PLAIN);
    one_number = false;
    ck_assert_int_eq(l.n, 4);
    ck_assert_int_eq(l.n_problems, 1);
    ck_assert_ptr_nonnull(strstr(l.item[3].problem, "listed twice"));
    voco_datalist_free(&l);
}
END_TEST

/* ---- pairs ---- */

START_TEST(names_of_one_case_are_paired_and_equal_ones_go_first)
{
    static const char *const A[] = {
        "A_0000", "B_0000", "B_0001", "c_0001", "c_0002", "liver_2021", "D", "x_00001"
    };
    static const char *const B[] = {
        "B", "A", "c_0002", "c_0001", "liver", "D_0000", "x", "A"
    };
    static const int want[] = {1, 0, 0, 3, 2, -1, 5, -1};
    int got[8];

    ck_assert_int_eq(voco_pair_names(A, 8, B, 8, got), VOCO_OK);
    for (int i = 0; i < 8; i++)
        ck_assert_msg(got[i] == want[i], "%s: %d", A[i], got[i]);
    ck_assert_int_eq(voco_pair_names(A, 1, B, 0, got), VOCO_OK);
    ck_assert_int_eq(got[0], -1);
}
END_TEST

/* 40,000 names of each kind: by search they take a tenth of a second, one with another they
 * would take minutes. */
START_TEST(many_names_are_paired_by_search)
{
    enum { MANY = 40000 };
    char **image = calloc(MANY, sizeof *image), **label = calloc(MANY, sizeof *label);
    int *got = calloc(MANY, sizeof *got);

    for (int i = 0; i < MANY; i++) {
        image[i] = voco_format("case-%05d_0000", i * 7919 % MANY);
        label[i] = voco_format("case-%05d", i);
    }
    const clock_t begin = clock();
    ck_assert_int_eq(voco_pair_names((const char *const *)image, MANY,
                                     (const char *const *)label, MANY, got), VOCO_OK);
    ck_assert_double_lt((double)(clock() - begin) / CLOCKS_PER_SEC, 20);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(got[i], i * 7919 % MANY);
        free(image[i]);
        free(label[i]);
    }
    free(image);
    free(label);
    free(got);
}
END_TEST

/* ---- text and CSV ---- */

START_TEST(text_list_is_relative_to_itself_or_to_root)
{
    struct voco_datalist_options o = {.root = scratch_folder, .dataset = "mine"};

    touch("v/a.nii");
    touch("v/b.nii");
    scratch_text("v/l.txt", "\xef\xbb\xbf# a list\r\n\n  a.nii\r\nb.nii\nabsent.nii");
    struct voco_datalist l = add_ok(scratch("v/l.txt"), &PLAIN);
    ck_assert_int_eq(l.n, 3);
    assert_item(&l, 0, "a", "v/a.nii", NULL);
    assert_item(&l, 1, "b", "v/b.nii", NULL);
    ck_assert_ptr_nonnull(strstr(l.item[2].problem, "no such file"));
    ck_assert_int_eq(l.n_problems, 1);
    ck_assert_str_eq(l.item[0].dataset, "l");
    voco_datalist_free(&l);
    scratch_text("l.lst", "v/a.nii\n");
    l = add_ok(scratch("l.lst"), &o);
    assert_item(&l, 0, "a", "v/a.nii", NULL);
    ck_assert_str_eq(l.item[0].dataset, "mine");
    voco_datalist_free(&l);
    assert_refused(scratch_text("empty.txt", "# nothing\n"), "names no volume");
    assert_refused(scratch_bytes("zero.txt", "a\0b", 3), "0 byte");
}
END_TEST

START_TEST(csv_takes_image_label_and_class_in_any_order_and_quoting)
{
    touch("a.nii");
    touch("b, \"c\".nii");
    touch("l.nii");
    scratch_text("t.csv", "class,age,Image,label\r\n1,40,a.nii,l.nii\r\n\r\n"
                 "\"two\",50,\"b, \"\"c\"\".nii\",\n");
    struct voco_datalist l = add_ok(scratch("t.csv"), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    assert_item(&l, 0, "a", "a.nii", "l.nii");
    ck_assert_str_eq(l.item[0].class_name, "1");
    assert_item(&l, 1, "b___c_", "b, \"c\".nii", NULL);
    ck_assert_str_eq(l.item[1].class_name, "two");
    voco_datalist_free(&l);
    l = add_ok(scratch_text("t.tsv", "image\tlabel\na.nii\tabsent.nii\n"), &PLAIN);
    assert_item(&l, 0, "a", "a.nii", NULL);         /* a missing label is left out */
    voco_datalist_free(&l);
    assert_refused(scratch_text("b.csv", "path,label\na.nii,\n"), "no column \"image\"");
    assert_refused(scratch_text("c.csv", "image,label\na.nii\n"), "c.csv:2: 1 columns");
    assert_refused(scratch_text("d.csv", "image\n\"a.nii\n"), "d.csv:2: a quote");
    assert_refused(scratch_text("e.csv", "image,label\n,l.nii\n"), "e.csv:2: no image");
    assert_refused(scratch_text("f.csv", "image\n"), "names no volume");
    assert_refused(scratch_text("g.csv", ""), "no column \"image\"");
}
END_TEST

/* ---- JSON ---- */

START_TEST(decathlon_and_voco_lists_give_images_and_labels)
{
    struct voco_datalist_options o = {.test_split = true};

    touch("imagesTr/a.nii.gz");
    touch("imagesTr/b.nii.gz");
    touch("imagesTs/t.nii.gz");
    touch("labelsTr/a.nii.gz");
    scratch_text("dataset.json", "{\"name\": \"Task\", \"training\": [{\"image\":"
                 " \"./imagesTr/a.nii.gz\", \"label\": \"./labelsTr/a.nii.gz\"}],"
                 " \"validation\": [\"imagesTr/b.nii.gz\"], \"test\":"
                 " [\"./imagesTs/t.nii.gz\"]}");
    struct voco_datalist l = add_ok(scratch("dataset.json"), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    assert_item(&l, 0, "a", "./imagesTr/a.nii.gz", "./labelsTr/a.nii.gz");
    assert_item(&l, 1, "b", "imagesTr/b.nii.gz", NULL);
    ck_assert_str_eq(l.item[0].dataset, "Task");
    voco_datalist_free(&l);
    l = add_ok(scratch_folder, &o);                 /* the folder is read through it */
    ck_assert_int_eq(l.n, 3);
    voco_datalist_free(&l);
}
END_TEST

START_TEST(nnunet_v1_names_are_found_with_their_channel_number)
{
    touch("imagesTr/a_0000.nii.gz");
    scratch_text("x.json", "{\"training\": [{\"image\": \"imagesTr/a.nii.gz\"},"
                 " {\"image\": [\"imagesTr/a_0000.nii.gz\", \"imagesTr/a_0001.nii.gz\"],"
                 " \"class\": 3}]}");
    struct voco_datalist l = add_ok(scratch("x.json"), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    assert_item(&l, 0, "a", "imagesTr/a_0000.nii.gz", NULL);
    ck_assert_int_eq(l.item[1].n_images, 2);
    ck_assert_str_eq(l.item[1].class_name, "3");
    ck_assert_ptr_nonnull(strstr(l.item[1].problem, "a_0001.nii.gz: no such file"));
    voco_datalist_free(&l);
}
END_TEST

START_TEST(nnunet_v2_cases_are_found_by_channels_and_ending)
{
    touch("D/imagesTr/a_0000.mha");
    touch("D/imagesTr/a_0001.mha");
    touch("D/imagesTr/b_c_0000.mha");
    touch("D/imagesTr/other.mha");
    touch("D/imagesTs/t_0000.mha");
    touch("D/labelsTr/a.mha");
    scratch_text("D/dataset.json", "{\"channel_names\": {\"0\": \"CT\", \"1\": \"PET\"},"
                 " \"file_ending\": \".mha\", \"numTraining\": 2, \"labels\": {}}");
    struct voco_datalist l = add_ok(scratch("D"), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    assert_item(&l, 0, "a", "D/imagesTr/a_0000.mha", "D/labelsTr/a.mha");
    ck_assert_str_eq(l.item[0].image[1], scratch("D/imagesTr/a_0001.mha"));
    ck_assert_str_eq(l.item[0].dataset, "D");
    ck_assert_str_eq(l.item[1].id, "b_c");
    ck_assert_ptr_nonnull(strstr(l.item[1].problem, "b_c_0001.mha: no such file"));
    voco_datalist_free(&l);
    scratch_text("D/dataset.json", "{\"channel_names\": {\"0\": \"CT\"}, \"file_ending\":"
                 " \".mha\", \"numTraining\": 7}");
    l = add_ok(scratch("D"), &PLAIN);
    ck_assert_int_eq(l.n, 2);
    ck_assert_int_eq(l.item[0].n_images, 2);    /* files that the list does not name count */
    ck_assert_int_eq(l.item[1].n_images, 1);
    voco_datalist_free(&l);
    assert_refused(scratch_text("D/dataset.json", "{\"channel_names\": {\"0\": \"CT\"},"
                                " \"file_ending\": \".nii.gz\"}"),
                   "imagesTr has no file CASE_0000.nii.gz");
    scratch_text("D/dataset.json", "{\"channel_names\": {\"0\": \"CT\"}, \"file_ending\":"
                 " \".mha\", \"dataset\": {\"case7\": {\"images\":"
                 " [\"imagesTs/t_0000.mha\"], \"label\": \"labelsTr/a.mha\"}}}");
    l = add_ok(scratch("D/dataset.json"), &PLAIN);
    ck_assert_int_eq(l.n, 1);
    assert_item(&l, 0, "case7", "D/imagesTs/t_0000.mha", "D/labelsTr/a.mha");
    voco_datalist_free(&l);
}
END_TEST

START_TEST(wrong_json_is_refused_with_line_and_column)
{
    static const struct {
        const char *text, *reason;
    } BAD[] = {
        {"{\n  \"training\": [\n    {\"image\" \"a\"}\n]}", "x.json:3:"},
        {"", "x.json:1:0: wrong JSON"},
        {"{\"training\": [{\"image\": \"a\"}", "x.json:1:"},
        {"{\"training\": [\"a\\u0000b\"]}", "wrong JSON"},
        {"{\"training\": {}}", "is no array"},
        {"{\"training\": []}", "names no volume"},
        {"{\"training\": [{\"image\": \"a\"}, {\"img\": \"a\"}]}", "training[1]: expected"},
        {"{\"training\": [{\"image\": []}]}", "training[0]: expected"},
        {"{\"training\": [{\"image\": [\"a\", 7]}]}", "image 1 is no path"},
        {"{\"training\": [7]}", "training[0]: expected"},
        {"{\"other\": 1}", "no known list"},
        {"{\"channel_names\": {\"0\": \"CT\"}}", "file_ending"},
        {"{\"channel_names\": {}, \"file_ending\": \".nii\"}", "0 entries"},
        {"7", "wrong JSON"}
    };

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_refused(scratch_text("x.json", BAD[i].text), BAD[i].reason);
    struct voco_datalist l = {.n = 0};
    touch("a.nii");
    scratch_text("x.json", "[{\"image\": \"a.nii\"}, 7]");
    ck_assert_int_eq(voco_datalist_add(&l, scratch("a.nii"), &PLAIN), VOCO_OK);
    ck_assert_int_eq(voco_datalist_add(&l, scratch("x.json"), &PLAIN), VOCO_EFORMAT);
    ck_assert_int_eq(l.n, 1);                       /* as before the failure */
    voco_datalist_free(&l);
}
END_TEST

START_TEST(lists_cut_anywhere_are_errors_or_lists)
{
    static const char *const TEXT[] = {
        "{\"training\": [{\"image\": [\"a.nii\", \"b.nii\"], \"label\": \"c.nii\"}],"
        " \"validation\": [\"d.nii\"]}",
        "image;label;class\n\"a \"\"x\"\".nii\";b.nii;\"1\n2\"\r\nc.nii;;\n"
    };
    static const char *const NAME[] = {"x.json", "x.csv"};

    for (int k = 0; k < 2; k++)
        for (size_t n = 0; n <= strlen(TEXT[k]); n++) {
            struct voco_datalist l = {.n = 0};

            if (voco_datalist_add(&l, scratch_bytes(NAME[k], TEXT[k], n), &PLAIN) == VOCO_OK)
                ck_assert_int_eq(voco_datalist_finish(&l), VOCO_OK);
            voco_datalist_free(&l);
        }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("datalist");
    TCase *t = tcase_create("datalist");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_add_test(t, single_file_is_one_item_named_after_it);
    tcase_add_test(t, folder_gives_its_volumes_in_order_without_labels_and_hidden_files);
    tcase_add_test(t, repeated_names_get_their_folders_in_front);
    tcase_add_test(t, equal_stems_in_one_folder_keep_their_endings);
    tcase_add_test(t, ids_are_safe_names_whatever_the_files_are_called);
    tcase_add_test(t, ids_stay_unique_where_no_folder_helps);
    tcase_add_test(t, ids_of_long_paths_take_no_time);
    tcase_add_test(t, file_listed_twice_is_a_problem_of_the_second_item);
    tcase_add_test(t, files_with_one_inode_number_are_files_of_their_own);
    tcase_add_test(t, names_of_one_case_are_paired_and_equal_ones_go_first);
    tcase_add_test(t, many_names_are_paired_by_search);
    tcase_add_test(t, text_list_is_relative_to_itself_or_to_root);
    tcase_add_test(t, csv_takes_image_label_and_class_in_any_order_and_quoting);
    tcase_add_test(t, decathlon_and_voco_lists_give_images_and_labels);
    tcase_add_test(t, nnunet_v1_names_are_found_with_their_channel_number);
    tcase_add_test(t, nnunet_v2_cases_are_found_by_channels_and_ending);
    tcase_add_test(t, wrong_json_is_refused_with_line_and_column);
    tcase_add_test(t, lists_cut_anywhere_are_errors_or_lists);
    suite_add_tcase(s, t);
    return s;
}
