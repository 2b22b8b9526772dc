/* voco probe: how good frozen features are. This file: probes of cases. */
#include "cmd/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "task/probe/cases.h"
#include "task/probe/cases_write.h"

#define AT(member) VOCO_AT(struct voco_probe_config, member)

static struct voco_probe_config c = VOCO_PROBE_DEFAULTS;

static const struct voco_opt options[] = {
    { "labels", 'l', VOCO_OPT_FILE, AT(labels), "FILE",
      "a CSV with the column id, or a list of volumes with classes" },
    { "output", 'o', VOCO_OPT_FOLDER, AT(output), "FOLDER",
      "for probe.json, scores.csv, predictions.csv and report.html" },

    { "class", 0, VOCO_OPT_TEXT, AT(class_columns), "A,B,...",
      "columns of classes (default: class, label)", .section = "Labels" },
    { "value", 0, VOCO_OPT_TEXT, AT(value_columns), "A,B,...",
      "columns of numbers (default: value)" },
    { "survival", 0, VOCO_OPT_TEXT, AT(survival), "TIME,EVENT",
      "columns of times and of 1 for an event, 0 for none yet (default: time,event)" },
    { "patient", 0, VOCO_OPT_TEXT, AT(patient), "COLUMN",
      "scans of one patient stay together (default: patient, if there is one)" },

    { "folds", 0, VOCO_OPT_INT, AT(folds), "N", "parts of the cases, each predicted by the "
      "others", 2, 1000, .section = "Fits and scores" },
    { "penalty", 0, VOCO_OPT_REAL, AT(lambda), "X",
      "of weights (default: chosen by cross-validation among the training cases)", 1e-9, 1e12 },
    { "bootstrap", 0, VOCO_OPT_INT, AT(replicates), "N", "replicates of the intervals", 10,
      1000000 },
    { "seed", 0, VOCO_OPT_INT, AT(seed), "N", "seed of folds and intervals", 0, 1e18 },
    { "threads", 't', VOCO_OPT_INT, AT(threads), "N",
      "folds and probes at once; 0: one for each core", 0, 4096 },
    { 0 }
};

static void
print_target(const struct voco_probe *p, const struct voco_probe_target *t)
{
    const struct voco_probe_kind_name *kind = &voco_probe_kind[t->kind];

    printf("%s: %s, %d cases of %d patients\n", kind->title, t->name, t->n, t->groups);
    printf("%-10s", "");
    for (int k = 0; kind->metric[k].key; k++)
        printf("  %-22s", kind->metric[k].key);
    putchar('\n');
    for (int i = 0; i < t->n_results; i++) {
        const struct voco_probe_result *r = &t->result[i];

        if (p->tables > 1 && i % (t->n_results / p->tables) == 0)
            printf("%s\n", p->table[r->table].path);
        printf("%-10s", r->probe);
        for (int k = 0; kind->metric[k].key; k++) {
            const struct voco_probe_metric *m = &r->metric[k];
            char text[64];

            if (isnan(m->value))
                snprintf(text, sizeof text, "-");
            else
                snprintf(text, sizeof text, "%.3f (%.3f..%.3f)", m->value, m->low, m->high);
            printf("  %-22s", text);
        }
        putchar('\n');
    }
    putchar('\n');
}

static enum voco_err
write_files(const struct voco_probe *p)
{
    static const struct {
        const char *name;
        enum voco_err (*write)(const char *path, const struct voco_probe *p);
    } file[] = {
        { "probe.json", voco_probe_json }, { "scores.csv", voco_probe_scores_csv },
        { "predictions.csv", voco_probe_predictions_csv }, { "report.html", voco_probe_html }
    };
    enum voco_err err = voco_folder_make(c.output);

    for (size_t i = 0; i < sizeof file / sizeof *file && !err; i++) {
        char *path = voco_format("%s/%s", c.output, file[i].name);

        err = file[i].write(path, p);
        free(path);
    }
    if (!err)
        printf("%s/report.html, probe.json, scores.csv and predictions.csv written\n",
               c.output);
    return err;
}

static enum voco_err
verdict(const struct voco_probe *p)
{
    if (p->unknown + p->bad == 0)
        return VOCO_OK;
    return voco_fail(VOCO_EREJECTED, "%d cases do not count: %d that are labelled and have no "
                     "features, %d whose features are NaN or infinite", p->unknown + p->bad,
                     p->unknown, p->bad);
}

static enum voco_err
run(int argc, char **argv)
{
    struct voco_probe p = { .table = NULL };
    enum voco_err err;

    if (!c.labels)
        return voco_fail(VOCO_EUSAGE, "probe cases: --labels FILE is missing");
    err = voco_probe_cases(&c, argc, (const char *const *)argv, &p);
    for (int i = 0; i < p.n_targets && !err; i++)
        print_target(&p, &p.target[i]);
    if (!err && c.output)
        err = write_files(&p);
    if (!err)
        err = verdict(&p);
    voco_probe_free(&p);
    return err;
}

static const struct voco_verb voco_cmd_probe_cases = {
    .name = "probe cases",
    .summary = "tell labels of cases from tables of features",
    .args = "FEATURES...",
    .details = "FEATURES are tables of voco embed.  Each is probed with the same folds; with\n"
               "several, the first is what the others are compared with.  Rows of a volume are\n"
               "averaged.",
    .options = options,
    .config = &c,
    .min_args = 1, .max_args = -1,
    .run = run,
};

static const struct voco_verb *const subs[] = {
    &voco_cmd_probe_cases, &voco_cmd_probe_voxels, NULL
};

const struct voco_verb voco_cmd_probe = {
    .name = "probe",
    .summary = "measure frozen features without fine-tuning",
    .args = "...",
    .details = "'voco probe VERB --help' explains one of them.",
    .subs = subs,
};
