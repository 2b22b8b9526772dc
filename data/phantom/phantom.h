/*
 * Torso-like CT phantoms: a body with lungs, heart, liver, spleen, kidneys, stomach,
 * bowel, vessels, spine, ribs and pelvis on a couch, in HU, with labels.
 *
 * The anatomy is one set of smooth shapes in patient millimetres; each phantom bends,
 * scales and enhances them by its own numbers, all drawn from (seed, index), so that the
 * same pair gives the same voxels on any machine and with any number of threads.
 *
 * Organs differ by texture.  Lobes and vertebrae differ by their place alone, and lesions,
 * age and level are facts about a case: tasks that show whether features know more than
 * texture.
 */
#ifndef VOCO_DATA_PHANTOM_PHANTOM_H
#define VOCO_DATA_PHANTOM_PHANTOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "data/volume/volume.h"

enum voco_phantom_label {
    VOCO_PHANTOM_NONE,
    VOCO_PHANTOM_LUNG_RIGHT,
    VOCO_PHANTOM_LUNG_LEFT,
    VOCO_PHANTOM_HEART,
    VOCO_PHANTOM_LIVER,
    VOCO_PHANTOM_SPLEEN,
    VOCO_PHANTOM_KIDNEY_RIGHT,
    VOCO_PHANTOM_KIDNEY_LEFT,
    VOCO_PHANTOM_STOMACH,
    VOCO_PHANTOM_AORTA,
    VOCO_PHANTOM_SPINE,
    VOCO_PHANTOM_BONES,         /* ribs, sternum, pelvis */
    VOCO_PHANTOM_LESION,        /* of patients */
    VOCO_PHANTOM_LOBES,         /* parts: of the lungs, right upper, middle, lower, left
                                 * upper, lower */
    VOCO_PHANTOM_VERTEBRAE = VOCO_PHANTOM_LOBES + 5,    /* the lowest, and 18 above it */
    VOCO_PHANTOM_LABELS = VOCO_PHANTOM_VERTEBRAE + 19
};
extern const char *const voco_phantom_label_name[];     /* NULL-terminated */

struct voco_phantom_options {
    uint64_t seed;
    uint32_t index;
    int64_t dim[3];
    double spacing_mm[3];
    bool parts;                 /* labels of lobes and vertebrae instead of lungs and spine */
    bool patients;              /* an age, and perhaps a lesion: another image than without */
    double lesions;             /* share of patients with a lesion */
    int scanners;               /* with other kernels, noise and scales; 0: as if there were
                                 * one without a name */
};

/* The facts about a phantom that are true of the whole volume. */
struct voco_phantom_case {
    double age;                 /* years; NaN without patients.  Marrow, aorta and lungs show
                                 * it */
    int scanner;                /* 0 to scanners - 1 */
    const char *region;         /* "chest", "abdomen", "pelvis": of the middle slice */
    double level;               /* vertebra of the middle slice: 1 is the middle of the
                                 * lowest */
    double lesion_ml;           /* that can be seen; 0: none */
    enum voco_phantom_label lesion_organ;       /* VOCO_PHANTOM_NONE where lesion_ml is 0 */
};

/* Axes run to the left, to the back and up, as scanners write them.  Both volumes are
 * allocated; ret_labels and ret_case may be NULL. */
enum voco_err voco_phantom_make(const struct voco_phantom_options *o,
                                struct voco_volume *ret_image,
                                struct voco_volume *ret_labels,
                                struct voco_phantom_case *ret_case);

#endif
