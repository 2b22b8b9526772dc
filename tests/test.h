/*
 * The common part of test programs: each defines test_suite, and main of libtest.la
 * (main.c) runs the suite and tells the results as TAP.
 */
#ifndef VOCO_TESTS_TEST_H
#define VOCO_TESTS_TEST_H

#include <check.h>

Suite *test_suite(void);

/*
 * Leaves a test that cannot run here; the reason, a format that is a literal, is told at the
 * end of make check.  Check knows no skipped tests: it sees a failure whose message begins
 * so, and main.c tells them apart.
 */
#define TEST_SKIPPED "SKIP "
#define test_skip(...) ck_abort_msg(TEST_SKIPPED __VA_ARGS__)

#endif
