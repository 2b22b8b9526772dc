/* Shapes, choices among implementations, and lists of used shapes. */
#include "dev/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "dev/tuner.h"

const char *const voco_shape_names[VOCO_SHAPE_OPS + 1] = {
    "conv", "conv_data", "conv_weights", "linear", "linear_data", "linear_weights", NULL
};

struct voco_shape
voco_shape_conv(enum voco_workspace what, const struct voco_conv *c, int64_t n,
                const int64_t in[3])
{
    struct voco_shape s = { .op = what == VOCO_WS_CONV_FORWARD ? VOCO_SHAPE_CONV
                                : what == VOCO_WS_CONV_BACKWARD_DATA ? VOCO_SHAPE_CONV_DATA
                                : VOCO_SHAPE_CONV_WEIGHTS,
                            .size = { n, in[0], in[1], in[2], c->cin, c->cout } };

    for (int i = 0; i < 3; i++) {
        s.size[6 + i] = c->kernel[i];
        s.size[9 + i] = c->stride[i];
        s.size[12 + i] = c->pad[i];
    }
    return s;
}

struct voco_shape
voco_shape_linear(enum voco_shape_op op, int64_t rows, int64_t inputs, int64_t outputs)
{
    return (struct voco_shape){ .op = op, .size = { rows, inputs, outputs } };
}

bool
voco_shape_is_conv(const struct voco_shape *s)
{
    return s->op < VOCO_SHAPE_LINEAR;
}

struct voco_conv
voco_shape_conv_of(const struct voco_shape *s)
{
    struct voco_conv c = { .cin = s->size[4], .cout = s->size[5] };

    for (int i = 0; i < 3; i++) {
        c.kernel[i] = (int)s->size[6 + i];
        c.stride[i] = (int)s->size[9 + i];
        c.pad[i] = (int)s->size[12 + i];
    }
    return c;
}

bool
voco_shape_equal(const struct voco_shape *a, const struct voco_shape *b)
{
    return a->op == b->op && memcmp(a->size, b->size, sizeof a->size) == 0;
}

bool
voco_shape_sane(const struct voco_shape *s)
{
    const int positive = voco_shape_is_conv(s) ? 12 : 3;
    double product = 1;

    for (int i = 0; i < VOCO_SHAPE_SIZES; i++) {
        const int64_t most = i < 6 ? (int64_t)1 << 40 : 64;

        if (s->size[i] < (i < positive) || s->size[i] > most)
            return false;
        if (i < (voco_shape_is_conv(s) ? 9 : 3))
            product *= (double)s->size[i];
        if (i >= (voco_shape_is_conv(s) ? VOCO_SHAPE_SIZES : 3) && s->size[i] != 0)
            return false;
    }
    for (int i = 0; voco_shape_is_conv(s) && i < 3; i++)
        if (s->size[1 + i] + 2 * s->size[12 + i] < s->size[6 + i])
            return false;               /* no output */
    return product < 0x1p53;
}

/* "3" for 3, 3, 3; else "1x3x3" */
static const char *
three(const int64_t *v, bool fold, char buf[48])
{
    if (fold && v[0] == v[1] && v[1] == v[2])
        snprintf(buf, 48, "%" PRId64, v[0]);
    else
        snprintf(buf, 48, "%" PRId64 "x%" PRId64 "x%" PRId64, v[0], v[1], v[2]);
    return buf;
}

const char *
voco_shape_text(const struct voco_shape *s, char buf[80])
{
    const int64_t *v = s->size;
    char in[48], kernel[48], stride[48];
    int n;

    if (!voco_shape_is_conv(s)) {
        snprintf(buf, 80, "%s %" PRId64 "x%" PRId64 ">%" PRId64, voco_shape_names[s->op],
                 v[0], v[1], v[2]);
        return buf;
    }
    n = snprintf(buf, 80, "%s n%" PRId64 " %" PRId64 ">%" PRId64 " %s k%s",
                 voco_shape_names[s->op], v[0], v[4], v[5], three(v + 1, false, in),
                 three(v + 6, true, kernel));
    if (n < 80 && (v[9] != 1 || v[10] != 1 || v[11] != 1))
        snprintf(buf + n, (size_t)(80 - n), " s%s", three(v + 9, true, stride));
    return buf;
}

/* ---- choices ---- */

static struct voco_choice *
find(const struct voco_choices *c, const struct voco_shape *s)
{
    for (int i = 0; i < c->n; i++)
        if (voco_shape_equal(&c->row[i].shape, s))
            return &c->row[i];
    return NULL;
}

const char *
voco_choices_find(const struct voco_choices *c, const struct voco_shape *s)
{
    const struct voco_choice *row = c ? find(c, s) : NULL;

    return row ? row->impl : NULL;
}

static void
name(struct voco_choice *row, const char *impl)
{
    snprintf(row->impl, sizeof row->impl, "%s", impl);
}

void
voco_choices_add(struct voco_choices *c, const struct voco_shape *s, const char *impl)
{
    if (c->n == c->room) {
        c->room = c->room ? 2 * c->room : 64;
        c->row = realloc(c->row, (size_t)c->room * sizeof *c->row);
        VOCO_NEED(c->row);
    }
    c->row[c->n].shape = *s;
    name(&c->row[c->n++], impl);
}

void
voco_choices_set(struct voco_choices *c, const struct voco_shape *s, const char *impl)
{
    struct voco_choice *row = find(c, s);

    if (row)
        name(row, impl);
    else
        voco_choices_add(c, s, impl);
}

static int
by_shape(const void *a, const void *b)
{
    const struct voco_choice *const *x = a, *const *y = b;
    const struct voco_shape *s = &(*x)->shape, *t = &(*y)->shape;
    const int order = s->op != t->op ? (s->op > t->op) - (s->op < t->op)
                                     : memcmp(s->size, t->size, sizeof s->size);

    return order ? order : (*x > *y) - (*x < *y);
}

int
voco_choices_repeated(const struct voco_choices *c)
{
    const struct voco_choice **sorted = malloc(((size_t)c->n + 1) * sizeof *sorted);
    int repeated = -1;

    VOCO_NEED(sorted);
    for (int i = 0; i < c->n; i++)
        sorted[i] = &c->row[i];
    qsort(sorted, (size_t)c->n, sizeof *sorted, by_shape);
    for (int i = 1; i < c->n && repeated < 0; i++)
        if (voco_shape_equal(&sorted[i - 1]->shape, &sorted[i]->shape))
            repeated = (int)(sorted[i] - c->row);
    free(sorted);
    return repeated;
}

uint32_t
voco_choices_hash(const struct voco_choices *c)
{
    uint32_t hash = 0;

    for (int i = 0; i < c->n; i++) {
        const struct voco_choice *row = &c->row[i];
        uint32_t crc = voco_crc32c((uint32_t)row->shape.op, row->shape.size,
                                   sizeof row->shape.size);

        hash += voco_crc32c(crc, row->impl, strlen(row->impl));
    }
    return hash;
}

void
voco_choices_free(struct voco_choices *c)
{
    free(c->row);
    *c = (struct voco_choices){ 0 };
}

/* ---- uses ---- */

static struct voco_use *
find_use(struct voco_uses *u, const struct voco_shape *s)
{
    for (int i = 0; i < u->n; i++)
        if (voco_shape_equal(&u->row[i].shape, s))
            return &u->row[i];
    if (u->n == u->room) {
        u->room = u->room ? 2 * u->room : 64;
        u->row = realloc(u->row, (size_t)u->room * sizeof *u->row);
        VOCO_NEED(u->row);
    }
    u->row[u->n] = (struct voco_use){ .shape = *s };
    return &u->row[u->n++];
}

void
voco_uses_add(struct voco_uses *u, const struct voco_shape *s, int64_t calls,
              const void *weight)
{
    struct voco_use *use = find_use(u, s);

    use->calls += calls;
    for (int i = 0; i < use->weights; i++)
        if (use->weight[i] == weight)
            return;
    if (use->weights < VOCO_USE_WEIGHTS)
        use->weight[use->weights++] = weight;
}

void
voco_uses_free(struct voco_uses *u)
{
    free(u->row);
    *u = (struct voco_uses){ 0 };
}

/* ---- of a device ---- */

struct voco_choices
voco_choices_read(const struct voco_device *dev, int threads, const char *run)
{
    struct voco_choices c = { 0 };

    if (dev->tuner)
        dev->tuner->choices(threads, run, &c);
    return c;
}

bool
voco_choices_used(const struct voco_ctx *ctx, const struct voco_uses *uses,
                  uint32_t *ret_hash)
{
    if (!ctx->dev->tuner)
        return false;
    *ret_hash = ctx->dev->tuner->used(ctx, uses);
    return true;
}

enum voco_err
voco_choices_keep(const struct voco_ctx *ctx, const struct voco_uses *uses, const char *run)
{
    return ctx->dev->tuner ? ctx->dev->tuner->keep(ctx, uses, run) : VOCO_OK;
}
