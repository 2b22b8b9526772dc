/*
 * The record of a step: numbers with names, in the order of metrics.jsonl.
 */
#ifndef VOCO_TRAIN_RECORD_H
#define VOCO_TRAIN_RECORD_H

#include "report/metrics.h"

enum { VOCO_RECORD_ROWS = 320, VOCO_RECORD_NAME = 32 };

struct voco_record {
    struct voco_metric row[VOCO_RECORD_ROWS];
    char name[VOCO_RECORD_ROWS][VOCO_RECORD_NAME];
    int n;
    char words[96];             /* for the progress line; empty: none */
};

void voco_record_clear(struct voco_record *record);

/* The name is formatted. */
void voco_record_add(struct voco_record *record, double value, const char *name, ...)
    VOCO_PRINTF(3, 4);

/* The rows of more behind those of record. */
void voco_record_append(struct voco_record *record, const struct voco_record *more);

#endif
