/*
 * The results of an evaluation as files: JSON, CSV, and one HTML page that needs nothing
 * besides itself.  Each is whole or absent.
 */
#ifndef VOCO_EVAL_WRITE_H
#define VOCO_EVAL_WRITE_H

#include "base/err.h"
#include "eval/evaluate.h"

/* The contents of a page. */
struct voco_eval_page {
    const struct voco_eval_options *o;
    const struct voco_eval *e;
    const char *against;                /* the other prediction; NULL: none */
    const struct voco_eval_paired *paired;      /* with it; NULL: none */
    const char *images;                 /* folder or list, by id, for the slices; or NULL */
    int overlays;                       /* cases shown as a slice, the worst first */
};

/* Everything, with NaN as null. */
enum voco_err voco_eval_json(const char *path, const struct voco_eval_page *page);

/* A line per case and class: id,class,name,dice,hd95_mm,...; nothing where a score is not
 * defined. */
enum voco_err voco_eval_csv(const char *path, const struct voco_eval_page *page);

enum voco_err voco_eval_html(const char *path, const struct voco_eval_page *page);

#endif
