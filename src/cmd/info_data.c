/* voco info about volumes, lists of volumes and stores. */
#include "cmd/info.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/datalist.h"
#include "data/transform/geometry.h"
#include "data/dataset/listing.h"
#include "data/store/store.h"
#include "data/volume/volume.h"

enum { SAMPLE = 1 << 20, SHOWN = 10 };

static json_t *
affine_json(const double affine[4][4])
{
    json_t *rows = json_array();

    for (int i = 0; i < 4; i++)
        json_array_append_new(rows, voco_info_reals(affine[i], 4));
    return rows;
}

double
voco_info_folder_bytes(const char *path)
{
    char **names;
    double bytes = 0;
    int n;

    if (voco_folder_names(path, &names, &n) != VOCO_OK)
        return 0;
    for (int i = 0; i < n; i++) {
        char *file = voco_format("%s/%s", path, names[i]);
        struct stat st;

        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            bytes += (double)st.st_size;
        free(file);
    }
    voco_names_free(names, n);
    return bytes;
}

/* ---- one volume ---- */

static void
geometry_rows(struct voco_info *info, const struct voco_volume_header *h)
{
    const double *mm = h->spacing_mm;
    double extent[3];
    char name[4], count[16];

    for (int i = 0; i < 3; i++)
        extent[i] = mm[i] * (double)h->dim[i];
    voco_orient_name((const double (*)[4])h->affine, name);
    voco_info_row(info, "size", voco_info_ints(h->dim, 3), "%" PRId64 " x %" PRId64 " x %"
                  PRId64 " (%s voxels)", h->dim[0], h->dim[1], h->dim[2],
                  voco_info_count((double)h->dim[0] * (double)h->dim[1] *
                                  (double)h->dim[2], count));
    voco_info_row(info, "spacing_mm", voco_info_reals(mm, 3), NULL);
    voco_info_row(info, "spacing", NULL, "%g x %g x %g mm", mm[0], mm[1], mm[2]);
    voco_info_row(info, "extent", NULL, "%.4g x %.4g x %.4g mm", extent[0], extent[1],
                  extent[2]);
    voco_info_row(info, "axes", voco_info_text(name), "%s", name);
    voco_info_row(info, "origin", NULL, "%g %g %g mm (RAS)", h->affine[0][3],
                  h->affine[1][3], h->affine[2][3]);
    voco_info_row(info, "affine", affine_json((const double (*)[4])h->affine), NULL);
}

static int
by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Percentiles of at most SAMPLE voxels, evenly picked. */
static void
percentile_rows(struct voco_info *info, const struct voco_volume *v)
{
    static const double PERCENT[] = {0.5, 1, 5, 25, 50, 75, 95, 99, 99.5};
    enum { N = sizeof PERCENT / sizeof *PERCENT };
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    const int64_t stride = n / SAMPLE + 1;
    float *sample = malloc((size_t)(n / stride + 1) * sizeof *sample);
    json_t *json = json_object();
    double value[N];
    int64_t m = 0;

    for (int64_t i = 0; sample != NULL && i < n; i += stride)
        if (isfinite(v->voxel[i]))
            sample[m++] = v->voxel[i];
    if (m > 0) {
        qsort(sample, (size_t)m, sizeof *sample, by_value);
        for (int i = 0; i < N; i++) {
            char key[16];

            value[i] = sample[(int64_t)(PERCENT[i] / 100 * (double)(m - 1) + 0.5)];
            snprintf(key, sizeof key, "%g", PERCENT[i]);
            json_object_set_new(json, key, voco_info_real(value[i]));
        }
        voco_info_row(info, "percentiles", json, "0.5 %%: %g, 5 %%: %g, 50 %%: %g, 95 %%:"
                      " %g, 99.5 %%: %g", value[0], value[2], value[4], value[6],
                      value[8]);
    } else
        json_decref(json);
    free(sample);
}

static enum voco_err
intensity_rows(const char *path, struct voco_info *info)
{
    struct voco_volume v;
    double sum = 0, low = INFINITY, high = -INFINITY;
    int64_t n, finite = 0;
    const enum voco_err err = voco_volume_read(path, &v);

    if (err != VOCO_OK)
        return err;
    n = v.dim[0] * v.dim[1] * v.dim[2];
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(v.voxel[i]))
            continue;
        finite++;
        sum += v.voxel[i];
        low = fmin(low, v.voxel[i]);
        high = fmax(high, v.voxel[i]);
    }
    voco_info_row(info, "low", voco_info_real(low), NULL);
    voco_info_row(info, "high", voco_info_real(high), NULL);
    voco_info_row(info, "mean", voco_info_real(sum / (double)finite), NULL);
    voco_info_row(info, "nonfinite", json_integer(n - finite), NULL);
    if (finite > 0)
        voco_info_row(info, "intensity", NULL, "%g to %g, mean %g", low, high,
                      sum / (double)finite);
    percentile_rows(info, &v);
    if (finite < n)
        voco_info_row(info, "warning", NULL, "%" PRId64 " voxels are NaN or infinite:"
                      " convert will reject it", n - finite);
    voco_volume_free(&v);
    return VOCO_OK;
}

enum voco_err
voco_info_volume(const char *path, const struct voco_info_options *o,
                 struct voco_info *info)
{
    struct voco_volume_header h;
    const enum voco_err err = voco_volume_describe(path, &h);

    if (err != VOCO_OK)
        return err;
    voco_info_row(info, "kind", json_string("volume"), NULL);
    voco_info_row(info, "format", json_string(h.format), "%s%s, %s", h.format,
                  h.compressed ? ", compressed" : "", h.element);
    voco_info_row(info, "compressed", json_boolean(h.compressed), NULL);
    voco_info_row(info, "element", json_string(h.element), NULL);
    geometry_rows(info, &h);
    voco_info_row(info, "slope", voco_info_real(h.slope), NULL);
    voco_info_row(info, "inter", voco_info_real(h.inter), NULL);
    voco_info_row(info, "channels", json_integer(h.channels), NULL);
    if (h.channels > 1)
        voco_info_row(info, "channels", NULL, "%d volumes behind each other", h.channels);
    if (h.slope != 1 || h.inter != 0)
        voco_info_row(info, "scaling", NULL, "element * %g + %g", h.slope, h.inter);
    return o->voxels && h.channels == 1 ? intensity_rows(path, info) : VOCO_OK;
}

/* ---- groups of volumes ---- */

/* Least and most of sizes and spacings, and how many volumes a dataset has. */
struct tally {
    int n;
    int64_t low[3], high[3];
    double near[3], far[3], voxels;
    json_t *datasets;
};

static void
tally_add(struct tally *t, const int64_t dim[3], const double mm[3], const char *dataset)
{
    const json_t *count = json_object_get(t->datasets, dataset);

    for (int i = 0; i < 3; i++) {
        t->low[i] = t->n == 0 || dim[i] < t->low[i] ? dim[i] : t->low[i];
        t->high[i] = t->n == 0 || dim[i] > t->high[i] ? dim[i] : t->high[i];
        t->near[i] = t->n == 0 || mm[i] < t->near[i] ? mm[i] : t->near[i];
        t->far[i] = t->n == 0 || mm[i] > t->far[i] ? mm[i] : t->far[i];
    }
    t->n++;
    t->voxels += (double)dim[0] * (double)dim[1] * (double)dim[2];
    json_object_set_new(t->datasets, dataset,
                        json_integer(json_integer_value(count) + 1));
}

/* "3 x 4..5 x 6": numbers where least and most agree, else ranges. */
static const char *
ranges(const double least[3], const double most[3], char buf[128])
{
    size_t n = 0;

    for (int i = 0; i < 3; i++) {
        n += (size_t)snprintf(buf + n, 128 - n, "%s%.4g", i > 0 ? " x " : "", least[i]);
        if (least[i] < most[i])
            n += (size_t)snprintf(buf + n, 128 - n, "..%.4g", most[i]);
    }
    return buf;
}

static void
tally_rows(struct voco_info *info, struct tally *t)
{
    const double least[3] = {(double)t->low[0], (double)t->low[1], (double)t->low[2]};
    const double most[3] = {(double)t->high[0], (double)t->high[1], (double)t->high[2]};
    char buf[128], *names = voco_format("%s", "");
    const char *name;
    json_t *count;

    json_object_foreach(t->datasets, name, count) {
        char *longer = voco_format("%s%s%s %" JSON_INTEGER_FORMAT, names,
                                   *names != '\0' ? ", " : "",
                                   *name != '\0' ? name : "(unnamed)",
                                   json_integer_value(count));
        free(names);
        names = longer;
    }
    if (*names != '\0')
        voco_info_row(info, "datasets", t->datasets, "%s", names);
    else
        json_decref(t->datasets);
    free(names);
    if (t->n == 0)
        return;
    voco_info_row(info, "least_size", voco_info_ints(t->low, 3), NULL);
    voco_info_row(info, "most_size", voco_info_ints(t->high, 3), NULL);
    voco_info_row(info, "sizes", NULL, "%s", ranges(least, most, buf));
    voco_info_row(info, "spacings", NULL, "%s mm", ranges(t->near, t->far, buf));
}

static json_t *
member_json(const char *id, const char *path, const int64_t dim[3], const double mm[3],
            const char *dataset)
{
    json_t *member = json_object();

    json_object_set_new(member, "id", voco_info_text(id));
    json_object_set_new(member, "source", voco_info_text(path));
    json_object_set_new(member, "dataset", voco_info_text(dataset));
    json_object_set_new(member, "size", voco_info_ints(dim, 3));
    json_object_set_new(member, "spacing_mm", voco_info_reals(mm, 3));
    return member;
}

static json_t *
reject_json(const char *id, const char *reason)
{
    json_t *reject = json_object();

    json_object_set_new(reject, "id", voco_info_text(id));
    json_object_set_new(reject, "reason", voco_info_text(reason));
    return reject;
}

/* Words for one more of many: the first few, or all of them under --list. */
static void
reject_row(struct voco_info *info, const struct voco_info_options *o, int i, int n,
           const char *id, const char *reason)
{
    if (o->list || i < SHOWN)
        voco_info_row(info, "rejected", NULL, "%s: %s", id, reason);
    else if (i == SHOWN)
        voco_info_row(info, "rejected", NULL, "... and %d more (--list)", n - SHOWN);
}

static void
member_row(struct voco_info *info, const char *id, const int64_t dim[3],
           const double mm[3], const char *dataset)
{
    voco_info_row(info, "volume", NULL, "%-24s %4" PRId64 " x %4" PRId64 " x %4" PRId64
                  "  %.3g x %.3g x %.3g mm  %s", id, dim[0], dim[1], dim[2], mm[0], mm[1],
                  mm[2], dataset);
}

/* Headers only: the volumes that convert would find. */
enum voco_err
voco_info_list(const char *path, const struct voco_info_options *o,
               struct voco_info *info)
{
    const struct voco_datalist_options plain = {.root = NULL};
    struct voco_datalist l = {.n = 0};
    struct tally t = {.datasets = json_object()};
    json_t *members = json_array(), *rejects = json_array();
    enum voco_err err = voco_datalist_read(&l, 1, &path, &plain);
    int bad = 0;

    voco_info_row(info, "kind", json_string("list"), NULL);
    for (int i = 0; err == VOCO_OK && i < l.n; i++) {
        const struct voco_item *item = &l.item[i];
        struct voco_volume_header h;

        if (item->problem == NULL &&
            voco_volume_describe(item->image[0], &h) == VOCO_OK) {
            tally_add(&t, h.dim, h.spacing_mm, item->dataset);
            json_array_append_new(members, member_json(item->id, item->image[0], h.dim,
                                                       h.spacing_mm, item->dataset));
            if (o->list)
                member_row(info, item->id, h.dim, h.spacing_mm, item->dataset);
            continue;
        }
        const char *reason = item->problem != NULL ? item->problem : voco_fail_text();
        json_array_append_new(rejects, reject_json(item->id, reason));
        reject_row(info, o, bad++, l.n, item->id, reason);
    }
    if (err == VOCO_OK) {
        voco_info_row(info, "volumes", json_integer(t.n), "%d usable, %d not (headers"
                      " only)", t.n, bad);
        tally_rows(info, &t);
        if (o->list)
            voco_info_row(info, "members", json_incref(members), NULL);
        voco_info_row(info, "rejected", json_incref(rejects), NULL);
    } else
        json_decref(t.datasets);
    json_decref(members);
    json_decref(rejects);
    voco_datalist_free(&l);
    return err;
}

/* Voxels per class over all label maps. */
static void
class_rows(struct voco_info *info, const struct voco_store *s)
{
    const int n = voco_store_n_classes(s);
    int64_t *voxels = calloc((size_t)n + 1, sizeof *voxels);
    int *volumes = calloc((size_t)n + 1, sizeof *volumes), n_names;
    const char *const *name = voco_store_classes(s, &n_names);
    json_t *classes = json_array();
    char count[16];

    for (int i = 0; voxels && volumes && i < voco_store_count(s); i++) {
        const struct voco_store_label *l = &voco_store_entry(s, i)->label;

        for (int k = 0; k < l->n_counts; k++) {
            voxels[l->count[k].class_id] += l->count[k].voxels;
            volumes[l->count[k].class_id]++;
        }
    }
    for (int c = 0; voxels && volumes && c < n; c++) {
        const char *known = c < n_names ? name[c] : "";

        if (voxels[c] == 0 && *known == '\0')
            continue;
        json_array_append_new(classes, json_pack("{s:i,s:s,s:I,s:i}", "class", c, "name",
                                                 known, "voxels", (json_int_t)voxels[c],
                                                 "volumes", volumes[c]));
        voco_info_row(info, "class", NULL, "%3d  %-16s %8s voxels in %d volume%s", c, known,
                      voco_info_count((double)voxels[c], count), volumes[c],
                      voco_plural(volumes[c]));
    }
    voco_info_row(info, "classes", classes, NULL);
    free(voxels);
    free(volumes);
}

/* How many volumes have label maps and channels, if any has. */
static void
label_rows(struct voco_info *info, const struct voco_store *s)
{
    int labelled = 0, channels = 1;

    for (int i = 0; i < voco_store_count(s); i++) {
        const struct voco_store_entry *e = voco_store_entry(s, i);

        labelled += e->label.source != NULL;
        channels = e->channels > channels ? e->channels : channels;
    }
    voco_info_row(info, "channels", json_integer(channels), NULL);
    if (channels > 1)
        voco_info_row(info, "channels", NULL, "up to %d a volume", channels);
    voco_info_row(info, "labelled", json_integer(labelled), NULL);
    if (labelled > 0) {
        voco_info_row(info, "labelled", NULL, "%d of %d volumes", labelled,
                      voco_store_count(s));
        class_rows(info, s);
    }
}

enum voco_err
voco_info_store(const char *path, const struct voco_info_options *o,
                struct voco_info *info)
{
    static const char *const ELEMENT[] = {"u16", "f32", "i16"};
    struct tally t = {.datasets = json_object()};
    json_t *members = json_array(), *rejects = json_array();
    struct voco_store *s;
    char bytes[16], count[16];
    const enum voco_err err = voco_store_open(path, &s);

    if (err != VOCO_OK) {
        json_decref(t.datasets);
        json_decref(members);
        json_decref(rejects);
        return err;
    }
    const char *element = ELEMENT[voco_store_element(s)];
    const int n = voco_store_count(s), bad = voco_store_rejects(s);
    const double size = voco_info_folder_bytes(path);

    voco_info_row(info, "kind", json_string("store"), "store of %s volumes", element);
    voco_info_row(info, "volumes", json_integer(n), "%d, and %d rejected", n, bad);
    for (int i = 0; i < n; i++) {
        const struct voco_store_entry *e = voco_store_entry(s, i);

        tally_add(&t, e->dim, e->spacing_mm, e->dataset);
        if (o->list) {
            member_row(info, e->id, e->dim, e->spacing_mm, e->dataset);
            json_array_append_new(members, member_json(e->id, e->source, e->dim,
                                                       e->spacing_mm, e->dataset));
        }
    }
    tally_rows(info, &t);
    label_rows(info, s);
    voco_info_row(info, "element", json_string(element), NULL);
    voco_info_row(info, "voxels", json_integer((json_int_t)t.voxels), "%s",
                  voco_info_count(t.voxels, count));
    voco_info_row(info, "bytes", json_integer((json_int_t)size), "%s on disk",
                  voco_format_bytes(size, bytes));
    snprintf(bytes, sizeof bytes, "%08" PRIx32, voco_store_hash(s));
    voco_info_row(info, "hash", json_string(bytes), "%s", bytes);
    for (int i = 0; i < bad; i++) {
        const struct voco_store_entry *e = voco_store_reject_entry(s, i);

        json_array_append_new(rejects, reject_json(e->id, e->reason));
        reject_row(info, o, i, bad, e->id, e->reason);
    }
    voco_info_row(info, "rejected", rejects, NULL);
    if (o->list)
        voco_info_row(info, "members", members, NULL);
    else
        json_decref(members);
    voco_store_close(s);
    return VOCO_OK;
}
