/* Arrays compared with the expected values. */
#ifndef VOCO_TESTS_COMPARE_H
#define VOCO_TESTS_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * |want[i] - got[i]| <= tolerance * largest |want| for all i; tolerance 0 asks for equal
 * values.  NaN never agrees.  Prints the name what, the worst index and both values if
 * not.
 */
bool compare(const char *what, const double *want, const double *got, int64_t n,
             double tolerance);

#endif
