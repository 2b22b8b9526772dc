/*
 * The fuzz targets: each gives bytes to a reader and touches what it returns.
 *
 * They are called with anything, by a fuzzer (driver.c) or with a stored corpus (replay.c).
 * What they return is 0, as libFuzzer wants it.
 */
#ifndef VOCO_TESTS_FUZZ_TARGETS_H
#define VOCO_TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#define TARGET(name) int fuzz_##name(const uint8_t *bytes, size_t n);
#include "tests/fuzz/targets.def"
#undef TARGET

/* Files that the HDF5 library opens.  Not replayed: what it finds may be the library's. */
int fuzz_hdf5(const uint8_t *bytes, size_t n);

#endif
