/* Inputs of convert as a list of items: the kinds of inputs.  Ids: datalist_id.c. */
#include "data/dataset/datalist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "data/volume/headtext.h"
#include "data/dataset/listing.h"
#include "data/dataset/pairing.h"
#include "data/volume/volume.h"

static void
free_item(struct voco_item *item)
{
    for (int i = 0; i < item->n_images; i++)
        free(item->image[i]);
    free(item->image);
    free(item->id);
    free(item->label);
    free(item->class_name);
    free(item->dataset);
    free(item->problem);
}

static void
shrink(struct voco_datalist *l, int n)
{
    while (l->n > n)
        free_item(&l->item[--l->n]);
    l->n_problems = 0;
    for (int i = 0; i < n; i++)
        l->n_problems += l->item[i].problem != NULL;
}

void
voco_datalist_free(struct voco_datalist *l)
{
    shrink(l, 0);
    free(l->item);
    free(l->classes.problem);
    voco_classes_free(&l->classes);
    *l = (struct voco_datalist){.n = 0};
}

static void *
grown(void *array, size_t n, size_t bytes)
{
    array = realloc(array, n * bytes);
    VOCO_NEED(array != NULL);             /* as voco_format: names are small */
    return array;
}

void
voco_datalist_problem(struct voco_datalist *l, struct voco_item *item, char *problem)
{
    if (item->problem != NULL) {
        free(problem);                      /* the first one is enough */
        return;
    }
    item->problem = problem;
    l->n_problems++;
}

/* ---- for the readers of lists ---- */

char *
voco_listing_path(const struct voco_listing *l, const char *name)
{
    if (l->options->root == NULL || name[0] == '/')
        return voco_sibling(l->path, name);
    return voco_format("%s/%s", l->options->root, name);
}

void
voco_listing_channel(struct voco_listing *l, struct voco_item *item, char *image)
{
    if (!voco_file_exists(image))
        voco_datalist_problem(l->list, item, voco_format("%s: no such file", image));
    item->image = grown(item->image, (size_t)item->n_images + 1, sizeof *item->image);
    item->image[item->n_images++] = image;
}

struct voco_item *
voco_listing_push(struct voco_listing *l, char *image, char *label)
{
    struct voco_datalist *list = l->list;
    struct voco_item *item;

    if (list->n == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 64;
        list->item = grown(list->item, (size_t)list->capacity, sizeof *list->item);
    }
    item = &list->item[list->n++];
    *item = (struct voco_item){.label = label, .dataset = voco_format("%s", l->dataset)};
    voco_listing_channel(l, item, image);
    l->n_labels += label != NULL;
    if (label != NULL && !voco_file_exists(label)) {
        item->label = NULL;
        if (l->n_missing_labels++ == 0)
            l->missing_label = label;
        else
            free(label);
    }
    return item;
}

static const char *
last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

char *
voco_stem(const char *path)
{
    const char *name = last_name(path);

    return voco_format("%.*s", (int)strlen(name) - voco_volume_ending(name), name);
}

/* ---- the kind of an input ---- */

static bool
ends_in_any(const char *name, const char *const *endings)
{
    const size_t n = strlen(name);

    for (; *endings != NULL; endings++) {
        const size_t m = strlen(*endings);

        if (n > m && strcasecmp(name + n - m, *endings) == 0)
            return true;
    }
    return false;
}

/* The first byte that is no blank, 0 if there is none near the begin. */
static char
first_character(const char *path)
{
    char head[64] = "";
    FILE *in = voco_open_stream(path, "rb");
    size_t n = 0;

    if (in != NULL) {
        n = fread(head, 1, sizeof head - 1, in);
        fclose(in);
    }
    head[n] = '\0';
    return head[strspn(head, " \t\r\n\xef\xbb\xbf")];
}

static enum voco_err
add_any(struct voco_listing *l)
{
    static const char *const JSON[] = {".json", NULL};
    static const char *const CSV[] = {".csv", ".tsv", NULL};
    static const char *const TEXT[] = {".txt", ".lst", ".list", NULL};
    struct stat st;

    if (stat(l->path, &st) != 0)
        return voco_fail_errno(VOCO_EFORMAT, "%s", l->path);
    if (S_ISDIR(st.st_mode))
        return voco_listing_folder(l);
    if (!S_ISREG(st.st_mode))
        return voco_fail(VOCO_EFORMAT, "%s: neither a file nor a folder", l->path);
    if (ends_in_any(l->path, JSON))
        return voco_listing_json(l);
    if (ends_in_any(l->path, CSV))
        return voco_listing_csv(l);
    if (ends_in_any(l->path, TEXT))
        return voco_listing_text(l);
    if (voco_volume_ending(l->path) > 0 || voco_volume_sniff(l->path)) {
        voco_listing_push(l, voco_format("%s", l->path), NULL);
        return VOCO_OK;
    }
    if (first_character(l->path) == '{' || first_character(l->path) == '[')
        return voco_listing_json(l);
    return voco_fail(VOCO_EFORMAT, "%s: neither a volume (NIfTI, MetaImage, NRRD, DICOM"
                     " folder) nor a list (.json, .csv, .txt)", l->path);
}

/* ---- label maps of the same names ---- */

/* The stems of the volumes among names[0..n), which move to the front; *ret_n of them. */
static char **
volume_stems(char **names, int n, int *ret_n)
{
    char **stem = grown(NULL, (size_t)n + 1, sizeof *stem);

    *ret_n = 0;
    for (int i = 0; i < n; i++) {
        char *const name = names[i];

        if (voco_volume_ending(name) == 0)
            continue;
        names[i] = names[*ret_n];
        names[*ret_n] = name;
        stem[(*ret_n)++] = voco_stem(name);
    }
    return stem;
}

/* Items from first on that have no label map yet get that of their name. */
static enum voco_err
add_labels(struct voco_datalist *list, int first, const char *folder)
{
    const int n_items = list->n - first;
    char **image = grown(NULL, (size_t)n_items + 1, sizeof *image), **names = NULL;
    char **stem = NULL;
    int *of = grown(NULL, (size_t)n_items + 1, sizeof *of), n = 0, m = 0;
    enum voco_err err = voco_folder_names(folder, &names, &n);

    for (int i = 0; i < n_items; i++)
        image[i] = voco_stem(list->item[first + i].image[0]);
    if (err == VOCO_OK) {
        stem = volume_stems(names, n, &m);
        err = voco_pair_names((const char *const *)image, n_items,
                              (const char *const *)stem, m, of);
    }
    for (int i = 0; i < n_items && err == VOCO_OK; i++)
        if (list->item[first + i].label == NULL && of[i] >= 0)
            list->item[first + i].label = voco_format("%s/%s", folder, names[of[i]]);
    free(of);
    voco_names_free(image, n_items);
    voco_names_free(stem, m);
    voco_names_free(names, n);
    return err;
}

enum voco_err
voco_datalist_add(struct voco_datalist *list, const char *input,
                  const struct voco_datalist_options *o)
{
    const int before = list->n;
    struct voco_listing l = {
        .list = list, .options = o, .path = input,
        .dataset = voco_format("%s", o->dataset != NULL ? o->dataset : "")
    };
    enum voco_err err = add_any(&l);

    if (err == VOCO_OK && o->labels != NULL)
        err = add_labels(list, before, o->labels);
    if (err != VOCO_OK)
        shrink(list, before);
    else if (l.n_missing_labels > 0)
        voco_warn("%s: %d of %d label files are not there; their images are taken without"
                  " (first: %s)", input, l.n_missing_labels, l.n_labels, l.missing_label);
    free(l.dataset);
    free(l.missing_label);
    return err;
}

enum voco_err
voco_datalist_read(struct voco_datalist *list, int n, const char *const *input,
                   const struct voco_datalist_options *o)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < n && err == VOCO_OK; i++)
        err = voco_datalist_add(list, input[i], o);
    return err == VOCO_OK ? voco_datalist_finish(list) : err;
}
