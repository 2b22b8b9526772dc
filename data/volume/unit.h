/*
 * Units of length as text headers spell them.
 */
#ifndef VOCO_DATA_VOLUME_UNIT_H
#define VOCO_DATA_VOLUME_UNIT_H

#include <stdbool.h>

/* Millimetres in one of name[0..n): "mm", "um", "Micrometers", ...; false for others. */
bool voco_length_unit(const char *name, int n, double *ret_mm);

#endif
