/*
 * The results of probes of cases as files, each whole or absent.
 */
#ifndef VOCO_TASK_PROBE_CASES_WRITE_H
#define VOCO_TASK_PROBE_CASES_WRITE_H

#include "task/probe/cases.h"

/* Everything, with NaN as null. */
enum voco_err voco_probe_json(const char *path, const struct voco_probe *p);
/* A line for each score: column,kind,features,probe,metric,value,low,high,... */
enum voco_err voco_probe_scores_csv(const char *path, const struct voco_probe *p);
/* A line for each case and probe: column,kind,features,probe,id,patient,fold,truth,predicted. */
enum voco_err voco_probe_predictions_csv(const char *path, const struct voco_probe *p);
/* One page that needs nothing besides itself. */
enum voco_err voco_probe_html(const char *path, const struct voco_probe *p);

#endif
