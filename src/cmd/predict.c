/* voco predict: label maps of volumes, in their own space. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "data/transform/preset.h"
#include "dev/list.h"
#include "dev/wrap/trace.h"
#include "model/nnunet.h"
#include "model/provenance.h"
#include "task/segment/predict.h"
#include "model/seginfo.h"
#include "objective/segment/segment.h"
#include "base/stop.h"
#include "dev/shape.h"
#include "model/weights.h"

static const char *const blends[] = { "constant", "gaussian", NULL };
static const char *const resamplings[] = { "nearest", "linear", NULL };
static const char *const mergings[] = { "legacy", "fixed", NULL };

static struct {
    const char *weights, *output, *mirror;
    int preset, blend, resample, merging;
    double spacing_mm[3], window[2], nan_to, roi[3], overlap;
    int64_t batch, threads, memory;
    bool probabilities, skip_background, skip_existing, dry_run, trace;
} c = {
    .preset = -1, .blend = VOCO_BLEND_GAUSSIAN, .spacing_mm = { NAN }, .window = { NAN },
    .nan_to = NAN, .roi = { NAN }, .overlap = 0.5, .batch = 4, .merging = -1,
};

static const struct voco_opt options[] = {
    { "weights", 'w', VOCO_OPT_FILE, &c.weights, "FILE",
      "safetensors, or .pt, of a fine-tuned network" },
    { "output", 'o', VOCO_OPT_FOLDER, &c.output, "FOLDER", "for the label maps" },
    { "probabilities", 0, VOCO_OPT_FLAG, &c.probabilities, NULL,
      "write NAME_prob.nii.gz too, a volume for each class" },
    { "skip-existing", 0, VOCO_OPT_FLAG, &c.skip_existing, NULL,
      "leave inputs alone whose label map is there" },
    { "dry-run", 'n', VOCO_OPT_FLAG, &c.dry_run, NULL,
      "print the plan and the memory that it needs, and stop" },

    { "preset", 'p', VOCO_OPT_CHOICE, &c.preset, "NAME",
      "transforms as voco convert has them (default: those of the weights)",
      .choices = voco_preset_names, .section = "Transforms" },
    { "spacing", 0, VOCO_OPT_REAL3, c.spacing_mm, "MM",
      "voxel size for the network, one number or three; 0 keeps an axis", 0, 100 },
    { "window", 0, VOCO_OPT_RANGE, c.window, "LOW,HIGH",
      "these become 0 and 1: intensities, or percentiles as the transforms have it" },
    { "nan-to", 0, VOCO_OPT_REAL, &c.nan_to, "X",
      "replace NaN and infinities, which are an error otherwise" },

    { "roi", 0, VOCO_OPT_REAL3, c.roi, "N",
      "edges of a window in voxels (default: those of the weights, or 96)", 1, 1024,
      .section = "Windows" },
    { "overlap", 0, VOCO_OPT_REAL, &c.overlap, "SHARE", "of neighbouring windows", 0, 0.95 },
    { "blend", 0, VOCO_OPT_CHOICE, &c.blend, "KIND",
      "weight of a window's voxels: all alike, or less towards its faces",
      .choices = blends },
    { "mirror", 0, VOCO_OPT_TEXT, &c.mirror, "AXES",
      "average over reversed axes, such as xyz: two, four or eight times the work" },
    { "skip-background", 0, VOCO_OPT_FLAG, &c.skip_background, NULL,
      "take windows without any contrast as background" },
    { "resample", 0, VOCO_OPT_CHOICE, &c.resample, "KIND",
      "labels of the nearest voxel, or of interpolated probabilities",
      .choices = resamplings },

    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "patch merging, where the weights do not tell: legacy or fixed", .choices = mergings,
      .section = "Resources" },
    { "batch", 0, VOCO_OPT_INT, &c.batch, "N", "windows at once, at most", 1, 64 },
    { "threads", 't', VOCO_OPT_INT, &c.threads, "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "memory", 0, VOCO_OPT_SIZE, &c.memory, "SIZE",
      "to use at most (default: half of what this process may have)", 1, 1e15 },
    { "trace", 0, VOCO_OPT_FLAG, &c.trace, NULL,
      "at the end, a table of where the time went: primitive, shapes, rate" },
    { NULL }
};

/* A volume to be predicted. */
struct input {
    const char *id, *source;
    const struct voco_item *item;       /* NULL: of a store */
    const struct voco_store *store;
    int entry;
    double bytes;                       /* beside the network's; 0: not known yet */
    int64_t windows;                    /* an upper bound; then the number */
};

struct job {
    struct voco_model_config config;
    struct voco_transform transform;
    char orientation[8];                /* of what the network was trained on; "": not known */
    struct voco_datalist list;
    struct voco_store **store;
    int n_stores;
    struct input *input;
    int n;
    uint64_t memory;
    struct voco_choices choices;        /* implementations, measured */
    struct voco_ctx ctx;
    struct voco_trace trace;
    struct voco_model model;
    struct voco_predictor predictor;
    struct voco_progress progress;
    int64_t before;                     /* windows of the inputs that are done */
    int current, written, skipped, rejected;
};

/* ---- what to do ---- */

/* Every parameter, and no tensor of the network beyond them. */
static struct voco_demand
demand(bool quiet)
{
    return (struct voco_demand){ .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_ALL, .run = true,
                                 .no_partial = true, .quiet = quiet };
}

static enum voco_err
choose_mirror(unsigned *ret)
{
    *ret = 0;
    for (const char *p = c.mirror; p && *p; p++) {
        if (*p < 'x' || *p > 'z' || *ret >> (*p - 'x') & 1)
            return voco_fail(VOCO_EUSAGE, "--mirror: '%s' is not one to three of the axes x, "
                             "y and z", c.mirror);
        *ret |= 1u << (*p - 'x');
    }
    return VOCO_OK;
}

/* Windows of the option, else of the weights, else 96 or a little more. */
static enum voco_err
choose_roi(const struct job *j, const struct voco_seginfo *info, int64_t roi[3])
{
    const bool given = !isnan(c.roi[0]);
    int64_t multiple[3];

    voco_model_multiple(&j->config, multiple);
    for (int i = 0; i < 3; i++) {
        const int64_t m = multiple[i], usual = (96 + m - 1) / m * m;

        roi[i] = given ? (int64_t)c.roi[i] : info->roi[i] ? info->roi[i] : usual;
        if (roi[i] % m != 0 || (given && c.roi[i] != floor(c.roi[i])))
            return voco_fail(VOCO_EUSAGE, "%s: %g is not a multiple of %" PRId64
                             ", by which the network divides axis %c", given ? "--roi"
                             : c.weights, given ? c.roi[i] : (double)roi[i], m, 'x' + i);
    }
    if (!given && !info->roi[0])
        voco_warn("%s: does not say what windows the network was trained on: windows of %"
                  PRId64 " x %" PRId64 " x %" PRId64 " are assumed; see --roi", c.weights,
                  roi[0], roi[1], roi[2]);
    return VOCO_OK;
}

/* Another window; intensities in both become the same numbers. */
static void
move_window(struct voco_transform *t)
{
    const double scale = (t->into[1] - t->into[0]) / (t->window[1] - t->window[0]);
    const double zero = t->into[0] - scale * t->window[0];
    const bool moves = t->into[0] != t->into[1];

    for (int i = 0; i < 2; i++) {
        t->window[i] = c.window[i];
        t->into[i] = moves ? zero + scale * t->window[i] : 0;
    }
}

/* Sliding windows pad as far as they need to. */
static enum voco_err
choose_transform(struct job *j, const struct voco_seginfo *info)
{
    struct voco_transform *t = &j->transform;

    if (c.preset >= 0)
        *t = voco_presets[c.preset].transform;
    else if (info->has_transform)
        *t = info->transform;
    else
        return voco_fail(VOCO_EUSAGE, "%s does not say how its volumes were prepared: give "
                         "--preset (and --spacing, --window where they differ)", c.weights);
    if (!isnan(c.spacing_mm[0]))
        memcpy(t->spacing_mm, c.spacing_mm, sizeof t->spacing_mm);
    if (!isnan(c.window[0]))
        move_window(t);
    if (!isnan(c.nan_to)) {
        t->replace_nonfinite = true;
        t->nonfinite_value = c.nan_to;
    }
    if (t->scaling == VOCO_SCALING_PERCENTILE && (t->window[0] < 0 || t->window[1] > 100))
        return voco_fail(VOCO_EUSAGE, "--window: %g,%g are not percentiles from 0 to 100",
                         t->window[0], t->window[1]);
    memset(t->pad_first, 0, sizeof t->pad_first);
    memset(t->pad, 0, sizeof t->pad);
    t->keep_intensity = false;
    t->all_channels = j->config.in_channels > 1;
    t->labels = NULL;
    return VOCO_OK;
}

static void
announce(const struct job *j, const struct voco_seginfo *info)
{
    const struct voco_predict_options *o = &j->predictor.o;
    char *transform = voco_transform_options(&j->transform);
    const char *from = c.preset >= 0 ? voco_preset_names[c.preset]
                       : info->preset ? info->preset : "the weights";
    char words[160];

    voco_note("%s: %s, %" PRId64 " classes", c.weights, voco_model_words(&j->config, words),
              j->config.classes);
    voco_note("transforms of %s%s: %s", from, c.preset < 0 && info->preset ? " (the weights)"
              : "", transform ? transform : "?");
    voco_note("windows of %" PRId64 " x %" PRId64 " x %" PRId64 ", overlap %g, %s blending%s%s",
              o->roi[0], o->roi[1], o->roi[2], o->overlap, blends[o->blend],
              o->mirror ? ", mirrored along " : "", o->mirror ? c.mirror : "");
    free(transform);
}

/* What the file says of volumes; nnU-Net's checkpoints say it in their plans. */
static enum voco_err
read_info(struct job *j, struct voco_seginfo *info)
{
    const struct voco_nnunet_source own = { NULL, NULL };
    struct voco_tensorfile file;
    bool found = false;
    enum voco_err err = voco_seginfo_read(c.weights, info);

    if (err != VOCO_OK || info->has_transform || j->config.net != VOCO_NET_PLAINCONV
        || (err = voco_tensorfile_open(&file, c.weights)) != VOCO_OK)
        return err;
    voco_seginfo_free(info);
    err = voco_nnunet_read(&file, c.weights, &own, &found, info, &j->config.axes);
    voco_tensorfile_close(&file);
    return err;
}

static enum voco_err
read_weights_head(struct job *j)
{
    const struct voco_demand all = demand(false);
    struct voco_predict_options *o = &j->predictor.o;
    struct voco_seginfo info = { 0 };
    enum voco_err err = voco_model_recognise_as(c.weights, c.merging, &j->config);

    if (err == VOCO_OK)
        err = voco_model_expect_merging(c.weights, c.merging, &j->config);
    if (err != VOCO_OK)
        return err;
    if (j->config.classes < 2)
        return voco_fail(VOCO_ECHECKPOINT, "%s: an encoder without an output layer: "
                         "fine-tune it first", c.weights);
    if ((err = voco_model_cover(c.weights, &j->config, &all)) != VOCO_OK)
        return err;
    *o = (struct voco_predict_options){
        .overlap = c.overlap, .blend = (enum voco_blend)c.blend,
        .skip_flat = c.skip_background, .smooth = c.resample == 1, .batch = (int)c.batch,
    };
    err = read_info(j, &info);
    if (err == VOCO_OK)
        err = voco_orientation_of(c.weights, j->orientation);
    if (err == VOCO_OK)
        err = choose_mirror(&o->mirror);
    if (err == VOCO_OK)
        err = choose_roi(j, &info, o->roi);
    if (err == VOCO_OK)
        err = choose_transform(j, &info);
    if (err == VOCO_OK)
        announce(j, &info);
    voco_seginfo_free(&info);
    return err;
}

/* ---- inputs ---- */

static enum voco_err
grow(void **array, int n, size_t size)
{
    void *more = realloc(*array, (size_t)n * size);

    if (!more)
        return voco_fail(VOCO_EMEMORY, "no memory for a list of %d inputs", n);
    *array = more;
    return VOCO_OK;
}

static enum voco_err
add_input(struct job *j, struct input in)
{
    const enum voco_err err = grow((void **)&j->input, j->n + 1, sizeof *j->input);

    if (err == VOCO_OK)
        j->input[j->n++] = in;
    return err;
}

static enum voco_err
add_store(struct job *j, const char *path)
{
    struct voco_store *s;
    enum voco_err err = grow((void **)&j->store, j->n_stores + 1, sizeof *j->store);

    if (err != VOCO_OK || (err = voco_store_open(path, &s)) != VOCO_OK)
        return err;
    j->store[j->n_stores++] = s;
    for (int i = 0; i < voco_store_count(s) && err == VOCO_OK; i++) {
        const struct voco_store_entry *e = voco_store_entry(s, i);

        err = add_input(j, (struct input){ .id = e->id, .source = e->source, .store = s,
                                           .entry = i });
    }
    return err;
}

static int
by_id(const void *a, const void *b)
{
    return strcmp((*(const struct input *const *)a)->id,
                  (*(const struct input *const *)b)->id);
}

/* Two label maps cannot have one name. */
static enum voco_err
check_names(const struct job *j)
{
    const struct input **sorted = malloc(((size_t)j->n + 1) * sizeof *sorted);
    enum voco_err err = VOCO_OK;

    if (!sorted)
        return voco_fail(VOCO_EMEMORY, "no memory for a list of %d inputs", j->n);
    for (int i = 0; i < j->n; i++)
        sorted[i] = &j->input[i];
    qsort(sorted, (size_t)j->n, sizeof *sorted, by_id);
    for (int i = 1; i < j->n && err == VOCO_OK; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            err = voco_fail(VOCO_EUSAGE, "%s and %s would both become %s.nii.gz: predict them "
                            "in two calls", sorted[i - 1]->source, sorted[i]->source,
                            sorted[i]->id);
    free(sorted);
    return err;
}

static enum voco_err
collect(struct job *j, int n, char **path)
{
    const struct voco_datalist_options lo = { .test_split = true };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < n && err == VOCO_OK; i++) {
        char *manifest = voco_format("%s/manifest.jsonl", path[i]);

        err = voco_file_exists(manifest) ? add_store(j, path[i])
                                         : voco_datalist_add(&j->list, path[i], &lo);
        free(manifest);
    }
    if (err == VOCO_OK && j->list.n)
        err = voco_datalist_finish(&j->list);
    for (int i = 0; i < j->list.n && err == VOCO_OK; i++)
        err = add_input(j, (struct input){ .id = j->list.item[i].id,
                                           .source = j->list.item[i].image[0],
                                           .item = &j->list.item[i] });
    return err == VOCO_OK ? check_names(j) : err;
}

/* ---- what it takes ---- */

/* From the header; what cannot be told yet, or is wrong with it, is told when its turn
 * comes. */
static void
estimate(struct job *j, struct input *in)
{
    const struct voco_predict_options *o = &j->predictor.o;
    const int channels = (int)j->config.in_channels, classes = (int)j->config.classes;
    struct voco_volume_header h;
    struct voco_volume v = { .voxel = NULL };
    int64_t dim[3];
    double mm[3], reading = 0;

    if (in->store) {
        struct voco_unmap back;
        const struct voco_store_entry *e = voco_store_entry(in->store, in->entry);

        if (voco_unmap_parse(e->transforms, &back) != VOCO_OK)
            return;
        memcpy(dim, e->dim, sizeof dim);
        memcpy(v.dim, back.source_dim, sizeof v.dim);
    } else {
        if (in->item->problem
            || voco_case_describe(in->item, VOCO_CHANNEL_ALL, false, &h) != VOCO_OK
            || !h.format)
            return;
        memcpy(v.dim, h.dim, sizeof v.dim);
        memcpy(v.affine, h.affine, sizeof v.affine);
        if (voco_transform_plan(&v, &j->transform, dim, mm, &reading) != VOCO_OK)
            return;
    }
    in->windows = voco_predict_windows(o, dim);
    in->bytes = voco_predict_bytes(o, channels, classes, c.probabilities, reading, v.dim, dim);
}

/* Windows at once as memory allows; what does not fit is refused before anything is
 * begun. */
static enum voco_err
plan(struct job *j)
{
    struct voco_predict_options *o = &j->predictor.o;
    struct voco_segment_request request = {
        .model = j->config, .n = (int)c.batch, .threads = (int)c.threads,
        .size = { o->roi[0], o->roi[1], o->roi[2] }, .choices = &j->choices,
    };
    struct voco_plan network;
    const struct input *worst = NULL;
    double bytes = 0;
    enum voco_err err;

    j->choices = voco_choices_read(voco_device_default(), (int)c.threads, NULL);
    j->memory = c.memory ? (uint64_t)c.memory : voco_plan_default_memory();
    for (int i = 0; i < j->n; i++) {
        estimate(j, &j->input[i]);
        if (j->input[i].bytes > bytes) {
            worst = &j->input[i];
            bytes = worst->bytes;
        }
    }
    request.memory = (double)j->memory > bytes ? j->memory - (uint64_t)bytes : 1;
    err = voco_segment_plan(voco_device_default(), &request, &network);
    if (err == VOCO_EMEMORY)
        return voco_fail(VOCO_EMEMORY, "%s: needs %.0f MiB beside the network's %.0f MiB, and "
                         "%.0f MiB are allowed: raise --memory, or take a smaller --roi",
                         worst ? worst->source : c.weights, bytes / 1048576,
                         (double)network.total / 1048576, (double)j->memory / 1048576);
    if (err != VOCO_OK)
        return err;
    o->batch = network.grouping.group;
    voco_note("memory: %.0f MiB for the network (%d windows at once), up to %.0f MiB for a "
              "volume; %.0f MiB allowed", (double)network.total / 1048576, o->batch,
              bytes / 1048576, (double)j->memory / 1048576);
    return VOCO_OK;
}

/* ---- the work ---- */

static int
show(void *user, int64_t done, int64_t total)
{
    struct job *j = user;
    struct input *in = &j->input[j->current];

    j->progress.total += total - in->windows;
    in->windows = total;
    voco_progress_show(&j->progress, j->before + done, "%s, window %" PRId64 " of %" PRId64,
                       in->id, done, total);
    return voco_stop_signal;
}

static enum voco_err
predict(struct job *j, const struct input *in)
{
    char *labels = voco_format("%s/%s.nii.gz", c.output, in->id);
    char *probabilities = voco_format("%s/%s_prob.nii.gz", c.output, in->id);
    struct voco_predict_image image = { 0 };
    enum voco_err err = VOCO_OK;

    if (c.skip_existing && voco_file_exists(labels)
        && (!c.probabilities || voco_file_exists(probabilities))) {
        j->skipped++;
    } else {
        const int channels = (int)j->config.in_channels;

        err = in->store ? voco_predict_read_stored(in->store, in->entry, channels,
                                                   j->orientation, &image)
                        : voco_predict_read(in->item, &j->transform, channels, j->orientation,
                                            &image);
        if (err == VOCO_OK)
            err = voco_predict_run(&j->predictor, &image, labels,
                                   c.probabilities ? probabilities : NULL);
        j->written += err == VOCO_OK;
    }
    voco_predict_image_free(&image);
    free(labels);
    free(probabilities);
    return err;
}

static enum voco_err
open_model(struct job *j)
{
    const struct voco_demand all = demand(true);        /* it is reported already */
    const struct voco_device *dev = voco_device_default();
    struct voco_coverage cover;
    enum voco_err err;

    if (c.trace) {
        voco_trace_init(&j->trace, dev, NULL, 0.0);
        dev = &j->trace.device;
    }
    if ((err = voco_ctx_open(&j->ctx, dev,
                             &(struct voco_ctx_options){ .threads = (int)c.threads,
                                                         .choices = &j->choices }))
        != VOCO_OK)
        return err;
    j->ctx.inference = true;
    if ((err = voco_model_describe(&j->model, &j->config)) != VOCO_OK
        || (err = voco_model_allocate(&j->model, &j->ctx, false)) != VOCO_OK)
        return err;
    return voco_model_load(c.weights, &j->ctx, &j->model, &all, &cover);
}

/* One volume that cannot be used does not end the others. */
static enum voco_err
predict_all(struct job *j)
{
    int64_t windows = 0;
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < j->n; i++)
        windows += j->input[i].windows;
    voco_progress_start(&j->progress, "predict", 0, windows);
    for (j->current = 0; j->current < j->n && err == VOCO_OK; j->current++) {
        struct input *in = &j->input[j->current];

        if (voco_stop_signal)
            err = voco_fail(VOCO_ESTOPPED, "stopped");
        else
            err = predict(j, in);
        if (err == VOCO_EFORMAT) {
            voco_warn("rejected: %s", voco_fail_text());
            j->rejected++;
            err = VOCO_OK;
        }
        j->before += in->windows;
    }
    if (err == VOCO_ESTOPPED)
        return voco_fail(err, "stopped by signal %d; --skip-existing goes on behind the %d "
                         "volumes that are done", (int)voco_stop_signal,
                         j->written + j->skipped);
    return err;
}

static enum voco_err
describe_work(const struct job *j)
{
    for (int i = 0; i < j->n; i++) {
        const struct input *in = &j->input[i];

        if (in->bytes > 0)
            printf("%s\t%s/%s.nii.gz\t%" PRId64 " windows\t%.0f MiB\n", in->source, c.output,
                   in->id, in->windows, in->bytes / 1048576);
        else
            printf("%s\t%s/%s.nii.gz\t%s\n", in->source, c.output, in->id,
                   in->item && in->item->problem ? in->item->problem
                   : "known when it is read");
    }
    return VOCO_OK;
}

static enum voco_err
work(struct job *j, int argc, char **argv)
{
    enum voco_err err;

    if ((err = read_weights_head(j)) != VOCO_OK || (err = collect(j, argc, argv)) != VOCO_OK
        || (err = plan(j)) != VOCO_OK)
        return err;
    if (c.dry_run)
        return describe_work(j);
    voco_stop_install();
    if ((err = open_model(j)) != VOCO_OK || (err = voco_folder_make(c.output)) != VOCO_OK
        || (err = predict_all(j)) != VOCO_OK)
        return err;
    if (j->written + j->skipped == 0)
        return voco_fail(VOCO_EFORMAT, "none of the %d inputs could be predicted", j->n);
    voco_progress_end(&j->progress, "%s: %d label map%s%s%s", c.output, j->written,
                      voco_plural(j->written),
                      c.probabilities ? " with probabilities" : "",
                      j->skipped ? ", others were there" : "");
    if (j->rejected)
        return voco_fail(VOCO_EREJECTED, "%d of %d inputs were rejected", j->rejected, j->n);
    return VOCO_OK;
}

static enum voco_err
run(int argc, char **argv)
{
    struct job j = { 0 };
    enum voco_err err;
    char *why;

    if (!c.weights || !c.output)
        return voco_fail(VOCO_EUSAGE, "predict: %s is missing",
                         c.weights ? "--output FOLDER" : "--weights FILE");
    j.predictor = (struct voco_predictor){ .ctx = &j.ctx, .model = &j.model,
                                           .progress = show, .user = &j };
    err = work(&j, argc, argv);
    why = voco_format("%s", voco_fail_text());
    if (c.trace && j.ctx.dev) {
        j.trace.peak = j.ctx.dev->peak(&j.ctx) * 1e-9;
        voco_trace_report(&j.trace, stderr);
    }
    for (int i = 0; i < j.n_stores; i++)
        voco_store_close(j.store[i]);
    free(j.store);
    free(j.input);
    voco_datalist_free(&j.list);
    voco_model_free(&j.model);
    voco_ctx_close(&j.ctx);
    voco_choices_free(&j.choices);
    voco_trace_free(&j.trace);
    voco_fail(err, "%s", why);
    free(why);
    return err;
}

const struct voco_verb voco_cmd_predict = {
    .name = "predict",
    .summary = "write label maps of volumes in their own space",
    .args = "INPUT...",
    .details = "INPUT is a volume, a DICOM folder, a folder or list of volumes, or a store.\n"
               "FOLDER/NAME.nii.gz has the sizes and the position of its volume, and in each\n"
               "voxel the number of a class.  The network predicts overlapping windows, whose\n"
               "results are averaged.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run,
};
