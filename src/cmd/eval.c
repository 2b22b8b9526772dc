/* voco eval: predicted label maps against the truth. */
#include "cmd/cmd.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "data/volume/labels.h"
#include "eval/evaluate.h"
#include "eval/write.h"

static const char *output, *against, *labels = "any", *truth_labels, *class_names,
    *images;
static double spacing_mm[3] = { NAN }, tolerance_mm = 1;
static int64_t seed = 1, replicates = 2000, overlays = 12, threads = INT64_MIN;

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FOLDER, &output, "FOLDER",
      "for eval.json, cases.csv and report.html" },
    { "against", 0, VOCO_OPT_FOLDER, &against, "PRED",
      "another prediction of the same truth, compared case by case" },
    { "labels", 0, VOCO_OPT_TEXT, &labels, "MAP",
      "which values are which class, as for voco convert" },
    { "truth-labels", 0, VOCO_OPT_TEXT, &truth_labels, "MAP",
      "the same for the truth, if its values differ from those of the prediction" },
    { "class-names", 0, VOCO_OPT_TEXT, &class_names, "A,B,...",
      "names of classes 0, 1, ... in the results (default: those of a list)" },
    { "spacing", 0, VOCO_OPT_REAL3, spacing_mm, "MM",
      "resample both before (default: native grids); one number or three", 0, 100 },
    { "tolerance", 0, VOCO_OPT_REAL, &tolerance_mm, "MM",
      "distance that counts as equal in the surface Dice", 0, 1000 },

    { "images", 0, VOCO_OPT_FOLDER, &images, "FOLDER",
      "images, or a list of them, under the slices of the report", .section = "Report" },
    { "overlays", 0, VOCO_OPT_INT, &overlays, "N",
      "cases shown as a slice, half of them the worst", 0, 1000 },

    { "bootstrap", 0, VOCO_OPT_INT, &replicates, "N", "replicates of the intervals", 10,
      1000000, .section = "Statistics" },
    { "seed", 0, VOCO_OPT_INT, &seed, "N", "seed of the intervals and of p", 0, 1e18 },
    { "threads", 0, VOCO_OPT_INT, &threads, "N", "(default: the cores)", 1, 1024 },
    { NULL }
};

static void
print_number(enum voco_metric m, double x)
{
    if (!isfinite(x))
        printf("%9s", "-");
    else if (m == VOCO_METRIC_VOLUME)
        printf("%+8.1f%%", 100 * x);
    else
        printf(m == VOCO_METRIC_HD95 ? "%9.2f" : "%9.4f", x);
}

/* Dice with its interval, the other means without: the files have them all.  A mean of
 * fewer cases than Dice's has their number behind it: where one of the two is empty, there
 * is no distance. */
static void
print_classes(const struct voco_eval *e)
{
    char buf[24];

    printf("%-22s %5s %9s  %-17s %9s %9s %9s\n", "", "cases", "Dice", "95 % interval",
           "HD95, mm", "surface", "volume");
    for (int k = e->n_classes; k-- > 0; ) {
        const int c = k == 0 ? 0 : e->n_classes - k;
        const struct voco_stats *s = &e->stats[c * VOCO_METRICS];

        if (c > 0 && !voco_eval_has(e, c))
            continue;
        printf("%-22.22s %5d", c ? voco_eval_class(e, c, buf) : "mean of classes",
               s[VOCO_METRIC_DICE].n);
        print_number(VOCO_METRIC_DICE, s[VOCO_METRIC_DICE].mean);
        if (s[VOCO_METRIC_DICE].n > 1)
            printf("  %.4f .. %.4f ", s[VOCO_METRIC_DICE].low, s[VOCO_METRIC_DICE].high);
        else
            printf("  %-17s", "");
        for (int m = VOCO_METRIC_HD95; m < VOCO_METRICS; m++) {
            print_number((enum voco_metric)m, s[m].mean);
            if (s[m].n != s[VOCO_METRIC_DICE].n)
                printf(" (n=%d)", s[m].n);
        }
        putchar('\n');
    }
}

static void
print_comparison(const struct voco_eval *e, const struct voco_eval_paired *p)
{
    char buf[24];

    printf("\nminus %s, %d cases that both have\n%-22s %5s %9s  %-19s %s\n", against, p->n,
           "", "cases", "Dice", "95 % interval", "p");
    for (int k = p->n_classes; k-- > 0; ) {
        const int c = k == 0 ? 0 : p->n_classes - k;
        const int at = c * VOCO_METRICS + VOCO_METRIC_DICE;
        const struct voco_stats *s = &p->stats[at];

        if (s->n == 0)
            continue;
        printf("%-22.22s %5d %+9.4f  %+.4f .. %+.4f  %.3g\n",
               c ? voco_eval_class(e, c, buf) : "mean of classes", s->n, s->mean, s->low,
               s->high, p->p[at]);
    }
}

static enum voco_err
write_files(const struct voco_eval_page *page)
{
    static const struct {
        const char *name;
        enum voco_err (*write)(const char *path, const struct voco_eval_page *page);
    } file[] = {
        { "eval.json", voco_eval_json }, { "cases.csv", voco_eval_csv },
        { "report.html", voco_eval_html }
    };
    enum voco_err err = voco_folder_make(output);

    for (size_t i = 0; i < sizeof file / sizeof *file && !err; i++) {
        char *path = voco_format("%s/%s", output, file[i].name);

        err = file[i].write(path, page);
        free(path);
    }
    if (!err)
        printf("\n%s/report.html, eval.json and cases.csv written\n", output);
    return err;
}

static enum voco_err
verdict(const struct voco_eval *e)
{
    const int bad = e->n - e->n_scored + e->n_missing;

    if (e->n_extra)
        printf("%d predictions without a truth were left out\n", e->n_extra);
    if (bad == 0)
        return VOCO_OK;
    return voco_fail(VOCO_EREJECTED, "%d of %d cases do not count: %d without a prediction"
                     "%s%s, %d that could not be scored", bad, e->n + e->n_missing,
                     e->n_missing, e->n_missing ? ", the first is " : "",
                     e->n_missing ? e->missing[0] : "", e->n - e->n_scored);
}

static enum voco_err
evaluate(const struct voco_eval_options *o, struct voco_eval *e, struct voco_eval *other,
         struct voco_eval_paired *paired)
{
    struct voco_eval_options second = *o;
    struct voco_eval_page page = { .o = o, .e = e, .images = images,
                                   .overlays = (int)overlays };
    enum voco_err err = voco_eval_run(o, e);

    if (!err && o->n_names > 0 && o->n_names < e->n_classes)
        voco_warn("--class-names has %d name%s, the largest class is %d", o->n_names,
                  o->n_names == 1 ? "" : "s", e->n_classes - 1);
    second.predicted = against;
    if (!err && against) {
        err = voco_eval_run(&second, other);
        if (!err)
            err = voco_eval_compare(e, other, o, paired);
        page.against = against;
        page.paired = paired;
    }
    if (err)
        return err;
    print_classes(e);
    if (against)
        print_comparison(e, paired);
    if (output)
        err = write_files(&page);
    return err ? err : verdict(e);
}

static enum voco_err
run(int argc, char **argv)
{
    static struct voco_label_map map, truth_map;
    struct voco_eval_options o = {
        .predicted = argv[0], .truth = argc > 1 ? argv[1] : NULL, .labels = &map,
        .truth_labels = truth_labels ? &truth_map : &map,
        .tolerance_mm = tolerance_mm, .seed = (uint64_t)seed,
        .replicates = (int)replicates,
        .threads = threads > 0 ? (int)threads : voco_default_threads()
    };
    struct voco_eval e = { .item = NULL }, other = { .item = NULL };
    struct voco_eval_paired paired = { .n = 0 };
    const char **name = NULL;
    char *text = NULL;
    enum voco_err err = voco_label_map_parse(labels, &map);

    if (err)
        return voco_fail_in(err, "--labels");
    if (truth_labels && (err = voco_label_map_parse(truth_labels, &truth_map)))
        return voco_fail_in(err, "--truth-labels");
    if (against && !o.truth)
        return voco_fail(VOCO_EUSAGE, "--against needs PRED and TRUTH, not a list of "
                         "pairs");
    if (!isnan(spacing_mm[0]))
        memcpy(o.spacing_mm, spacing_mm, sizeof o.spacing_mm);
    if (class_names && (err = voco_class_names_parse(class_names, &text, &name,
                                                     &o.n_names)))
        err = voco_fail_in(err, "--class-names");
    o.class_name = name;
    if (!err)
        err = evaluate(&o, &e, &other, &paired);
    voco_eval_paired_free(&paired);
    voco_eval_free(&other);
    voco_eval_free(&e);
    free(name);
    free(text);
    return err;
}

const struct voco_verb voco_cmd_eval = {
    .name = "eval",
    .summary = "compare predicted label maps with the truth",
    .args = "PRED [TRUTH]",
    .details =
        "PRED and TRUTH are folders or lists, whose cases are paired by their names, or two\n"
        "files.  PRED alone is a list of pairs: a CSV with the columns image, the\n"
        "prediction, and label, the truth.  Where a list names labels, they are the truth.",
    .options = options,
    .min_args = 1,
    .max_args = 2,
    .run = run
};
