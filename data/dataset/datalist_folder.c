/* A folder as input: every volume below it, and every folder that holds DICOM files.
 * A folder with a dataset.json of its own is read through that. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "data/dataset/listing.h"
#include "data/volume/volume.h"

enum { DEPTH_MAX = 64 };

/* Folders between the input and here: a link back to one of them is not followed. */
struct trail {
    char *full[DEPTH_MAX];      /* real paths: inode numbers are not unique everywhere */
    int n;
};

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
voco_names_free(char **names, int n)
{
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

enum voco_err
voco_folder_names(const char *path, char ***ret_names, int *ret_n)
{
    DIR *folder = voco_open_folder(path);
    struct dirent *e;
    int capacity = 0;
    enum voco_err err = VOCO_OK;

    *ret_names = NULL;
    *ret_n = 0;
    if (folder == NULL)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    while ((e = voco_folder_next(folder, path, &err)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (*ret_n == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 64;
            *ret_names = realloc(*ret_names, (size_t)capacity * sizeof **ret_names);
            VOCO_NEED(*ret_names != NULL);
        }
        (*ret_names)[(*ret_n)++] = voco_format("%s", e->d_name);
    }
    closedir(folder);
    if (*ret_n > 0)
        qsort(*ret_names, (size_t)*ret_n, sizeof **ret_names, by_bytes);
    return err;
}

static bool
is_label_folder(const char *name)
{
    return strncasecmp(name, "labels", 6) == 0 || strcasecmp(name, "masks") == 0 ||
           strcasecmp(name, "segmentations") == 0;
}

/* .img holds the voxels of a .hdr, which is listed itself. */
static bool
is_volume_name(const char *name)
{
    const int n = voco_volume_ending(name);
    const char *ending = name + strlen(name) - n;

    return n > 0 && strcasecmp(ending, ".img") != 0 && strcasecmp(ending, ".img.gz") != 0;
}

static bool
enter(struct trail *t, const char *path)
{
    char *full = t->n < DEPTH_MAX ? realpath(path, NULL) : NULL;

    for (int i = 0; full != NULL && i < t->n; i++)
        if (strcmp(t->full[i], full) == 0) {
            free(full);
            return false;
        }
    if (full != NULL)
        t->full[t->n++] = full;
    return full != NULL;
}

static void
leave(struct trail *t)
{
    free(t->full[--t->n]);
}

static enum voco_err
add_json(struct voco_listing *l, char *json)
{
    struct voco_listing inner = *l;
    enum voco_err err;

    inner.path = json;
    inner.dataset = voco_format("%s", l->options->dataset != NULL ? l->options->dataset
                                                                  : "");
    err = voco_listing_json(&inner);
    free(inner.dataset);
    l->missing_label = inner.missing_label;
    l->n_missing_labels = inner.n_missing_labels;
    l->n_labels = inner.n_labels;
    return err;
}

static enum voco_err
walk(struct voco_listing *l, const char *path, struct trail *trail)
{
    char *json = voco_format("%s/dataset.json", path), **names;
    enum voco_err err = VOCO_OK;
    int n = 0;

    if (!enter(trail, path))
        voco_warn("%s: not followed: too deep, or a link to a folder above it", path);
    else if (voco_file_exists(json)) {
        err = add_json(l, json);
        leave(trail);
    } else {
        err = voco_folder_names(path, &names, &n);
        for (int i = 0; err == VOCO_OK && i < n; i++) {
            char *below = voco_format("%s/%s", path, names[i]);

            if (!voco_is_folder(below)) {
                if (is_volume_name(names[i]))
                    voco_listing_push(l, voco_format("%s", below), NULL)->found = true;
            } else if (is_label_folder(names[i]))
                voco_note("%s: left out: its name says labels, not images", below);
            else
                err = walk(l, below, trail);
            free(below);
        }
        if (err == VOCO_OK && voco_is_dicom_folder(path))
            voco_listing_push(l, voco_format("%s", path), NULL)->found = true;
        voco_names_free(names, n);
        leave(trail);
    }
    free(json);
    return err;
}

enum voco_err
voco_listing_folder(struct voco_listing *l)
{
    const int before = l->list->n;
    struct trail trail = {.n = 0};
    size_t n = strlen(l->path);
    enum voco_err err;
    char *path, *full = realpath(l->path, NULL);

    while (n > 1 && l->path[n - 1] == '/')
        n--;
    path = voco_format("%.*s", (int)n, l->path);
    if (l->options->dataset == NULL && full != NULL) {
        const char *slash = strrchr(full, '/');

        free(l->dataset);
        l->dataset = voco_format("%s", slash != NULL ? slash + 1 : full);
    }
    err = walk(l, path, &trail);
    if (err == VOCO_OK && l->list->n == before)
        err = voco_fail(VOCO_EFORMAT, "%s: no volume in this folder or below it (.nii"
                        " .nii.gz .hdr .mha .mhd .nrrd .nhdr, DICOM)", l->path);
    free(path);
    free(full);
    return err;
}
