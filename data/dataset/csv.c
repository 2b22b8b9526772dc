/* CSV, RFC 4180. */
#include "data/dataset/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/headtext.h"

enum { TEXT_MAX = 1 << 30, COLUMNS_MAX = 1 << 16 };

enum voco_err
voco_csv_text(const char *path, char **ret, size_t *ret_n)
{
    const enum voco_err err = voco_file_read(path, TEXT_MAX, ret, ret_n);

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

static enum voco_err
add_cell(struct voco_csv *c, char *cell)
{
    if (c->n == COLUMNS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s:%d: more than %d columns", c->path, c->line,
                         COLUMNS_MAX);
    if (c->n == c->room) {
        char **more = realloc(c->cell, (size_t)(2 * c->room + 16) * sizeof *more);

        VOCO_NEED(more);
        c->cell = more;
        c->room = 2 * c->room + 16;
    }
    c->cell[c->n++] = cell;
    return VOCO_OK;
}

/* One cell, unquoted in place; *ret_last: the record ends behind it. */
static enum voco_err
read_cell(struct voco_csv *c, bool *ret_last)
{
    char *from = c->at, *to = c->at;
    const enum voco_err err = add_cell(c, to);

    if (err != VOCO_OK)
        return err;
    if (*from == '"') {
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
read_record(struct voco_csv *c)
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

enum voco_err
voco_csv_open(struct voco_csv *c, const char *path)
{
    enum voco_err err;
    size_t n, first;

    *c = (struct voco_csv){ .path = path, .next_line = 1, .delimiter = ',' };
    if ((err = voco_csv_text(path, &c->text, &n)) != VOCO_OK)
        return err;
    c->at = c->text;
    first = strcspn(c->text, ",;\t\r\n");
    if (c->text[first] == ';' || c->text[first] == '\t')
        c->delimiter = c->text[first];
    if ((err = read_record(c)) != VOCO_OK)
        return err;
    c->name = c->cell;
    c->columns = c->n;
    c->cell = NULL;
    c->n = c->room = 0;
    return VOCO_OK;
}

void
voco_csv_close(struct voco_csv *c)
{
    free(c->text);
    free(c->name);
    free(c->cell);
    *c = (struct voco_csv){ .text = NULL };
}

enum voco_err
voco_csv_next(struct voco_csv *c, bool *ret_more)
{
    enum voco_err err;

    *ret_more = false;
    do {
        if (*c->at == '\0')
            return VOCO_OK;
        if ((err = read_record(c)) != VOCO_OK)
            return err;
    } while (c->n == 1 && c->cell[0][0] == '\0');
    if (c->n != c->columns)
        return voco_fail(VOCO_EFORMAT, "%s:%d: %d columns, the header has %d", c->path,
                         c->line, c->n, c->columns);
    *ret_more = true;
    return VOCO_OK;
}

int
voco_csv_column(const struct voco_csv *c, const char *name)
{
    for (int i = 0; i < c->columns; i++)
        if (strcasecmp(c->name[i], name) == 0)
            return i;
    return -1;
}

void
voco_csv_put(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

void
voco_csv_put_number(FILE *out, double x)
{
    putc(',', out);
    if (isfinite(x))
        fprintf(out, "%.9g", x);
}
