/* Segmentation of volumes: windows, transforms and network, of settings and weights. */
#include "task/segment/choose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/transform/preset.h"
#include "model/nnunet.h"
#include "model/provenance.h"
#include "model/weights.h"

const char *const voco_resampling_names[] = { "nearest", "linear", NULL };

static enum voco_err
choose_mirror(const struct voco_segment_settings *s, unsigned *ret)
{
    *ret = 0;
    for (const char *p = s->mirror; p && *p; p++) {
        if (*p < 'x' || *p > 'z' || *ret >> (*p - 'x') & 1)
            return voco_fail(VOCO_EUSAGE, "--mirror: '%s' is not one to three of the axes x, "
                             "y and z", s->mirror);
        *ret |= 1u << (*p - 'x');
    }
    return VOCO_OK;
}

/* Windows of the option, else of the weights, else 96 or a little more. */
static enum voco_err
choose_roi(const struct voco_segment_settings *s, const struct voco_model_config *model,
           const struct voco_seginfo *info, int64_t roi[3])
{
    const char *weights = s->predict.weights;
    const bool given = !isnan(s->roi[0]);
    int64_t multiple[3];

    voco_model_multiple(model, multiple);
    for (int i = 0; i < 3; i++) {
        const int64_t m = multiple[i], usual = (96 + m - 1) / m * m;

        roi[i] = given ? (int64_t)s->roi[i] : info->roi[i] ? info->roi[i] : usual;
        if (roi[i] % m != 0 || (given && s->roi[i] != floor(s->roi[i])))
            return voco_fail(VOCO_EUSAGE, "%s: %g is not a multiple of %" PRId64
                             ", by which the network divides axis %c", given ? "--roi"
                             : weights, given ? s->roi[i] : (double)roi[i], m, 'x' + i);
    }
    if (!given && !info->roi[0])
        voco_warn("%s: does not say what windows the network was trained on: windows of %"
                  PRId64 " x %" PRId64 " x %" PRId64 " are assumed; see --roi", weights,
                  roi[0], roi[1], roi[2]);
    return VOCO_OK;
}

/* Another window; intensities in both become the same numbers. */
static void
move_window(struct voco_transform *t, const double window[2])
{
    const double scale = (t->into[1] - t->into[0]) / (t->window[1] - t->window[0]);
    const double zero = t->into[0] - scale * t->window[0];
    const bool moves = t->into[0] != t->into[1];

    for (int i = 0; i < 2; i++) {
        t->window[i] = window[i];
        t->into[i] = moves ? zero + scale * t->window[i] : 0;
    }
}

/* Sliding windows pad as far as they need to. */
static enum voco_err
choose_transform(const struct voco_segment_settings *s, int64_t channels,
                 const struct voco_seginfo *info, struct voco_transform *t)
{
    if (s->preset >= 0)
        *t = voco_presets[s->preset].transform;
    else if (info->has_transform)
        *t = info->transform;
    else
        return voco_fail(VOCO_EUSAGE, "%s does not say how its volumes were prepared: give "
                         "--preset (and --spacing, --window where they differ)",
                         s->predict.weights);
    if (!isnan(s->spacing_mm[0]))
        memcpy(t->spacing_mm, s->spacing_mm, sizeof t->spacing_mm);
    if (!isnan(s->window[0]))
        move_window(t, s->window);
    if (!isnan(s->nan_to)) {
        t->replace_nonfinite = true;
        t->nonfinite_value = s->nan_to;
    }
    if (t->scaling == VOCO_SCALING_PERCENTILE && (t->window[0] < 0 || t->window[1] > 100))
        return voco_fail(VOCO_EUSAGE, "--window: %g,%g are not percentiles from 0 to 100",
                         t->window[0], t->window[1]);
    memset(t->pad_first, 0, sizeof t->pad_first);
    memset(t->pad, 0, sizeof t->pad);
    t->keep_intensity = false;
    t->all_channels = channels > 1;
    t->labels = NULL;
    return VOCO_OK;
}

static void
announce(const struct voco_segment_settings *s, const struct voco_segment_choice *choice,
         const struct voco_seginfo *info)
{
    const struct voco_predict_options *o = &choice->windows;
    char *transform = voco_transform_options(&choice->transform);
    const char *from = s->preset >= 0 ? voco_preset_names[s->preset]
                       : info->preset ? info->preset : "the weights";
    char words[160];

    voco_note("%s: %s, %" PRId64 " classes", s->predict.weights,
              voco_model_words(&choice->model, words), choice->model.classes);
    voco_note("transforms of %s%s: %s", from, s->preset < 0 && info->preset ? " (the weights)"
              : "", transform ? transform : "?");
    voco_note("windows of %" PRId64 " x %" PRId64 " x %" PRId64 ", overlap %g, %s blending%s%s",
              o->roi[0], o->roi[1], o->roi[2], o->overlap, voco_blend_names[o->blend],
              o->mirror ? ", mirrored along " : "", o->mirror ? s->mirror : "");
    free(transform);
}

/* Settings of volumes in the file; nnU-Net's checkpoints have them in their plans. */
static enum voco_err
read_info(const char *weights, struct voco_model_config *model, struct voco_seginfo *info)
{
    const struct voco_nnunet_source own = { NULL, NULL };
    struct voco_tensorfile file;
    bool found = false;
    enum voco_err err = voco_seginfo_read(weights, info);

    if (err != VOCO_OK || info->has_transform || model->net != VOCO_NET_PLAINCONV
        || (err = voco_tensorfile_open(&file, weights)) != VOCO_OK)
        return err;
    voco_seginfo_free(info);
    err = voco_nnunet_read(&file, weights, &own, &found, info, &model->axes);
    voco_tensorfile_close(&file);
    return err;
}

/* The network of the weights, which must be whole. */
static enum voco_err
recognise(const char *weights, int merging, struct voco_model_config *ret)
{
    enum voco_err err = voco_model_recognise_as(weights, merging, ret);
    char objective[32];

    if (err == VOCO_OK)
        err = voco_model_expect_merging(weights, merging, ret);
    if (err != VOCO_OK)
        return err;
    if (ret->classes < 2)
        return voco_fail(VOCO_ECHECKPOINT, "%s: %s: fine-tune it first", weights,
                         ret->classes ? "a network that makes intensities, not classes"
                                      : "an encoder without an output layer");
    if ((err = voco_provenance_objective(weights, objective)) != VOCO_OK)
        return err;
    if (objective[0] && strncmp(objective, "segment", 7) != 0
        && strcmp(objective, "omni") != 0)
        return voco_fail(VOCO_ECHECKPOINT, "%s: made by pretrain --objective %s, whose outputs "
                         "are no classes of labels: fine-tune it first", weights, objective);
    return voco_model_cover(weights, ret, &voco_demand_all);
}

enum voco_err
voco_segment_choose(const struct voco_segment_settings *s, struct voco_segment_choice *ret)
{
    const char *weights = s->predict.weights;
    struct voco_predict_options *o = &ret->windows;
    struct voco_seginfo info = { 0 };
    enum voco_err err;

    *ret = (struct voco_segment_choice){ .windows = {
        .overlap = s->overlap, .blend = (enum voco_blend)s->blend,
        .skip_flat = s->skip_background, .smooth = s->resample == VOCO_RESAMPLE_LINEAR,
    } };
    if ((err = recognise(weights, s->merging, &ret->model)) == VOCO_OK)
        err = read_info(weights, &ret->model, &info);
    if (err == VOCO_OK)
        err = voco_orientation_of(weights, ret->orientation);
    if (err == VOCO_OK)
        err = choose_mirror(s, &o->mirror);
    if (err == VOCO_OK)
        err = choose_roi(s, &ret->model, &info, o->roi);
    if (err == VOCO_OK)
        err = choose_transform(s, ret->model.in_channels, &info, &ret->transform);
    if (err == VOCO_OK)
        announce(s, ret, &info);
    voco_seginfo_free(&info);
    return err;
}
