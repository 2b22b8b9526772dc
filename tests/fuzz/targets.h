/*
 * Targets of the fuzzers: each reads hostile bytes as one format, and then everything
 * that the reader accepted.  0, as libFuzzer wants it.
 */
#ifndef VOCO_TESTS_FUZZ_TARGETS_H
#define VOCO_TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

int fuzz_safetensors(const uint8_t *bytes, size_t n);
int fuzz_pickle(const uint8_t *bytes, size_t n);
int fuzz_zip(const uint8_t *bytes, size_t n);
int fuzz_torchfile(const uint8_t *bytes, size_t n);

#endif
