/* voco embed: what the encoder makes of volumes or prepared crops. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "data/store/cropfile.h"
#include "data/dataset/datalist.h"
#include "data/transform/preset.h"
#include "data/store/store.h"
#include "train/checkpoint.h"
#include "objective/voco/step.h"
#include "dev/list.h"
#include "dev/shape.h"
#include "model/provenance.h"
#include "model/weights.h"

enum { ROI = 64 };

static struct {
    const char *weights, *output;
    int preset, merging;
    int64_t threads, group;
    bool partial;
    double min_coverage, nan_to;
} c = { .preset = -1, .merging = -1, .group = 4, .nan_to = NAN };

static const char *const mergings[] = { "legacy", "fixed", NULL };

static const struct voco_opt options[] = {
    { "weights", 'w', VOCO_OPT_FILE, &c.weights, "FILE",
      "a run's, or any .safetensors or .pt of a Swin UNETR v2" },
    { "output", 'o', VOCO_OPT_FILE, &c.output, "OUT.h5", "the embeddings" },
    { "preset", 'p', VOCO_OPT_CHOICE, &c.preset, "NAME",
      "transforms for volumes, as voco convert has them (default: those of the weights, or "
      "abdomen)", .choices = voco_preset_names },
    { "nan-to", 0, VOCO_OPT_REAL, &c.nan_to, "X",
      "replace NaN and infinities, which are an error otherwise" },
    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "patch merging, where the weights do not tell: legacy or fixed", .choices = mergings },
    { "partial", 0, VOCO_OPT_FLAG, &c.partial, NULL,
      "use weights that do not cover the encoder, with random numbers for the rest" },
    { "min-coverage", 0, VOCO_OPT_REAL, &c.min_coverage, "PERCENT",
      "as --partial, but the weights must cover this share of the encoder", 0, 100 },
    { "group", 0, VOCO_OPT_INT, &c.group, "N", "crops at once", 1, 1024 },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { 0 }
};

struct job {
    struct voco_choices choices;        /* implementations, measured */
    struct voco_ctx ctx;
    struct voco_model model;
    struct voco_transform transform;    /* of volumes */
    char orientation[8];                /* of what the encoder was trained on; "": not known */
    struct voco_embeddings *out;
    struct voco_progress progress;
    int done, rejected;
    int64_t crops;
};

static enum voco_err
embed(struct job *j, const char *id, const char *source, const float *crops, int n, int roi,
      const int64_t (*start)[3])
{
    const int width = (int)voco_encoder_width(&j->model.encoder);
    float *e = malloc((size_t)n * (size_t)width * sizeof *e);
    enum voco_err err;

    if (!e)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d embeddings", source, n);
    err = voco_embed(&j->ctx, &j->model, crops, n, roi, (int)c.group, e);
    if (err == VOCO_OK)
        err = voco_embeddings_add(j->out, id, source, n, width, e, start);
    j->crops += n;
    free(e);
    return err;
}

/* Places of non-overlapping crops along an axis of this length: as many as fit, centred. */
static int64_t
grid(int64_t length, int64_t *ret_first)
{
    const int64_t n = length / ROI;

    *ret_first = (length - n * ROI) / 2;
    return n;
}

/* A volume, crop by crop: read gives a box of it. */
static enum voco_err
embed_grid(struct job *j, const char *id, const char *source, const int64_t dim[3],
           enum voco_err (*read)(void *, const int64_t *, const int64_t *, float *),
           void *user)
{
    const int64_t size[3] = { ROI, ROI, ROI };
    int64_t n[3], first[3], count = 0, (*start)[3];
    float *crops;
    enum voco_err err = VOCO_OK;

    for (int a = 0; a < 3; a++)
        n[a] = grid(dim[a], &first[a]);
    if (n[0] * n[1] * n[2] < 1)
        return voco_fail(VOCO_EFORMAT, "%s: %" PRId64 " x %" PRId64 " x %" PRId64
                         " voxels are less than one crop of 64^3; the presets but none pad "
                         "volumes, and --pad of voco convert those of a store", source,
                         dim[0], dim[1], dim[2]);
    start = calloc((size_t)(n[0] * n[1] * n[2]), sizeof *start);
    crops = malloc((size_t)(n[0] * n[1] * n[2]) * ROI * ROI * ROI * sizeof *crops);
    if (!start || !crops)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for its crops", source);
    for (int64_t i = 0; i < n[0] * n[1] * n[2] && err == VOCO_OK; i++) {
        start[count][0] = first[0] + i / (n[1] * n[2]) * ROI;
        start[count][1] = first[1] + i / n[2] % n[1] * ROI;
        start[count][2] = first[2] + i % n[2] * ROI;
        err = read(user, start[count], size, crops + count * ROI * ROI * ROI);
        count++;
    }
    if (err == VOCO_OK)
        err = embed(j, id, source, crops, (int)count, ROI, (const int64_t (*)[3])start);
    free(start);
    free(crops);
    return err;
}

struct stored {
    struct voco_store *store;
    int i;
    struct voco_store_scratch scratch;
};

static enum voco_err
read_stored(void *user, const int64_t *start, const int64_t *size, float *out)
{
    struct stored *s = user;

    return voco_store_read(s->store, s->i, start, size, out, &s->scratch);
}

/* One volume that cannot be used does not end the others. */
static enum voco_err
reject_or_count(struct job *j, enum voco_err err)
{
    if (err == VOCO_OK)
        j->done++;
    if (err != VOCO_EFORMAT)
        return err;
    voco_warn("rejected: %s", voco_fail_text());
    j->rejected++;
    return VOCO_OK;
}

static enum voco_err
embed_store(struct job *j, const char *path)
{
    struct stored s = { 0 };
    enum voco_err err = voco_store_open(path, &s.store);

    if (err == VOCO_OK)
        voco_progress_start(&j->progress, "embed", 0, voco_store_count(s.store));
    for (s.i = 0; err == VOCO_OK && s.i < voco_store_count(s.store); s.i++) {
        const struct voco_store_entry *e = voco_store_entry(s.store, s.i);

        err = voco_orientation_expect(j->orientation, e->affine, e->id);
        if (err == VOCO_OK)
            err = embed_grid(j, e->id, e->source, e->dim, read_stored, &s);
        err = reject_or_count(j, err);
        voco_progress_show(&j->progress, s.i + 1, "%s", e->id);
    }
    voco_store_scratch_free(&s.scratch);
    voco_store_close(s.store);
    return err;
}

static enum voco_err
read_volume(void *user, const int64_t *start, const int64_t *size, float *out)
{
    const struct voco_volume *v = user;

    for (int64_t x = 0; x < size[0]; x++)
        for (int64_t y = 0; y < size[1]; y++, out += size[2])
            memcpy(out, v->voxel + ((start[0] + x) * v->dim[1] + start[1] + y) * v->dim[2]
                   + start[2], (size_t)size[2] * sizeof *out);
    return VOCO_OK;
}

static enum voco_err
embed_volume(struct job *j, const struct voco_item *item)
{
    struct voco_transform_report report = { 0 };
    struct voco_volume v = { 0 };
    enum voco_err err;

    if (item->problem)
        return voco_fail(VOCO_EFORMAT, "%s: %s", item->image[0], item->problem);
    if ((err = voco_volume_read(item->image[0], &v)) == VOCO_OK) {
        err = voco_transform_run(&v, &j->transform, &report);
        if (err != VOCO_OK)
            err = voco_fail_in(err, "%s", item->image[0]);
        else if (report.nonfinite)
            voco_warn("%s: %" PRId64 " voxels were NaN or infinite and are now %g",
                      item->image[0], report.nonfinite, j->transform.nonfinite_value);
    }
    if (err == VOCO_OK)
        err = voco_orientation_expect(j->orientation, v.affine, item->image[0]);
    if (err == VOCO_OK)
        err = embed_grid(j, item->id, item->image[0], v.dim, read_volume, &v);
    voco_transform_report_free(&report);
    voco_volume_free(&v);
    return err;
}

/* Crops have no transforms, but what goes for volumes goes for them. */
static enum voco_err
check_finite(const char *path, struct voco_cropset *set)
{
    const int64_t n = (int64_t)set->n * set->roi * set->roi * set->roi;
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isfinite(set->crops[i])) {
            bad++;
            set->crops[i] = (float)c.nan_to;
        }
    if (bad && isnan(c.nan_to))
        return voco_fail(VOCO_EFORMAT, "%s: %s: %" PRId64 " values are NaN or infinite "
                         "(--nan-to X would replace them)", path, set->name, bad);
    if (bad)
        voco_warn("%s: %s: %" PRId64 " values were NaN or infinite and are now %g", path,
                  set->name, bad, c.nan_to);
    return VOCO_OK;
}

static enum voco_err
embed_crops(struct job *j, const char *path)
{
    struct voco_cropset set[2];
    int n;
    enum voco_err err = voco_cropfile_read(path, set, &n);

    for (int i = 0; i < n && err == VOCO_OK; i++)
        if ((err = check_finite(path, &set[i])) == VOCO_OK)
            err = embed(j, set[i].name, path, set[i].crops, set[i].n, set[i].roi, NULL);
    for (int i = 0; i < 2; i++)
        voco_cropset_free(&set[i]);
    return err;
}

/* How volumes are brought to the form that the weights were trained on. */
static enum voco_err
choose_transform(struct job *j)
{
    struct voco_transform *t = &j->transform;
    struct voco_seginfo info = { 0 };
    enum voco_err err = c.preset >= 0 ? VOCO_OK : voco_seginfo_read(c.weights, &info);

    if (c.preset < 0 && !info.has_transform && err == VOCO_OK)
        voco_warn("%s: does not say how its volumes were prepared: --preset %s is assumed",
                  c.weights, voco_preset_names[0]);
    *t = info.has_transform ? info.transform
        : voco_presets[c.preset < 0 ? 0 : c.preset].transform;
    t->keep_intensity = t->all_channels = false;
    t->labels = NULL;
    if (!isnan(c.nan_to)) {
        t->replace_nonfinite = true;
        t->nonfinite_value = c.nan_to;
    }
    voco_seginfo_free(&info);
    return err;
}

static enum voco_err
embed_volumes(struct job *j, const struct voco_datalist *list)
{
    enum voco_err err = choose_transform(j);

    for (int i = 0; i < list->n && err == VOCO_OK; i++) {
        err = reject_or_count(j, embed_volume(j, &list->item[i]));
        voco_progress_show(&j->progress, i + 1, "%s", list->item[i].id);
    }
    return err;
}

static enum voco_err
all_inputs(struct job *j, int n, char **input)
{
    struct voco_datalist list = { 0 };
    const struct voco_datalist_options lo = { 0 };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < n && err == VOCO_OK; i++) {
        char *manifest = voco_format("%s/manifest.jsonl", input[i]);

        if (voco_file_exists(manifest))
            err = embed_store(j, input[i]);
        else if (voco_cropfile_is(input[i]))
            err = embed_crops(j, input[i]);
        else
            err = voco_datalist_add(&list, input[i], &lo);
        free(manifest);
    }
    if (err == VOCO_OK && list.n && (err = voco_datalist_finish(&list)) == VOCO_OK) {
        voco_progress_start(&j->progress, "embed", 0, list.n);
        err = embed_volumes(j, &list);
    }
    voco_datalist_free(&list);
    return err;
}

static enum voco_err
open_model(struct job *j)
{
    struct voco_model_config config;
    const struct voco_demand demand = { .want = VOCO_PARTS_BACKBONE,
                                        .need = VOCO_PARTS_BACKBONE, .run = true,
                                        .partial = c.partial,
                                        .min_percent = c.min_coverage };
    struct voco_coverage cover;
    enum voco_err err = voco_model_recognise_swinunetr(c.weights, c.merging, &config);

    if (err != VOCO_OK
        || (err = voco_model_expect_merging(c.weights, c.merging, &config)) != VOCO_OK)
        return err;
    if (config.in_channels != 1)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights for %" PRId64 " input channels, "
                         "expected 1", c.weights, config.in_channels);
    config.classes = 0;                 /* of a file for segmentation, the encoder */
    if ((err = voco_orientation_of(c.weights, j->orientation)) != VOCO_OK)
        return err;
    j->choices = voco_choices_read(voco_device_default(), (int)c.threads, NULL);
    if ((err = voco_ctx_open(&j->ctx, voco_device_default(),
                             &(struct voco_ctx_options){ .threads = (int)c.threads,
                                                         .choices = &j->choices }))
        != VOCO_OK
        || (err = voco_model_describe(&j->model, &config)) != VOCO_OK
        || (err = voco_model_allocate(&j->model, &j->ctx, false)) != VOCO_OK)
        return err;
    voco_model_fill(&j->model, &j->ctx, VOCO_INIT_TORCH, 0);
    err = voco_model_load(c.weights, &j->ctx, &j->model, &demand, &cover);
    if (err == VOCO_OK && cover.missing + cover.mismatched)
        voco_warn("%s: %d parameters of the encoder are random numbers", c.weights,
                  cover.missing + cover.mismatched);
    if (err == VOCO_OK)
        voco_note("%s: feature size %" PRId64 ", %s patch merging", c.weights, config.feature,
                  voco_merging_name(config.merging));
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    struct job j = { 0 };
    enum voco_err err;
    char *why;

    if (!c.weights || !c.output)
        return voco_fail(VOCO_EUSAGE, "embed: %s is missing", c.weights ? "--output OUT.h5"
                         : "--weights FILE");
    voco_progress_start(&j.progress, "embed", 0, 0);
    if ((err = open_model(&j)) == VOCO_OK
        && (err = voco_embeddings_create(c.output, &j.out)) == VOCO_OK)
        err = all_inputs(&j, argc, argv);
    if (err == VOCO_OK && j.crops == 0)
        err = voco_fail(VOCO_EFORMAT, "none of the inputs could be embedded");
    if (err == VOCO_OK) {
        err = voco_embeddings_finish(j.out);
        j.out = NULL;
    }
    why = voco_format("%s", voco_fail_text());
    if (err == VOCO_OK)
        voco_progress_end(&j.progress, "%s: %" PRId64 " embeddings of %" PRId64 " numbers",
                          c.output, j.crops, voco_encoder_width(&j.model.encoder));
    voco_embeddings_abandon(j.out);
    voco_model_free(&j.model);
    voco_ctx_close(&j.ctx);
    voco_choices_free(&j.choices);
    if (err == VOCO_OK && j.rejected)
        err = voco_fail(VOCO_EREJECTED, "%d inputs were rejected", j.rejected);
    else
        voco_fail(err, "%s", why);
    free(why);
    return err;
}

const struct voco_verb voco_cmd_embed = {
    .name = "embed",
    .summary = "write the encoder's embeddings of volumes or prepared crops",
    .args = "IN...",
    .details = "IN is a volume, a folder or list of volumes, a store, or an HDF5 file with\n"
               "img or crops [n,1,r,r,r].  A volume is cut into as many 64^3 crops as fit\n"
               "side by side, centred.  OUT.h5 has a group for each volume (or dataset):\n"
               "embedding [n,24f] and start [n,3], the crop's first voxel.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run,
};
