/* Age, lesions and parts of phantoms. */
#include "data/phantom/patient.h"

#include <math.h>

#include "data/phantom/anatomy.h"

enum { FIRST_DRAW = 40000, VERTEBRA_MM = 30, LOWEST_LEVEL = 23, VERTEBRAE = 19 };

/* An organ that may have a lesion: its radius in mm and its intensity. */
static const struct kind {
    enum voco_phantom_label host;
    float least, most, hu;
} kinds[] = {
    { VOCO_PHANTOM_LUNG_RIGHT, 4, 14, 35 }, { VOCO_PHANTOM_LUNG_LEFT, 4, 14, 35 },
    { VOCO_PHANTOM_LIVER, 7, 24, 25 },
    { VOCO_PHANTOM_KIDNEY_RIGHT, 7, 18, 8 }, { VOCO_PHANTOM_KIDNEY_LEFT, 7, 18, 8 },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

void
voco_patient_draw(struct voco_anatomy *a, const struct voco_rng_key *key, double lesions)
{
    struct voco_patient *t = &a->patient;
    const struct kind *kind = &kinds[voco_rng_below(key, FIRST_DRAW, KINDS)];
    float centre[3], axis[3];

    t->age = 20 + 70 * voco_rng_unit(key, FIRST_DRAW + 1);
    t->host = (double)voco_rng_unit(key, FIRST_DRAW + 2) < lesions ? kind->host
                                                                   : VOCO_PHANTOM_NONE;
    t->radius = kind->least + (kind->most - kind->least) * voco_rng_unit(key, FIRST_DRAW + 3);
    voco_anatomy_organ(a, kind->host, centre, axis);
    for (uint32_t i = 0; i < 3; i++)
        t->centre[i] = centre[i]
                       + 0.5f * axis[i] * (2 * voco_rng_unit(key, FIRST_DRAW + 4 + i) - 1);
}

/* A ball with a wavy surface. */
static bool
in_lesion(const struct voco_anatomy *a, const float p[3])
{
    const struct voco_patient *t = &a->patient;
    float d = 0;

    for (int i = 0; i < 3; i++)
        d += (p[i] - t->centre[i]) * (p[i] - t->centre[i]);
    if (d > 1.5f * 1.5f * t->radius * t->radius)
        return false;
    return sqrtf(d) < t->radius * (1 + 0.3f * voco_anatomy_noise(a, p, 12, 30));
}

static float
lesion_hu(enum voco_phantom_label host)
{
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].host == host)
            return kinds[i].hu;
    return 0;
}

/* With age marrow loses density, the aorta calcifies and the lungs get holes. */
static float
aged(const struct voco_anatomy *a, const float p[3], float hu, uint8_t label)
{
    const float old = (a->patient.age - 20) / 70;

    switch (label) {
    case VOCO_PHANTOM_SPINE:
    case VOCO_PHANTOM_BONES:
        return hu > 100 ? hu * (1.3f - 0.6f * old) : hu;
    case VOCO_PHANTOM_AORTA:
        return voco_anatomy_noise(a, p, 11, 31) > 0.75f - 0.4f * old ? 620 : hu;
    case VOCO_PHANTOM_LUNG_RIGHT:
    case VOCO_PHANTOM_LUNG_LEFT:
        return voco_anatomy_noise(a, p, 26, 32) > 0.75f - 0.45f * old ? fminf(hu, -960) : hu;
    default:
        return hu;
    }
}

float
voco_patient_at(const struct voco_anatomy *a, const float p[3], float hu, uint8_t *label)
{
    const enum voco_phantom_label host = a->patient.host;

    if (host != VOCO_PHANTOM_NONE && *label == host && in_lesion(a, p)) {
        *label = VOCO_PHANTOM_LESION;
        return lesion_hu(host);
    }
    return aged(a, p, hu, *label);
}

/* ---- parts ---- */

double
voco_phantom_level(float z)
{
    return ((double)z + 1000) / VERTEBRA_MM - LOWEST_LEVEL + 0.5;
}

/* The oblique fissure falls from the back to the front, the horizontal one is the right
 * lung's alone. */
static int
lobe(const float p[3], bool right)
{
    const bool lower = p[2] < 60 - 0.9f * p[1];

    if (!right)
        return lower ? 4 : 3;
    return lower ? 2 : p[2] < 62 ? 1 : 0;
}

uint8_t
voco_phantom_part(const float p[3], uint8_t label)
{
    const int level = (int)floor(voco_phantom_level(p[2]) - 0.5);

    switch (label) {
    case VOCO_PHANTOM_LUNG_RIGHT:
    case VOCO_PHANTOM_LUNG_LEFT:
        return (uint8_t)(VOCO_PHANTOM_LOBES + lobe(p, label == VOCO_PHANTOM_LUNG_RIGHT));
    case VOCO_PHANTOM_SPINE:
        return (uint8_t)(VOCO_PHANTOM_VERTEBRAE
                         + (level < 0 ? 0 : level < VERTEBRAE ? level : VERTEBRAE - 1));
    default:
        return label;
    }
}
