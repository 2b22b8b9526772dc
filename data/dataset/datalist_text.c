/* Text lists (one path a line) and CSV tables with the header image[,label][,class]. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "data/dataset/listing.h"
#include "data/volume/headtext.h"

/* Without a name of their own, items are in the dataset that the file names. */
static void
name_dataset(struct voco_listing *l)
{
    if (l->options->dataset != NULL)
        return;
    free(l->dataset);
    l->dataset = voco_stem(l->path);
    l->dataset[strcspn(l->dataset, ".")] = '\0';
}

enum voco_err
voco_listing_text(struct voco_listing *l)
{
    const int before = l->list->n;
    char *text, *line, *next;
    size_t n;
    const enum voco_err err = voco_csv_text(l->path, &text, &n);

    if (err != VOCO_OK)
        return err;
    name_dataset(l);
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

/* ---- CSV ---- */

static enum voco_err
take_record(struct voco_listing *l, const struct voco_csv *c, const int at[3])
{
    const char *value[3] = {NULL, NULL, NULL};
    struct voco_item *item;

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
    const int before = l->list->n;
    struct voco_csv c;
    bool more = true;
    enum voco_err err = voco_csv_open(&c, l->path);

    name_dataset(l);
    const int at[3] = {voco_csv_column(&c, "image"), voco_csv_column(&c, "label"),
                       voco_csv_column(&c, "class")};
    if (err == VOCO_OK && at[0] < 0)
        err = voco_fail(VOCO_EFORMAT, "%s:1: no column \"image\"; expected the header"
                        " image[,label][,class]", l->path);
    while (err == VOCO_OK && (err = voco_csv_next(&c, &more)) == VOCO_OK && more)
        err = take_record(l, &c, at);
    if (err == VOCO_OK && l->list->n == before)
        err = voco_fail(VOCO_EFORMAT, "%s: the table names no volume", l->path);
    voco_csv_close(&c);
    return err;
}
