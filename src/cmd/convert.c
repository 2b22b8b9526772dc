/* voco convert: volumes of any format become a store to train from. */
#include "cmd/cmd.h"
#include "data/convert/settings.h"
#include "data/transform/preset.h"

#define AT(member) VOCO_AT(struct voco_convert_settings, member)

static struct voco_convert_settings c = VOCO_CONVERT_DEFAULTS;

/* In the order of enum voco_store_type. */
static const char *const type_names[] = { "u16", "f32", "i16", NULL };

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FOLDER, AT(store), "STORE",
      "the store, new or to be continued" },
    { "preset", 'p', VOCO_OPT_CHOICE, AT(preset), "NAME", "transforms by body region",
      .choices = voco_preset_names },
    { "task", 0, VOCO_OPT_TEXT, AT(recipe), "NAME",
      "defaults of a recipe; voco tasks lists them" },
    { "dataset", 0, VOCO_OPT_TEXT, AT(dataset), "NAME",
      "name for sampling weights (default: that of the preset)" },
    { "dry-run", 'n', VOCO_OPT_FLAG, AT(dry_run), NULL,
      "print the plan for each volume, and stop" },

    { "spacing", 0, VOCO_OPT_REAL3, AT(spacing_mm), "MM",
      "voxel size, one number or three; 0 keeps an axis", 0, 100,
      .section = "Transforms (defaults: those of the preset)" },
    { "scaling", 0, VOCO_OPT_CHOICE, AT(scaling), "KIND",
      "meaning of the numbers of --window", .choices = voco_scaling_name },
    { "window", 0, VOCO_OPT_RANGE, AT(window), "LOW,HIGH", "these become 0 and 1" },
    { "foreground", 0, VOCO_OPT_CHOICE, AT(foreground), "KIND",
      "crop to voxels above the window's low end, or to nonzero ones",
      .choices = voco_foreground_name },
    { "foreground-multiple", 0, VOCO_OPT_TEXT, AT(multiple), "X,Y,Z",
      "the foreground's box grows to multiples of this, one number or three; beyond the "
      "volume are zeros (default: as it is)" },
    { "no-foreground", 0, VOCO_OPT_FLAG, AT(no_foreground), NULL, "as --foreground none" },
    { "pad-first", 0, VOCO_OPT_TEXT, AT(pad_first), "X,Y,Z",
      "at least so many voxels before resize, or none" },
    { "resize", 0, VOCO_OPT_TEXT, AT(resize), "X,Y,Z", "exactly so many voxels, or none" },
    { "pad", 0, VOCO_OPT_TEXT, AT(pad), "X,Y,Z", "at least so many voxels, or none" },
    { "nan-to", 0, VOCO_OPT_REAL, AT(nan_to), "X",
      "replace NaN and infinity (default: reject the volume)" },

    { "channel", 0, VOCO_OPT_TEXT, AT(channel), "N|all",
      "of images with several channels (default: reject them)", .section = "Input" },
    { "labels", 0, VOCO_OPT_TEXT, AT(labels), "MAP",
      "store label maps too: json (values of the list), any, or rules as 0-13,20:3,*:0" },
    { "label-folder", 0, VOCO_OPT_FOLDER, AT(label_folder), "FOLDER",
      "label maps with the names of the images" },
    { "class-names", 0, VOCO_OPT_TEXT, AT(class_names), "A,B,...",
      "of classes 0, 1, ... (default: those of --labels json)" },
    { "root", 0, VOCO_OPT_FOLDER, AT(root), "FOLDER",
      "where relative paths of lists begin (default: at the list)" },
    { "test-split", 0, VOCO_OPT_FLAG, AT(test_split), NULL,
      "the test cases of JSON lists, too" },

    { "store-type", 0, VOCO_OPT_CHOICE, AT(type), "TYPE",
      "[0,1] in 65536 steps, exact, or intensities that are windowed when read",
      .choices = type_names, .section = "Store" },
    { "chunk", 0, VOCO_OPT_INT, AT(chunk), "N", "edge of a chunk in voxels (default 32)", 8,
      128 },
    { "level", 0, VOCO_OPT_INT, AT(level), "N", "of compression (default 1)", 1, 9 },
    { "shard-size", 0, VOCO_OPT_SIZE, AT(shard_bytes), "SIZE",
      "of one file; a killed convert repeats at most one (default 2G)", 1, 1e15 },

    { "threads", 0, VOCO_OPT_INT, AT(threads), "N", "volumes at once (default: the cores)",
      1, 1024, .section = "Resources" },
    { "memory", 0, VOCO_OPT_SIZE, AT(memory), "SIZE",
      "for the volumes in hand (default: 60 % of what is free)", 1, 1e15 },
    { NULL }
};

static enum voco_err
run(int argc, char **argv)
{
    return voco_convert_inputs(&c, argc, (const char *const *)argv);
}

const struct voco_verb voco_cmd_convert = {
    .name = "convert",
    .summary = "convert volumes into a store for training",
    .args = "INPUT...",
    .details =
        "INPUT is a volume (NIfTI, MetaImage, NRRD), a folder of volumes or DICOM\n"
        "series, a text list, a CSV, or the dataset.json of Decathlon, nnU-Net or VoCo.\n"
        "\n"
        "The same command goes on where a killed one was.  Volumes that cannot be used\n"
        "are rejected with a reason and do not stop the others; the exit status is then\n"
        "3.",
    .options = options,
    .config = &c,
    .task = &c.recipe,
    .min_args = 1,
    .max_args = -1,
    .run = run
};
