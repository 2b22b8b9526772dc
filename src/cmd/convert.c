/* voco convert: volumes of any format become a store to train from. */
#include "cmd/cmd.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "data/convert.h"
#include "data/transform/preset.h"
#include "base/stop.h"

static const char *const type_names[] = { "u16", "f32", "i16", NULL };

/* ---- options ---- */

static const char *store, *dataset, *root, *resize, *pad, *pad_first, *multiple;
static int preset, scaling = -1, foreground = -1, type = -1;
static double spacing_mm[3] = { NAN }, window[2] = { NAN }, nan_to = NAN;
static bool no_foreground, dry_run, test_split;
static const char *channel, *labels, *label_folder, *class_names, *task;
static int64_t threads = INT64_MIN, chunk = INT64_MIN;
static int64_t level = INT64_MIN, memory, shard_bytes;

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FOLDER, &store, "STORE",
      "the store, new or to be continued" },
    { "preset", 'p', VOCO_OPT_CHOICE, &preset, "NAME", "transforms by body region",
      .choices = voco_preset_names },
    { "task", 0, VOCO_OPT_TEXT, &task, "NAME",
      "defaults of a recipe; voco tasks lists them" },
    { "dataset", 0, VOCO_OPT_TEXT, &dataset, "NAME",
      "name for sampling weights (default: that of the preset)" },
    { "dry-run", 'n', VOCO_OPT_FLAG, &dry_run, NULL,
      "print the plan for each volume, and stop" },

    { "spacing", 0, VOCO_OPT_REAL3, spacing_mm, "MM",
      "voxel size, one number or three; 0 keeps an axis", 0, 100,
      .section = "Transforms (defaults: those of the preset)" },
    { "scaling", 0, VOCO_OPT_CHOICE, &scaling, "KIND",
      "meaning of the numbers of --window", .choices = voco_scaling_name },
    { "window", 0, VOCO_OPT_RANGE, window, "LOW,HIGH", "these become 0 and 1" },
    { "foreground", 0, VOCO_OPT_CHOICE, &foreground, "KIND",
      "crop to voxels above the window's low end, or to nonzero ones",
      .choices = voco_foreground_name },
    { "foreground-multiple", 0, VOCO_OPT_TEXT, &multiple, "X,Y,Z",
      "the foreground's box grows to multiples of this, one number or three; beyond the "
      "volume are zeros (default: as it is)" },
    { "no-foreground", 0, VOCO_OPT_FLAG, &no_foreground, NULL, "as --foreground none" },
    { "pad-first", 0, VOCO_OPT_TEXT, &pad_first, "X,Y,Z",
      "at least so many voxels before resize, or none" },
    { "resize", 0, VOCO_OPT_TEXT, &resize, "X,Y,Z", "exactly so many voxels, or none" },
    { "pad", 0, VOCO_OPT_TEXT, &pad, "X,Y,Z", "at least so many voxels, or none" },
    { "nan-to", 0, VOCO_OPT_REAL, &nan_to, "X",
      "replace NaN and infinity (default: reject the volume)" },

    { "channel", 0, VOCO_OPT_TEXT, &channel, "N|all",
      "of images with several channels (default: reject them)", .section = "Input" },
    { "labels", 0, VOCO_OPT_TEXT, &labels, "MAP",
      "store label maps too: json (values of the list), any, or rules as 0-13,20:3,*:0" },
    { "label-folder", 0, VOCO_OPT_FOLDER, &label_folder, "FOLDER",
      "label maps with the names of the images" },
    { "class-names", 0, VOCO_OPT_TEXT, &class_names, "A,B,...",
      "of classes 0, 1, ... (default: those of --labels json)" },
    { "root", 0, VOCO_OPT_FOLDER, &root, "FOLDER",
      "where relative paths of lists begin (default: at the list)" },
    { "test-split", 0, VOCO_OPT_FLAG, &test_split, NULL,
      "the test cases of JSON lists, too" },

    { "store-type", 0, VOCO_OPT_CHOICE, &type, "TYPE",
      "[0,1] in 65536 steps, exact, or intensities that are windowed when read",
      .choices = type_names, .section = "Store" },
    { "chunk", 0, VOCO_OPT_INT, &chunk, "N", "edge of a chunk in voxels (default 32)", 8,
      128 },
    { "level", 0, VOCO_OPT_INT, &level, "N", "of compression (default 1)", 1, 9 },
    { "shard-size", 0, VOCO_OPT_SIZE, &shard_bytes, "SIZE",
      "of one file; a killed convert repeats at most one (default 2G)", 1, 1e15 },

    { "threads", 0, VOCO_OPT_INT, &threads, "N", "volumes at once (default: the cores)",
      1, 1024, .section = "Resources" },
    { "memory", 0, VOCO_OPT_SIZE, &memory, "SIZE",
      "for the volumes in hand (default: 60 % of what is free)", 1, 1e15 },
    { NULL }
};

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
choose_window(struct voco_transform *t)
{
    const bool other = scaling >= 0 && (int)t->scaling != scaling;

    if (scaling >= 0)
        t->scaling = (enum voco_scaling)scaling;
    if (!isnan(window[0])) {
        memcpy(t->window, window, sizeof t->window);
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
parse_channel(int *ret)
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
choose_transform(struct voco_transform *t)
{
    enum voco_err err;

    *t = voco_presets[preset].transform;
    if (!isnan(spacing_mm[0]))
        memcpy(t->spacing_mm, spacing_mm, sizeof t->spacing_mm);
    err = choose_window(t);
    if (foreground >= 0)
        t->foreground = (enum voco_foreground)foreground;
    if (no_foreground)
        t->foreground = VOCO_FOREGROUND_NONE;
    if (!err)
        err = parse_sizes("foreground-multiple", multiple, t->multiple);
    if (!err && multiple && t->foreground == VOCO_FOREGROUND_NONE)
        err = voco_fail(VOCO_EUSAGE, "--foreground-multiple: there is no crop to the "
                        "foreground, see --foreground");
    if (!err)
        err = parse_sizes("pad-first", pad_first, t->pad_first);
    if (!err)
        err = parse_sizes("resize", resize, t->resize);
    if (!err)
        err = parse_sizes("pad", pad, t->pad);
    t->replace_nonfinite = !isnan(nan_to);
    t->nonfinite_value = isnan(nan_to) ? 0 : nan_to;
    return err;
}

static enum voco_err
choose_type(struct voco_convert_options *o)
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

static enum voco_err
take_class_names(struct voco_convert_options *o)
{
    static const char **name;           /* these stay: the options point to them */
    static char *text;
    int n;
    const enum voco_err err = voco_class_names_parse(class_names, &text, &name, &n);

    if (err)
        return voco_fail_in(err, "--class-names");
    for (int v = 0; v <= VOCO_LABEL_MAX; v++)
        if (o->labels->to[v] >= n && strcmp(o->transform.labels, "any") != 0)
            return voco_fail(VOCO_EUSAGE, "--class-names has %d names, but the label map "
                             "makes class %d of the value %d", n, o->labels->to[v], v);
    o->element.class_name = name;
    o->element.n_classes = n;
    return VOCO_OK;
}

/* "0,1,2" of the values that a list names; their names are those of classes if these are
 * 0, 1, and so on.  Free *ret. */
static enum voco_err
rules_of_list(struct voco_convert_options *o, const struct voco_classes *c, char **ret)
{
    static const char *name[VOCO_LABEL_MAX + 1];
    bool named = true;

    *ret = NULL;
    if (c->problem)
        return voco_fail(VOCO_EFORMAT, "%s", c->problem);
    if (c->n == 0)
        return voco_fail(VOCO_EUSAGE, "--labels json: no list has \"labels\"; give the "
                         "values as rules, or any");
    for (int i = 0; i < c->n; i++) {
        char *more = voco_format("%s%s%d", *ret ? *ret : "", i ? "," : "",
                                 c->class_[i].value);

        free(*ret);
        *ret = more;
        name[i] = c->class_[i].name;
        named = named && c->class_[i].value == i;
    }
    o->element.class_name = named ? name : NULL;
    o->element.n_classes = named ? c->n : 0;
    return VOCO_OK;
}

/* The label map, once the lists are read: json takes its values from them. */
static enum voco_err
choose_labels(struct voco_convert_options *o, const struct voco_classes *c)
{
    static struct voco_label_map map;
    static char *rules;                 /* stays: the transform points to it */
    enum voco_err err = VOCO_OK;

    if (!labels && (label_folder || class_names))
        return voco_fail(VOCO_EUSAGE, "%s without --labels, which says what values mean: "
                         "--labels any takes them as they are", label_folder
                         ? "--label-folder" : "--class-names");
    if (!labels)
        return VOCO_OK;
    if (strcmp(labels, "json") == 0)
        err = rules_of_list(o, c, &rules);
    else
        rules = voco_format("%s", labels);
    if (!err && (err = voco_label_map_parse(rules, &map)))
        err = voco_fail_in(err, "--labels");
    o->labels = &map;
    o->transform.labels = rules;
    return !err && class_names ? take_class_names(o) : err;
}

static enum voco_err
choose_options(struct voco_convert_options *o)
{
    struct voco_machine machine;
    enum voco_err err;

    if (!store)
        return voco_fail(VOCO_EUSAGE, "-o STORE is missing: where the volumes go");
    *o = (struct voco_convert_options){
        .store = store, .preset = voco_presets[preset].name,
        .dataset = dataset ? dataset : voco_presets[preset].name,
        .threads = threads > 0 ? (int)threads : voco_default_threads(),
        .memory_bytes = memory, .stop = &voco_stop_signal,
        .element = { .chunk = chunk > 0 ? (int)chunk : 0,
                     .level = level > 0 ? (int)level : 0, .shard_bytes = shard_bytes }
    };
    if ((err = choose_transform(&o->transform)) || (err = parse_channel(&o->channel))
        || (err = choose_type(o)))
        return err;
    o->transform.all_channels = o->channel == VOCO_CHANNEL_ALL;
    if (!memory) {
        voco_machine_read("", &machine);
        o->memory_bytes = (int64_t)(0.6 * (double)machine.memory);
    }
    return VOCO_OK;
}

static enum voco_err
make_list(struct voco_datalist *list, int argc, char **argv)
{
    const struct voco_datalist_options o = { .root = root, .test_split = test_split,
                                             .labels = label_folder };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < argc && !err; i++)
        err = voco_datalist_add(list, argv[i], &o);
    return err ? err : voco_datalist_finish(list);
}

/* ---- dry run ---- */

/* Entries are in the order of their ids. */
static const struct voco_store_entry *
find_entry(const struct voco_store *s, const char *id)
{
    int low = 0, high = s ? voco_store_count(s) : 0;

    while (low < high) {
        const int mid = low + (high - low) / 2;
        const int order = strcmp(voco_store_entry(s, mid)->id, id);

        if (order == 0)
            return voco_store_entry(s, mid);
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void
print_grid(const int64_t dim[3], const double mm[3])
{
    printf(" %" PRId64 "x%" PRId64 "x%" PRId64 " (%.3gx%.3gx%.3g mm)", dim[0], dim[1],
           dim[2], mm[0], mm[1], mm[2]);
}

static enum voco_err
show_plans(const struct voco_datalist *list, const struct voco_convert_options *o)
{
    char *manifest = voco_format("%s/manifest.jsonl", store), what[512], text[16];
    struct voco_store *s = NULL;
    enum voco_err err = voco_file_exists(manifest) ? voco_store_open(store, &s) : VOCO_OK;
    int usable = 0;

    free(manifest);
    for (int i = 0; i < list->n && !err; i++) {
        const struct voco_item *item = &list->item[i];
        const struct voco_store_entry *old = find_entry(s, item->id);
        struct voco_convert_plan plan;

        printf("%s:", item->id);
        if (old && voco_convert_same(old, item, o, what, sizeof what)) {
            printf(" is in the store already\n");
        } else if (old) {
            printf(" is in the store, but %s\n", what);
        } else if (voco_convert_plan(item, o, &plan)) {
            printf(" rejected: %s\n", voco_fail_text());
            continue;
        } else if (plan.bytes == 0) {
            printf(" DICOM folder, read as it is converted\n");
        } else {
            print_grid(plan.from, plan.from_mm);
            printf(" ->");
            print_grid(plan.to, plan.to_mm);
            if (plan.channels > 1)
                printf(", %d channels", plan.channels);
            printf("%s, memory %s\n", o->transform.foreground ? " before the crop" : "",
                   voco_format_bytes(plan.bytes, text));
        }
        usable++;
    }
    voco_store_close(s);
    if (!err && usable < list->n)
        err = voco_fail(usable ? VOCO_EREJECTED : VOCO_EFORMAT,
                        "%d of %d volumes would be rejected", list->n - usable, list->n);
    return err;
}

/* ---- summary ---- */

/* What several rejects have in common: the reason without its file and its numbers. */
static char *
kind_of(const struct voco_item *item, const char *reason)
{
    char *kind = voco_format("%s", reason), *to = kind;
    const char *from = kind;

    for (int i = 0; i < item->n_images; i++) {
        const size_t n = strlen(item->image[i]);

        if (strncmp(kind, item->image[i], n) == 0 && kind[n] == ':')
            from = kind + n + 1 + (kind[n + 1] == ' ');
    }
    while (*from) {
        if (isdigit((unsigned char)*from)) {
            while (isdigit((unsigned char)*from) || *from == '.')
                from++;
            *to++ = '#';
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return kind;
}

struct group {
    char *kind;
    int count, first;
};

static int
larger_group(const void *x, const void *y)
{
    const struct group *a = x, *b = y;

    return b->count != a->count ? (b->count > a->count) - (b->count < a->count)
                                : a->first - b->first;
}

/* One line per kind of reason, with the first volume as an example. */
static void
print_rejects(const struct voco_datalist *list, const struct voco_convert_result *r)
{
    struct group *group = calloc((size_t)r->n, sizeof *group);
    int n = 0, g;

    for (int i = 0; group && i < r->n; i++) {
        char *kind;

        if (r->outcome[i].fate != VOCO_FATE_REJECTED)
            continue;
        kind = kind_of(&list->item[i], r->outcome[i].reason);
        for (g = 0; g < n && strcmp(group[g].kind, kind) != 0; g++)
            ;
        if (g == n)
            group[n++] = (struct group){ .kind = kind, .first = i };
        else
            free(kind);
        group[g].count++;
    }
    if (n)
        qsort(group, (size_t)n, sizeof *group, larger_group);
    for (g = 0; g < n; g++) {
        printf("  %6d  %s%s\n", group[g].count, r->outcome[group[g].first].reason,
               group[g].count > 1 ? "  (and others)" : "");
        free(group[g].kind);
    }
    free(group);
}

static double
store_bytes(void)
{
    DIR *dir = opendir(store);
    double bytes = 0;

    for (struct dirent *e; dir && (e = readdir(dir)); ) {
        char *path = voco_format("%s/%s", store, e->d_name);
        struct stat st;

        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            bytes += (double)st.st_size;
        free(path);
    }
    if (dir)
        closedir(dir);
    return bytes;
}

static void
print_clipping(const struct voco_convert_result *r)
{
    const double all = r->voxels ? (double)r->voxels : 1;

    if (r->below || r->above)
        printf("  clipped by the window: %.3g %% of the voxels below, %.3g %% above\n",
               100 * (double)r->below / all, 100 * (double)r->above / all);
    if (r->outside)
        printf("  clipped by %s: %" PRId64 " voxels\n", type_names[type], r->outside);
    if (r->nonfinite)
        printf("  NaN or infinite, now %g: %" PRId64 " voxels\n", nan_to, r->nonfinite);
}

static void
print_summary(const struct voco_datalist *list, const struct voco_convert_result *r,
              double seconds)
{
    struct voco_store *s = NULL;
    char a[16], b[16];

    printf("%s: %" PRId64 " volume%s stored", store, r->stored, voco_plural(r->stored));
    if (r->skipped)
        printf(", %" PRId64 " there before", r->skipped);
    if (r->changed)
        printf(", %" PRId64 " kept whose files have changed", r->changed);
    if (r->pending)
        printf(", %" PRId64 " not reached", r->pending);
    printf(", %" PRId64 " rejected, in %s\n", r->rejected,
           voco_format_seconds(seconds, a));
    print_rejects(list, r);
    print_clipping(r);
    if (r->stored + r->skipped + r->changed == 0 || voco_store_open(store, &s))
        return;
    printf("  the store has %d volume%s in %s of type %s; hash %08" PRIx32 "\n",
           voco_store_count(s), voco_plural(voco_store_count(s)), voco_format_bytes(store_bytes(), b), type_names[type],
           voco_store_hash(s));
    voco_store_close(s);
    if (!r->pending)
        printf("next: voco %s --store %s --out RUN\n", labels ? "finetune seg" : "pretrain",
               store);
}

static enum voco_err
verdict(const struct voco_convert_result *r)
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
run(int argc, char **argv)
{
    const double start = voco_seconds();
    struct voco_datalist list = { .item = NULL };
    struct voco_convert_result result = { .outcome = NULL };
    struct voco_convert_options o;
    enum voco_err err = choose_options(&o);

    if (!err)
        err = make_list(&list, argc, argv);
    if (!err)
        err = choose_labels(&o, &list.classes);
    if (!err && dry_run) {
        err = show_plans(&list, &o);
    } else if (!err) {
        voco_stop_install();
        err = voco_convert_run(&list, &o, &result);
        if (!err) {
            print_summary(&list, &result, voco_seconds() - start);
            err = verdict(&result);
        }
    }
    voco_convert_result_free(&result);
    voco_datalist_free(&list);
    return err;
}

const struct voco_verb voco_cmd_convert = {
    .name = "convert",
    .summary = "bring volumes to the form that training reads, in one store",
    .args = "INPUT...",
    .details =
        "INPUT is a volume (NIfTI, MetaImage, NRRD), a folder of volumes or DICOM\n"
        "series, a text list, a CSV, or the dataset.json of Decathlon, nnU-Net or VoCo.\n"
        "\n"
        "The same command goes on where a killed one was.  Volumes that cannot be used\n"
        "are rejected with a reason and do not stop the others; the exit status is then\n"
        "3.",
    .options = options,
    .task = &task,
    .min_args = 1,
    .max_args = -1,
    .run = run
};
