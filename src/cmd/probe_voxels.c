/* voco probe voxels: linear segmentation from frozen maps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cmd/probe.h"
#include "model/recognise.h"
#include "task/probe/voxels_write.h"

#define AT(member) VOCO_AT(struct voco_voxel_config, member)

static struct voco_voxel_config c = VOCO_VOXEL_DEFAULTS;

static const struct voco_opt options[] = {
    { "weights", 'w', VOCO_OPT_LIST, AT(weights), "FILE",
      "a run's, or any .safetensors or .pt of a Swin UNETR v2; may be given several times" },
    { "random", 0, VOCO_OPT_INT, AT(random), "SEED",
      "a network of random weights as well, to compare with", 0, 9e15 },
    { "feature-size", 'f', VOCO_OPT_INT, AT(feature), "N",
      "width of that network; 0: of the first weights, or 48", 0, 768 },
    { "merging", 0, VOCO_OPT_CHOICE, AT(merging), "ORDER",
      "patch merging, where the weights do not tell: legacy or fixed",
      .choices = voco_merging_names },
    { "partial", 0, VOCO_OPT_FLAG, AT(partial), NULL,
      "use weights that do not cover the encoder, with random numbers for the rest" },
    { "output", 'o', VOCO_OPT_FOLDER, AT(output), "FOLDER",
      "for probe.json, scores.csv and report.html" },

    { "patients", 0, VOCO_OPT_FILE, AT(patients), "FILE",
      "a CSV with id and patient: scans of one patient stay together",
      .section = "Volumes and voxels" },
    { "crops", 0, VOCO_OPT_INT, AT(crops), "N", "crops of a volume, at random places", 1,
      10000 },
    { "voxels", 0, VOCO_OPT_INT, AT(voxels), "N", "voxels of a crop, at random places", 1,
      100000 },
    { "folds", 0, VOCO_OPT_INT, AT(folds), "N", "parts of the volumes, each predicted by the "
      "others", 2, 1000, .section = "Fits and scores" },
    { "labelled", 0, VOCO_OPT_INT, AT(labelled), "N",
      "volumes that a fold is fitted on; 0: all others", 0, 1000000 },
    { "bootstrap", 0, VOCO_OPT_INT, AT(replicates), "N", "replicates of the intervals", 10,
      1000000 },
    { "seed", 0, VOCO_OPT_INT, AT(seed), "N", "seed of crops, voxels, folds and intervals", 0,
      1e18 },
    { "threads", 't', VOCO_OPT_INT, AT(threads), "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { 0 }
};

static void
print_row(const struct voco_voxel_probe *p, int class_id)
{
    char buf[24], text[64];

    printf("%-22.22s", class_id ? voco_voxel_class(&p->cases, class_id, buf)
           : "mean of classes");
    for (int i = 0; i < p->n; i++) {
        const struct voco_voxel_scores *s = &p->network[i].scores;

        if (class_id && isnan(s->dice[class_id]))
            snprintf(text, sizeof text, "-");
        else
            snprintf(text, sizeof text, "%.3f (%.3f..%.3f)",
                     class_id ? s->dice[class_id] : s->mean,
                     class_id ? s->dice_low[class_id] : s->low,
                     class_id ? s->dice_high[class_id] : s->high);
        printf("  %-22s", text);
    }
    putchar('\n');
}

static void
print(const struct voco_voxel_probe *p)
{
    for (int i = 0; i < p->n; i++)
        printf("%c: %s\n", 'A' + i % 26, p->network[i].name);
    printf("%-22s", "Dice");
    for (int i = 0; i < p->n; i++)
        printf("  %-22c", 'A' + i % 26);
    putchar('\n');
    for (int k = 1; k < p->cases.classes; k++)
        print_row(p, k);
    print_row(p, 0);
    for (int i = 1; i < p->n; i++)
        printf("%c - A: %+.3f (%+.3f..%+.3f)\n", 'A' + i % 26, p->network[i].difference,
               p->network[i].difference_low, p->network[i].difference_high);
}

static enum voco_err
write_files(const struct voco_voxel_probe *p)
{
    static const struct {
        const char *name;
        enum voco_err (*write)(const char *path, const struct voco_voxel_probe *p);
    } file[] = {
        { "probe.json", voco_voxel_json }, { "scores.csv", voco_voxel_csv },
        { "report.html", voco_voxel_html }
    };
    enum voco_err err = voco_folder_make(c.output);

    for (size_t i = 0; i < sizeof file / sizeof *file && !err; i++) {
        char *path = voco_format("%s/%s", c.output, file[i].name);

        err = file[i].write(path, p);
        free(path);
    }
    if (!err)
        printf("%s/report.html, probe.json and scores.csv written\n", c.output);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    struct voco_voxel_probe p = { .network = NULL };
    enum voco_err err;

    (void)argc;
    err = voco_voxel_probe_run(&c, argv[0], &p);
    if (!err)
        print(&p);
    if (!err && c.output)
        err = write_files(&p);
    voco_voxel_probe_free(&p);
    return err;
}

const struct voco_verb voco_cmd_probe_voxels = {
    .name = "probe voxels",
    .summary = "segment by a linear map of an encoder's frozen maps",
    .args = "STORE",
    .details = "STORE has volumes with label maps, from voco convert --labels.  With several\n"
               "networks, the first is what the others are compared with; that of --random\n"
               "comes first.",
    .options = options,
    .config = &c,
    .min_args = 1, .max_args = 1,
    .run = run,
};
