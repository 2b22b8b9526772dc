/* voco embed: embeddings of volumes or prepared crops. */
#include "cmd/cmd.h"
#include "data/transform/preset.h"
#include "model/recognise.h"
#include "task/embed/embed.h"

#define AT(member) VOCO_AT(struct voco_embed_config, member)

static struct voco_embed_config c = VOCO_EMBED_DEFAULTS;

static const char *const rows[] = { "crop", "volume", NULL };

static const struct voco_opt options[] = {
    { "weights", 'w', VOCO_OPT_FILE, AT(weights), "FILE",
      "a run's, or any .safetensors or .pt of a Swin UNETR v2" },
    { "output", 'o', VOCO_OPT_FILE, AT(output), "OUT",
      "the table: HDF5, or as the ending says OUT.csv or OUT.npy" },
    { "rows", 'r', VOCO_OPT_CHOICE, AT(rows), "WHAT",
      "a row for each crop, or for each volume: the mean of its crops", .choices = rows },
    { "preset", 'p', VOCO_OPT_CHOICE, AT(preset), "NAME",
      "transforms for volumes, as voco convert has them (default: those of the weights, or "
      "abdomen)", .choices = voco_preset_names },
    { "nan-to", 0, VOCO_OPT_REAL, AT(nan_to), "X",
      "replace NaN and infinities, which are an error otherwise" },
    { "merging", 0, VOCO_OPT_CHOICE, AT(merging), "ORDER",
      "patch merging, where the weights do not tell: legacy or fixed",
      .choices = voco_merging_names },
    { "partial", 0, VOCO_OPT_FLAG, AT(partial), NULL,
      "use weights that do not cover the encoder, with random numbers for the rest" },
    { "min-coverage", 0, VOCO_OPT_REAL, AT(min_coverage), "PERCENT",
      "as --partial, but the weights must cover this share of the encoder", 0, 100 },
    { "group", 0, VOCO_OPT_INT, AT(group), "N", "crops at once", 1, 1024 },
    { "precision", 0, VOCO_OPT_CHOICE, AT(precision), "TYPE",
      "type of activations; auto: bf16 where the CPU multiplies it, else f32",
      .choices = voco_precision_names },
    { "threads", 't', VOCO_OPT_INT, AT(threads), "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { 0 }
};

static enum voco_err
run(int argc, char **argv)
{
    return voco_embed_inputs(&c, argc, (const char *const *)argv);
}

const struct voco_verb voco_cmd_embed = {
    .name = "embed",
    .summary = "write the encoder's embeddings of volumes or prepared crops",
    .args = "IN...",
    .details = "IN is a volume, a folder or list of volumes, a store, or an HDF5 file with\n"
               "img or crops [n,1,r,r,r].  A volume is cut into as many 64^3 crops as fit\n"
               "side by side, centred.  OUT.h5 has a group for each volume (or dataset):\n"
               "embedding [n,24f] and start [n,3], the crop's first voxel.  OUT.csv has a line\n"
               "for each row; OUT.npy has the numbers alone, and OUT.csv beside it the ids.",
    .options = options,
    .config = &c,
    .min_args = 1, .max_args = -1,
    .run = run,
};
