/* Channels and labels of an item, and whether they lie on one grid. */
#include "data/dataset/case.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/volume/affine.h"
#include "data/store/store.h"

/* Corners of the same voxel grid may differ by this many voxels: headers are rounded. */
static const double SAME_PLACE = 0.05;

/* ---- grids ---- */

static void
corner_mm(const double affine[4][4], const int64_t dim[3], int corner, double mm[3])
{
    for (int i = 0; i < 3; i++) {
        mm[i] = affine[i][3];
        for (int j = 0; j < 3; j++)
            mm[i] += corner >> j & 1 ? affine[i][j] * (double)(dim[j] - 1) : 0;
    }
}

/* path against the grid of first; dims and affines of both. */
static enum voco_err
check_grid(const char *path, const int64_t dim[3], const double affine[4][4],
           const char *first, const int64_t first_dim[3], const double first_affine[4][4])
{
    double mm[3], least, most = 0, at[3] = { 0 }, want[3] = { 0 };

    if (memcmp(dim, first_dim, 3 * sizeof *dim) != 0)
        return voco_fail(VOCO_EFORMAT, "%s: has %" PRId64 " x %" PRId64 " x %" PRId64
                         " voxels, expected the %" PRId64 " x %" PRId64 " x %" PRId64
                         " of %s", path, dim[0], dim[1], dim[2], first_dim[0],
                         first_dim[1], first_dim[2], first);
    voco_affine_spacing(first_affine, mm);
    least = fmin(mm[0], fmin(mm[1], mm[2]));
    for (int corner = 0; corner < 8; corner++) {
        double a[3], b[3], off;

        corner_mm(affine, dim, corner, a);
        corner_mm(first_affine, dim, corner, b);
        off = sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1])
                   + (a[2] - b[2]) * (a[2] - b[2]));
        if (off > most) {
            most = off;
            memcpy(at, a, sizeof at);
            memcpy(want, b, sizeof want);
        }
    }
    if (most <= SAME_PLACE * least)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: a corner lies at %g %g %g mm, that of %s at %g %g "
                     "%g mm: not the same grid", path, at[0], at[1], at[2], first,
                     want[0], want[1], want[2]);
}

/* ---- which files ---- */

const char *
voco_case_source(const struct voco_item *item, int channel)
{
    return item->image[channel >= 0 && channel < item->n_images ? channel : 0];
}

static enum voco_err
check_channels(const struct voco_item *item, int channel, int has)
{
    if (has > 1 && channel == VOCO_CHANNEL_REFUSE)
        return voco_fail(VOCO_EFORMAT, "%s: one of %d channels; --channel N picks one, "
                         "--channel all takes them all", item->image[0], has);
    if (channel > 0 && channel >= has)
        return voco_fail(VOCO_EFORMAT, "%s: has no channel %d", item->image[0], channel);
    if (has > VOCO_CHANNELS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: %d channels, expected at most %d",
                         item->image[0], has, VOCO_CHANNELS_MAX);
    return VOCO_OK;
}

static enum voco_err
check_item(const struct voco_item *item, int channel, bool labels)
{
    if (item->problem)
        return voco_fail(VOCO_EFORMAT, "%s", item->problem);
    if (labels && !item->label)
        return voco_fail(VOCO_EFORMAT, "%s: no label map: the list names none that is "
                         "there, or --label-folder has none of this name",
                         item->image[0]);
    return item->n_images > 1 ? check_channels(item, channel, item->n_images) : VOCO_OK;
}

enum voco_err
voco_case_describe(const struct voco_item *item, int channel, bool labels,
                   struct voco_volume_header *ret)
{
    struct voco_volume_header label;
    const char *path = voco_case_source(item, channel);
    enum voco_err err = check_item(item, channel, labels);

    *ret = (struct voco_volume_header){ .format = NULL };
    if (err || voco_is_folder(path))
        return err;
    err = voco_volume_describe(path, ret);
    if (!err && item->n_images == 1)
        err = check_channels(item, channel, ret->channels);
    else if (!err && ret->channels > 1)
        err = voco_fail(VOCO_EFORMAT, "%s: %d volumes in a file that is one of several "
                        "channels", path, ret->channels);
    if (!err && channel == VOCO_CHANNEL_ALL && item->n_images > 1)
        ret->channels = item->n_images;
    else if (!err && channel != VOCO_CHANNEL_ALL)
        ret->channels = 1;
    if (!err && labels && !voco_is_folder(item->label)) {
        err = voco_volume_describe(item->label, &label);
        if (!err)
            err = check_grid(item->label, label.dim, (const double (*)[4])label.affine,
                             path, ret->dim, (const double (*)[4])ret->affine);
    }
    return err;
}

/* ---- voxels ---- */

enum voco_err
voco_label_read(const char *path, const struct voco_label_map *map,
                struct voco_volume *ret)
{
    enum voco_err err = voco_volume_read(path, ret);

    if (!err && (err = voco_label_map_apply(map, ret))) {
        err = voco_fail_in(err, "%s", path);
        voco_volume_free(ret);
    }
    return err;
}

enum voco_err
voco_same_grid(const char *path, const struct voco_volume *v, const char *other_path,
               const struct voco_volume *other)
{
    return check_grid(path, v->dim, (const double (*)[4])v->affine, other_path,
                      other->dim, (const double (*)[4])other->affine);
}

/* Of several volumes in one file all, or the one that was chosen. */
static enum voco_err
read_file(const struct voco_item *item, int channel, struct voco_case *c)
{
    struct voco_volume chosen;
    enum voco_err err = voco_volume_read_all(item->image[0], &c->channel, &c->n_channels);

    if (!err)
        err = check_channels(item, channel, c->n_channels);
    if (err || channel == VOCO_CHANNEL_ALL || c->n_channels == 1)
        return err;
    chosen = c->channel[channel];
    c->channel[channel] = c->channel[0];
    c->channel[0] = chosen;
    while (c->n_channels > 1)
        voco_volume_free(&c->channel[--c->n_channels]);
    return VOCO_OK;
}

static enum voco_err
read_files(const struct voco_item *item, int channel, struct voco_case *c)
{
    const int first = channel == VOCO_CHANNEL_ALL ? 0 : channel;
    const int n = channel == VOCO_CHANNEL_ALL ? item->n_images : 1;
    enum voco_err err = VOCO_OK;

    c->channel = calloc((size_t)n, sizeof *c->channel);
    if (!c->channel)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", item->image[first]);
    for (int i = 0; !err && i < n; i++) {
        struct voco_volume *v = &c->channel[i];

        err = voco_volume_read(item->image[first + i], v);
        if (!err) {
            c->n_channels++;
            err = voco_same_grid(item->image[first + i], v, item->image[first],
                                 c->channel);
        }
        memcpy(v->affine, c->channel->affine, sizeof v->affine);
    }
    return err;
}

enum voco_err
voco_case_read(const struct voco_item *item, int channel,
               const struct voco_label_map *map, struct voco_case *ret)
{
    enum voco_err err = check_item(item, channel, map != NULL);

    *ret = (struct voco_case){ .channel = NULL };
    if (!err)
        err = item->n_images > 1 ? read_files(item, channel, ret)
                                 : read_file(item, channel, ret);
    if (!err && map)
        err = voco_label_read(item->label, map, &ret->label);
    if (!err && map)
        err = voco_same_grid(item->label, &ret->label, voco_case_source(item, channel),
                             ret->channel);
    if (!err && map)
        memcpy(ret->label.affine, ret->channel->affine, sizeof ret->label.affine);
    if (err)
        voco_case_free(ret);
    return err;
}
