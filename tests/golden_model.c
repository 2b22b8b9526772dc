/* A model against golden rows. */
#include "tests/golden_model.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

double *
golden_host_copy(struct voco_ctx *ctx, const struct voco_tensor *x)
{
    const int64_t n = voco_count(x);
    double *host = malloc((size_t)n * sizeof *host);
    const struct voco_tensor view = voco_view(host, VOCO_F64, 1, n);

    ck_assert_ptr_nonnull(host);
    ctx->dev->download(ctx, x, &view);
    return host;
}

int
golden_row(char **names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int64_t
golden_picked(uint64_t seed, const char *name, int i, int64_t n)
{
    char key[256];
    int64_t at;

    snprintf(key, sizeof key, "%s#pick", name);
    at = (int64_t)(voco_hash_unit(voco_hash_base(seed, key), (uint64_t)i) * (double)n);
    return at < n ? at : n - 1;
}

/* How many of a gradient's norm and picked elements are off; each is printed.  Of 1200
 * elements of the step one is off by 1.1e-3 of its norm in f32, the others by less. */
static int
differences(const char *name, uint64_t seed, const double *row, double joined,
            const double *got, int64_t n, double tolerance)
{
    /* a bias in front of a norm: zero up to the rounding of sums of the other gradients */
    const double size = fmax(row[0], row[0] < 1e-12 * joined ? 1e-3 * joined : 1e-4);
    double norm = 0;
    int bad = 0;

    for (int64_t i = 0; i < n; i++)
        norm += got[i] * got[i];
    norm = sqrt(norm);
    if (!(fabs(norm - row[0]) <= tolerance * size)) {
        printf("%s: gradient norm %.9g, want %.9g\n", name, norm, row[0]);
        bad++;
    }
    for (int i = 0; i < GOLDEN_PICKED; i++) {
        const double a = got[golden_picked(seed, name, i, n)], b = row[2 + i];

        if (!(fabs(a - b) <= 2 * tolerance * size)) {
            printf("%s: picked %d: gradient %.9g, want %.9g\n", name, i, a, b);
            bad++;
        }
    }
    return bad;
}

void
golden_check_gradients(const struct golden *g, const char *prefix, struct voco_ctx *ctx,
                       const struct voco_model *model, double tolerance)
{
    const struct voco_weights w = voco_model_weights(model);
    struct golden_array want = golden_read(g, "%sgrad_rows", prefix);
    double joined = 0;
    int n, bad = 0;
    char path[64], **names;

    for (int64_t i = 0; i < want.count; i += GOLDEN_ROW)
        joined += want.x[i] * want.x[i];
    joined = sqrt(joined);
    snprintf(path, sizeof path, "%sgrad_names", prefix);
    names = golden_names(g, path, &n);
    for (int id = 0; id < model->params.n; id++) {
        const struct voco_param *p = &model->params.item[id];
        const char *front = model->params.hash_prefix;
        struct voco_tensor x;
        char name[192];
        double *got;
        int row;

        if (p->offset >= model->trained)
            continue;
        snprintf(name, sizeof name, "%s%s", front ? front : "", p->name);
        row = golden_row(names, n, name);
        ck_assert_msg(row >= 0, "the reference has no gradient of %s", name);
        x = voco_gradient(&w, id);
        got = golden_host_copy(ctx, &x);
        bad += differences(name, g->seed, want.x + row * GOLDEN_ROW, joined, got, p->count,
                           tolerance);
        free(got);
    }
    ck_assert_int_eq(bad, 0);
    free(names[0]);
    free(names);
    golden_free(&want);
}
