/*
 * Times of single primitives of the cpu device.
 *
 *   bench [--impl NAME] [--reps N] [--threads N] [PROBLEM... | < bench/shapes.txt]
 *
 * A problem is a name and letters with numbers:
 *   conv, conv_data, conv_weights   n items, d size (one edge, or d e f), c channels in,
 *                                   o out (default c), k kernel, s stride, p padding
 *   linear, linear_data, linear_weights     m rows, k in, n out
 * as in conv:n4c48d64k3 or linear:m131072k48n192.  Without --impl the device chooses.
 *
 * Prints TSV: problem, device, isa, threads, median us, spread (quartiles, % of median),
 * GF/s by the median, best us, median us of CPU time of all threads (for a busy machine).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "dev/cpu.h"

enum { MAX_REPS = 1000, MAX_LINE = 256 };

struct problem {
    char name[32];
    int64_t arg[26];            /* by letter; -1: not given */
};

struct tensors {
    struct voco_tensor x, w, b, y;
};

struct kind {
    const char *name;
    bool (*setup)(struct voco_ctx *ctx, const struct problem *p, struct tensors *t);
    void (*run)(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t);
    double (*flops)(const struct problem *p);
};

static int64_t
arg(const struct problem *p, char letter, int64_t missing)
{
    const int64_t v = p->arg[letter - 'a'];

    return v < 0 ? missing : v;
}

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

/* ---- convolutions ---- */

static struct voco_conv
conv_of(const struct problem *p)
{
    const int k = (int)arg(p, 'k', 3), s = (int)arg(p, 's', 1);

    return (struct voco_conv){ .cin = arg(p, 'c', 1), .cout = arg(p, 'o', arg(p, 'c', 1)),
                               .kernel = k, .stride = s,
                               .pad = (int)arg(p, 'p', s == 1 ? k / 2 : 0) };
}

static void
conv_size(const struct problem *p, int64_t in[3], int64_t out[3])
{
    const struct voco_conv c = conv_of(p);

    in[0] = arg(p, 'd', 8);
    in[1] = arg(p, 'e', in[0]);
    in[2] = arg(p, 'f', in[1]);
    for (int i = 0; i < 3; i++)
        out[i] = (in[i] + 2 * c.pad - c.kernel) / c.stride + 1;
}

static bool
conv_setup(struct voco_ctx *ctx, const struct problem *p, struct tensors *t)
{
    const struct voco_conv c = conv_of(p);
    const int64_t n = arg(p, 'n', 1), k = c.kernel;
    int64_t in[3], out[3];

    conv_size(p, in, out);
    t->x = voco_push(ctx, &ctx->keep, 5, n, in[0], in[1], in[2], c.cin);
    t->w = voco_push(ctx, &ctx->keep, 5, c.cout, c.cin, k, k, k);
    t->y = voco_push(ctx, &ctx->keep, 5, n, out[0], out[1], out[2], c.cout);
    return ctx->err == VOCO_OK;
}

static double
conv_flops(const struct problem *p)
{
    const struct voco_conv c = conv_of(p);
    int64_t in[3], out[3];

    conv_size(p, in, out);
    return 2.0 * (double)arg(p, 'n', 1) * (double)(out[0] * out[1] * out[2])
           * (double)(c.cin * c.cout) * (double)c.kernel * (double)c.kernel
           * (double)c.kernel;
}

static void
conv_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_forward(ctx, &c, &t->x, &t->w, NULL, &t->y);
}

static void
conv_data_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_backward_data(ctx, &c, &t->y, &t->w, &t->x);
}

static void
conv_weights_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    const struct voco_conv c = conv_of(p);

    ctx->dev->conv3d_backward_weights(ctx, &c, &t->x, &t->y, &t->w, NULL);
}

/* ---- linear layers ---- */

static bool
linear_setup(struct voco_ctx *ctx, const struct problem *p, struct tensors *t)
{
    const int64_t m = arg(p, 'm', 64), k = arg(p, 'k', 48), n = arg(p, 'n', k);

    t->x = voco_push(ctx, &ctx->keep, 2, m, k);
    t->w = voco_push(ctx, &ctx->keep, 2, n, k);
    t->b = voco_push(ctx, &ctx->keep, 1, n);
    t->y = voco_push(ctx, &ctx->keep, 2, m, n);
    return ctx->err == VOCO_OK;
}

static double
linear_flops(const struct problem *p)
{
    const int64_t k = arg(p, 'k', 48);

    return 2.0 * (double)arg(p, 'm', 64) * (double)k * (double)arg(p, 'n', k);
}

static void
linear_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    (void)p;
    ctx->dev->linear_forward(ctx, &t->x, &t->w, &t->b, &t->y);
}

static void
linear_data_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    (void)p;
    ctx->dev->linear_backward_data(ctx, &t->y, &t->w, &t->x);
}

static void
linear_weights_run(struct voco_ctx *ctx, const struct problem *p, const struct tensors *t)
{
    (void)p;
    ctx->dev->linear_backward_weights(ctx, &t->x, &t->y, &t->w, &t->b);
}

/* ---- timing ---- */

static const struct kind kinds[] = {
    { "conv", conv_setup, conv_run, conv_flops },
    { "conv_data", conv_setup, conv_data_run, conv_flops },
    { "conv_weights", conv_setup, conv_weights_run, conv_flops },
    { "linear", linear_setup, linear_run, linear_flops },
    { "linear_data", linear_setup, linear_data_run, linear_flops },
    { "linear_weights", linear_setup, linear_weights_run, linear_flops },
};

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
fill(struct voco_ctx *ctx, const struct voco_tensor *x)
{
    float *p = x->data;
    uint32_t r = 1;

    (void)ctx;
    for (int64_t i = 0; p && i < voco_count(x); i++) {
        r = r * 1664525u + 1013904223u;
        p[i] = (float)(r >> 8) * 0x1p-24f - 0.5f;
    }
}

static bool
bench(struct voco_ctx *ctx, const char *text, int reps)
{
    const struct kind *kind = NULL;
    struct problem p;
    struct tensors t = { 0 };
    double us[MAX_REPS], cpu_us[MAX_REPS], median;
    struct voco_cpu_info info;

    if (!parse(text, &p)) {
        fprintf(stderr, "bench: %s: expected a problem as conv:n4c48d64k3\n", text);
        return false;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, p.name) == 0)
            kind = &kinds[i];
    if (!kind) {
        fprintf(stderr, "bench: %s: no primitive of this name\n", text);
        return false;
    }
    if (kind->setup(ctx, &p, &t)) {
        fill(ctx, &t.x);
        fill(ctx, &t.w);
        fill(ctx, &t.b);
        fill(ctx, &t.y);
        ctx->weights_version++;
        kind->run(ctx, &p, &t);             /* makes primitives, packs weights */
        for (int i = 0; i < reps && !ctx->err; i++) {
            const double start = voco_seconds(), cpu = cpu_seconds();

            kind->run(ctx, &p, &t);
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
    printf("%s\t%s\t%s\t%d\t%.1f\t%.1f%%\t%.1f\t%.1f\t%.1f\n", text, ctx->dev->name, info.isa,
           ctx->threads, median, 100 * (us[3 * reps / 4] - us[reps / 4]) / median,
           kind->flops(&p) / median * 1e-3, us[0], cpu_us[reps / 2]);
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
    printf("problem\tdevice\tisa\tthreads\tmedian us\tspread\tGF/s\tbest us\tcpu us\n");
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
