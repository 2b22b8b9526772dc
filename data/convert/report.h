/*
 * What a convert prints on the standard output: the plans of a dry run, the summary.
 */
#ifndef VOCO_DATA_CONVERT_REPORT_H
#define VOCO_DATA_CONVERT_REPORT_H

#include "data/convert/convert.h"

/* A line for each volume.  VOCO_EREJECTED, VOCO_EFORMAT: some or all would be rejected. */
enum voco_err voco_convert_show_plans(const struct voco_datalist *list,
                                      const struct voco_convert_options *o);

/* How many volumes were stored, how many were rejected and why, what was clipped, and what
 * the store is now. */
void voco_convert_print_summary(const struct voco_datalist *list,
                                const struct voco_convert_options *o,
                                const struct voco_convert_result *r, double seconds);

#endif
