/* voco plot: draws the log of a run, and prints it for the terminal. */
#include "cmd/cmd.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/metrics.h"
#include "report/plot.h"

enum { SPARK = 32 };            /* columns of a small curve */

static const char *output;

static const struct voco_opt options[] = {
    { .name = "output", .letter = 'o', .kind = VOCO_OPT_FILE, .value = &output,
      .arg = "FILE", .help = "the picture (default: loss.png in the run's folder)" },
    { 0 }
};

static bool
terminal_is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strstr(value, "UTF-8") || strstr(value, "utf8") ||
                   strstr(value, "UTF8") || strstr(value, "utf-8");
    }
    return false;
}

/* The finite values v[0..n) as columns of equal length in steps, their means as height. */
static void
print_spark(const double *v, int64_t n, double low, double high)
{
    static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const plain[] = { "_", ".", ",", "-", "~", "=", "*", "#" };
    const char *const *mark = terminal_is_utf8() ? blocks : plain;
    const int columns = n < SPARK ? (int)n : SPARK;

    for (int c = 0; c < columns; c++) {
        double sum = 0;
        int64_t count = 0;

        for (int64_t i = n * c / columns; i < n * (c + 1) / columns; i++) {
            if (isfinite(v[i])) {
                sum += v[i];
                count++;
            }
        }
        const double share = count == 0 || high <= low
                           ? 0 : (sum / (double)count - low) / (high - low);
        fputs(count == 0 ? " " : mark[(int)fmin(share * 8, 7)], stdout);
    }
}

static void
print_series(const char *name, const double *v, int64_t n)
{
    double first = NAN, last = NAN, low = INFINITY, high = -INFINITY;
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++) {
        bad += isinf(v[i]) != 0;
        if (!isfinite(v[i]))
            continue;
        first = isnan(first) ? v[i] : first;
        last = v[i];
        low = fmin(low, v[i]);
        high = fmax(high, v[i]);
    }
    if (isnan(first)) {
        printf("%-20s never finite\n", name);
        return;
    }
    printf("%-20s %10.4g %10.4g %10.4g %10.4g  ", name, first, last, low, high);
    print_spark(v, n, low, high);
    if (bad > 0)
        printf("  (%lld not finite)", (long long)bad);
    putchar('\n');
}

static enum voco_err
print_run(const char *folder)
{
    struct voco_history h;
    char *path = voco_format("%s/metrics.jsonl", folder);
    const enum voco_err err = voco_history_read(path, &h);

    free(path);
    if (err)
        return err;
    printf("%s: %lld step%s, the last is %lld", folder, (long long)h.n,
           h.n == 1 ? "" : "s", (long long)h.step[h.n - 1]);
    if (h.bad_lines > 0)
        printf("; %lld unreadable line%s left out", (long long)h.bad_lines,
               h.bad_lines == 1 ? "" : "s");
    printf("\n%-20s %10s %10s %10s %10s\n", "", "first", "last", "least", "most");
    for (int s = 0; s < h.n_series; s++)
        print_series(h.name[s], h.value[s], h.n);
    voco_history_free(&h);
    return VOCO_OK;
}

static enum voco_err
run(int argc, char **argv)
{
    char *path = output ? voco_format("%s", output)
                        : voco_format("%s/loss.png", argv[0]);
    enum voco_err err = VOCO_OK;

    if (argc > 1 && !output)
        err = voco_fail(VOCO_EUSAGE, "plot: %d runs need -o FILE for their picture", argc);
    if (!err)
        err = voco_plot_runs((const char *const *)argv, argc, path);
    for (int i = 0; i < argc && !err; i++)
        err = print_run(argv[i]);
    if (!err)
        printf("%s written\n", path);
    free(path);
    return err;
}

const struct voco_verb voco_cmd_plot = {
    .name = "plot",
    .summary = "draw the curves of a run, or of several in one picture",
    .args = "RUN...",
    .details = "RUN is the folder that voco pretrain --out has written; it may be still "
               "running.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run,
};
