/* Text lists (one path a line) and CSV tables with the header image[,label][,class]. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/headtext.h"
#include "data/dataset/listing.h"

enum { LIST_MAX = 1 << 30, COLUMNS_MAX = 256 };

/* The whole list, without a byte order mark; a 0 byte in it is an error. */
static enum voco_err
read_text(const char *path, char **ret, size_t *ret_n)
{
    const enum voco_err err = voco_file_read(path, LIST_MAX, ret, ret_n);

    if (err != VOCO_OK)
        return err;
    if (strlen(*ret) != *ret_n) {
        free(*ret);
        *ret = NULL;
        return voco_fail(VOCO_EFORMAT, "%s: a 0 byte in a text list", path);
    }
    if (strncmp(*ret, "\xef\xbb\xbf", 3) == 0) {
        *ret_n -= 3;
        memmove(*ret, *ret + 3, *ret_n + 1);
    }
    return VOCO_OK;
}

enum voco_err
voco_listing_text(struct voco_listing *l)
{
    const int before = l->list->n;
    char *text, *line, *next;
    size_t n;
    const enum voco_err err = read_text(l->path, &text, &n);

    if (err != VOCO_OK)
        return err;
    if (l->options->dataset == NULL) {
        free(l->dataset);
        l->dataset = voco_stem(l->path);
        l->dataset[strcspn(l->dataset, ".")] = '\0';
    }
    for (line = text; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        line = voco_trim(line);
        if (*line != '\0' && *line != '#')
            voco_listing_push(l, voco_listing_path(l, line), NULL);
    }
    free(text);
    if (l->list->n == before)
        return voco_fail(VOCO_EFORMAT, "%s: the list names no volume", l->path);
    return VOCO_OK;
}

/* ---- CSV, RFC 4180 ---- */

struct csv {
    const char *path;
    char *at;                   /* next byte */
    int line;                   /* of the record being read, from 1 */
    int next_line;
    char delimiter;
    char *cell[COLUMNS_MAX];    /* of the record, into the text */
    int n;
};

/* One cell, unquoted in place; *ret_last: the record ends behind it. */
static enum voco_err
read_cell(struct csv *c, bool *ret_last)
{
    char *from = c->at, *to = c->at;
    const bool quoted = *from == '"';

    if (c->n == COLUMNS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s:%d: more than %d columns", c->path, c->line,
                         COLUMNS_MAX);
    c->cell[c->n++] = to;
    if (quoted) {
        for (from++; *from != '\0' && (*from != '"' || from[1] == '"'); from++) {
            from += *from == '"';
            c->next_line += *from == '\n';
            *to++ = *from;
        }
        if (*from != '"')
            return voco_fail(VOCO_EFORMAT, "%s:%d: a quote is not closed", c->path,
                             c->line);
        from++;
    }
    while (*from != '\0' && *from != c->delimiter && *from != '\n' && *from != '\r')
        *to++ = *from++;
    if (*from == '\r')
        from++;
    *ret_last = *from != c->delimiter;
    c->next_line += *from == '\n';
    c->at = *from != '\0' ? from + 1 : from;
    *to = '\0';
    return VOCO_OK;
}

static enum voco_err
read_record(struct csv *c)
{
    enum voco_err err = VOCO_OK;
    bool last = false;

    c->line = c->next_line;
    c->n = 0;
    while (err == VOCO_OK && !last)
        err = read_cell(c, &last);
    for (int i = 0; i < c->n; i++)
        c->cell[i] = voco_trim(c->cell[i]);
    return err;
}

static int
column(const struct csv *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcasecmp(c->cell[i], name) == 0)
            return i;
    return -1;
}

static enum voco_err
take_record(struct voco_listing *l, const struct csv *c, int columns, const int at[3])
{
    const char *value[3] = {NULL, NULL, NULL};
    struct voco_item *item;

    if (c->n == 1 && c->cell[0][0] == '\0')
        return VOCO_OK;                         /* an empty line */
    if (c->n != columns)
        return voco_fail(VOCO_EFORMAT, "%s:%d: %d columns, the header has %d", c->path,
                         c->line, c->n, columns);
    for (int i = 0; i < 3; i++)
        if (at[i] >= 0 && c->cell[at[i]][0] != '\0')
            value[i] = c->cell[at[i]];
    if (value[0] == NULL)
        return voco_fail(VOCO_EFORMAT, "%s:%d: no image", c->path, c->line);
    item = voco_listing_push(l, voco_listing_path(l, value[0]),
                             value[1] != NULL ? voco_listing_path(l, value[1]) : NULL);
    if (value[2] != NULL)
        item->class_name = voco_format("%s", value[2]);
    return VOCO_OK;
}

enum voco_err
voco_listing_csv(struct voco_listing *l)
{
    struct csv c = {.path = l->path, .next_line = 1, .delimiter = ','};
    const int before = l->list->n;
    char *text;
    size_t n;
    enum voco_err err = read_text(l->path, &text, &n);

    if (err != VOCO_OK)
        return err;
    if (l->options->dataset == NULL) {
        free(l->dataset);
        l->dataset = voco_stem(l->path);
        l->dataset[strcspn(l->dataset, ".")] = '\0';
    }
    c.at = text;
    const size_t first = strcspn(text, ",;\t\r\n");
    if (text[first] == ';' || text[first] == '\t')
        c.delimiter = text[first];
    err = read_record(&c);
    const int at[3] = {column(&c, "image"), column(&c, "label"), column(&c, "class")};
    const int columns = c.n;
    if (err == VOCO_OK && at[0] < 0)
        err = voco_fail(VOCO_EFORMAT, "%s:1: no column \"image\"; expected the header"
                        " image[,label][,class]", l->path);
    while (err == VOCO_OK && *c.at != '\0') {
        err = read_record(&c);
        if (err == VOCO_OK)
            err = take_record(l, &c, columns, at);
    }
    if (err == VOCO_OK && l->list->n == before)
        err = voco_fail(VOCO_EFORMAT, "%s: the table names no volume", l->path);
    free(text);
    return err;
}
