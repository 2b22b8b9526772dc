/* Tests of one level of kernels where this machine may not have it. */
#ifndef VOCO_TESTS_LEVELS_H
#define VOCO_TESTS_LEVELS_H

#include "simd/kernels.h"
#include "tests/test.h"

/* Leaves the test unless the level that was asked for is the one that was chosen. */
static inline void
level_or_skip(int asked, enum voco_isa chosen)
{
    if ((int)chosen != asked)
        test_skip("kernels of level %s: this CPU or build does not have it",
                  voco_isa_name((enum voco_isa)asked));
}

#ifndef VOCO_EMULATE_AVX512
static inline void
emulation_or_skip(void)
{
    test_skip("AVX-512 in emulation: configure found no headers of SIMDe (libsimde-dev)");
}
#endif

#endif
