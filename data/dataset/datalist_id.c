/* Ids of a list's items: short, unique, the same every time. */
#define _XOPEN_SOURCE 700           /* realpath, st_mtim */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/listing.h"

enum { ID_MAX = 200 };              /* bytes: leaves room for an ending in a file name */

struct named {
    struct voco_item *item;
    char *stem;
    int index, depth;               /* place in the list; parent folders in the id */
    int again;                      /* 2, 3, ...: the same file was listed before */
    bool repeats, exhausted;        /* exhausted: no more parents */
    bool renamed;                   /* more than the file name was needed */
};

/* Bytes of the well-formed UTF-8 sequence at s (not ASCII), 0 if it is none. */
static int
utf8_length(const unsigned char *s)
{
    const int n = s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
        : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;

    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;                           /* too long, surrogate, beyond U+10FFFF */
    return n;
}

/* Letters, digits, . - + _ and UTF-8 stay; anything else becomes _. */
static void
clean_id(char *id)
{
    unsigned char *s = (unsigned char *)id;

    if (*s == '.')
        *s = '_';
    while (*s != '\0') {
        const int n = *s < 0x80 ? 0 : utf8_length(s);
        const bool plain = (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
                           (*s >= 'a' && *s <= 'z') || strchr(".-+_", *s) != NULL;

        if (n == 0 && !plain)
            *s = '_';
        s += n > 0 ? n : 1;
    }
}

/* Bytes of path in front of the file name. */
static size_t
folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* stem with `depth` parent folders of path in front, joined by -; NULL when path has
 * fewer.  "." and empty components do not count. Free the result. */
static char *
make_id(const char *path, const char *stem, int depth)
{
    char *id = voco_format("%s", stem);
    const char *end = path + folder_bytes(path);

    while (depth > 0) {
        const char *begin;

        while (end > path && end[-1] == '/')
            end--;
        for (begin = end; begin > path && begin[-1] != '/'; begin--)
            ;
        if (begin == end) {
            free(id);
            return NULL;
        }
        if (!(end - begin == 1 && *begin == '.')) {
            char *longer = voco_format("%.*s-%s", (int)(end - begin), begin, id);

            free(id);
            id = longer;
            depth--;
        }
        end = begin;
    }
    clean_id(id);
    return id;
}

static int
by_id(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const int order = strcmp(x->item->id, y->item->id);

    return order != 0 ? order : x->index - y->index;
}

static void
set_id(struct voco_item *item, char *id)
{
    free(item->id);
    item->id = id;
}

static int
by_place(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const size_t n = folder_bytes(x->item->image[0]), m = folder_bytes(y->item->image[0]);
    const int order = n != m ? (n > m) - (n < m)
        : strncmp(x->item->image[0], y->item->image[0], n);

    return order != 0 ? order : strcmp(x->stem, y->stem);
}

/* case.mha beside case.nii: both keep their endings. */
static void
keep_telling_endings(struct named *name, int n)
{
    qsort(name, (size_t)n, sizeof *name, by_place);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && by_place(&name[i], &name[end]) == 0; end++)
            ;
        for (int k = i; k < end && end - i > 1; k++) {
            const char *path = name[k].item->image[0];

            free(name[k].stem);
            name[k].stem = voco_format("%s", path + folder_bytes(path));
            name[k].renamed = true;
        }
    }
}

/* Sorts by id and marks those that are not alone; how many. */
static int
mark_repeats(struct named *name, int n)
{
    int repeats = 0;

    qsort(name, (size_t)n, sizeof *name, by_id);
    for (int i = 0; i < n; i++) {
        const char *id = name[i].item->id;

        name[i].repeats = (i > 0 && strcmp(name[i - 1].item->id, id) == 0) ||
                          (i + 1 < n && strcmp(name[i + 1].item->id, id) == 0);
        repeats += name[i].repeats;
    }
    return repeats;
}

/* One more parent folder in front of every repeated id that is not too long already; false
 * when none was left. */
static bool
lengthen_repeats(struct named *name, int n)
{
    bool changed = false;

    for (int i = 0; i < n; i++) {
        char *id;

        if (!name[i].repeats || name[i].exhausted)
            continue;
        id = make_id(name[i].item->image[0], name[i].stem, name[i].depth + 1);
        name[i].exhausted = id == NULL;
        if (id == NULL)
            continue;
        set_id(name[i].item, id);
        name[i].depth++;
        name[i].exhausted = strlen(id) > ID_MAX;
        name[i].renamed = true;
        changed = true;
    }
    return changed;
}

/* The last resort, for paths that differ only in bytes that an id cannot have and for
 * very long ones: no folders, but a checksum of the path. */
static void
add_checksums(struct named *name, int n)
{
    for (int i = 0; i < n; i++) {
        struct voco_item *item = name[i].item;
        const char *path = item->image[0];
        char *id;
        int keep;

        if (!name[i].repeats && strlen(item->id) <= ID_MAX)
            continue;
        id = make_id(path, name[i].stem, 0);
        keep = (int)strlen(id) < ID_MAX - 9 ? (int)strlen(id) : ID_MAX - 9;
        while (keep > 0 && ((unsigned char)id[keep] & 0xc0) == 0x80)
            keep--;                         /* not inside a character */
        set_id(item, voco_format("%.*s-%08x", keep, id,
                                 voco_crc32c(0, path, strlen(path))));
        free(id);
        name[i].renamed = true;
    }
}

/* A file by its real path, or, with several links, by the file that they share. */
struct seen {
    char *full;
    struct stat st;
    int index;
};

static int
by_full(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    const int order = strcmp(x->full, y->full);

    return order != 0 ? order : x->index - y->index;
}

static int
compare(intmax_t a, intmax_t b)
{
    return (a > b) - (a < b);
}

/* Links to one file: some file systems number files alike, so that for files with
 * several links size and time count, too. */
static int
by_link(const void *a, const void *b)
{
    const struct stat *x = &((const struct seen *)a)->st, *y = &((const struct seen *)b)->st;
    int order = compare((intmax_t)x->st_dev, (intmax_t)y->st_dev);

    if (order == 0)
        order = compare((intmax_t)x->st_ino, (intmax_t)y->st_ino);
    if (order == 0)
        order = compare((intmax_t)x->st_size, (intmax_t)y->st_size);
    if (order == 0)
        order = compare((intmax_t)x->st_mtim.tv_sec, (intmax_t)y->st_mtim.tv_sec);
    if (order == 0)
        order = compare((intmax_t)x->st_mtim.tv_nsec, (intmax_t)y->st_mtim.tv_nsec);
    return order != 0 ? order
        : ((const struct seen *)a)->index - ((const struct seen *)b)->index;
}

static bool
is_same(const struct seen *a, const struct seen *b, bool linked)
{
    struct seen c = *b;

    c.index = a->index;
    return linked ? S_ISREG(a->st.st_mode) && a->st.st_nlink > 1 && b->st.st_nlink > 1 &&
                    by_link(a, &c) == 0
                  : strcmp(a->full, b->full) == 0;
}

/* seen[] is sorted, with equal ones side by side. */
static void
mark_again(struct voco_datalist *l, struct named *name, const struct seen *seen, int n,
           bool linked)
{
    for (int i = 1; i < n; i++) {
        const int index = seen[i].index, before = seen[i - 1].index;

        if (!is_same(&seen[i], &seen[i - 1], linked) || name[index].again > 0)
            continue;
        name[index].again = name[before].again > 0 ? name[before].again + 1 : 2;
        voco_datalist_problem(l, &l->item[index],
                              voco_format("%s: listed twice, first as %s",
                                          l->item[index].image[0],
                                          l->item[before].image[0]));
    }
}

/* name[] is still in the order of the list. */
static void
find_repeated_files(struct voco_datalist *l, struct named *name)
{
    struct seen *seen = calloc((size_t)l->n + 1, sizeof *seen);
    int n = 0;

    VOCO_NEED(seen != NULL);              /* as voco_format: small next to the files */
    for (int i = 0; i < l->n; i++) {
        seen[n].index = i;
        if (stat(l->item[i].image[0], &seen[n].st) == 0 &&
            (seen[n].full = realpath(l->item[i].image[0], NULL)) != NULL)
            n++;
    }
    qsort(seen, (size_t)n, sizeof *seen, by_full);
    mark_again(l, name, seen, n, false);
    qsort(seen, (size_t)n, sizeof *seen, by_link);
    mark_again(l, name, seen, n, true);
    for (int i = 0; i < n; i++)
        free(seen[i].full);
    free(seen);
}

/* The name of an item before it is told apart from others. */
static char *
first_stem(const struct named *name)
{
    const struct voco_item *item = name->item;
    char *stem = item->id != NULL ? voco_format("%s", item->id)
        : voco_stem(item->image[0]);

    if (name->again > 0) {
        char *longer = voco_format("%s-again%d", stem, name->again);

        free(stem);
        return longer;
    }
    return stem;
}

enum voco_err
voco_datalist_finish(struct voco_datalist *l)
{
    struct named *name = calloc((size_t)l->n + 1, sizeof *name);
    enum voco_err err = VOCO_OK;

    VOCO_NEED(name != NULL);
    for (int i = 0; i < l->n; i++)
        name[i] = (struct named){.item = &l->item[i], .index = i};
    find_repeated_files(l, name);
    for (int i = 0; i < l->n; i++)
        name[i].stem = first_stem(&name[i]);
    keep_telling_endings(name, l->n);
    for (int i = 0; i < l->n; i++)
        set_id(name[i].item, make_id(name[i].item->image[0], name[i].stem, 0));
    while (mark_repeats(name, l->n) > 0 && lengthen_repeats(name, l->n))
        ;
    add_checksums(name, l->n);
    if (mark_repeats(name, l->n) > 0)
        err = voco_fail(VOCO_EFORMAT, "the input list has names that cannot be told"
                        " apart");
    l->n_renamed = 0;
    for (int i = 0; i < l->n; i++) {
        l->n_renamed += name[i].renamed;
        free(name[i].stem);
    }
    if (l->n_renamed > 0)
        voco_note("file names repeat: the ids of %d of %d volumes have a folder or the"
                  " ending too", l->n_renamed, l->n);
    free(name);
    return err;
}
