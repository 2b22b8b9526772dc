/*
 * Times of single primitives of the cpu device.
 *
 *   bench [--impl NAME] [--reps N] [--threads N] [PROBLEM... | < bench/shapes.txt]
 *
 * A problem is a name and letters with numbers, as conv:n4c48d64k3 or
 * attn:n4s32c48h3: bench_matrix.c and bench_rows.c say which there are.  Without --impl
 * the device chooses.
 *
 * Prints TSV: problem, device, isa, threads, median us, spread (quartiles, % of median),
 * GF/s by the median, best us, median us of CPU time of all threads (for a busy machine),
 * GB/s by the median of what must move at least; 0: not a matter of that.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "bench/bench.h"
#include "dev/cpu.h"

enum { MAX_REPS = 1000, MAX_LINE = 256 };

static bool
parse(const char *text, struct problem *p)
{
    const char *colon = strchr(text, ':');
    char *end;

    if (!colon || (size_t)(colon - text) >= sizeof p->name)
        return false;
    memset(p, 0, sizeof *p);
    memcpy(p->name, text, (size_t)(colon - text));
    for (int i = 0; i < 26; i++)
        p->arg[i] = -1;
    for (text = colon + 1; *text; text = end) {
        if (*text < 'a' || *text > 'z')
            return false;
        p->arg[*text - 'a'] = strtoll(text + 1, &end, 10);
        if (end == text + 1 || p->arg[*text - 'a'] < 0)
            return false;
    }
    return true;
}

/* ---- timing ---- */

static const struct kind *
find_kind(const char *name)
{
    const struct kind *const tables[] = { bench_matrix_kinds, bench_rows_kinds };

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct kind *k = tables[i]; k->name; k++)
            if (strcmp(k->name, name) == 0)
                return k;
    return NULL;
}

/* CPU time of the process in seconds. */
static double
cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Small numbers: zeros would flatter, large ones overflow where gradients add up. */
static void
fill(const struct voco_tensor *x)
{
    float *p = x->data;
    uint32_t r = 1;

    for (int64_t i = 0; p && i < voco_count(x); i++) {
        r = r * 1664525u + 1013904223u;
        p[i] = (float)(r >> 8) * 0x1p-24f - 0.5f;
    }
}

static bool
bench(struct voco_ctx *ctx, const char *text, int reps)
{
    const struct kind *kind;
    struct problem p;
    struct voco_tensor t[BENCH_TENSORS] = { 0 };
    double us[MAX_REPS], cpu_us[MAX_REPS], median;
    struct voco_cpu_info info;

    if (!parse(text, &p)) {
        fprintf(stderr, "bench: %s: expected a problem as conv:n4c48d64k3\n", text);
        return false;
    }
    kind = find_kind(p.name);
    if (!kind) {
        fprintf(stderr, "bench: %s: no primitive of this name\n", text);
        return false;
    }
    kind->setup(ctx, &p, t);
    if (!ctx->err) {
        for (int i = 0; i < BENCH_TENSORS; i++)
            fill(&t[i]);
        ctx->weights_version++;
        kind->run(ctx, &p, t);              /* makes primitives, packs weights */
        for (int i = 0; i < reps && !ctx->err; i++) {
            const double start = voco_seconds(), cpu = cpu_seconds();

            kind->run(ctx, &p, t);
            us[i] = (voco_seconds() - start) * 1e6;
            cpu_us[i] = (cpu_seconds() - cpu) * 1e6;
        }
    }
    voco_arena_release(&ctx->keep, 0);
    if (ctx->err) {
        fprintf(stderr, "bench: %s: %s\n", text, voco_fail_text());
        return false;
    }
    qsort(us, (size_t)reps, sizeof us[0], by_value);
    qsort(cpu_us, (size_t)reps, sizeof cpu_us[0], by_value);
    median = us[reps / 2];
    voco_cpu_describe(&info);
    printf("%s\t%s\t%s\t%d\t%.1f\t%.1f%%\t%.1f\t%.1f\t%.1f\t%.1f\n", text, ctx->dev->name,
           info.isa, ctx->threads, median,
           100 * (us[3 * reps / 4] - us[reps / 4]) / median,
           kind->flops ? kind->flops(&p) / median * 1e-3 : 0, us[0], cpu_us[reps / 2],
           kind->bytes ? kind->bytes(&p) / median * 1e-3 : 0);
    fflush(stdout);
    return true;
}

int
main(int argc, char **argv)
{
    struct voco_ctx ctx;
    const char *impl = NULL;
    char line[MAX_LINE];
    int reps = 20, threads = 0, i = 1;
    bool ok = true;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--impl") == 0)
            impl = argv[i + 1];
        else if (strcmp(argv[i], "--reps") == 0)
            reps = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(argv[i + 1]);
        else
            break;
    }
    if ((i < argc && argv[i][0] == '-') || reps < 1 || reps > MAX_REPS) {
        fprintf(stderr, "usage: bench [--impl NAME] [--reps N] [--threads N] "
                        "[PROBLEM... | < shapes.txt]\n");
        return 2;
    }
    if (voco_ctx_open(&ctx, &voco_cpu, (size_t)64 << 30, false, threads) != VOCO_OK) {
        fprintf(stderr, "bench: %s\n", voco_fail_text());
        return 1;
    }
    voco_cpu_force(&ctx, impl);
    puts("problem\tdevice\tisa\tthreads\tmedian us\tspread\tGF/s\tbest us\tcpu us\tGB/s");
    if (i < argc)
        for (; i < argc && ok; i++)
            ok = bench(&ctx, argv[i], reps);
    else
        while (ok && fgets(line, sizeof line, stdin)) {
            line[strcspn(line, " #\n")] = '\0';
            if (line[0])
                ok = bench(&ctx, line, reps);
        }
    voco_ctx_close(&ctx);
    return ok ? 0 : 1;
}
