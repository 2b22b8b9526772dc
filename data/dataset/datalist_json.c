/* Dataset lists in JSON: Decathlon and nnU-Net v1 (training: [{image, label}]), nnU-Net
 * v2 (channel_names, file_ending, imagesTr/CASE_0000), arrays of entries. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "data/volume/headtext.h"
#include "data/dataset/listing.h"
#include "data/volume/volume.h"

enum { LIST_MAX = 1 << 30, CHANNELS_MAX = 64 };

static char *
class_of(const json_t *entry)
{
    const json_t *value = json_object_get(entry, "class");

    if (json_is_string(value))
        return voco_format("%s", json_string_value(value));
    if (json_is_integer(value))
        return voco_format("%lld", (long long)json_integer_value(value));
    return NULL;
}

/* nnU-Net v1 lists CASE.nii.gz and keeps CASE_0000.nii.gz, CASE_0001.nii.gz, ... Free
 * it. */
static char *
channel_of(const char *path, int channel)
{
    const int ending = voco_volume_ending(path), n = (int)strlen(path) - ending;

    return voco_format("%.*s_%04d%s", n, path, channel, path + n);
}

static bool
has_channel(const char *path, int channel)
{
    char *name = channel_of(path, channel);
    const bool there = voco_file_exists(name);

    free(name);
    return there;
}

/* The modalities that the list names, or, if there are more, the files. */
static struct voco_item *
push_channels(struct voco_listing *l, const char *path, char *label)
{
    struct voco_item *item = voco_listing_push(l, channel_of(path, 0), label);

    for (int i = 1; i < CHANNELS_MAX && (i < l->n_modalities || has_channel(path, i)); i++)
        voco_listing_channel(l, item, channel_of(path, i));
    item->id = voco_stem(path);
    return item;
}

/* An image as one path or an array of paths; takes label over. */
static enum voco_err
push_images(struct voco_listing *l, const char *where, size_t index, const json_t *image,
            char *label, struct voco_item **ret)
{
    const json_t *first = json_is_array(image) ? json_array_get(image, 0) : image;
    char *path;

    if (!json_is_string(first)) {
        free(label);
        return voco_fail(VOCO_EFORMAT, "%s: %s[%zu]: expected a path or {\"image\": path,"
                         " ...}", l->path, where, index);
    }
    path = voco_listing_path(l, json_string_value(first));
    if (voco_file_exists(path) || !has_channel(path, 0))
        *ret = voco_listing_push(l, path, label);
    else {
        *ret = push_channels(l, path, label);
        free(path);
    }
    for (size_t i = 1; json_is_array(image) && i < json_array_size(image); i++) {
        const char *name = json_string_value(json_array_get(image, i));

        if (name == NULL || i >= CHANNELS_MAX)
            return voco_fail(VOCO_EFORMAT, "%s: %s[%zu]: image %zu is no path", l->path,
                             where, index, i);
        voco_listing_channel(l, *ret, voco_listing_path(l, name));
    }
    return VOCO_OK;
}

/* [{"image": path or paths, "label": path, "class": ...} or path, ...] */
static enum voco_err
take_entries(struct voco_listing *l, const char *where, const json_t *entries)
{
    enum voco_err err = VOCO_OK;

    if (!json_is_array(entries))
        return voco_fail(VOCO_EFORMAT, "%s: \"%s\" is no array", l->path, where);
    for (size_t i = 0; err == VOCO_OK && i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *label = json_string_value(json_object_get(entry, "label"));
        struct voco_item *item = NULL;

        err = push_images(l, where, i,
                          json_is_object(entry) ? json_object_get(entry, "image") : entry,
                          label != NULL ? voco_listing_path(l, label) : NULL, &item);
        if (err == VOCO_OK)
            item->class_name = class_of(entry);
    }
    return err;
}

/* ---- nnU-Net v2 ---- */

/* Bytes of the case in "CASE_0000" + ending and its channel; 0 for other names. */
static int
case_bytes(const char *name, const char *ending, int *ret_channel)
{
    const size_t n = strlen(name), m = strlen(ending) + 5;

    if (n <= m || strcmp(name + n - strlen(ending), ending) != 0 || name[n - m] != '_')
        return 0;
    *ret_channel = 0;
    for (size_t i = n - m + 1; i < n - m + 5; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        *ret_channel = 10 * *ret_channel + (name[i] - '0');
    }
    return (int)(n - m);
}

/* The channels that the list names, or, if there are more, the files. */
static void
take_case(struct voco_listing *l, const char *set, const char *id, const char *ending,
          int channels)
{
    char *label_name = voco_format("labels%s/%s%s", set, id, ending);
    char *label = voco_listing_path(l, label_name);
    struct voco_item *item = NULL;

    if (!voco_file_exists(label)) {             /* test cases have none */
        free(label);
        label = NULL;
    }
    for (int i = 0; i < CHANNELS_MAX; i++) {
        char *name = voco_format("images%s/%s_%04d%s", set, id, i, ending);
        char *path = voco_listing_path(l, name);

        free(name);
        if (i >= channels && !voco_file_exists(path)) {
            free(path);
            break;
        }
        if (i == 0)
            item = voco_listing_push(l, path, label);
        else
            voco_listing_channel(l, item, path);
    }
    item->id = voco_format("%s", id);
    free(label_name);
}

/* All cases of imagesTr or imagesTs, each with all channels.  A case is met at its
 * channel 0, or at channel 1 if 0 is missing, which is then its problem. */
static enum voco_err
take_set(struct voco_listing *l, const char *set, const char *ending, int channels)
{
    char *images = voco_format("images%s", set), *folder = voco_listing_path(l, images);
    char **names = NULL;
    int n = 0;
    enum voco_err err = voco_folder_names(folder, &names, &n);

    for (int i = 0; i < n; i++) {
        int channel = 0;
        const int bytes = case_bytes(names[i], ending, &channel);

        if (bytes == 0 || channel > 1)
            continue;
        char *id = voco_format("%.*s", bytes, names[i]);
        char *first = voco_format("%s/%s_0000%s", folder, id, ending);
        if (channel == 0 || !voco_file_exists(first))
            take_case(l, set, id, ending, channels);
        free(first);
        free(id);
    }
    voco_names_free(names, n);
    free(folder);
    free(images);
    return err;
}

/* "dataset": {CASE: {"images": [...], "label": ...}} names the files itself. */
static enum voco_err
take_named_cases(struct voco_listing *l, json_t *cases)
{
    enum voco_err err = VOCO_OK;
    const char *id;
    json_t *entry;
    size_t i = 0;

    json_object_foreach(cases, id, entry) {
        const char *label = json_string_value(json_object_get(entry, "label"));
        struct voco_item *item = NULL;

        err = push_images(l, "dataset", i++, json_object_get(entry, "images"),
                          label != NULL ? voco_listing_path(l, label) : NULL, &item);
        if (err != VOCO_OK)
            break;
        free(item->id);
        item->id = voco_format("%s", id);
    }
    return err;
}

static enum voco_err
take_nnunet2(struct voco_listing *l, json_t *root)
{
    const char *ending = json_string_value(json_object_get(root, "file_ending"));
    const json_t *channel_names = json_object_get(root, "channel_names");
    const size_t channels = json_object_size(channel_names);
    const json_t *announced = json_object_get(root, "numTraining");
    json_t *cases = json_object_get(root, "dataset");
    const int before = l->list->n;
    enum voco_err err;

    if (json_is_object(cases))
        return take_named_cases(l, cases);
    if (ending == NULL || ending[0] != '.')
        return voco_fail(VOCO_EFORMAT, "%s: \"file_ending\" is missing, expected text"
                         " such as \".nii.gz\"", l->path);
    if (channels < 1 || channels > CHANNELS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: \"channel_names\" has %zu entries, expected 1"
                         " to %d", l->path, channels, CHANNELS_MAX);
    err = take_set(l, "Tr", ending, (int)channels);
    if (err == VOCO_OK && l->list->n == before)
        err = voco_fail(VOCO_EFORMAT, "%s: no case: imagesTr has no file CASE_0000%s, as"
                        " \"file_ending\" wants", l->path, ending);
    else if (err == VOCO_OK && json_is_integer(announced) &&
             json_integer_value(announced) != l->list->n - before)
        voco_warn("%s: \"numTraining\" is %lld, imagesTr has %d cases", l->path,
                  (long long)json_integer_value(announced), l->list->n - before);
    if (err == VOCO_OK && l->options->test_split)
        err = take_set(l, "Ts", ending, (int)channels);
    return err;
}

/* ---- any of them ---- */

static enum voco_err
take_splits(struct voco_listing *l, const json_t *root)
{
    static const struct {
        const char *name;
        bool test;
    } SPLIT[] = {
        {"training", false}, {"validation", false}, {"test", true}, {"testing", true}
    };
    enum voco_err err = VOCO_OK;

    for (size_t i = 0; err == VOCO_OK && i < sizeof SPLIT / sizeof *SPLIT; i++) {
        const json_t *entries = json_object_get(root, SPLIT[i].name);

        if (entries != NULL && (l->options->test_split || !SPLIT[i].test))
            err = take_entries(l, SPLIT[i].name, entries);
    }
    return err;
}

/* "name" of the list, else the name of the file or, for dataset.json, of its folder. */
static void
name_dataset(struct voco_listing *l, const json_t *root)
{
    const char *name = json_string_value(json_object_get(root, "name"));
    char *full, *slash;

    if (l->options->dataset != NULL)
        return;
    free(l->dataset);
    if (name != NULL && *name != '\0') {
        l->dataset = voco_format("%s", name);
        return;
    }
    l->dataset = voco_stem(l->path);
    l->dataset[strcspn(l->dataset, ".")] = '\0';
    full = realpath(l->path, NULL);
    if (strcmp(l->dataset, "dataset") == 0 && full != NULL &&
        (slash = strrchr(full, '/')) != NULL && slash > full) {
        *slash = '\0';
        free(l->dataset);
        l->dataset = voco_format("%s", strrchr(full, '/') + 1);
    }
    free(full);
}

static enum voco_err
take_root(struct voco_listing *l, json_t *root)
{
    const int before = l->list->n;
    enum voco_err err;

    name_dataset(l, root);
    l->n_modalities = (int)json_object_size(json_object_get(root, "modality"));
    voco_listing_classes(l, json_object_get(root, "labels"));
    if (json_is_array(root))
        err = take_entries(l, "list", root);
    else if (json_object_get(root, "training") != NULL ||
             json_object_get(root, "validation") != NULL)
        err = take_splits(l, root);
    else if (json_object_get(root, "channel_names") != NULL)
        err = take_nnunet2(l, root);
    else
        err = voco_fail(VOCO_EFORMAT, "%s: no known list: expected \"training\": [...],"
                        " \"channel_names\" (nnU-Net) or an array of entries", l->path);
    if (err == VOCO_OK && l->list->n == before)
        err = voco_fail(VOCO_EFORMAT, "%s: the list names no volume", l->path);
    return err;
}

enum voco_err
voco_listing_json(struct voco_listing *l)
{
    json_t *root;
    enum voco_err err = voco_json_read(l->path, LIST_MAX, 0, &root);

    if (err != VOCO_OK)
        return err;
    err = take_root(l, root);
    json_decref(root);
    return err;
}
