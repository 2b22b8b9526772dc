/* Options: parsing, help, what is said of wrong ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"
#include "tests/test.h"

static const char *const colours[] = { "red", "green", "blue", NULL };

static struct values {
    bool flag, given;
    int64_t n, size;
    double x, spacing[3], window[2];
    const char *out;
    int colour;
    struct voco_opt_list list;
} v;

static const struct voco_opt rows[] = {
    { "flag", 'f', VOCO_OPT_FLAG, &v.flag, NULL, "a flag" },
    { "number", 'n', VOCO_OPT_INT, &v.n, "N", "a whole number", 1, 64, .given = &v.given },
    { "memory", 0, VOCO_OPT_SIZE, &v.size, "SIZE", "a size" },
    { "rate", 0, VOCO_OPT_REAL, &v.x, "X", "a real number", 0, 1 },
    { "spacing", 0, VOCO_OPT_REAL3, v.spacing, "MM", "three numbers", 0.01, 100 },
    { "window", 0, VOCO_OPT_RANGE, v.window, "LOW,HIGH", "a range" },
    { "out", 'o', VOCO_OPT_FOLDER, &v.out, "FOLDER", "a folder" },
    { "colour", 0, VOCO_OPT_CHOICE, &v.colour, "COLOUR", "one of", .choices = colours },
    { "set", 0, VOCO_OPT_LIST, &v.list, "FILE", "several" },
    { NULL }
};

static enum voco_err
no_run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return VOCO_OK;
}

static const struct voco_verb verb = {
    .name = "try", .summary = "Tries", .args = "INPUT...", .options = rows,
    .min_args = 0, .max_args = 2, .run = no_run,
};

/* Parses words separated by blanks; *n gets the number of positional arguments. */
static enum voco_err
parse(const char *words, int *n)
{
    static char text[512];
    char *argv[32] = { NULL }, **rest;
    bool done;
    int argc = 0;

    memset(&v, 0, sizeof v);
    snprintf(text, sizeof text, "try %s", words);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    return voco_opt_parse(&verb, argc, argv, n, &rest, &done);
}

START_TEST(options_of_every_kind_are_parsed)
{
    int n;

    ck_assert_int_eq(parse("a -f -n 12 --memory=1.5GiB --rate 0.25 --spacing 1,2,3.5 b "
                           "--window -175,250 -o dir --colour blue --set p --set q", &n),
                     VOCO_OK);
    ck_assert_int_eq(n, 2);
    ck_assert(v.flag && v.given);
    ck_assert_int_eq(v.n, 12);
    ck_assert_int_eq(v.size, 1610612736);
    ck_assert(v.x == 0.25 && v.spacing[1] == 2 && v.spacing[2] == 3.5);
    ck_assert(v.window[0] == -175 && v.window[1] == 250);
    ck_assert_str_eq(v.out, "dir");
    ck_assert_int_eq(v.colour, 2);
    ck_assert_int_eq(v.list.n, 2);
    ck_assert_str_eq(v.list.item[1], "q");
    ck_assert_int_eq(parse("--spacing 1.5 -- --flag", &n), VOCO_OK);
    ck_assert(v.spacing[0] == 1.5 && v.spacing[2] == 1.5 && !v.flag && !v.given);
    ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(a_bad_line_is_answered_with_what_was_expected)
{
    static const struct {
        const char *line, *want;
    } row[] = {
        { "--number x", "--number: 'x' is not a whole number from 1 to 64" },
        { "-n 65", "--number: '65' is not a whole number from 1 to 64" },
        { "-n 99999999999999999999", "whole number" },
        { "--number", "--number needs a value: N" },
        { "-n", "--number needs a value: N" },
        { "--flag=1", "--flag takes no value" },
        { "--memory 12Q", "--memory: '12Q' is not a size such as 512M" },
        { "--memory -1", "is not a size" },
        { "--rate nan", "--rate: 'nan' is not a number from 0 to 1" },
        { "--rate 1.5x", "--rate: '1.5x' is not a number" },
        { "--spacing 1,2", "--spacing: '1,2' is not one number or three" },
        { "--spacing 0", "--spacing: '0' is not" },
        { "--window 5,5", "--window: '5,5' is not LOW,HIGH with LOW below HIGH" },
        { "--colour gren", "red, green, blue; did you mean 'green'?" },
        { "--colour mauve", "--colour: 'mauve' is not one of red, green, blue" },
        { "--colur red", "unknown option '--colur'; did you mean '--colour'?" },
        { "--colur=red", "did you mean '--colour'?" },
        { "--zzzzzz", "unknown option '--zzzzzz'; see 'voco try --help'" },
        { "-z", "unknown option '-z'" },
        { "a b c", "unexpected argument 'c'" },
    };

    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        int n;

        ck_assert_int_eq(parse(row[i].line, &n), VOCO_EUSAGE);
        ck_assert_msg(strstr(voco_fail_text(), row[i].want) != NULL, "%s: got %s",
                      row[i].line, voco_fail_text());
    }
}
END_TEST

START_TEST(help_shows_names_defaults_and_choices_within_80_columns)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    memset(&v, 0, sizeof v);
    v.n = 4;
    v.colour = 1;
    voco_opt_help(&verb, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "Usage: voco try [OPTION...] INPUT..."));
    ck_assert_ptr_nonnull(strstr(text, "-n, --number N"));
    ck_assert_ptr_nonnull(strstr(text, "a whole number (default 4)"));
    ck_assert_ptr_nonnull(strstr(text, "red, green, blue (default green)"));
    ck_assert_ptr_nonnull(strstr(text, "--help"));
    for (char *p = text; *p; p += strcspn(p, "\n") + 1)
        ck_assert_uint_lt(strcspn(p, "\n"), 80);
    free(text);
}
END_TEST

START_TEST(nearest_name_is_within_two_edits)
{
    static const char *const names[] = { "convert", "pretrain", "plan", "no", NULL };

    ck_assert_str_eq(voco_opt_nearest("covnert", names), "convert");
    ck_assert_str_eq(voco_opt_nearest("pertain", names), "pretrain");
    ck_assert_str_eq(voco_opt_nearest("paln", names), "plan");
    ck_assert_ptr_null(voco_opt_nearest("go-on", names));
    ck_assert_ptr_null(voco_opt_nearest("xyz", names));
    ck_assert_ptr_null(voco_opt_nearest("", names));
}
END_TEST

/* ---- a verb with forms ---- */

static const char *const shapes[] = { "ball", "box", NULL };

struct ball { int shape; int64_t radius; };
struct box { int shape; int64_t edge; };

static const struct voco_opt ball_rows[] = {
    { "shape", 0, VOCO_OPT_CHOICE, VOCO_AT(struct ball, shape), "NAME", "one of",
      .choices = shapes },
    { "radius", 0, VOCO_OPT_INT, VOCO_AT(struct ball, radius), "N", "of the ball" },
    { NULL }
};

static const struct voco_opt box_rows[] = {
    { "shape", 0, VOCO_OPT_CHOICE, VOCO_AT(struct box, shape), "NAME", "one of",
      .choices = shapes },
    { "edge", 0, VOCO_OPT_INT, VOCO_AT(struct box, edge), "N", "of the box" },
    { NULL }
};

static struct ball ball = { 0, 1 };
static struct box box = { 1, 2 };
static const struct voco_verb *chosen, *form(int i);

static const struct voco_verb ball_form = {
    .name = "draw", .summary = "Draws a ball", .args = "", .options = ball_rows,
    .config = &ball, .run = no_run, .choose = "shape", .form = form, .chosen = &chosen,
};
static const struct voco_verb box_form = {
    .name = "draw", .summary = "Draws a box", .args = "", .options = box_rows,
    .config = &box, .run = no_run, .choose = "shape", .form = form, .chosen = &chosen,
};

static const struct voco_verb *
form(int i)
{
    return i == 0 ? &ball_form : i == 1 ? &box_form : NULL;
}

/* The form that the words ask for, and its options are parsed. */
static enum voco_err
draw(const char *words)
{
    static char text[512];
    char *argv[32] = { NULL }, **rest;
    const struct voco_verb *got;
    enum voco_err err;
    int argc = 0, n;
    bool done;

    snprintf(text, sizeof text, "draw %s", words);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    if ((err = voco_verb_form(&ball_form, argc, argv, &got)) != VOCO_OK)
        return err;
    ck_assert_ptr_eq(got, chosen);
    return voco_opt_parse(got, argc, argv, &n, &rest, &done);
}

START_TEST(an_option_chooses_the_form_of_a_verb)
{
    ck_assert_int_eq(draw("--radius 5"), VOCO_OK);
    ck_assert_ptr_eq(chosen, &ball_form);
    ck_assert_int_eq(ball.radius, 5);
    ck_assert_int_eq(draw("--edge=7 --shape box"), VOCO_OK);
    ck_assert_ptr_eq(chosen, &box_form);
    ck_assert_int_eq(box.edge, 7);
    ck_assert_int_eq(draw("--shape box --shape=ball --radius 2"), VOCO_OK);
    ck_assert_ptr_eq(chosen, &ball_form);
    ck_assert_int_eq(draw("--shape bix"), VOCO_EUSAGE);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "did you mean 'box'"));
}
END_TEST

START_TEST(an_option_of_another_form_is_named_as_such)
{
    ck_assert_int_eq(draw("--edge 7"), VOCO_EUSAGE);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "--edge is an option of --shape box, not "
                                                   "of ball"));
    ck_assert_int_eq(draw("--shape box --radius=7"), VOCO_EUSAGE);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "--radius is an option of --shape ball, "
                                                   "not of box"));
}
END_TEST

START_TEST(help_shows_the_form_and_the_default_shows_them_all)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    voco_opt_help(&ball_form, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "Usage: voco draw [OPTION...]"));
    ck_assert_ptr_nonnull(strstr(text, "--radius"));
    ck_assert_ptr_null(strstr(text, "--edge"));
    ck_assert_ptr_nonnull(strstr(text, "box          Draws a box"));
    memset(text, 0, sizeof text);
    out = fmemopen(text, sizeof text, "w");
    voco_opt_help(&box_form, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "Usage: voco draw --shape box [OPTION...]"));
    ck_assert_ptr_nonnull(strstr(text, "--edge"));
    ck_assert_ptr_null(strstr(text, "Draws a ball"));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("opt");
    TCase *all = tcase_create("opt");

    tcase_add_test(all, options_of_every_kind_are_parsed);
    tcase_add_test(all, a_bad_line_is_answered_with_what_was_expected);
    tcase_add_test(all, help_shows_names_defaults_and_choices_within_80_columns);
    tcase_add_test(all, nearest_name_is_within_two_edits);
    tcase_add_test(all, an_option_chooses_the_form_of_a_verb);
    tcase_add_test(all, an_option_of_another_form_is_named_as_such);
    tcase_add_test(all, help_shows_the_form_and_the_default_shows_them_all);
    suite_add_tcase(s, all);
    return s;
}
