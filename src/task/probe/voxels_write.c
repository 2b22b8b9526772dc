/* JSON and CSV of voxel probes. */
#include "task/probe/voxels_write.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "task/probe/interval.h"

static json_t *
network_json(const struct voco_voxel_probe *p, int i)
{
    const struct voco_voxel_network *n = &p->network[i];
    const struct voco_voxel_scores *s = &n->scores;
    json_t *o = json_pack("{s:s, s:I, s:o, s:[o,o], s:o}", "weights", n->name, "feature_size",
                          (json_int_t)n->feature, "dice", voco_probe_number(s->mean), "interval95",
                          voco_probe_number(s->low), voco_probe_number(s->high), "penalty", voco_probe_number(s->share));
    json_t *classes = json_array();
    char buf[24];

    if (i > 0)
        json_object_update(o, json_pack("{s:o, s:[o,o]}", "difference", voco_probe_number(n->difference),
                                        "difference_interval95", voco_probe_number(n->difference_low),
                                        voco_probe_number(n->difference_high)));
    for (int k = 1; k < p->cases.classes; k++)
        json_array_append_new(classes, json_pack(
            "{s:i, s:s, s:o, s:[o,o]}", "class", k, "name",
            voco_voxel_class(&p->cases, k, buf), "dice", voco_probe_number(s->dice[k]), "interval95",
            voco_probe_number(s->dice_low[k]), voco_probe_number(s->dice_high[k])));
    json_object_set_new(o, "classes", classes);
    return o;
}

enum voco_err
voco_voxel_json(const char *path, const struct voco_voxel_probe *p)
{
    const struct voco_voxel_config *c = p->config;
    json_t *networks = json_array(), *root;
    enum voco_err err;
    char *text;

    for (int i = 0; i < p->n; i++)
        json_array_append_new(networks, network_json(p, i));
    root = json_pack("{s:{s:s, s:I, s:I, s:I, s:I, s:I, s:I}, s:i, s:i, s:i, s:o}", "options",
                     "store", p->store_path, "folds", (json_int_t)c->folds, "labelled",
                     (json_int_t)c->labelled, "crops", (json_int_t)c->crops, "voxels",
                     (json_int_t)c->voxels, "replicates", (json_int_t)c->replicates, "seed",
                     (json_int_t)c->seed, "volumes", p->cases.n, "patients", p->cases.groups,
                     "unlabelled", p->cases.unlabelled, "networks", networks);
    text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (!text)
        return voco_fail(VOCO_EMEMORY, "%s: no memory, or a name that is not UTF-8", path);
    err = voco_file_write_text(path, text);
    free(text);
    return err;
}

static void
put_network(FILE *out, const struct voco_voxel_probe *p, const struct voco_voxel_network *n)
{
    char buf[24];

    for (int k = 1; k < p->cases.classes; k++) {
        double truth = 0, predicted = 0;

        for (int i = 0; i < n->scores.n; i++) {
            truth += n->scores.tally[i].truth[k];
            predicted += n->scores.tally[i].predicted[k];
        }
        voco_csv_put(out, n->name);
        fprintf(out, ",%d,", k);
        voco_csv_put(out, voco_voxel_class(&p->cases, k, buf));
        voco_csv_put_number(out, n->scores.dice[k]);
        voco_csv_put_number(out, n->scores.dice_low[k]);
        voco_csv_put_number(out, n->scores.dice_high[k]);
        fprintf(out, ",%.0f,%.0f\n", truth, predicted);
    }
}

enum voco_err
voco_voxel_csv(const char *path, const struct voco_voxel_probe *p)
{
    struct voco_newfile f;
    const enum voco_err err = voco_newfile_open(&f, path);

    if (err)
        return err;
    fputs("weights,class,name,dice,low,high,truth,predicted\n", f.out);
    for (int i = 0; i < p->n; i++)
        put_network(f.out, p, &p->network[i]);
    return voco_newfile_commit(&f);
}
