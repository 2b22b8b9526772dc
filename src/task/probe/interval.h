/*
 * Bootstrap intervals of probes, and numbers in their JSON.
 */
#ifndef VOCO_TASK_PROBE_INTERVAL_H
#define VOCO_TASK_PROBE_INTERVAL_H

#include <jansson.h>
#include <stdint.h>

/* weight[n]: how often a replicate draws each case.  It draws so many groups (patients) with
 * replacement, and each with all of its cases; group[n] is in 0..groups-1. */
void voco_probe_draw(uint64_t seed, int replicate, const int *group, int n, int groups,
                     double *weight);

/* The percentiles 2.5 and 97.5 of x[n], or of x - minus, without values that are no numbers;
 * NaN where nothing is left. */
void voco_probe_interval(const double *x, const double *minus, int n, double *ret_low,
                         double *ret_high);

/* null for NaN and infinity. */
json_t *voco_probe_number(double x);

#endif
