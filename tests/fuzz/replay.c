/* The corpora through their targets, without a fuzzer: whole, cut short, and with bytes
 * changed by a fixed sequence; TAP.  Usage: replay; VOCO_GOLDEN and srcdir are set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/fuzz/targets.h"

struct target {
    const char *name;
    int (*run)(const uint8_t *, size_t);
};
static const struct target targets[] = {
#define TARGET(name) { #name, fuzz_##name },
#include "tests/fuzz/targets.def"
#undef TARGET
};

/* Files of other tests are archives, too. */
static const struct target archives[] = {
    { "zip", fuzz_zip }, { "torchfile", fuzz_torchfile }
};

static long runs;
static int folders, changes = 100;

/* Of a copy of exactly n bytes, so that a sanitizer sees any step beyond. */
static void
run(const struct target *target, const char *bytes, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);

    if (!exact)
        abort();
    memcpy(exact, bytes, n);
    target->run(exact, n);
    free(exact);
    runs++;
}

static void
replay_file(const struct target *target, const char *path)
{
    uint32_t random = 1;
    char *bytes;
    size_t n;

    if (voco_file_read(path, 1 << 20, &bytes, &n) != VOCO_OK) {
        printf("%s\n", voco_fail_text());
        exit(EXIT_FAILURE);
    }
    run(target, bytes, n);
    for (size_t cut = 0; cut < n; cut += 1 + n / 64)
        run(target, bytes, cut);
    for (int i = 0; i < changes && n; i++) {
        random = random * 1664525 + 1013904223;
        bytes[(random >> 8) % n] ^= (char)(1 << (random >> 4) % 8);     /* they add up */
        run(target, bytes, n);
    }
    free(bytes);
}

static void
replay_folder(const struct target *target, const char *folder)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, NULL, alphasort);
    int files = 0;

    for (int i = 0; i < n; i++) {
        char *path = voco_format("%s/%s", folder, entry[i]->d_name);

        if (entry[i]->d_name[0] != '.') {
            replay_file(target, path);
            files++;
        }
        free(path);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    /* what a sanitizer finds ends the program, without a plan */
    printf("%s %d - %s survives %d files of %s, cut and changed\n",
           files > 0 ? "ok" : "not ok", ++folders, target->name, files, folder);
    if (files == 0)
        exit(EXIT_FAILURE);
}

int
main(void)
{
    const char *srcdir = getenv("srcdir"), *golden = getenv("VOCO_GOLDEN");
    const char *level = getenv("VOCO_TEST_LEVEL");

    if (level && strcmp(level, "short") == 0)
        changes = 20;
    voco_log_level = VOCO_LOG_SILENT;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char *corpus = voco_format("%s/tests/fuzz/corpus/%s", srcdir, targets[i].name);

        replay_folder(&targets[i], corpus);
        free(corpus);
    }
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        char *corpus = voco_format("%s/pt", golden);

        replay_folder(&archives[i], corpus);
        free(corpus);
    }
    printf("# %ld runs\n1..%d\n", runs, folders);
    return EXIT_SUCCESS;
}
