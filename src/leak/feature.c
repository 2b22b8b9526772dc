/* Landmarks and the cosine coefficients around them, in a form that no turn changes. */
#include "leak/feature.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leak/smooth.h"
#include "leak/turn.h"

enum {
    RADIUS = 4, EDGE = 2 * RADIUS + 1,
    ORDER = 5,                  /* half periods of a wave along all axes together */
    WAVES = 55,                 /* (ORDER + 3 over 3) - 1 */
    FORMS = 8                   /* of a landmark, at most */
};

static const double WEIGHT_SIGMA = 2.5;     /* voxels */
static const double CLOSE_SIGN = 0.12;      /* coefficients below may have either sign */
static const double CLOSE_ORDER = 1.3;      /* ratio of detail below which axes may swap */

/* ---- landmarks ---- */

struct landmark {
    double strength;
    int64_t at[3];
};

static int
by_strength(const void *a, const void *b)
{
    const struct landmark *x = a, *y = b;

    if (x->strength != y->strength)
        return x->strength < y->strength ? 1 : -1;
    for (int k = 0; k < 3; k++)
        if (x->at[k] != y->at[k])
            return x->at[k] < y->at[k] ? -1 : 1;
    return 0;
}

/* Is d at this voxel beyond all of its 26 neighbours, away from 0? */
static bool
is_extremum(const float *d, const int64_t step[3], int64_t i)
{
    const float sign = d[i] < 0 ? -1 : 1, mine = sign * d[i];

    if (mine < 0.05f)
        return false;
    for (int a = -1; a <= 1; a++)
        for (int b = -1; b <= 1; b++)
            for (int c = -1; c <= 1; c++) {
                const int64_t k = i + a * step[0] + b * step[1] + c * step[2];

                if (k != i && sign * d[k] >= mine)
                    return false;
            }
    return true;
}

/* The strongest extrema of d, by strength; *ret_n of them, at most so many. */
static enum voco_err
find_landmarks(const float *d, const int64_t dim[3], int most,
               struct landmark ret[VOCO_LANDMARKS_MANY], int *ret_n)
{
    const int64_t step[3] = { dim[1] * dim[2], dim[2], 1 };
    struct landmark *all = NULL;
    size_t n = 0, room = 0;

    for (int64_t x = 1; x < dim[0] - 1; x++)
        for (int64_t y = 1; y < dim[1] - 1; y++)
            for (int64_t z = 1; z < dim[2] - 1; z++) {
                const int64_t i = x * step[0] + y * step[1] + z;

                if (!is_extremum(d, step, i))
                    continue;
                if (n == room) {
                    struct landmark *more = realloc(all, (room = 2 * room + 256) * sizeof *all);

                    if (!more) {
                        free(all);
                        return voco_fail(VOCO_EMEMORY, "no memory for landmarks");
                    }
                    all = more;
                }
                all[n++] = (struct landmark){ fabs((double)d[i]), { x, y, z } };
            }
    if (n)
        qsort(all, n, sizeof *all, by_strength);
    *ret_n = n < (size_t)most ? (int)n : most;
    if (n)
        memcpy(ret, all, (size_t)*ret_n * sizeof *ret);
    free(all);
    return VOCO_OK;
}

/* Where the parabola through three neighbours has its top, within half a voxel. */
static double
top(double before, double here, double after)
{
    const double bend = before - 2 * here + after;
    const double at = bend != 0 ? 0.5 * (before - after) / bend : 0;

    return fmin(fmax(at, -0.5), 0.5);
}

/* ---- the surroundings of one ---- */

/* value of x at a place between voxels; 0 outside. */
static double
at_place(const float *x, const int64_t dim[3], const double p[3])
{
    double sum = 0;
    int64_t low[3];
    double w[3];

    for (int a = 0; a < 3; a++) {
        low[a] = (int64_t)floor(p[a]);
        w[a] = p[a] - (double)low[a];
    }
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1;
        int64_t i = 0;

        for (int a = 0; a < 3; a++) {
            const int up = corner >> a & 1;
            const int64_t k = low[a] + up;

            weight *= up ? w[a] : 1 - w[a];
            if (k < 0 || k >= dim[a])
                weight = 0;
            else
                i = i * dim[a] + k;
        }
        if (weight > 0)
            sum += weight * (double)x[i];
    }
    return sum;
}

struct waves {
    int order[WAVES][3];
    int place[ORDER + 1][ORDER + 1][ORDER + 1];
    double cosine[ORDER + 1][EDGE], weight[EDGE];
};

static void
waves_init(struct waves *w)
{
    int n = 0;

    for (int i = 0; i <= ORDER; i++)
        for (int j = 0; i + j <= ORDER; j++)
            for (int k = 0; i + j + k <= ORDER; k++)
                if (i + j + k > 0) {
                    w->place[i][j][k] = n;
                    w->order[n][0] = i;
                    w->order[n][1] = j;
                    w->order[n++][2] = k;
                }
    for (int e = 0; e < EDGE; e++) {
        w->weight[e] = exp(-0.5 * pow((e - RADIUS) / WEIGHT_SIGMA, 2));
        for (int i = 0; i <= ORDER; i++)
            w->cosine[i][e] = cos(acos(-1) * i * (e + 0.5) / EDGE);
    }
}

/* The coefficients of the waves around a place, of length 1; false when all is flat. */
static bool
coefficients(const struct waves *w, const float *x, const int64_t dim[3], const float at[3],
             double c[WAVES])
{
    double patch[EDGE][EDGE][EDGE], sum = 0, weights = 0, length = 0;

    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++)
            for (int k = 0; k < EDGE; k++) {
                const double p[3] = { (double)at[0] + i - RADIUS, (double)at[1] + j - RADIUS,
                                      (double)at[2] + k - RADIUS };
                const double weight = w->weight[i] * w->weight[j] * w->weight[k];

                patch[i][j][k] = at_place(x, dim, p);
                sum += weight * patch[i][j][k];
                weights += weight;
            }
    memset(c, 0, WAVES * sizeof *c);
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++)
            for (int k = 0; k < EDGE; k++) {
                const double v = (patch[i][j][k] - sum / weights) * w->weight[i]
                    * w->weight[j] * w->weight[k];

                for (int n = 0; n < WAVES; n++)
                    c[n] += v * w->cosine[w->order[n][0]][i] * w->cosine[w->order[n][1]][j]
                        * w->cosine[w->order[n][2]][k];
            }
    for (int n = 0; n < WAVES; n++)
        length += c[n] * c[n];
    for (int n = 0; n < WAVES; n++)
        c[n] /= sqrt(length);
    return length > 1e-12;
}

/* How far a turn is from the common form: 0 for that itself, above 1 out of question. */
static double
distance(const struct voco_turn *t, const double single[3], const double detail[3])
{
    double worst = 0;

    for (int a = 0; a < 3; a++) {
        const double sign = t->sign[a] * single[t->from[a]];

        if (sign < 0)
            worst = fmax(worst, -sign / CLOSE_SIGN);
        if (a < 2 && detail[t->from[a + 1]] > detail[t->from[a]])
            worst = fmax(worst, log(detail[t->from[a + 1]] / fmax(detail[t->from[a]], 1e-9))
                                / log(CLOSE_ORDER));
    }
    return worst;
}

/* The coefficients after a turn. */
static void
turn_waves(const struct waves *w, const struct voco_turn *t, const double c[WAVES], float *out)
{
    for (int n = 0; n < WAVES; n++) {
        int before[3], sign = 1;

        for (int a = 0; a < 3; a++) {
            before[t->from[a]] = w->order[n][a];
            sign = t->sign[a] < 0 && w->order[n][a] % 2 ? -sign : sign;
        }
        out[n] = (float)(sign * c[w->place[before[0]][before[1]][before[2]]]);
    }
    for (int n = WAVES; n < VOCO_FEATURE; n++)
        out[n] = 0;
}

/* The turns to the common form, the nearest first, and with every those that may be it. */
static int
forms(const struct waves *w, const double c[WAVES], bool every, int ret[FORMS])
{
    const double single[3] = { c[w->place[1][0][0]], c[w->place[0][1][0]],
                               c[w->place[0][0][1]] };
    double detail[3] = { 0, 0, 0 }, far[VOCO_TURNS];
    int n = 0;

    for (int k = 0; k < WAVES; k++)
        for (int a = 0; a < 3; a++)
            detail[a] += c[k] * c[k] * w->order[k][a] * w->order[k][a];
    for (int i = 0; i < VOCO_TURNS; i++) {
        const struct voco_turn t = voco_turn_at(i);

        far[i] = distance(&t, single, detail);
    }
    while (n < (every ? FORMS : 1)) {
        int nearest = 0;

        for (int i = 1; i < VOCO_TURNS; i++)
            if (far[i] < far[nearest])
                nearest = i;
        if (n > 0 && far[nearest] > 1)
            break;
        ret[n++] = nearest;
        far[nearest] = INFINITY;
    }
    return n;
}

static enum voco_err
describe(const float *x, const float *d, const int64_t dim[3], bool every,
         const struct landmark *mark, int n_marks, struct voco_feature *f, float *value,
         int *ret_n)
{
    const int64_t step[3] = { dim[1] * dim[2], dim[2], 1 };
    struct waves *w = malloc(sizeof *w);
    double c[WAVES];
    int n = 0, turn[FORMS];

    if (!w)
        return voco_fail(VOCO_EMEMORY, "no memory for landmarks");
    waves_init(w);
    for (int m = 0; m < n_marks; m++) {
        const int64_t i = mark[m].at[0] * step[0] + mark[m].at[1] * step[1] + mark[m].at[2];
        float at[3];

        for (int a = 0; a < 3; a++)
            at[a] = (float)((double)mark[m].at[a] + top((double)d[i - step[a]], (double)d[i],
                                                        (double)d[i + step[a]]));
        if (!coefficients(w, x, dim, at, c))
            continue;
        for (int k = 0, end = forms(w, c, every, turn); k < end; k++, n++) {
            const struct voco_turn t = voco_turn_at(turn[k]);

            memcpy(f[n].at, at, sizeof at);
            f[n].landmark = (uint8_t)m;
            f[n].turn = (uint8_t)turn[k];
            turn_waves(w, &t, c, value + (size_t)n * VOCO_FEATURE);
        }
    }
    free(w);
    *ret_n = n;
    return VOCO_OK;
}

enum voco_err
voco_features(const float *x, const int64_t dim[3], bool every, struct voco_feature **ret,
              float **ret_value, int *ret_n)
{
    const int64_t n = dim[0] * dim[1] * dim[2];
    const int landmarks = every ? VOCO_LANDMARKS : VOCO_LANDMARKS_MANY;
    const size_t most = (size_t)landmarks * (every ? FORMS : 1);
    float *fine = malloc((size_t)n * sizeof *fine), *rough = malloc((size_t)n * sizeof *rough);
    struct voco_feature *f = malloc(most * sizeof *f);
    float *value = malloc(most * VOCO_FEATURE * sizeof *value);
    struct landmark mark[VOCO_LANDMARKS_MANY];
    int n_marks = 0;
    enum voco_err err = fine && rough && f && value ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for landmarks");

    if (!err)
        err = voco_smooth(x, dim, 1, fine);
    if (!err)
        err = voco_smooth(x, dim, 2, rough);
    for (int64_t i = 0; i < n && !err; i++)
        fine[i] -= rough[i];
    if (!err)
        err = find_landmarks(fine, dim, landmarks, mark, &n_marks);
    if (!err)
        err = describe(x, fine, dim, every, mark, n_marks, f, value, ret_n);
    free(fine);
    free(rough);
    if (err) {
        free(f);
        free(value);
        return err;
    }
    *ret = f;
    *ret_value = value;
    return VOCO_OK;
}
