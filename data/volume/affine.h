/*
 * Affine maps from voxel index to millimetres: 4x4, last row 0 0 0 1.
 */
#ifndef VOCO_DATA_VOLUME_AFFINE_H
#define VOCO_DATA_VOLUME_AFFINE_H

#include <stdbool.h>

void voco_affine_identity(double out[4][4]);

/* out = a b.  out may be a or b. */
void voco_affine_mul(const double a[4][4], const double b[4][4], double out[4][4]);

/* out = a^-1; false, and out untouched, when a is singular or not finite.  out may be a. */
bool voco_affine_invert(const double a[4][4], double out[4][4]);

/* Lengths of the first three columns: millimetres per voxel. */
void voco_affine_spacing(const double a[4][4], double mm[3]);

/* Determinant of the linear part. */
double voco_affine_det(const double a[4][4]);

#endif
