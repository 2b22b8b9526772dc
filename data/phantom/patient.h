/*
 * The person inside a phantom: an age that tissues show, a lesion, and the names of the
 * parts of organs.  Internal to data/phantom.
 */
#ifndef VOCO_DATA_PHANTOM_PATIENT_H
#define VOCO_DATA_PHANTOM_PATIENT_H

#include <stdint.h>

#include "base/rng.h"
#include "data/phantom/phantom.h"

struct voco_anatomy;

struct voco_patient {
    float age;                              /* years, 20 to 90 */
    enum voco_phantom_label host;           /* organ of the lesion; NONE: there is none */
    float centre[3], radius;                /* of the lesion, canonical mm */
};

/* Draws them, once the organs have their places.  lesions: probability of one. */
void voco_patient_draw(struct voco_anatomy *a, const struct voco_rng_key *key,
                       double lesions);

/* What age and lesion make of tissue of this label at p, in the canonical frame. */
float voco_patient_at(const struct voco_anatomy *a, const float p[3], float hu,
                      uint8_t *label);

/* The label of the part of an organ: lobes of the lungs and vertebrae; others stay. */
uint8_t voco_phantom_part(const float p[3], uint8_t label);

/* The number of the vertebra at this height, as a real number: 1 is the middle of the
 * lowest. */
double voco_phantom_level(float z);

#endif
