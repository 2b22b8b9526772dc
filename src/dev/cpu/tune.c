/* The choice among implementations of the cpu device: forced ones, tables, timing. */
#include "dev/cpu/tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/rng.h"

/* ---- names ---- */

bool
voco_cpu_listed(const char *names, const char *name)
{
    const size_t n = strlen(name);

    while (names && *names) {
        const size_t m = strcspn(names, ",");

        if (m == n && memcmp(names, name, n) == 0)
            return true;
        names += m + (names[m] == ',');
    }
    return false;
}

bool
voco_cpu_knows(enum voco_shape_op op, const char *impl)
{
    return op < VOCO_SHAPE_LINEAR ? voco_cpu_conv_knows(impl) : voco_cpu_gemm_knows(impl);
}

const char *
voco_cpu_chosen(const struct voco_ctx *ctx, const struct voco_shape *s)
{
    return voco_shape_is_conv(s) ? voco_cpu_conv_chosen(ctx, s)
                                 : voco_cpu_gemm_chosen(ctx, s);
}

void
voco_cpu_force(struct voco_ctx *ctx, const char *names)
{
    voco_cpu_state(ctx)->forced = names;
}

enum voco_err
voco_cpu_tune_open(struct voco_ctx *ctx, const struct voco_choices *choices)
{
    const char *names = getenv("VOCO_IMPL");
    char name[VOCO_IMPL_NAME];

    for (const char *p = names; p && *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t n = strcspn(p, ",");

        if (n < sizeof name) {
            memcpy(name, p, n);
            name[n] = '\0';
        }
        if (n >= sizeof name || !(voco_cpu_conv_knows(name) || voco_cpu_gemm_knows(name)))
            return voco_fail(VOCO_EUSAGE, "VOCO_IMPL=%s: no implementation is called '%.*s': "
                             "see man voco-tune", names, (int)n, p);
    }
    if (names && *names)
        voco_cpu_force(ctx, names);
    if (choices && choices->threads == ctx->threads)
        voco_cpu_state(ctx)->choices = choices;
    return VOCO_OK;
}

/* ---- timing ---- */

struct operands {
    struct voco_tensor x, w, b, y;
};

/* Calls go round several sets of operands, as many as do not fit the caches together: in a
 * step, weights have not been used for long. */
enum { SETS_MAX = 16, SETS_BYTES = 64 << 20 };

struct timer {
    struct voco_ctx *ctx;
    const struct voco_shape *shape;
    struct operands set[SETS_MAX];
    int sets, next;
};

static struct operands
push_operands(struct voco_ctx *ctx, const struct voco_shape *s)
{
    const int64_t *v = s->size;
    const struct voco_conv c = voco_shape_conv_of(s);
    struct voco_arena *a = &ctx->keep;

    if (!voco_shape_is_conv(s))
        return (struct operands){ voco_push(ctx, a, 2, v[0], v[1]),
                                  voco_push(ctx, a, 2, v[2], v[1]),
                                  voco_push(ctx, a, 1, v[2]),
                                  voco_push(ctx, a, 2, v[0], v[2]) };
    return (struct operands){
        voco_push(ctx, a, 5, v[0], v[1], v[2], v[3], v[4]),
        voco_push(ctx, a, 5, v[5], v[4], v[6], v[7], v[8]), voco_push(ctx, a, 1, v[5]),
        voco_push(ctx, a, 5, v[0], voco_conv_out(&c, 0, v[1]), voco_conv_out(&c, 1, v[2]),
                  voco_conv_out(&c, 2, v[3]), v[5])
    };
}

static void
call(struct voco_ctx *ctx, const struct voco_shape *s, const struct operands *o)
{
    const struct voco_conv c = voco_shape_conv_of(s);

    switch (s->op) {
    case VOCO_SHAPE_CONV:
        voco_cpu_conv3d_forward(ctx, &c, &o->x, &o->w, NULL, &o->y, NULL);
        break;
    case VOCO_SHAPE_CONV_DATA:
        voco_cpu_conv3d_backward_data(ctx, &c, &o->y, &o->w, &o->x);
        break;
    case VOCO_SHAPE_CONV_WEIGHTS:
        voco_cpu_conv3d_backward_weights(ctx, &c, &o->x, &o->y, &o->w, NULL);
        break;
    case VOCO_SHAPE_LINEAR:
        voco_cpu_linear_forward(ctx, &o->x, &o->w, &o->b, &o->y);
        break;
    case VOCO_SHAPE_LINEAR_DATA:
        voco_cpu_linear_backward_data(ctx, &o->y, &o->w, &o->x);
        break;
    default:
        voco_cpu_linear_backward_weights(ctx, &o->x, &o->y, &o->w, &o->b);
    }
}

static double
seconds_of(struct timer *t, const char *impl, int repeat)
{
    const double start_s = voco_seconds();

    voco_cpu_force(t->ctx, impl);
    for (int i = 0; i < repeat && !t->ctx->err; i++)
        call(t->ctx, t->shape, &t->set[t->next++ % t->sets]);
    return (voco_seconds() - start_s) / repeat;
}

/* How often something else took a core from a thread of ours. */
static long
interruptions(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);     /* cannot fail with these arguments */
    return usage.ru_nivcsw;
}

/* The same again, a few times at most, if it was disturbed; the best. */
static double
quiet_seconds_of(struct timer *t, const char *impl, int repeat)
{
    double best = INFINITY;

    for (int i = 0; i < 3; i++) {
        const long before = interruptions();

        best = fmin(best, seconds_of(t, impl, repeat));
        if (interruptions() == before)
            break;
    }
    return best;
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

enum { ROUNDS = 9, LEAST_ROUNDS = 3 };

/* First calls, for all that is made once, then ones that pack weights, then up to ROUNDS
 * turns, fewer where they take long.  The best counts, since disturbances only add. */
static void
time_all(struct timer *timer, struct voco_timing *t, int n)
{
    const double slow = 2.5, enough_s = 0.5, turn_s = 2e-3;
    double took[VOCO_IMPLS_MAX][ROUNDS], best = INFINITY, start_s;
    int repeat[VOCO_IMPLS_MAX], rounds = 0;

    for (int i = 0; i < n; i++) {
        double packing = INFINITY;

        seconds_of(timer, t[i].impl, timer->sets);
        for (int k = 0; k < 2; k++) {
            timer->ctx->weights_version++;
            packing = fmin(packing, seconds_of(timer, t[i].impl, timer->sets));
        }
        t[i].seconds = t[i].median = quiet_seconds_of(timer, t[i].impl, timer->sets);
        t[i].pack_seconds = fmax(packing - t[i].seconds, 0);
        repeat[i] = t[i].seconds < turn_s ? (int)(turn_s / fmax(t[i].seconds, 1e-6)) : 1;
        best = fmin(best, t[i].seconds);
    }
    for (start_s = voco_seconds(); rounds < ROUNDS && !timer->ctx->err
         && (rounds < LEAST_ROUNDS || voco_seconds() - start_s < enough_s); rounds++)
        for (int i = 0; i < n; i++)
            if (t[i].seconds <= slow * best)
                took[i][rounds] = quiet_seconds_of(timer, t[i].impl, repeat[i]);
    for (int i = 0; i < n && rounds > 0; i++) {
        if (t[i].seconds > slow * best)
            continue;                   /* its first calls are all we need to know */
        qsort(took[i], (size_t)rounds, sizeof took[i][0], by_value);
        t[i].seconds = took[i][0];
        t[i].median = took[i][rounds / 2];
    }
}

static void
push_sets(struct timer *t)
{
    size_t bytes = 0;

    do {
        struct operands *o = &t->set[t->sets++];
        const struct voco_tensor *const list[] = { &o->x, &o->w, &o->b, &o->y };

        *o = push_operands(t->ctx, t->shape);
        for (size_t i = 0; i < sizeof list / sizeof list[0] && !t->ctx->err; i++) {
            voco_noise(list[i]->data, voco_count(list[i]));
            bytes += voco_tensor_bytes(list[i]);
        }
    } while (t->sets < SETS_MAX && bytes < SETS_BYTES && !t->ctx->err);
}

int
voco_tuning_time(struct voco_ctx *ctx, const struct voco_shape *s,
                 struct voco_timing ret[VOCO_IMPLS_MAX])
{
    const char *name[VOCO_IMPLS_MAX], *const forced = voco_cpu_state(ctx)->forced;
    const int n = voco_shape_is_conv(s) ? voco_cpu_conv_impls(ctx, s, name)
                                        : voco_cpu_gemm_impls(ctx, s, name);
    const size_t mark = voco_arena_mark(&ctx->keep);
    struct timer timer = { .ctx = ctx, .shape = s };

    push_sets(&timer);
    for (int i = 0; i < n; i++)
        ret[i] = (struct voco_timing){ .impl = name[i] };
    if (!ctx->err)
        time_all(&timer, ret, n);
    voco_cpu_force(ctx, forced);
    voco_arena_release(&ctx->keep, mark);
    voco_cpu_conv_close(ctx);           /* lets go of the packed weights */
    if (voco_cpu_conv_open(ctx) != VOCO_OK)
        voco_ctx_fail(ctx, VOCO_EMEMORY);
    return ctx->err ? 0 : n;
}
