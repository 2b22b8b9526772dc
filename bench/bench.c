/*
 * Times of single primitives of the cpu device.
 *
 *   bench [--precision f32|bf16] [--impl NAME] [--reps N] [--threads N]
 *         [--against NAME] [--against-threads N] [PROBLEM... | < bench/shapes.txt]
 *
 * A problem is a name and letters with numbers, as conv:n4c48d64k3 or
 * attn:n4s32c48h3: bench_matrix.c, bench_rows.c and bench_losses.c say which there are.
 * Without --impl the device chooses by its rules; man voco-tune lists the names.
 *
 * Prints TSV: problem, device, isa, threads, median us, spread (quartiles, % of median),
 * GF/s by the median, best us, median us of CPU time of all threads (for a busy machine),
 * GB/s of the least traffic by the median; 0: not limited by memory.
 *
 * With --against or --against-threads both are run in turns, and TSV is: problem, isa,
 * median us of the first, of the second, second / first (above 1 the first is faster),
 * spread of the ratios of turns (quartiles).
 */
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/rng.h"
#include "bench/bench.h"
#include "dev/cpu/cpu.h"

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
    const struct kind *const tables[] = { bench_matrix_kinds, bench_rows_kinds,
                                         bench_losses_kinds };

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

/* One of the two that are compared. */
struct side {
    struct voco_ctx ctx;
    const char *impl;
    int threads;
    struct voco_tensor t[BENCH_TENSORS];
    double us[MAX_REPS], cpu_us[MAX_REPS];
};

static void
fill(struct voco_ctx *ctx, const struct voco_tensor *t)
{
    struct voco_tensor host = *t;

    if (t->type != VOCO_BF16) {
        voco_noise(t->data, voco_count(t));
        return;
    }
    host.type = VOCO_F32;
    host.data = malloc(voco_tensor_bytes(&host));
    if (!host.data)
        abort();
    voco_noise(host.data, voco_count(t));
    ctx->dev->upload(ctx, &host, t);
    free(host.data);
}

/* One run on the clock; oneDNN takes the number of threads from OpenMP. */
static void
run_once(struct side *s, const struct kind *kind, const struct problem *p, int i)
{
    double start, cpu;

    omp_set_num_threads(s->ctx.threads);
    start = voco_seconds();
    cpu = cpu_seconds();
    kind->run(&s->ctx, p, s->t);
    s->us[i] = (voco_seconds() - start) * 1e6;
    s->cpu_us[i] = (cpu_seconds() - cpu) * 1e6;
}

static bool
run_turns(struct side *side, int sides, const struct kind *kind, const struct problem *p,
          const char *text, int reps)
{
    bool ok = true;

    for (int k = 0; k < sides; k++) {
        struct side *s = &side[k];

        memset(s->t, 0, sizeof s->t);
        kind->setup(&s->ctx, p, s->t);
        for (int i = 0; i < BENCH_TENSORS && !s->ctx.err; i++)
            if (s->t[i].data)
                fill(&s->ctx, &s->t[i]);
        s->ctx.weights_version++;
        if (!s->ctx.err)
            run_once(s, kind, p, 0);    /* makes primitives, packs weights */
        ok = ok && !s->ctx.err;
    }
    for (int i = 0; i < reps && ok; i++)
        for (int k = 0; k < sides; k++) {
            run_once(&side[k], kind, p, i);
            ok = ok && !side[k].ctx.err;
        }
    if (!ok)
        fprintf(stderr, "bench: %s: %s\n", text, voco_fail_text());
    for (int k = 0; k < sides; k++)
        voco_arena_release(&side[k].ctx.keep, 0);
    return ok;
}

/* q: 1 to 3, a quartile of values, which are sorted */
static double
quartile(double *value, int n, int q)
{
    qsort(value, (size_t)n, sizeof *value, by_value);
    return value[q * n / 4];
}

static void
print_one(struct side *s, const struct kind *kind, const struct problem *p,
          const char *text, int reps)
{
    const double median = quartile(s->us, reps, 2);
    struct voco_cpu_info info;

    voco_cpu_info(&info);
    printf("%s\t%s\t%s\t%d\t%.1f\t%.1f%%\t%.1f\t%.1f\t%.1f\t%.1f\n", text,
           s->ctx.dev->name, info.isa, s->ctx.threads, median,
           100 * (quartile(s->us, reps, 3) - quartile(s->us, reps, 1)) / median,
           kind->flops ? kind->flops(p) / median * 1e-3 : 0, s->us[0],
           quartile(s->cpu_us, reps, 2), kind->bytes ? kind->bytes(p) / median * 1e-3 : 0);
}

static void
print_two(struct side *side, const char *text, int reps)
{
    double ratio[MAX_REPS], first, second;
    struct voco_cpu_info info;

    for (int i = 0; i < reps; i++)
        ratio[i] = side[1].us[i] / side[0].us[i];
    voco_cpu_info(&info);
    first = quartile(side[0].us, reps, 2);
    second = quartile(side[1].us, reps, 2);
    printf("%s\t%s\t%.1f\t%.1f\t%.3f\t%.3f..%.3f\n", text, info.isa, first, second,
           second / first, quartile(ratio, reps, 1), quartile(ratio, reps, 3));
}

static bool
bench(struct side *side, int sides, const char *text, int reps)
{
    const struct kind *kind;
    struct problem p;

    if (!parse(text, &p)) {
        fprintf(stderr, "bench: %s: expected a problem as conv:n4c48d64k3\n", text);
        return false;
    }
    kind = find_kind(p.name);
    if (!kind) {
        fprintf(stderr, "bench: %s: no primitive of this name\n", text);
        return false;
    }
    if (!run_turns(side, sides, kind, &p, text, reps))
        return false;
    if (sides == 1)
        print_one(side, kind, &p, text, reps);
    else
        print_two(side, text, reps);
    fflush(stdout);
    return true;
}

static int
usage(void)
{
    fprintf(stderr, "usage: bench [--precision f32|bf16] [--impl NAME] [--reps N] "
                    "[--threads N] [--against NAME] [--against-threads N] "
                    "[PROBLEM... | < shapes.txt]\n");
    return 2;
}

static bool
known(const char *impl)
{
    return !impl || voco_cpu_knows(VOCO_SHAPE_CONV, impl)
           || voco_cpu_knows(VOCO_SHAPE_LINEAR, impl);
}

int
main(int argc, char **argv)
{
    static struct side side[2];
    const struct voco_device *dev = &voco_cpu;
    char line[MAX_LINE];
    int reps = 20, sides = 1, i = 1;
    bool ok = true;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const bool against = strncmp(argv[i], "--against", 9) == 0;

        if (strcmp(argv[i], "--impl") == 0 || strcmp(argv[i], "--against") == 0)
            side[against].impl = argv[i + 1];
        else if (strcmp(argv[i], "--threads") == 0
                 || strcmp(argv[i], "--against-threads") == 0)
            side[against].threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--precision") == 0 && strcmp(argv[i + 1], "bf16") == 0)
            dev = &voco_cpu_bf16;
        else if (strcmp(argv[i], "--precision") == 0 && strcmp(argv[i + 1], "f32") == 0)
            dev = &voco_cpu;
        else if (strcmp(argv[i], "--reps") == 0)
            reps = atoi(argv[i + 1]);
        else
            break;
        if (against)
            sides = 2;
    }
    if ((i < argc && argv[i][0] == '-') || reps < 1 || reps > MAX_REPS
        || !known(side[0].impl) || !known(side[1].impl))
        return usage();
    if (side[1].threads == 0)
        side[1].threads = side[0].threads;
    for (int k = 0; k < sides; k++) {
        if (voco_ctx_open(&side[k].ctx, dev,
                          &(struct voco_ctx_options){ .limit = (size_t)64 << 30,
                                                      .threads = side[k].threads })
            != VOCO_OK) {
            fprintf(stderr, "bench: %s\n", voco_fail_text());
            return 1;
        }
        if (side[k].impl)
            voco_cpu_force(&side[k].ctx, side[k].impl);
    }
    puts(sides == 1 ? "problem\tdevice\tisa\tthreads\tmedian us\tspread\tGF/s\tbest us\t"
                      "cpu us\tGB/s"
                    : "problem\tisa\tfirst us\tsecond us\tratio\tquartiles");
    if (i < argc)
        for (; i < argc && ok; i++)
            ok = bench(side, sides, argv[i], reps);
    else
        while (ok && fgets(line, sizeof line, stdin)) {
            line[strcspn(line, " #\n")] = '\0';
            if (line[0])
                ok = bench(side, sides, line, reps);
        }
    for (int k = 0; k < sides; k++)
        voco_ctx_close(&side[k].ctx);
    return ok ? 0 : 1;
}
