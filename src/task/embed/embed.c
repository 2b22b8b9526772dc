/* Embeddings of volumes and of prepared crops. */
#include "task/embed/embed.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "data/dataset/features.h"
#include "data/dataset/inputs.h"
#include "data/store/cropfile.h"
#include "data/transform/preset.h"
#include "model/provenance.h"
#include "objective/embed/embed.h"
#include "task/crops.h"
#include "task/inference.h"

enum { EDGE = 64 };             /* of the crops of volumes */

struct job {
    const struct voco_embed_config *c;
    struct voco_inference network;
    struct voco_inputs inputs;
    struct voco_transform transform;    /* of volumes that no store has */
    char orientation[8];        /* of what the encoder was trained on; "": not known */
    struct voco_store_scratch scratch;
    struct voco_features_writer *out;
    int64_t rows;               /* of the table */
    int rejected;
};

/* ---- crops ---- */

static enum voco_err
embed(struct job *j, const char *id, const char *source, const float *crops, int n,
      int edge, const int64_t (*start)[3])
{
    const int width = (int)voco_encoder_width(&j->network.model.encoder);
    float *e = malloc((size_t)n * (size_t)width * sizeof *e);
    enum voco_err err;

    if (!e)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d embeddings", source, n);
    err = voco_embed(&j->network.ctx, &j->network.model, crops, n, edge,
                     (int)j->c->group, e);
    if (err == VOCO_OK)
        err = voco_features_add(j->out, id, source, n, width, e, start);
    j->rows += j->c->rows == VOCO_ROWS_VOLUMES ? 1 : n;
    free(e);
    return err;
}

/* Crops have no transforms, but NaN and infinity are treated as in volumes. */
static enum voco_err
check_finite(const char *path, struct voco_cropset *set, double nan_to)
{
    const int64_t n = (int64_t)set->n * set->roi * set->roi * set->roi;
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isfinite(set->crops[i])) {
            bad++;
            set->crops[i] = (float)nan_to;
        }
    if (bad && isnan(nan_to))
        return voco_fail(VOCO_EFORMAT, "%s: %s: %" PRId64 " values are NaN or infinite "
                         "(--nan-to X would replace them)", path, set->name, bad);
    if (bad)
        voco_warn("%s: %s: %" PRId64 " values were NaN or infinite and are now %g", path,
                  set->name, bad, nan_to);
    return VOCO_OK;
}

static enum voco_err
embed_prepared(struct job *j, const char *path)
{
    struct voco_cropset set[2];
    int n;
    enum voco_err err = voco_cropfile_read(path, set, &n);

    for (int i = 0; i < n && err == VOCO_OK; i++)
        if ((err = check_finite(path, &set[i], j->c->nan_to)) == VOCO_OK)
            err = embed(j, set[i].name, path, set[i].crops, set[i].n, set[i].roi, NULL);
    for (int i = 0; i < 2; i++)
        voco_cropset_free(&set[i]);
    return err;
}

/* ---- volumes ---- */

/* The crops of a file, transformed as a whole. */
static enum voco_err
cut_item(const struct job *j, const struct voco_item *item, struct voco_crops *ret)
{
    const char *path = item->image[0];
    struct voco_transform_report report = { 0 };
    struct voco_volume v = { 0 };
    enum voco_err err;

    if (item->problem)
        return voco_fail(VOCO_EFORMAT, "%s: %s", path, item->problem);
    if ((err = voco_volume_read(path, &v)) == VOCO_OK) {
        err = voco_transform_run(&v, &j->transform, &report);
        if (err != VOCO_OK)
            err = voco_fail_in(err, "%s", path);
        else if (report.nonfinite)
            voco_warn("%s: %" PRId64 " voxels were NaN or infinite and are now %g", path,
                      report.nonfinite, j->transform.nonfinite_value);
    }
    if (err == VOCO_OK)
        err = voco_orientation_expect(j->orientation, v.affine, path);
    if (err == VOCO_OK)
        err = voco_crops_cut(&v, path, EDGE, ret);
    voco_transform_report_free(&report);
    voco_volume_free(&v);
    return err;
}

static enum voco_err
cut_stored(struct job *j, const struct voco_input_entry *in, struct voco_crops *ret)
{
    const struct voco_store_entry *e = voco_store_entry(in->store, in->index);
    const enum voco_err err = voco_orientation_expect(j->orientation, e->affine, e->id);

    return err != VOCO_OK ? err
        : voco_crops_read(in->store, in->index, EDGE, &j->scratch, ret);
}

static enum voco_err
embed_volume(struct job *j, const struct voco_input_entry *in)
{
    struct voco_crops crops = { 0 };
    enum voco_err err = in->store ? cut_stored(j, in, &crops)
                                  : cut_item(j, in->item, &crops);

    if (err == VOCO_OK)
        err = embed(j, in->id, in->source, crops.voxel, crops.n, EDGE,
                    (const int64_t (*)[3])crops.start);
    voco_crops_free(&crops);
    return voco_input_reject(err, &j->rejected);
}

/* How volumes are brought to the form that the weights were trained on. */
static enum voco_err
choose_transform(const struct voco_embed_config *c, struct voco_transform *t)
{
    struct voco_seginfo info = { 0 };
    enum voco_err err = c->preset >= 0 ? VOCO_OK : voco_seginfo_read(c->weights, &info);

    if (c->preset < 0 && !info.has_transform && err == VOCO_OK)
        voco_warn("%s: does not say how its volumes were prepared: --preset %s is assumed",
                  c->weights, voco_preset_names[0]);
    *t = info.has_transform ? info.transform
        : voco_presets[c->preset < 0 ? 0 : c->preset].transform;
    t->keep_intensity = t->all_channels = false;
    t->labels = NULL;
    if (!isnan(c->nan_to)) {
        t->replace_nonfinite = true;
        t->nonfinite_value = c->nan_to;
    }
    voco_seginfo_free(&info);
    return err;
}

/* ---- the work ---- */

static enum voco_err
open_encoder(struct job *j)
{
    const struct voco_embed_config *c = j->c;
    const struct voco_demand demand = { .want = VOCO_PARTS_BACKBONE,
                                        .need = VOCO_PARTS_BACKBONE, .run = true,
                                        .partial = c->partial,
                                        .min_percent = c->min_coverage };
    struct voco_model_config config;
    struct voco_coverage cover;
    enum voco_err err = voco_model_recognise_swinunetr(c->weights, c->merging, &config);

    if (err != VOCO_OK
        || (err = voco_model_expect_merging(c->weights, c->merging, &config)) != VOCO_OK)
        return err;
    if (config.in_channels != 1)
        return voco_fail(VOCO_ECHECKPOINT, "%s: weights for %" PRId64 " input channels, "
                         "expected 1", c->weights, config.in_channels);
    config.classes = 0;                 /* of a file for segmentation, the encoder */
    if ((err = voco_orientation_of(c->weights, j->orientation)) != VOCO_OK)
        return err;
    voco_inference_init(&j->network, c->weights, c->precision, (int)c->threads,
                        false);
    if ((err = voco_inference_open(&j->network, &config, &demand, &cover)) != VOCO_OK)
        return err;
    if (cover.missing + cover.mismatched)
        voco_warn("%s: %d parameters of the encoder are random numbers", c->weights,
                  cover.missing + cover.mismatched);
    voco_note("%s: feature size %" PRId64 ", %s patch merging", c->weights, config.feature,
              voco_merging_name(config.merging));
    return VOCO_OK;
}

static enum voco_err
embed_all(struct job *j)
{
    struct voco_progress progress;
    enum voco_err err = j->inputs.list.n ? choose_transform(j->c, &j->transform) : VOCO_OK;

    voco_progress_start(&progress, "embed", 0, j->inputs.n);
    for (int i = 0; i < j->inputs.n && err == VOCO_OK; i++) {
        const struct voco_input_entry *in = &j->inputs.entry[i];

        err = in->item || in->store ? embed_volume(j, in) : embed_prepared(j, in->source);
        voco_progress_show(&progress, i + 1, "%s", in->id);
    }
    if (err == VOCO_OK && j->rows == 0)
        err = voco_fail(VOCO_EFORMAT, "none of the inputs could be embedded");
    if (err == VOCO_OK) {
        err = voco_features_finish(j->out);
        j->out = NULL;
    }
    if (err == VOCO_OK)
        voco_progress_end(&progress, "%s: %" PRId64 " embeddings of %" PRId64 " numbers",
                          j->c->output, j->rows,
                          voco_encoder_width(&j->network.model.encoder));
    if (err == VOCO_OK && j->rejected)
        err = voco_fail(VOCO_EREJECTED, "%d inputs were rejected", j->rejected);
    return err;
}

enum voco_err
voco_embed_inputs(const struct voco_embed_config *c, int n, const char *const *input)
{
    const struct voco_inputs_options o = { .crops = true };
    struct job j = { .c = c };
    enum voco_err err;
    char *why;

    if (!c->weights || !c->output)
        return voco_fail(VOCO_EUSAGE, "embed: %s is missing", c->weights ? "--output OUT"
                         : "--weights FILE");
    if ((err = open_encoder(&j)) == VOCO_OK
        && (err = voco_features_create(c->output, c->rows == VOCO_ROWS_VOLUMES,
                                       &j.out)) == VOCO_OK
        && (err = voco_inputs_open(&j.inputs, n, input, &o)) == VOCO_OK)
        err = embed_all(&j);
    why = voco_format("%s", voco_fail_text());
    voco_features_abandon(j.out);
    voco_store_scratch_free(&j.scratch);
    voco_inputs_free(&j.inputs);
    voco_inference_close(&j.network);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}
