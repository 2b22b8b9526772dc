/*
 * A watch measures the network while it trains: before the first step, before every so many
 * steps, and at the end.  It changes nothing that the run computes; its numbers are members of
 * the steps' lines in metrics.jsonl.
 */
#ifndef VOCO_TRAIN_WATCH_H
#define VOCO_TRAIN_WATCH_H

#include "model/model.h"
#include "train/record.h"

struct voco_run_config;
struct voco_run;

struct voco_watch {
    /* The data of config->probe.  close accepts NULL. */
    enum voco_err (*open)(const struct voco_run_config *config, void **work);
    void (*close)(void *work);
    /* Memory that measuring takes besides that of a step. */
    double (*bytes)(void *work, const struct voco_model_config *model);
    /* Adds numbers to the record, and words for a line of news.  VOCO_ESTOPPED when a signal
     * came. */
    enum voco_err (*measure)(void *work, struct voco_ctx *ctx, const struct voco_model *model,
                             struct voco_record *record);
};

/* The watch of the run's settings, if they have one and its data; r->watching. */
enum voco_err voco_watch_open(struct voco_run *r);
void voco_watch_close(struct voco_run *r);

/* Is the watch due before this step, or, at the number of steps, at the end? */
bool voco_watch_due(const struct voco_run *r, int64_t step);
enum voco_err voco_watch_measure(struct voco_run *r, int64_t step);

#endif
