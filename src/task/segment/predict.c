/* Prediction of whole volumes. */
#define _XOPEN_SOURCE 700       /* mkstemp, pread, pwrite */
#include "task/segment/predict.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "model/provenance.h"
#include "objective/segment/segment.h"

static int64_t
product(const int64_t dim[3])
{
    return dim[0] * dim[1] * dim[2];
}

/* ---- images ---- */

void
voco_predict_image_free(struct voco_predict_image *in)
{
    voco_case_free(&in->image);
}

static enum voco_err
expect_channels(int n, int expected)
{
    return n == expected ? VOCO_OK
        : voco_fail(VOCO_EFORMAT, "has %d channel%s, the network expects %d", n,
                    voco_plural(n), expected);
}

static enum voco_err
read_item(const struct voco_input_entry *in, const struct voco_transform *t, int channels,
          struct voco_predict_image *ret)
{
    struct voco_transform_report report = { 0 };
    struct voco_place place;
    enum voco_err err;

    if (in->item->problem)
        return voco_fail(VOCO_EFORMAT, "%s: %s", in->source, in->item->problem);
    if ((err = voco_input_read(in, &ret->image)) != VOCO_OK)
        return err;
    place = ret->image.channel[0].place;
    if ((err = expect_channels(ret->image.n_channels, channels)) == VOCO_OK)
        err = voco_transform_case(&ret->image, t, &report);
    if (err == VOCO_OK)
        err = voco_unmap_parse(report.json, &ret->back);
    if (err == VOCO_OK && report.nonfinite)
        voco_warn("%s: %" PRId64 " voxels were NaN or infinite and are now %g", in->source,
                  report.nonfinite, t->nonfinite_value);
    ret->back.source_place = place;
    voco_transform_report_free(&report);
    return err == VOCO_OK ? err : voco_fail_in(err, "%s", in->source);
}

static enum voco_err
read_stored(const struct voco_input_entry *in, int channels, const char *orientation,
            struct voco_predict_image *ret)
{
    const struct voco_store_entry *e = voco_store_entry(in->store, in->index);
    enum voco_err err = expect_channels(e->channels, channels);

    if (err != VOCO_OK)
        return voco_fail_in(err, "%s", e->id);
    if ((err = voco_orientation_expect(orientation, e->affine, e->id)) != VOCO_OK)
        return err;
    if ((err = voco_unmap_parse(e->transforms, &ret->back)) != VOCO_OK)
        return voco_fail_in(err, "%s", e->id);
    ret->back.source_place = e->place;
    if (memcmp(e->dim, ret->back.dim, sizeof e->dim) != 0)
        return voco_fail(VOCO_EFORMAT, "%s: its transforms lead to another size than it has",
                         e->id);
    return voco_input_read(in, &ret->image);
}

enum voco_err
voco_predict_read(const struct voco_input_entry *in, const struct voco_transform *t,
                  int channels, const char *orientation, struct voco_predict_image *ret)
{
    enum voco_err err;

    *ret = (struct voco_predict_image){ 0 };
    if (in->store)
        return read_stored(in, channels, orientation, ret);
    err = read_item(in, t, channels, ret);
    return err != VOCO_OK ? err
        : voco_orientation_expect(orientation, ret->image.channel[0].affine, in->source);
}

/* ---- memory ---- */

static struct voco_sliding
sliding_of(const struct voco_predict_options *o, int channels, int classes,
           const int64_t dim[3])
{
    return (struct voco_sliding){
        .channels = channels, .dim = { dim[0], dim[1], dim[2] }, .classes = classes,
        .roi = { o->roi[0], o->roi[1], o->roi[2] }, .overlap = o->overlap,
        .blend = o->blend, .mirror = o->mirror, .skip_flat = o->skip_flat,
        .batch = o->batch,
    };
}

int64_t
voco_predict_windows(const struct voco_predict_options *o, const int64_t dim[3])
{
    const struct voco_sliding s = sliding_of(o, 1, 1, dim);

    return voco_sliding_count(&s);
}

double
voco_predict_bytes(const struct voco_predict_options *o, int channels, int classes,
                   bool probabilities, double reading, const int64_t source_dim[3],
                   const int64_t dim[3])
{
    const struct voco_sliding s = sliding_of(o, channels, classes, dim);
    const double image = 4.0 * (double)product(dim), source = (double)product(source_dim);
    const double running = voco_sliding_bytes(&s) + image / 4
                           + (probabilities || o->smooth ? image * classes / 16 : 0);
    /* a class on either grid; the labels, and the best probability so far */
    const double returning = image / 4 + source
                             + (probabilities || o->smooth ? image + 8 * source : 0);

    return fmax(reading * channels, image * channels + fmax(running, returning));
}

/* ---- planes ---- */

struct job {
    const struct voco_predictor *p;
    const int64_t *dim;         /* of the network's grid */
    int classes;
    uint8_t *label;             /* [dim] */
    bool waits;                 /* probabilities go to the file */
    int fd;                     /* [classes][dim[axis]][n0][n1] */
    int axis;
    int64_t n[2];               /* of a plane */
    float *plane;               /* [classes][n0 n1] */
};

static int64_t
voxel_of(const struct job *j, int64_t index, int64_t i, int64_t k)
{
    return voco_plane_voxel(j->axis, index, i, k, j->dim);
}

/* The probabilities of voxel v of a plane, class by class. */
static void
softmax(const float *x, int n, float *plane, int64_t v, int64_t stride)
{
    const float top = x[voco_largest_logit(x, n)];
    float sum = 0;

    for (int c = 0; c < n; c++) {
        plane[c * stride + v] = expf(x[c] - top);
        sum += plane[c * stride + v];
    }
    for (int c = 0; c < n; c++)
        plane[c * stride + v] /= sum;
}

/* Reads or writes all of a plane of class c. */
static enum voco_err
transfer(const struct job *j, int c, int64_t index, float *plane, bool out)
{
    const size_t bytes = (size_t)(j->n[0] * j->n[1]) * sizeof *plane;
    const off_t at = (off_t)(((int64_t)c * j->dim[j->axis] + index) * (int64_t)bytes);
    char *p = (char *)plane;

    for (size_t done = 0; done < bytes; ) {
        const ssize_t n = out ? pwrite(j->fd, p + done, bytes - done, at + (off_t)done)
                              : pread(j->fd, p + done, bytes - done, at + (off_t)done);

        if (n <= 0)
            return voco_fail_errno(VOCO_EIO, "probabilities cannot be kept in the output "
                                   "folder");
        done += (size_t)n;
    }
    return VOCO_OK;
}

static enum voco_err
take_plane(void *user, const struct voco_plane *plane)
{
    struct job *j = user;
    const int64_t n = plane->n[0] * plane->n[1];
    enum voco_err err = VOCO_OK;

    j->axis = plane->axis;
    memcpy(j->n, plane->n, sizeof j->n);
    if (j->waits && !j->plane) {
        j->plane = malloc((size_t)(n * j->classes) * sizeof *j->plane);
        if (!j->plane)
            return voco_fail(VOCO_EMEMORY, "no memory for a plane of probabilities");
    }
    #pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n; v++) {
        const int64_t i = v / plane->n[1], k = v % plane->n[1];
        const float *x = plane->logits + (i * plane->stride + k) * j->classes;

        j->label[voxel_of(j, plane->index, i, k)]
            = (uint8_t)voco_largest_logit(x, j->classes);
        if (j->waits)
            softmax(x, j->classes, j->plane, v, n);
    }
    for (int c = 0; j->waits && c < j->classes && err == VOCO_OK; c++)
        err = transfer(j, c, plane->index, j->plane + c * n, true);
    return err;
}

static enum voco_err
infer(void *user, const float *windows, int n, float *logits)
{
    const struct job *j = user;

    return voco_segment_logits(j->p->ctx, j->p->model, windows, n, j->p->o.roi, logits);
}

static int
progress(void *user, int64_t done, int64_t total)
{
    const struct job *j = user;

    return j->p->progress ? j->p->progress(j->p->user, done, total) : 0;
}

/* ---- back to the volume's own space ---- */

/* Probabilities of class c: from the file to x [dim], and to out [source_dim]. */
static enum voco_err
class_in_source(const struct job *j, const struct voco_unmap *back, int c, float *x,
                float *out)
{
    const int64_t n = j->n[0] * j->n[1];
    enum voco_err err = VOCO_OK;

    for (int64_t index = 0; index < j->dim[j->axis] && err == VOCO_OK; index++) {
        err = transfer(j, c, index, j->plane, false);
        for (int64_t v = 0; v < n && err == VOCO_OK; v++)
            x[voxel_of(j, index, v / j->n[1], v % j->n[1])] = j->plane[v];
    }
    if (err == VOCO_OK)
        voco_unmap_linear(back, x, c == 0, out);
    return err;
}

/* From scores on the network's grid to probabilities and labels on the source's. */
struct back {
    const struct job *j;
    const struct voco_unmap *map;
    float *x;                   /* [dim] */
    float *best;                /* [source_dim], when labels are made here */
    uint8_t *label;
};

static enum voco_err
make_class(void *user, int c, float *out)
{
    const struct back *b = user;
    const int64_t n = product(b->map->source_dim);
    const enum voco_err err = class_in_source(b->j, b->map, c, b->x, out);

    if (err != VOCO_OK || !b->best)
        return err;
    #pragma omp parallel for schedule(static)
    for (int64_t v = 0; v < n; v++)
        if (c == 0 || out[v] > b->best[v]) {
            b->best[v] = out[v];
            b->label[v] = (uint8_t)c;
        }
    return VOCO_OK;
}

static struct voco_grid
source_grid(const struct voco_unmap *map)
{
    struct voco_grid g = { .place = map->source_place };

    memcpy(g.dim, map->source_dim, sizeof g.dim);
    memcpy(g.affine, map->source_affine, sizeof g.affine);
    return g;
}

/* Probabilities to a file, or, without one, only the labels from them. */
static enum voco_err
return_probabilities(const struct job *j, const struct voco_unmap *map, bool smooth,
                     const char *path, uint8_t *label)
{
    const int64_t n = product(map->source_dim);
    const struct voco_grid grid = source_grid(map);
    struct back b = { .j = j, .map = map, .label = label };
    float *out = path ? NULL : malloc((size_t)n * sizeof *out);
    enum voco_err err = VOCO_OK;

    b.x = malloc((size_t)product(j->dim) * sizeof *b.x);
    b.best = smooth ? malloc((size_t)n * sizeof *b.best) : NULL;
    if (!b.x || (smooth && !b.best) || (!path && !out))
        err = voco_fail(VOCO_EMEMORY, "no memory for probabilities of %" PRId64 " voxels", n);
    else if (path)
        err = voco_volume_write_many(path, &grid, j->classes, make_class, &b);
    else
        for (int c = 0; c < j->classes && err == VOCO_OK; c++)
            err = make_class(&b, c, out);
    free(b.x);
    free(b.best);
    free(out);
    return err;
}

static enum voco_err
return_labels(struct job *j, const struct voco_unmap *map, const char *labels,
              const char *probabilities)
{
    const struct voco_grid grid = source_grid(map);
    uint8_t *out = malloc((size_t)product(map->source_dim));
    enum voco_err err = VOCO_OK;

    if (!out)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for its labels", labels);
    if (j->waits)
        err = return_probabilities(j, map, j->p->o.smooth, probabilities, out);
    if (!j->p->o.smooth)
        voco_unmap_labels(map, j->label, out);
    if (err == VOCO_OK)
        err = voco_volume_write_labels(labels, &grid, out);
    free(out);
    return err;
}

/* ---- a run ---- */

/* A file in the folder of path that is gone when it is closed. */
static enum voco_err
open_nameless(const char *path, double bytes, int *ret_fd)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? voco_format("%.*s", (int)(slash - path + 1), path)
                         : voco_format("./");
    char *name = voco_format("%s.voco-XXXXXX", folder);
    uint64_t space;
    enum voco_err err = voco_file_space(folder, &space);

    *ret_fd = -1;
    if (err == VOCO_OK && (double)space < bytes)
        err = voco_fail(VOCO_EIO, "%s: %.1f GiB free, probabilities need %.1f GiB until they "
                        "are written", folder, (double)space / 1073741824,
                        bytes / 1073741824);
    if (err == VOCO_OK && (*ret_fd = mkstemp(name)) < 0)
        err = voco_fail_errno(VOCO_EIO, "%s", name);
    if (*ret_fd >= 0)
        unlink(name);
    free(folder);
    free(name);
    return err;
}

enum voco_err
voco_predict_run(const struct voco_predictor *p, const struct voco_predict_image *in,
                 const char *labels, const char *probabilities)
{
    const int channels = in->image.n_channels, classes = (int)p->model->config.classes;
    const int64_t *dim = in->image.channel[0].dim;
    const float *voxel[VOCO_CHANNELS_MAX];
    struct voco_sliding s = sliding_of(&p->o, channels, classes, dim);
    struct job j = { .p = p, .dim = dim, .classes = classes, .fd = -1,
                     .waits = probabilities || p->o.smooth };
    enum voco_err err = VOCO_OK;

    VOCO_ASSERT(channels <= VOCO_CHANNELS_MAX);
    for (int c = 0; c < channels; c++)
        voxel[c] = in->image.channel[c].voxel;
    s.channel = voxel;
    s.infer = infer;
    s.plane = take_plane;
    s.progress = progress;
    s.user = &j;
    j.label = malloc((size_t)product(dim));
    if (!j.label)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for labels", labels);
    if (err == VOCO_OK && j.waits)
        err = open_nameless(labels, 4.0 * classes * (double)product(dim), &j.fd);
    if (err == VOCO_OK)
        err = voco_sliding_run(&s);
    if (err == VOCO_OK)
        err = return_labels(&j, &in->back, labels, probabilities);
    if (j.fd >= 0)
        close(j.fd);
    free(j.plane);
    free(j.label);
    return err;
}
