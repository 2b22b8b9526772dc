/* The corpora through their targets, without a fuzzer: whole, cut short, and with bytes
 * changed by a fixed sequence; TAP.  Usage: replay; VOCO_GOLDEN and srcdir are set. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/fuzz/targets.h"

enum { CHANGES = 200 };

static long runs;
static int folders;

/* Of a copy of exactly n bytes, so that a sanitizer sees any step beyond. */
static void
run(int (*target)(const uint8_t *, size_t), const char *bytes, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);

    if (!exact)
        abort();
    memcpy(exact, bytes, n);
    target(exact, n);
    free(exact);
    runs++;
}

static void
replay_file(int (*target)(const uint8_t *, size_t), const char *path)
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
    for (int i = 0; i < CHANGES && n; i++) {
        random = random * 1664525 + 1013904223;
        bytes[(random >> 8) % n] ^= (char)(1 << (random >> 4) % 8);     /* they add up */
        run(target, bytes, n);
    }
    free(bytes);
}

static void
replay_folder(int (*target)(const uint8_t *, size_t), const char *name, const char *folder)
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
           files > 0 ? "ok" : "not ok", ++folders, name, files, folder);
    if (files == 0)
        exit(EXIT_FAILURE);
}

int
main(void)
{
    char *golden = voco_format("%s/pt", getenv("VOCO_GOLDEN"));
    char *pickle = voco_format("%s/tests/fuzz/corpus/pickle", getenv("srcdir"));
    char *st = voco_format("%s/tests/fuzz/corpus/safetensors", getenv("srcdir"));
    char *zip = voco_format("%s/tests/fuzz/corpus/zip", getenv("srcdir"));

    replay_folder(fuzz_safetensors, "safetensors", st);
    replay_folder(fuzz_pickle, "pickle", pickle);
    replay_folder(fuzz_zip, "zip", zip);
    replay_folder(fuzz_zip, "zip", golden);
    replay_folder(fuzz_torchfile, "torchfile", golden);
    printf("# %ld runs\n1..%d\n", runs, folders);
    free(golden);
    free(pickle);
    free(st);
    free(zip);
    return EXIT_SUCCESS;
}
