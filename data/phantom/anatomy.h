/*
 * The anatomy of a phantom: tissue and label at a point.  Internal to data/phantom/phantom.c.
 *
 * Canonical frame in millimetres: x to the patient's right, y to the front, z up; the
 * origin lies in the middle of the body at the level of the diaphragm.
 */
#ifndef VOCO_DATA_PHANTOM_ANATOMY_H
#define VOCO_DATA_PHANTOM_ANATOMY_H

#include <stdint.h>

#include "base/rng.h"
#include "data/phantom/patient.h"

enum { VOCO_ORGANS = 12, VOCO_LATTICE = 32 };

struct voco_anatomy {
    /* pose and size */
    float rotation[3][3], scale[3], shift[3];
    float bend_mm;              /* amplitude of the smooth deformation */
    float fat_mm;               /* under the skin */
    float centre[VOCO_ORGANS][3], axis[VOCO_ORGANS][3];
    /* contrast agent, in HU added to tissue */
    float blood, aorta, liver, spleen, cortex;
    float lung;                 /* HU of lung tissue */
    float couch_y;              /* canonical height of the couch's surface */
    bool parts;                 /* labels of lobes and vertebrae */
    bool patients;
    struct voco_patient patient;
    float lattice[VOCO_LATTICE * VOCO_LATTICE * VOCO_LATTICE];  /* of smooth noise */
};

void voco_anatomy_init(struct voco_anatomy *a, const struct voco_rng_key *key);

/* Centre and semi-axes of an organ, in the canonical frame: of the lungs, the liver, the
 * spleen and the kidneys. */
void voco_anatomy_organ(const struct voco_anatomy *a, enum voco_phantom_label label,
                        float centre[3], float axis[3]);

/* Patient millimetres in the canonical frame, without the smooth deformation. */
void voco_anatomy_frame(const struct voco_anatomy *a, const float mm[3], float p[3]);

/* Patient millimetres -> HU and label. */
float voco_anatomy_at(const struct voco_anatomy *a, const float mm[3],
                      uint8_t *ret_label);

/* Smooth noise in about [-1,1] with this wavelength; channel picks an independent one. */
float voco_anatomy_noise(const struct voco_anatomy *a, const float mm[3],
                         float wavelength_mm, int channel);

#endif
