/* Rows of a step's log. */
#include "train/record.h"

#include <stdarg.h>
#include <stdio.h>

void
voco_record_clear(struct voco_record *record)
{
    record->n = 0;
    record->words[0] = '\0';
}

void
voco_record_add(struct voco_record *record, double value, const char *name, ...)
{
    char *to = record->name[record->n];
    va_list ap;

    VOCO_ASSERT(record->n < VOCO_RECORD_ROWS);
    va_start(ap, name);
    vsnprintf(to, VOCO_RECORD_NAME, name, ap);
    va_end(ap);
    record->row[record->n++] = (struct voco_metric){ to, value };
}

void
voco_record_append(struct voco_record *record, const struct voco_record *more)
{
    for (int i = 0; i < more->n; i++)
        voco_record_add(record, more->row[i].value, "%s", more->row[i].name);
}
