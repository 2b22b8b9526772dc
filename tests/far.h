/*
 * A device with memory of its own, such as a GPU has: its pointers lead to addresses that
 * nobody may touch, and only its entries know where the numbers are.
 *
 * It has memory entries and nothing else, and takes the rest from the cpu device through
 * wrap/fallback.h.  Code that runs on it does not read or write device memory by itself.
 */
#ifndef VOCO_TESTS_FAR_H
#define VOCO_TESTS_FAR_H

#include "dev/wrap/fallback.h"

extern struct voco_fallback far_f32, far_bf16;

/* Makes them; main does it. */
void far_init(void);

#endif
