/*
 * Which names mean the same case: those of images, label maps, predictions and truths.
 *
 * Equal names go first.  Of the rest, nnU-Net's "CASE_0000", whose end is the number of a
 * channel, is CASE; so is CASE_0001 where CASE_0000 is among the same names.
 */
#ifndef VOCO_DATA_DATASET_PAIRING_H
#define VOCO_DATA_DATASET_PAIRING_H

#include "base/err.h"

/* ret_b[i] for each of the names a[0..n): the index of its partner among b[0..m), or -1.
 * Several of a may have one partner; of equal names in b the first is taken. */
enum voco_err voco_pair_names(const char *const *a, int n, const char *const *b, int m,
                              int *ret_b);

#endif
