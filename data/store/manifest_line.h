/*
 * Lines of manifest.jsonl, as a struct and as checked JSON.
 */
#ifndef VOCO_DATA_STORE_MANIFEST_LINE_H
#define VOCO_DATA_STORE_MANIFEST_LINE_H

#include <stddef.h>

#include "base/err.h"
#include "data/store/store.h"

struct voco_line {
    struct voco_store_entry entry;  /* strings are owned; reason NULL: stored */
    int shard, slot;                /* of a stored volume */
};

/* The first line of a manifest: properties of the whole store. */
struct voco_header {
    enum voco_store_type type;
    int chunk;
    char **class_name;              /* of labels 0, 1, ...; owned; may be NULL */
    int n_classes;
};
enum voco_err voco_header_copy_classes(struct voco_header *h, const char *const *name,
                                       int n);
void voco_header_free(struct voco_header *h);       /* accepts {0} */

/* The text of a line, with checksum and newline; NULL without memory. */
char *voco_line_text(const struct voco_line *line);
char *voco_header_text(const struct voco_header *h);

/* text[0..n) is a line without its newline.  Sentences do not name the file. */
enum voco_err voco_line_parse(const char *text, size_t n, struct voco_line **ret);
enum voco_err voco_header_parse(const char *text, size_t n, struct voco_header *ret);

/* A copy with strings of its own, made valid UTF-8 if need be. */
enum voco_err voco_line_copy(const struct voco_store_entry *entry, const char *reason,
                             struct voco_line **ret);
void voco_line_free(struct voco_line *line);        /* accepts NULL */

/* A copy in which bytes that are not UTF-8 became '?'; NULL without memory.  text may be
 * NULL, which is "". */
char *voco_utf8_copy(const char *text);

#endif
