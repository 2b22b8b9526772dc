/* Metadata of weights for segmentation. */
#include "model/seginfo.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "dev/device.h"

static const char roi_key[] = "voco.roi", transform_key[] = "voco.transform";
static const char preset_key[] = "voco.preset", classes_key[] = "voco.classes";

enum { ROI_MAX = 4096 };

static enum voco_err
wrong(const char *path, const char *key, const char *value, const char *expected)
{
    return voco_fail(VOCO_EFORMAT, "%s: %s is '%.60s': expected %s", path, key, value,
                     expected);
}

static enum voco_err
read_roi(const char *path, const char *text, int64_t roi[3])
{
    int end = 0;
    bool good = sscanf(text, "%" SCNd64 ",%" SCNd64 ",%" SCNd64 "%n", &roi[0], &roi[1],
                       &roi[2], &end) == 3 && text[end] == '\0';

    for (int i = 0; i < 3; i++)
        good = good && roi[i] >= 1 && roi[i] <= ROI_MAX;
    return good ? VOCO_OK : wrong(path, roi_key, text, "three sizes of 1 to 4096");
}

static enum voco_err
read_classes(const char *path, const char *text, struct voco_seginfo *info)
{
    json_t *list = json_loads(text, 0, NULL);
    const size_t n = json_array_size(list);
    bool good = n >= 2 && n <= VOCO_CLASSES_MAX;

    info->class_name = good ? calloc(n, sizeof *info->class_name) : NULL;
    for (size_t i = 0; i < n && good; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        good = name != NULL;
        if (good)
            info->class_name[info->n_classes++] = voco_format("%s", name);
    }
    json_decref(list);
    return good ? VOCO_OK : wrong(path, classes_key, text, "a JSON array of 2 to 256 names");
}

enum voco_err
voco_seginfo_read(const char *path, struct voco_seginfo *ret)
{
    struct voco_tensorfile file;
    const char *text;
    enum voco_err err = voco_tensorfile_open(&file, path);

    *ret = (struct voco_seginfo){ 0 };
    if (err != VOCO_OK)
        return err;
    if ((text = voco_tensorfile_meta(&file, roi_key)) != NULL)
        err = read_roi(path, text, ret->roi);
    if (err == VOCO_OK && (text = voco_tensorfile_meta(&file, transform_key)) != NULL) {
        err = voco_transform_parse(text, &ret->transform);
        ret->has_transform = err == VOCO_OK;
        if (err != VOCO_OK)
            err = voco_fail_in(err, "%s: %s", path, transform_key);
    }
    if ((text = voco_tensorfile_meta(&file, preset_key)) != NULL)
        ret->preset = voco_format("%s", text);
    if (err == VOCO_OK && (text = voco_tensorfile_meta(&file, classes_key)) != NULL)
        err = read_classes(path, text, ret);
    voco_tensorfile_close(&file);
    return err;
}

void
voco_seginfo_free(struct voco_seginfo *info)
{
    for (int i = 0; i < info->n_classes; i++)
        free(info->class_name[i]);
    free(info->class_name);
    free(info->preset);
    *info = (struct voco_seginfo){ 0 };
}

int
voco_seginfo_meta(const struct voco_seginfo *info,
                  struct voco_filemeta meta[VOCO_SEGINFO_KEYS])
{
    int n = 0;

    if (info->roi[0])
        meta[n++] = (struct voco_filemeta){
            roi_key, voco_format("%" PRId64 ",%" PRId64 ",%" PRId64, info->roi[0],
                                 info->roi[1], info->roi[2]) };
    if (info->has_transform)
        meta[n++] = (struct voco_filemeta){ transform_key,
                                           voco_transform_options(&info->transform) };
    if (info->preset)
        meta[n++] = (struct voco_filemeta){ preset_key, voco_format("%s", info->preset) };
    if (info->n_classes) {
        json_t *list = json_array();

        for (int i = 0; i < info->n_classes; i++)
            json_array_append_new(list, json_string(info->class_name[i]));
        meta[n++] = (struct voco_filemeta){ classes_key, json_dumps(list, JSON_COMPACT) };
        json_decref(list);
    }
    return n;
}
