/* Shapes of a torso: ellipsoids, tubes, sheets and the layers of the body wall. */
#include "data/phantom/anatomy.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- tissue, in HU without contrast agent ---- */

enum {
    HU_AIR = -1000, HU_FAT = -100, HU_SKIN = 0, HU_FLUID = 10, HU_SOFT = 40,
    HU_MUSCLE = 55, HU_BLOOD = 42, HU_LIVER = 58, HU_SPLEEN = 48, HU_KIDNEY = 32,
    HU_DISC = 85,
    HU_MARROW = 190, HU_CORTICAL = 750, HU_RIB = 420, HU_COUCH = -920
};

enum organ {
    LUNG_RIGHT, LUNG_LEFT, HEART, VENTRICLE, LIVER, SPLEEN, KIDNEY_RIGHT, KIDNEY_LEFT,
    STOMACH, BLADDER, GALL, COLON_LOOP
};

/* Centre and semi-axes in mm of the mean patient. */
static const float organs[VOCO_ORGANS][2][3] = {
    [LUNG_RIGHT]   = { {  72,  -4,  52 }, { 62, 92, 158 } },
    [LUNG_LEFT]    = { { -74,  -6,  50 }, { 60, 90, 158 } },
    [HEART]        = { { -22,  34,  42 }, { 56, 46, 50 } },
    [VENTRICLE]    = { { -40,  34,  34 }, { 22, 18, 28 } },
    [LIVER]        = { {  55,  12, -38 }, { 108, 84, 95 } },
    [SPLEEN]       = { { -98, -38, -42 }, { 27, 40, 48 } },
    [KIDNEY_RIGHT] = { {  60, -48, -112 }, { 27, 25, 53 } },
    [KIDNEY_LEFT]  = { { -62, -48, -98 }, { 27, 25, 54 } },
    [STOMACH]      = { { -58,  30, -52 }, { 42, 40, 46 } },
    [BLADDER]      = { {   0,  30, -262 }, { 42, 34, 34 } },
    [GALL]         = { {  38,  48, -88 }, { 15, 19, 24 } },
    [COLON_LOOP]   = { {   0,  62, -128 }, { 104, 16, 17 } },
};

/* ---- noise ---- */

/* Trilinear, with the weights smoothed, on a periodic lattice. */
float
voco_anatomy_noise(const struct voco_anatomy *a, const float mm[3], float wavelength_mm,
                   int channel)
{
    const int mask = VOCO_LATTICE - 1;
    int cell[3];
    float w[3], sum = 0;

    for (int i = 0; i < 3; i++) {
        const float at = mm[i] / wavelength_mm * 2 + 7.37f * (float)(channel + i);
        const float whole = floorf(at), part = at - whole;

        cell[i] = (int)whole;
        w[i] = part * part * (3 - 2 * part);
    }
    for (int c = 0; c < 8; c++) {
        const int x = cell[0] + (c >> 2 & 1), y = cell[1] + (c >> 1 & 1);
        const int z = cell[2] + (c & 1);
        const int at = ((x & mask) * VOCO_LATTICE + (y & mask)) * VOCO_LATTICE
                     + (z & mask);

        sum += (c & 4 ? w[0] : 1 - w[0]) * (c & 2 ? w[1] : 1 - w[1])
             * (c & 1 ? w[2] : 1 - w[2]) * a->lattice[at];
    }
    return sum;
}

/* ---- one patient ---- */

static float
draw(const struct voco_rng_key *key, uint32_t *i, float low, float high)
{
    return low + (high - low) * voco_rng_unit(key, (*i)++);
}

/* Small rotations about x, y and z, one after the other. */
static void
set_rotation(float r[3][3], const float angle[3])
{
    const float cx = cosf(angle[0]), sx = sinf(angle[0]);
    const float cy = cosf(angle[1]), sy = sinf(angle[1]);
    const float cz = cosf(angle[2]), sz = sinf(angle[2]);
    const float m[3][3] = {
        { cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx },
        { sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx },
        { -sy, cy * sx, cy * cx },
    };

    memcpy(r, m, sizeof m);
}

/* No agent, arterial, portal venous or late phase. */
static void
set_contrast(struct voco_anatomy *a, uint32_t phase, float dose)
{
    static const float added[4][5] = {      /* blood aorta liver spleen cortex */
        { 0, 0, 0, 0, 0 }, { 130, 270, 12, 70, 130 },
        { 105, 120, 52, 72, 130 }, { 60, 65, 35, 40, 110 }
    };

    a->blood = dose * added[phase][0];
    a->aorta = dose * added[phase][1];
    a->liver = dose * added[phase][2];
    a->spleen = dose * added[phase][3];
    a->cortex = dose * added[phase][4];
}

void
voco_anatomy_init(struct voco_anatomy *a, const struct voco_rng_key *key)
{
    const uint32_t lattice_n = VOCO_LATTICE * VOCO_LATTICE * VOCO_LATTICE;
    uint32_t i = 0;
    float angle[3], girth, phase;

    for (int k = 0; k < 3; k++)
        angle[k] = draw(key, &i, -0.07f, 0.07f) * (k == 2 ? 1.6f : 1);
    set_rotation(a->rotation, angle);
    girth = draw(key, &i, 0.86f, 1.14f);
    a->scale[0] = girth * draw(key, &i, 0.95f, 1.05f);
    a->scale[1] = girth * draw(key, &i, 0.94f, 1.08f);
    a->scale[2] = draw(key, &i, 0.9f, 1.1f);
    for (int k = 0; k < 3; k++)
        a->shift[k] = draw(key, &i, -14, 14);
    a->bend_mm = draw(key, &i, 3, 8);
    a->fat_mm = draw(key, &i, 0, 1);
    a->fat_mm = 5 + 34 * a->fat_mm * a->fat_mm;
    for (int o = 0; o < VOCO_ORGANS; o++)
        for (int k = 0; k < 3; k++) {
            a->centre[o][k] = organs[o][0][k] + draw(key, &i, -7, 7);
            a->axis[o][k] = organs[o][1][k] * draw(key, &i, 0.88f, 1.12f);
        }
    phase = draw(key, &i, 0, 4);
    set_contrast(a, (uint32_t)phase, draw(key, &i, 0.75f, 1.15f));
    a->lung = draw(key, &i, -880, -790);
    a->couch_y = -(128 + a->fat_mm) - draw(key, &i, 4, 8);
    for (uint32_t k = 0; k < lattice_n; k++)
        a->lattice[k] = 2 * voco_rng_unit(key, 1024 + k) - 1;
}

/* ---- shapes: values below 1 are inside ---- */

void
voco_anatomy_organ(const struct voco_anatomy *a, enum voco_phantom_label label,
                   float centre[3], float axis[3])
{
    static const enum organ of[VOCO_PHANTOM_LABELS] = {
        [VOCO_PHANTOM_LUNG_RIGHT] = LUNG_RIGHT, [VOCO_PHANTOM_LUNG_LEFT] = LUNG_LEFT,
        [VOCO_PHANTOM_LIVER] = LIVER, [VOCO_PHANTOM_SPLEEN] = SPLEEN,
        [VOCO_PHANTOM_KIDNEY_RIGHT] = KIDNEY_RIGHT,
        [VOCO_PHANTOM_KIDNEY_LEFT] = KIDNEY_LEFT
    };

    memcpy(centre, a->centre[of[label]], 3 * sizeof *centre);
    memcpy(axis, a->axis[of[label]], 3 * sizeof *axis);
}

static float
square(float x)
{
    return x * x;
}

static float
ellipsoid(const float p[3], const float centre[3], const float axis[3])
{
    return square((p[0] - centre[0]) / axis[0]) + square((p[1] - centre[1]) / axis[1])
         + square((p[2] - centre[2]) / axis[2]);
}

static float
organ(const struct voco_anatomy *a, const float p[3], enum organ o)
{
    return ellipsoid(p, a->centre[o], a->axis[o]);
}

/* Distance from a point to the segment u-v. */
static float
segment(const float p[3], const float u[3], const float v[3])
{
    float along = 0, length = 0, sum = 0, t;

    for (int i = 0; i < 3; i++) {
        along += (p[i] - u[i]) * (v[i] - u[i]);
        length += square(v[i] - u[i]);
    }
    t = fminf(fmaxf(along / length, 0), 1);
    for (int i = 0; i < 3; i++)
        sum += square(p[i] - u[i] - t * (v[i] - u[i]));
    return sqrtf(sum);
}

/* By level z: half width and half depth of the inner body wall, and the shoulders. */
static void
wall_at(float z, float wall[3])
{
    static const float row[][4] = {
        { -330, 128, 88, 18 }, { -260, 138, 92, 16 }, { -190, 142, 92, 8 },
        { -100, 128, 90, 4 }, { -20, 134, 97, 4 }, { 60, 138, 100, 8 },
        { 130, 130, 94, 26 }, { 175, 108, 82, 62 }, { 205, 78, 66, 84 },
        { 235, 56, 56, 30 }, { 262, 50, 54, 4 }, { 330, 50, 56, 0 }
    };
    const int n = sizeof row / sizeof *row;
    int i = 0;
    float t;

    while (i < n - 2 && z > row[i + 1][0])
        i++;
    t = fminf(fmaxf((z - row[i][0]) / (row[i + 1][0] - row[i][0]), 0), 1);
    for (int k = 0; k < 3; k++)
        wall[k] = row[i][k + 1] + t * (row[i + 1][k + 1] - row[i][k + 1]);
}

/* Height of the diaphragm: a dome on either side, the right one higher. */
static float
diaphragm(float x, float y)
{
    const bool right = x > -8;
    const float u = (x - (right ? 58.0f : -62.0f)) / 88, v = (y - 2) / 100;
    const float dome = 1 - u * u - v * v;

    return -72 + (right ? 92.0f : 78.0f) * sqrtf(fmaxf(dome, 0));
}

/* ---- bones ---- */

static bool
spine_at(const float p[3], float *hu)
{
    const float level = p[2] + 1000;
    const float part = level - 30 * floorf(level / 30);     /* vertebrae every 30 mm */
    const float y = p[1] + 62 - 10 * cosf(p[2] / 90);       /* lordosis and kyphosis */
    const float body = square(p[0] / 22) + square(y / 17);
    const float canal = square(p[0] / 10) + square((y + 27) / 9);
    const float arch = square(p[0] / 17) + square((y + 27) / 15);
    const bool process = fabsf(p[0]) < 3.5f && y < -36 && y > -62 && part < 18;
    const bool wing = fabsf(y + 24) < 5 && fabsf(p[0]) < 36 && part > 5 && part < 15;

    if (canal < 1)
        *hu = 25;
    else if (body < 1 && part > 24)
        *hu = HU_DISC;
    else if (body < 1)
        *hu = body > 0.78f || part < 2 || part > 22 ? HU_CORTICAL * 0.6f : HU_MARROW;
    else if ((arch < 1 && part < 22) || process || wing)
        *hu = HU_CORTICAL * 0.6f;
    else
        return false;
    return true;
}

/* Ribs wind around the wall, falling to the front; cartilage and sternum close them. */
static bool
rib_at(const float p[3], const float wall[3], float ring, float *hu)
{
    const float shell = (ring - 1) * wall[1];
    const float front = 0.5f + 0.5f * p[1] / wall[1];
    const float level = p[2] + 62 * front + 1000;
    const float part = level - 27 * floorf(level / 27) - 13.5f;

    if (fabsf(p[0]) < 19 && p[1] > 0 && p[2] > 5 && p[2] < 155
        && fabsf(p[1] - wall[1] + 3) < 6) {
        *hu = HU_MARROW + 60;
        return true;
    }
    if (p[2] < -95 || p[2] > 185 || fabsf(p[0]) < 24 || (p[2] < -30 && front > 0.75f))
        return false;
    if (square(shell / 5) + square(part / 6.5f) >= 1)
        return false;
    *hu = front > 0.93f ? 110 : fabsf(shell) < 2.6f && fabsf(part) < 3.8f ? HU_MARROW
                                                                           : HU_RIB;
    return true;
}

/* Iliac wings as curved sheets, the sacrum, femoral heads; clavicles and scapulae. */
static bool
girdle_at(const float p[3], float *hu)
{
    const float x = fabsf(p[0]);
    const float m[3] = { x, p[1], p[2] };
    const float wing_centre[3] = { 30, 10, -232 }, wing_axis[3] = { 92, 84, 88 };
    const float hip[3] = { 92, -4, -296 };
    const float collar_in[3] = { 18, 78, 168 }, collar_out[3] = { 150, 0, 196 };
    const float blade[3] = { 96, -78, 128 }, blade_axis[3] = { 34, 5, 58 };
    const float shell = ellipsoid(m, wing_centre, wing_axis);
    const float head = segment(m, hip, hip);

    *hu = HU_RIB;
    if (p[2] < -168 && p[2] > -290 && x > 44 && p[1] < 46 && shell > 0.84f && shell < 1)
        return true;
    if (p[2] < -200 && square(p[0] / 46) + square((p[1] + 66) / 20) < 1) {
        *hu = HU_MARROW;
        return true;
    }
    if (head < 25) {
        *hu = head > 22 ? HU_CORTICAL : HU_MARROW + 120;
        return true;
    }
    return segment(m, collar_in, collar_out) < 6 || ellipsoid(m, blade, blade_axis) < 1;
}

/* ---- vessels and airways ---- */

static bool
vessel_at(const struct voco_anatomy *a, const float p[3], float *hu, uint8_t *label)
{
    const float descending = hypotf(p[0] + 17, p[1] + 36 - 10 * cosf(p[2] / 90));
    const float arch = hypotf(hypotf(p[1] + 6, p[2] - 118) - 26, p[0] + 8 + p[1] / 4);
    const float ascending = hypotf(p[0] - 2, p[1] - 20);
    const float cava = hypotf(p[0] - 24, p[1] + 30 - 12 * cosf(p[2] / 90));
    const float superior = hypotf(p[0] - 30, p[1] - 8);

    if ((descending < (p[2] > 0 ? 12.5f : 10.5f) && p[2] < 118 && p[2] > -172)
        || (arch < 12 && p[2] >= 118) || (ascending < 14 && p[2] > 62 && p[2] < 118)) {
        *label = VOCO_PHANTOM_AORTA;
        *hu = HU_BLOOD + a->aorta;
        return true;
    }
    if ((cava < 12 && p[2] < 12 && p[2] > -180)
        || (superior < 9 && p[2] > 70 && p[2] < 165)) {
        *hu = HU_BLOOD + a->blood;
        return true;
    }
    return false;
}

static bool
airway_at(const float p[3], float *hu)
{
    const float fork[3] = { 0, -12, 92 }, right[3] = { 46, -16, 58 };
    const float left[3] = { -48, -16, 62 };
    const float trachea = hypotf(p[0], p[1] + 12 - (p[2] - 92) * 0.12f);
    const float bronchi = fminf(segment(p, fork, right), segment(p, fork, left)) + 2;
    const float d = p[2] > 92 ? trachea : bronchi;

    if (d >= 11)
        return false;
    *hu = d < 8.5f ? HU_AIR : HU_SOFT;
    return true;
}

/* ---- chest ---- */

static bool
lung_at(const struct voco_anatomy *a, const float p[3], float ring, float *hu,
        uint8_t *label)
{
    const bool right = p[0] > 0;
    const enum organ side = right ? LUNG_RIGHT : LUNG_LEFT;
    float vessels;

    if (ring > 0.9f || organ(a, p, side) >= 1 || p[2] < diaphragm(p[0], p[1]))
        return false;
    /* thin ridges of the noise are branching vessels, denser towards the hilum */
    vessels = fabsf(voco_anatomy_noise(a, p, 34, 5))
            + fabsf(voco_anatomy_noise(a, p, 34, 9));
    *hu = a->lung + 40 * voco_anatomy_noise(a, p, 60, 2) - 0.25f * (p[1] + 20);
    if (vessels < 0.15f * (1 - fabsf(fabsf(p[0]) - 30) / 110))
        *hu = HU_SOFT + 0.6f * a->blood;
    *label = right ? VOCO_PHANTOM_LUNG_RIGHT : VOCO_PHANTOM_LUNG_LEFT;
    return true;
}

static bool
heart_at(const struct voco_anatomy *a, const float p[3], float *hu, uint8_t *label)
{
    /* the apex points down, left and to the front */
    const float q[3] = { p[0] + 0.35f * (p[2] - a->centre[HEART][2]), p[1],
                         p[2] - 0.25f * (p[0] - a->centre[HEART][0]) };
    const float d = organ(a, q, HEART);
    const float septum = (q[0] - a->centre[HEART][0]) + 0.6f * (q[1] - 34);

    if (d >= 1.12f || p[2] < diaphragm(p[0], p[1]) - 2)
        return false;
    if (d >= 1) {
        *hu = HU_FAT + 20;
        return true;
    }
    *label = VOCO_PHANTOM_HEART;
    *hu = HU_SOFT + 0.45f * a->blood;
    if (organ(a, q, VENTRICLE) < 1)
        *hu = HU_BLOOD + 0.55f * (a->blood + a->aorta);
    else if (d < 0.72f && septum > 8)
        *hu = HU_BLOOD + a->blood;
    return true;
}

/* ---- abdomen ---- */

static bool
kidney_at(const struct voco_anatomy *a, const float p[3], float *hu, uint8_t *label)
{
    for (int o = KIDNEY_RIGHT; o <= KIDNEY_LEFT; o++) {
        const float side = o == KIDNEY_RIGHT ? 1 : -1;
        const float *c = a->centre[o];
        const float q[3] = { p[0] + side * 0.22f * (p[2] - c[2]), p[1], p[2] };
        const float d = ellipsoid(q, c, a->axis[o]);
        const float hilum[3] = { c[0] - side * 20, c[1] + 8, c[2] };
        const float hilum_axis[3] = { 15, 12, 20 };

        if (d >= 1)
            continue;
        if (ellipsoid(q, hilum, hilum_axis) < 1) {
            *hu = HU_FAT + 30;
            return true;
        }
        *label = o == KIDNEY_RIGHT ? VOCO_PHANTOM_KIDNEY_RIGHT : VOCO_PHANTOM_KIDNEY_LEFT;
        *hu = HU_KIDNEY + a->cortex * (d > 0.55f ? 1 : 0.72f);
        return true;
    }
    return false;
}

static bool
liver_at(const struct voco_anatomy *a, const float p[3], float *hu, uint8_t *label)
{
    /* the lower edge climbs towards the thin left lobe */
    const float lower = -128 + 0.72f * fmaxf(0, 84 - p[0]);
    const float ridge = fabsf(voco_anatomy_noise(a, p, 62, 3))
                      + fabsf(voco_anatomy_noise(a, p, 62, 11));

    if (organ(a, p, LIVER) >= 1 || p[2] > diaphragm(p[0], p[1]) - 5 || p[2] < lower)
        return false;
    *label = VOCO_PHANTOM_LIVER;
    *hu = HU_LIVER + a->liver + 4 * voco_anatomy_noise(a, p, 30, 4);
    if (ridge < 0.085f)
        *hu = HU_BLOOD + a->blood;
    return true;
}

/* Hollow organs: gas rises to the front, the rest is fluid or stool, the wall is soft. */
static float
hollow(const struct voco_anatomy *a, const float p[3], float d, float gas_above)
{
    if (d > 0.8f)
        return HU_SOFT + 0.3f * a->liver;
    if (p[1] > gas_above)
        return HU_AIR + 20;
    return HU_FLUID + 35 * voco_anatomy_noise(a, p, 16, 6);
}

static bool
bowel_at(const struct voco_anatomy *a, const float p[3], float *hu)
{
    const float wave = 5 * sinf(p[2] / 9), side = fabsf(p[0]);
    const float colon = hypotf(side - 104 - 0.15f * wave, p[1] + 6) / (21 + 0.6f * wave);
    const float loop = organ(a, p, COLON_LOOP);
    const float small = voco_anatomy_noise(a, p, 44, 7);

    if (colon < 1 && p[2] < -70 && p[2] > -216) {
        *hu = hollow(a, p, colon, -4 + 14 * voco_anatomy_noise(a, p, 70, 8));
        return true;
    }
    if (loop < 1) {
        *hu = hollow(a, p, loop, a->centre[COLON_LOOP][1] + 4);
        return true;
    }
    if (side < 92 && p[1] > -22 && p[1] < 76 && p[2] < -100 && p[2] > -236
        && fabsf(small) > 0.13f) {
        *hu = fabsf(small) > 0.62f && p[1] > 30 ? HU_AIR + 60
                                                 : HU_SOFT - 12 + 0.4f * a->liver;
        return true;
    }
    return false;
}

static bool
abdomen_at(const struct voco_anatomy *a, const float p[3], float *hu, uint8_t *label)
{
    const float psoas = hypotf((fabsf(p[0]) - 40) / 19, (p[1] + 58) / 19);
    float d;

    if (kidney_at(a, p, hu, label))
        return true;
    if ((d = organ(a, p, GALL)) < 1) {
        *hu = HU_FLUID;
        return true;
    }
    if (organ(a, p, SPLEEN) < 1 && p[2] < diaphragm(p[0], p[1]) - 4) {
        *label = VOCO_PHANTOM_SPLEEN;
        *hu = HU_SPLEEN + a->spleen;
        return true;
    }
    if (liver_at(a, p, hu, label))
        return true;
    if ((d = organ(a, p, STOMACH)) < 1 && p[2] < diaphragm(p[0], p[1]) - 4) {
        *label = VOCO_PHANTOM_STOMACH;
        *hu = hollow(a, p, d, a->centre[STOMACH][1] + 12);
        return true;
    }
    if ((d = organ(a, p, BLADDER)) < 1) {
        *hu = d > 0.85f ? HU_SOFT : HU_FLUID;
        return true;
    }
    if (psoas < 1 && p[2] < -90 && p[2] > -230) {
        *hu = HU_MUSCLE;
        return true;
    }
    return bowel_at(a, p, hu);
}

/* ---- the body ---- */

static float
couch_at(const struct voco_anatomy *a, const float p[3])
{
    const float surface = a->couch_y + square(p[0]) / 1100;     /* a shallow trough */
    const float below = surface - p[1];

    if (fabsf(p[0]) > 215 || below < 0 || below > 26)
        return HU_AIR;
    return below < 2.5f || below > 23 ? -180 : HU_COUCH;
}

/* Skin, fat and muscle outside the inner wall. */
static float
layers_at(const struct voco_anatomy *a, const float p[3], float depth)
{
    const float texture = voco_anatomy_noise(a, p, 22, 1);
    const bool back = p[1] < -48 && fabsf(p[0]) < 78;
    const float fat = back ? 0.45f * a->fat_mm : a->fat_mm;

    if (depth < 2.2f)
        return HU_SKIN;
    if (depth < fat + 2 + 1.5f * texture)
        return HU_FAT + 8 * texture;
    return fabsf(texture) < 0.05f ? HU_FAT + 50 : HU_MUSCLE + 6 * texture;
}

static float
inside_at(const struct voco_anatomy *a, const float p[3], float ring, uint8_t *label)
{
    float hu;

    if (ring > 0.94f)
        return HU_MUSCLE;
    if (vessel_at(a, p, &hu, label))
        return hu;
    if (p[2] > 40 && airway_at(p, &hu))
        return hu;
    if (heart_at(a, p, &hu, label) || lung_at(a, p, ring, &hu, label))
        return hu;
    if (p[2] < 30 && abdomen_at(a, p, &hu, label))
        return hu;
    if (p[2] > 195)
        return HU_MUSCLE;
    return HU_FAT + 12 * voco_anatomy_noise(a, p, 24, 1);
}

void
voco_anatomy_frame(const struct voco_anatomy *a, const float mm[3], float p[3])
{
    for (int i = 0; i < 3; i++)
        p[i] = a->rotation[i][0] * (mm[0] - a->shift[0])
             + a->rotation[i][1] * (mm[1] - a->shift[1])
             + a->rotation[i][2] * (mm[2] - a->shift[2]);
    for (int i = 0; i < 3; i++)
        p[i] /= a->scale[i];
}

/* Of the mean patient in this body; p: the point in the canonical frame. */
static float
body_at(const struct voco_anatomy *a, const float mm[3], float p[3], uint8_t *ret_label)
{
    float wall[3], hu, ring, skin, half[2], u, v;

    *ret_label = VOCO_PHANTOM_NONE;
    voco_anatomy_frame(a, mm, p);
    hu = couch_at(a, p);
    if (p[1] < -200 || fabsf(p[0]) > 260)
        return hu;
    for (int i = 0; i < 3; i++)
        p[i] += a->bend_mm * voco_anatomy_noise(a, mm, 180, 20 + i);
    wall_at(p[2], wall);
    half[0] = wall[0] + 12 + wall[2] + a->fat_mm;
    half[1] = wall[1] + 18 + 0.8f * a->fat_mm;
    u = square(p[0] / half[0]);
    v = square((p[1] + 9) / half[1]);
    skin = sqrtf(sqrtf(u * u + v * v + 1.1f * u * v));      /* a rounded rectangle */
    if (skin >= 1)
        return hu;
    ring = sqrtf(square(p[0] / wall[0]) + square(p[1] / wall[1]));
    if (spine_at(p, &hu)) {
        *ret_label = VOCO_PHANTOM_SPINE;
        return hu;
    }
    if (rib_at(p, wall, ring, &hu) || girdle_at(p, &hu)) {
        *ret_label = VOCO_PHANTOM_BONES;
        return hu;
    }
    if (ring > 1)
        return layers_at(a, p, (1 - skin) * half[1]);
    return inside_at(a, p, ring, ret_label);
}

float
voco_anatomy_at(const struct voco_anatomy *a, const float mm[3], uint8_t *ret_label)
{
    float p[3], hu = body_at(a, mm, p, ret_label);

    if (a->patients)
        hu = voco_patient_at(a, p, hu, ret_label);
    if (a->parts)
        *ret_label = voco_phantom_part(p, *ret_label);
    return hu;
}
