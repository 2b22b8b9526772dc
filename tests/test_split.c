/* Folds and fractions: disjoint, of the right sizes, and a function of ids and seed. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset/split.h"
#include "tests/test.h"

enum { N = 53 };

static char name[N][16];
static const char *id[N];

static void
make_ids(void)
{
    for (int i = 0; i < N; i++) {
        snprintf(name[i], sizeof name[i], "case_%03d", 7 * i);
        id[i] = name[i];
    }
}

static struct voco_split
split(const char *const *ids, int n, uint64_t seed, int folds, int fold, double fraction)
{
    const struct voco_split_options o = {seed, folds, fold, fraction};
    struct voco_split s;

    ck_assert_msg(voco_split_make(ids, n, &o, &s) == VOCO_OK, "%s", voco_fail_text());
    return s;
}

START_TEST(every_case_validates_once_and_trains_otherwise)
{
    for (int folds = 2; folds <= 7; folds++) {
        int validated[N] = {0};

        for (int fold = 0; fold < folds; fold++) {
            struct voco_split s = split(id, N, 3, folds, fold, 1);
            bool trains[N] = {false};

            ck_assert_int_eq(s.n_train + s.n_validate, N);
            ck_assert_int_ge(s.n_validate, N / folds);
            ck_assert_int_le(s.n_validate, N / folds + 1);
            for (int i = 0; i < s.n_train; i++)
                trains[s.train[i]] = true;
            for (int i = 0; i < s.n_validate; i++) {
                ck_assert(!trains[s.validate[i]]);
                validated[s.validate[i]]++;
            }
            voco_split_free(&s);
        }
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(validated[i], 1);
    }
}
END_TEST

START_TEST(the_order_of_ids_does_not_matter)
{
    const char *back[N];
    struct voco_split a, b;

    for (int i = 0; i < N; i++)
        back[i] = id[N - 1 - i];
    a = split(id, N, 9, 5, 2, 0.4);
    b = split(back, N, 9, 5, 2, 0.4);
    ck_assert_int_eq(a.n_train, b.n_train);
    for (int i = 0; i < a.n_train; i++)
        ck_assert_int_eq(a.train[i], N - 1 - b.train[b.n_train - 1 - i]);
    for (int i = 0; i < a.n_validate; i++)
        ck_assert_int_eq(a.validate[i], N - 1 - b.validate[b.n_validate - 1 - i]);
    voco_split_free(&a);
    voco_split_free(&b);
}
END_TEST

/* What was written into papers yesterday must be the same tomorrow. */
START_TEST(folds_are_pinned)
{
    static const int want[] = {0, 6, 14, 21, 30, 31, 33, 34, 39, 41, 47};
    struct voco_split s = split(id, N, 1, 5, 0, 1);

    ck_assert_int_eq(s.n_validate, sizeof want / sizeof *want);
    for (int i = 0; i < s.n_validate; i++)
        ck_assert_int_eq(s.validate[i], want[i]);
    voco_split_free(&s);
}
END_TEST

START_TEST(fractions_are_nested_and_rounded)
{
    const double fraction[] = {0.001, 0.05, 0.1, 0.5, 0.9, 1};
    const int want[] = {1, 2, 4, 21, 38, 42};       /* of 42 in fold 0 of 5 */
    bool last[N] = {false};

    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        struct voco_split s = split(id, N, 4, 5, 0, fraction[k]);
        bool now[N] = {false};

        ck_assert_int_eq(s.n_train, want[k]);
        ck_assert_int_eq(s.n_validate, 11);
        for (int i = 0; i < s.n_train; i++)
            now[s.train[i]] = true;
        for (int i = 0; i < N; i++)
            ck_assert(now[i] || !last[i]);
        memcpy(last, now, sizeof last);
        voco_split_free(&s);
    }
}
END_TEST

START_TEST(another_seed_is_another_split)
{
    struct voco_split a = split(id, N, 1, 5, 0, 1), b = split(id, N, 2, 5, 0, 1);

    ck_assert_mem_ne(a.validate, b.validate, (size_t)a.n_validate * sizeof *a.validate);
    voco_split_free(&a);
    voco_split_free(&b);
    a = split(id, N, 1, 1, 0, 1);
    ck_assert_int_eq(a.n_train, N);
    ck_assert_int_eq(a.n_validate, 0);
    voco_split_free(&a);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    static const struct {
        int n, folds, fold;
        double fraction;
        const char *says;
    } wrong[] = {
        {N, 0, 0, 1, "--folds is 0"}, {N, 5, 5, 1, "--fold is 5, expected 0 to 4"},
        {N, 5, -1, 1, "--fold is -1"}, {N, 5, 0, 0, "--fraction is 0"},
        {N, 5, 0, 1.5, "--fraction is 1.5"}, {3, 5, 0, 1, "3 cases"}, {0, 1, 0, 1, "0 cases"}
    };
    struct voco_split s;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct voco_split_options o = {1, wrong[i].folds, wrong[i].fold,
                                             wrong[i].fraction};

        ck_assert_int_eq(voco_split_make(id, wrong[i].n, &o, &s), VOCO_EUSAGE);
        ck_assert_msg(strstr(voco_fail_text(), wrong[i].says) != NULL, "%s: %s",
                      wrong[i].says, voco_fail_text());
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("split");
    TCase *t = tcase_create("split");

    make_ids();
    tcase_add_test(t, every_case_validates_once_and_trains_otherwise);
    tcase_add_test(t, the_order_of_ids_does_not_matter);
    tcase_add_test(t, folds_are_pinned);
    tcase_add_test(t, fractions_are_nested_and_rounded);
    tcase_add_test(t, another_seed_is_another_split);
    tcase_add_test(t, what_makes_no_sense_is_refused);
    suite_add_tcase(suite, t);
    return suite;
}
