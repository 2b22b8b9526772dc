/*
 * Files of JSON.
 */
#ifndef VOCO_BASE_JSON_H
#define VOCO_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* Enough for every file that describes a run, a network or a task; lists may be longer. */
enum { VOCO_JSON_BYTES = 1 << 24 };

/* The object or array in a file of at most max_bytes, which may begin with a byte order
 * mark.  flags: of jansson, as JSON_REJECT_DUPLICATES.  VOCO_EIO, VOCO_EFORMAT with line and
 * column, and *ret is NULL.  json_decref *ret. */
enum voco_err voco_json_read(const char *path, size_t max_bytes, size_t flags, json_t **ret);

#endif
