/*
 * The output of `voco info` for one path: rows for people and for programs.
 *
 * Each row is given once, as a value and as words, so that the text and the JSON cannot
 * disagree.
 */
#ifndef VOCO_CMD_INFO_H
#define VOCO_CMD_INFO_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct voco_info {
    json_t *json;           /* object */
    struct voco_info_line { char *name, *words; } *row;
    int n, capacity;
};

struct voco_info_options {
    bool list;              /* name every member: volumes of a store, tensors, ... */
    bool voxels;            /* read volumes whole, for their intensities */
};

/* A row: value goes into the JSON object and is given away (NULL: none), the words behind
 * the name (fmt NULL: none). */
void voco_info_row(struct voco_info *info, const char *name, json_t *value,
                   const char *fmt, ...) VOCO_PRINTF(4, 5);

/* The rows as text, or all of it as a line of JSON; after an error, only the JSON, with
 * the sentence as "error". */
void voco_info_print(const char *path, struct voco_info *info, enum voco_err err,
                     bool as_json);
void voco_info_free(struct voco_info *info);        /* accepts {0} */

/* Text as JSON; bytes that are not UTF-8 become '?'. */
json_t *voco_info_text(const char *text);
json_t *voco_info_real(double v);           /* null when it is not finite */
json_t *voco_info_ints(const int64_t *v, int n);
json_t *voco_info_reals(const double *v, int n);

/* 1234567 -> "1.23 M"; writes at most 16 bytes to buf and returns it. */
const char *voco_info_count(double n, char buf[16]);

/* One function per kind of thing. */
enum voco_err voco_info_volume(const char *path, const struct voco_info_options *o,
                               struct voco_info *info);
enum voco_err voco_info_list(const char *path, const struct voco_info_options *o,
                             struct voco_info *info);
enum voco_err voco_info_store(const char *path, const struct voco_info_options *o,
                              struct voco_info *info);
enum voco_err voco_info_weights(const char *path, const struct voco_info_options *o,
                                struct voco_info *info);
enum voco_err voco_info_checkpoint(const char *path, const struct voco_info_options *o,
                                   struct voco_info *info);
enum voco_err voco_info_run(const char *path, const struct voco_info_options *o,
                            struct voco_info *info);

/* Bytes of the plain files in a folder, not below it. */
double voco_info_folder_bytes(const char *path);

#endif
