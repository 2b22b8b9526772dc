/* voco predict: label maps of volumes, in their own space. */
#include "cmd/cmd.h"
#include "data/transform/preset.h"
#include "dev/list.h"
#include "task/segment/choose.h"
#include "task/segment/segment.h"

#define AT(member) VOCO_AT(struct voco_segment_settings, member)

static struct voco_segment_settings c = VOCO_SEGMENT_SETTINGS_DEFAULTS;

static const struct voco_opt options[] = {
    { "weights", 'w', VOCO_OPT_FILE, AT(predict.weights), "FILE",
      "safetensors, or .pt, of a fine-tuned network" },
    { "output", 'o', VOCO_OPT_FOLDER, AT(predict.output), "FOLDER", "for the label maps" },
    { "probabilities", 0, VOCO_OPT_FLAG, AT(probabilities), NULL,
      "write NAME_prob.nii.gz too, a volume for each class" },
    { "skip-existing", 0, VOCO_OPT_FLAG, AT(predict.skip_existing), NULL,
      "leave inputs alone whose label map is there" },
    { "dry-run", 'n', VOCO_OPT_FLAG, AT(predict.dry_run), NULL,
      "print the plan and the memory that it needs, and stop" },

    { "preset", 'p', VOCO_OPT_CHOICE, AT(preset), "NAME",
      "transforms as voco convert has them (default: those of the weights)",
      .choices = voco_preset_names, .section = "Transforms" },
    { "spacing", 0, VOCO_OPT_REAL3, AT(spacing_mm), "MM",
      "voxel size for the network, one number or three; 0 keeps an axis", 0, 100 },
    { "window", 0, VOCO_OPT_RANGE, AT(window), "LOW,HIGH",
      "these become 0 and 1: intensities, or percentiles as the transforms have it" },
    { "nan-to", 0, VOCO_OPT_REAL, AT(nan_to), "X",
      "replace NaN and infinities, which are an error otherwise" },

    { "roi", 0, VOCO_OPT_REAL3, AT(roi), "N",
      "edges of a window in voxels (default: those of the weights, or 96)", 1, 1024,
      .section = "Windows" },
    { "overlap", 0, VOCO_OPT_REAL, AT(overlap), "SHARE", "of neighbouring windows", 0, 0.95 },
    { "blend", 0, VOCO_OPT_CHOICE, AT(blend), "KIND",
      "weight of a window's voxels: all alike, or less towards its faces",
      .choices = voco_blend_names },
    { "mirror", 0, VOCO_OPT_TEXT, AT(mirror), "AXES",
      "average over reversed axes, such as xyz: two, four or eight times the work" },
    { "skip-background", 0, VOCO_OPT_FLAG, AT(skip_background), NULL,
      "take windows without any contrast as background" },
    { "resample", 0, VOCO_OPT_CHOICE, AT(resample), "KIND",
      "labels of the nearest voxel, or of interpolated probabilities",
      .choices = voco_resampling_names },

    { "merging", 0, VOCO_OPT_CHOICE, AT(merging), "ORDER",
      "patch merging, where the weights do not tell: legacy or fixed",
      .choices = voco_merging_names, .section = "Resources" },
    { "batch", 0, VOCO_OPT_INT, AT(batch), "N", "windows at once, at most", 1, 64 },
    { "precision", 0, VOCO_OPT_CHOICE, AT(predict.precision), "TYPE",
      "type of activations; auto: bf16 where the CPU multiplies it, else f32",
      .choices = voco_precision_names },
    { "threads", 't', VOCO_OPT_INT, AT(predict.threads), "N",
      "compute threads; 0: one per core of this process", 0, 4096 },
    { "memory", 0, VOCO_OPT_SIZE, AT(predict.memory), "SIZE",
      "to use at most (default: half of what this process may have)", 1, 1e15 },
    { "trace", 0, VOCO_OPT_FLAG, AT(predict.trace), NULL,
      "at the end, a table of where the time went: primitive, shapes, rate" },
    { NULL }
};

static enum voco_err
run(int argc, char **argv)
{
    return voco_predict(&voco_task_segment, &c, argc, (const char *const *)argv);
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
    .config = &c,
    .min_args = 1, .max_args = -1,
    .run = run,
};
