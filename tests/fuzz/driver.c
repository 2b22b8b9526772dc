/* One target as a fuzzer: compiled once for each, with FUZZ_TARGET set to fuzz_NAME. */
#include "base/log.h"
#include "tests/fuzz/targets.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    voco_log_level = VOCO_LOG_SILENT;
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    return FUZZ_TARGET(bytes, n);
}
