/* The parameter table and its initial values. */
#include "net/param.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { ROW_ALIGN = 16 };

int
voco_params_add(struct voco_params *t, int rank, const int64_t *dim, const char *fmt, ...)
{
    char name[256];
    va_list ap;
    struct voco_param *p;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    VOCO_ASSERT(voco_params_find(t, name) < 0);
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->item = realloc(t->item, (size_t)t->room * sizeof *t->item);
        VOCO_NEED(t->item);
    }
    p = &t->item[t->n];
    *p = (struct voco_param){ .name = strdup(name), .rank = rank, .offset = t->count,
                              .count = 1 };
    VOCO_NEED(p->name);
    for (int i = 0; i < rank; i++) {
        p->dim[i] = dim[i];
        p->count *= dim[i];
    }
    t->count += (p->count + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    return t->n++;
}

void
voco_params_free(struct voco_params *t)
{
    for (int i = 0; i < t->n; i++)
        free(t->item[i].name);
    free(t->item);
    *t = (struct voco_params){ 0 };
}

int
voco_params_find(const struct voco_params *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->item[i].name, name) == 0)
            return i;
    return -1;
}

int64_t
voco_params_total(const struct voco_params *t, const char *prefix)
{
    int64_t total = 0;

    for (int i = 0; i < t->n; i++)
        if (strncmp(t->item[i].name, prefix, strlen(prefix)) == 0)
            total += t->item[i].count;
    return total;
}

int64_t
voco_params_before(const struct voco_params *t, int64_t offset)
{
    int64_t total = 0;

    for (int i = 0; i < t->n && t->item[i].offset < offset; i++)
        total += t->item[i].count;
    return total;
}

static struct voco_tensor
row(const struct voco_params *t, int id, const struct voco_tensor *slab)
{
    const struct voco_param *p = &t->item[id];
    struct voco_tensor x = { .rank = p->rank, .type = slab->type,
                             .dim = { 1, 1, 1, 1, 1 } };

    VOCO_ASSERT(p->offset + p->count <= slab->dim[0]);
    for (int i = 0; i < p->rank; i++)
        x.dim[i] = p->dim[i];
    x.data = (char *)slab->data + (size_t)p->offset * voco_type_bytes(slab->type);
    return x;
}

struct voco_tensor
voco_weight(const struct voco_weights *w, int id)
{
    return row(w->table, id, &w->weight);
}

struct voco_tensor
voco_gradient(const struct voco_weights *w, int id)
{
    VOCO_ASSERT(w->grad.data);
    return row(w->table, id, &w->grad);
}

static bool
ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Inputs of one output element: the product of all dimensions but the first. */
static double
fan_in(const struct voco_param *p)
{
    return (double)p->count / (double)p->dim[0];
}

/* sqrt(3/fan) makes the variance 1/fan. */
static void
init_hash(const struct voco_param *p, const char *prefix, uint64_t seed, float *out)
{
    double low = 0.8, high = 1.2;
    char name[512];

    if (ends_with(p->name, "relative_position_bias_table")) {
        high = 0.5;
        low = -high;
    } else if (p->rank >= 2) {
        high = sqrt(3.0 / fan_in(p));
        low = -high;
    } else if (ends_with(p->name, "bias")) {
        high = 0.1;
        low = -high;
    }
    snprintf(name, sizeof name, "%s%s", prefix ? prefix : "", p->name);
    voco_hash_uniform(seed, name, p->count, low, high, out);
}

/* The weight that a bias row belongs to, NULL for the bias of a norm. */
static const struct voco_param *
weight_of_bias(const struct voco_params *t, const struct voco_param *bias)
{
    char name[256];
    int id;

    snprintf(name, sizeof name, "%.*s.weight", (int)(strlen(bias->name) - 5), bias->name);
    id = voco_params_find(t, name);
    return id >= 0 && t->item[id].rank >= 2 ? &t->item[id] : NULL;
}

static void
init_torch(const struct voco_params *t, const struct voco_param *p, uint64_t seed,
           float *out)
{
    const struct voco_rng_key key = { .seed = voco_hash_base(seed, p->name),
                                      .purpose = VOCO_RNG_INIT };
    const bool bias = p->rank == 1 && ends_with(p->name, ".bias");
    const struct voco_param *of = p->rank >= 2 ? p : bias ? weight_of_bias(t, p) : NULL;

    if (ends_with(p->name, "relative_position_bias_table")) {
        uint32_t drawn = 0;

        for (int64_t i = 0; i < p->count; i++) {
            double z;

            do
                z = 0.02 * voco_rng_normal(&key, drawn++);
            while (fabs(z) > 2.0);
            out[i] = (float)z;
        }
    } else if (of) {
        const double a = 1.0 / sqrt(fan_in(of));

        for (int64_t i = 0; i < p->count; i++)
            out[i] = (float)(a * (2.0 * voco_rng_unit(&key, (uint32_t)i) - 1.0));
    } else {
        for (int64_t i = 0; i < p->count; i++)
            out[i] = bias ? 0.0f : 1.0f;
    }
}

static void
init_he(const struct voco_param *p, uint64_t seed, float *out)
{
    const struct voco_rng_key key = { .seed = voco_hash_base(seed, p->name),
                                      .purpose = VOCO_RNG_INIT };
    const double sd = sqrt(2.0 / (1.0 + 0.01 * 0.01) / fan_in(p));
    const float rest = ends_with(p->name, ".bias") ? 0.0f : 1.0f;

    for (int64_t i = 0; i < p->count; i++)
        out[i] = p->rank >= 2 ? (float)(sd * voco_rng_normal(&key, (uint32_t)i)) : rest;
}

void
voco_param_init(const struct voco_params *t, int id, enum voco_init init, uint64_t seed,
                float *out)
{
    if (init == VOCO_INIT_HASH)
        init_hash(&t->item[id], t->hash_prefix, seed, out);
    else if (init == VOCO_INIT_HE)
        init_he(&t->item[id], seed, out);
    else
        init_torch(t, &t->item[id], seed, out);
}
