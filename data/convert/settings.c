/* From the settings of voco convert to its options, and the work. */
#include "data/convert/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/stop.h"
#include "data/convert/report.h"
#include "data/transform/preset.h"

/* ---- transform ---- */

/* "X,Y,Z", one number for all, or "none". */
static enum voco_err
parse_sizes(const char *option, const char *text, int64_t dim[3])
{
    long long x[3];
    char end;
    int n;

    if (!text)
        return VOCO_OK;
    if (strcmp(text, "none") == 0) {
        memset(dim, 0, 3 * sizeof *dim);
        return VOCO_OK;
    }
    n = sscanf(text, "%lld,%lld,%lld%c", &x[0], &x[1], &x[2], &end);
    if (n == 1 && sscanf(text, "%lld%c", &x[0], &end) == 1) {
        x[1] = x[2] = x[0];
        n = 3;
    }
    for (int i = 0; i < 3; i++)
        if (n != 3 || x[i] < 1 || x[i] > 4096)
            return voco_fail(VOCO_EUSAGE, "--%s: '%s' is not X,Y,Z with numbers from 1 "
                             "to 4096, nor none", option, text);
    for (int i = 0; i < 3; i++)
        dim[i] = x[i];
    return VOCO_OK;
}

/* A window of another kind than the preset's needs numbers of its own. */
static enum voco_err
choose_window(const struct voco_convert_settings *s, struct voco_transform *t)
{
    const bool other = s->scaling >= 0 && (int)t->scaling != s->scaling;

    if (s->scaling >= 0)
        t->scaling = (enum voco_scaling)s->scaling;
    if (!isnan(s->window[0])) {
        memcpy(t->window, s->window, sizeof t->window);
        if (t->scaling == VOCO_SCALING_NONE)
            return voco_fail(VOCO_EUSAGE, "--window: nothing to do without scaling; give "
                             "--scaling range, percentile or zscore");
    } else if (other && t->scaling == VOCO_SCALING_PERCENTILE) {
        t->window[0] = 0.5;
        t->window[1] = 99.5;
    } else if (other && t->scaling == VOCO_SCALING_ZSCORE) {
        t->window[0] = -3;
        t->window[1] = 3;
    } else if (other && t->scaling == VOCO_SCALING_RANGE) {
        return voco_fail(VOCO_EUSAGE, "--scaling range needs --window LOW,HIGH");
    }
    if (t->scaling == VOCO_SCALING_NONE)
        t->window[0] = t->window[1] = 0;
    if (t->scaling == VOCO_SCALING_PERCENTILE && (t->window[0] < 0 || t->window[1] > 100))
        return voco_fail(VOCO_EUSAGE, "--window: %g,%g are not percentiles from 0 to 100",
                         t->window[0], t->window[1]);
    return VOCO_OK;
}

static enum voco_err
parse_channel(const char *channel, int *ret)
{
    char *end = NULL;
    const long n = channel ? strtol(channel, &end, 10) : 0;

    *ret = !channel ? VOCO_CHANNEL_REFUSE : (int)n;
    if (channel && strcmp(channel, "all") == 0)
        *ret = VOCO_CHANNEL_ALL;
    else if (channel && (end == channel || *end || n < 0 || n >= VOCO_CHANNELS_MAX))
        return voco_fail(VOCO_EUSAGE, "--channel: '%s' is neither a number from 0 to %d "
                         "nor all", channel, VOCO_CHANNELS_MAX - 1);
    return VOCO_OK;
}

static enum voco_err
choose_transform(const struct voco_convert_settings *s, struct voco_transform *t)
{
    enum voco_err err;

    *t = voco_presets[s->preset].transform;
    if (!isnan(s->spacing_mm[0]))
        memcpy(t->spacing_mm, s->spacing_mm, sizeof t->spacing_mm);
    err = choose_window(s, t);
    if (s->foreground >= 0)
        t->foreground = (enum voco_foreground)s->foreground;
    if (s->no_foreground)
        t->foreground = VOCO_FOREGROUND_NONE;
    if (!err)
        err = parse_sizes("foreground-multiple", s->multiple, t->multiple);
    if (!err && s->multiple && t->foreground == VOCO_FOREGROUND_NONE)
        err = voco_fail(VOCO_EUSAGE, "--foreground-multiple: there is no crop to the "
                        "foreground, see --foreground");
    if (!err)
        err = parse_sizes("pad-first", s->pad_first, t->pad_first);
    if (!err)
        err = parse_sizes("resize", s->resize, t->resize);
    if (!err)
        err = parse_sizes("pad", s->pad, t->pad);
    t->replace_nonfinite = !isnan(s->nan_to);
    t->nonfinite_value = isnan(s->nan_to) ? 0 : s->nan_to;
    return err;
}

static enum voco_err
choose_type(int type, struct voco_convert_options *o)
{
    struct voco_transform *t = &o->transform;
    const bool fits = t->scaling != VOCO_SCALING_NONE
        && !voco_transform_is_unbounded(t);             /* into [0,1] */

    if (type < 0)
        type = fits ? VOCO_STORE_U16 : VOCO_STORE_F32;
    o->element.type = (enum voco_store_type)type;
    t->keep_intensity = type == VOCO_STORE_I16;
    if (type != VOCO_STORE_F32 && voco_transform_is_unbounded(t))
        return voco_fail(VOCO_EUSAGE, "--scaling %s needs --store-type f32: its values are "
                         "not in [0,1]", voco_scaling_name[t->scaling]);
    if (type == VOCO_STORE_I16 && t->scaling == VOCO_SCALING_NONE)
        return voco_fail(VOCO_EUSAGE, "--store-type i16 keeps intensities and needs to "
                         "know their window: give --scaling and --window");
    if (type == VOCO_STORE_I16 && o->channel == VOCO_CHANNEL_ALL
        && t->scaling != VOCO_SCALING_RANGE)
        return voco_fail(VOCO_EUSAGE, "--store-type i16 has one window for all channels: "
                         "--channel all needs --scaling range with it");
    return VOCO_OK;
}

/* ---- labels ---- */

/* The choice, and what its options point to. */
struct chosen {
    struct voco_convert_options o;
    struct voco_label_map map;
    char *rules, *class_text;
    const char **class_name;            /* into class_text, or into the list's names */
};

static void
chosen_free(struct chosen *c)
{
    free(c->rules);
    free(c->class_text);
    free(c->class_name);
}

static enum voco_err
take_class_names(const char *names, struct chosen *c)
{
    enum voco_err err;
    int n;

    free(c->class_name);
    err = voco_class_names_parse(names, &c->class_text, &c->class_name, &n);
    if (err)
        return voco_fail_in(err, "--class-names");
    for (int v = 0; v <= VOCO_LABEL_MAX; v++)
        if (c->map.to[v] >= n && strcmp(c->rules, "any") != 0)
            return voco_fail(VOCO_EUSAGE, "--class-names has %d names, but the label map "
                             "makes class %d of the value %d", n, c->map.to[v], v);
    c->o.element.class_name = c->class_name;
    c->o.element.n_classes = n;
    return VOCO_OK;
}

/* "0,1,2" of the values that a list names; their names are those of classes if these are
 * 0, 1, and so on. */
static enum voco_err
rules_of_list(const struct voco_classes *list, struct chosen *c)
{
    bool named = true;

    if (list->problem)
        return voco_fail(VOCO_EFORMAT, "%s", list->problem);
    if (list->n == 0)
        return voco_fail(VOCO_EUSAGE, "--labels json: no list has \"labels\"; give the "
                         "values as rules, or any");
    c->class_name = calloc((size_t)list->n, sizeof *c->class_name);
    VOCO_NEED(c->class_name);
    for (int i = 0; i < list->n; i++) {
        char *more = voco_format("%s%s%d", c->rules ? c->rules : "", i ? "," : "",
                                 list->class_[i].value);

        free(c->rules);
        c->rules = more;
        c->class_name[i] = list->class_[i].name;
        named = named && list->class_[i].value == i;
    }
    c->o.element.class_name = named ? c->class_name : NULL;
    c->o.element.n_classes = named ? list->n : 0;
    return VOCO_OK;
}

/* The label map, once the lists are read: json takes its values from them. */
static enum voco_err
choose_labels(const struct voco_convert_settings *s, const struct voco_classes *list,
              struct chosen *c)
{
    enum voco_err err = VOCO_OK;

    if (!s->labels && (s->label_folder || s->class_names))
        return voco_fail(VOCO_EUSAGE, "%s without --labels, which says what values mean: "
                         "--labels any takes them as they are", s->label_folder
                         ? "--label-folder" : "--class-names");
    if (!s->labels)
        return VOCO_OK;
    if (strcmp(s->labels, "json") == 0)
        err = rules_of_list(list, c);
    else
        c->rules = voco_format("%s", s->labels);
    if (!err && (err = voco_label_map_parse(c->rules, &c->map)))
        err = voco_fail_in(err, "--labels");
    c->o.labels = &c->map;
    c->o.transform.labels = c->rules;
    return !err && s->class_names ? take_class_names(s->class_names, c) : err;
}

/* ---- all of it ---- */

static enum voco_err
choose_options(const struct voco_convert_settings *s, struct voco_convert_options *o)
{
    struct voco_machine machine;
    enum voco_err err;

    if (!s->store)
        return voco_fail(VOCO_EUSAGE, "-o STORE is missing: where the volumes go");
    *o = (struct voco_convert_options){
        .store = s->store, .preset = voco_presets[s->preset].name,
        .dataset = s->dataset ? s->dataset : voco_presets[s->preset].name,
        .threads = s->threads > 0 ? (int)s->threads : voco_default_threads(),
        .memory_bytes = s->memory, .stop = &voco_stop_signal,
        .element = { .chunk = s->chunk > 0 ? (int)s->chunk : 0,
                     .level = s->level > 0 ? (int)s->level : 0,
                     .shard_bytes = s->shard_bytes }
    };
    if ((err = choose_transform(s, &o->transform))
        || (err = parse_channel(s->channel, &o->channel))
        || (err = choose_type(s->type, o)))
        return err;
    o->transform.all_channels = o->channel == VOCO_CHANNEL_ALL;
    if (!s->memory) {
        voco_machine_read("", &machine);
        o->memory_bytes = (int64_t)(0.6 * (double)machine.memory);
    }
    return VOCO_OK;
}

static enum voco_err
verdict(const char *store, const struct voco_convert_result *r)
{
    if (r->pending)
        return voco_fail(VOCO_ESTOPPED, "stopped by a signal; the same command goes on "
                         "with the %" PRId64 " volumes left", r->pending);
    if (r->stored + r->skipped + r->changed == 0)
        return voco_fail(VOCO_EFORMAT, "none of %d volumes could be used", r->n);
    if (r->rejected)
        return voco_fail(VOCO_EREJECTED, "%" PRId64 " of %d volumes were rejected; "
                         "%s/manifest.jsonl says why", r->rejected, r->n, store);
    if (r->changed)
        return voco_fail(VOCO_EREJECTED, "%" PRId64 " of %d volumes are in %s from files that "
                         "have changed since", r->changed, r->n, store);
    return VOCO_OK;
}

static enum voco_err
convert(const struct voco_datalist *list, const struct voco_convert_options *o,
        double start_s)
{
    struct voco_convert_result result = { .outcome = NULL };
    enum voco_err err;

    voco_stop_install();
    err = voco_convert_run(list, o, &result);
    if (!err) {
        voco_convert_print_summary(list, o, &result, voco_seconds() - start_s);
        err = verdict(o->store, &result);
    }
    voco_convert_result_free(&result);
    return err;
}

enum voco_err
voco_convert_inputs(const struct voco_convert_settings *s, int n, const char *const *input)
{
    const struct voco_datalist_options lists = {
        .root = s->root, .test_split = s->test_split, .labels = s->label_folder,
    };
    const double start_s = voco_seconds();
    struct voco_datalist list = { .item = NULL };
    struct chosen c = { .rules = NULL };
    enum voco_err err = choose_options(s, &c.o);

    if (!err)
        err = voco_datalist_read(&list, n, input, &lists);
    if (!err)
        err = choose_labels(s, &list.classes, &c);
    if (!err)
        err = s->dry_run ? voco_convert_show_plans(&list, &c.o)
                         : convert(&list, &c.o, start_s);
    voco_datalist_free(&list);
    chosen_free(&c);
    return err;
}
