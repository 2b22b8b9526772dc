/* voco model export: weights for other programs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/model.h"
#include "model/rewrite.h"
#include "model/weights.h"

enum part { PART_ALL, PART_BACKBONE, PART_ENCODER };

static struct {
    const char *output;
    int names, part, type, merging;
} c = { .names = 0, .part = PART_ALL, .type = -1, .merging = -1 };

static const char *const parts[] = { "all", "backbone", "encoder", NULL };
static const char *const type_names[] = { "f32", "f16", "bf16", NULL };
static const char *const types[] = { "F32", "F16", "BF16" };

static const char *const name_styles[] = { "monai", "voco", "voco-official", "nvidia-ssl",
                                           "nnunet", NULL };
static const struct { enum voco_name_style style; const char *wrapper; } styles[] = {
    { VOCO_NAMES_MONAI, NULL }, { VOCO_NAMES_VOCO, NULL },
    { VOCO_NAMES_OFFICIAL, "state_dict" }, { VOCO_NAMES_NVIDIA, "state_dict" },
    { VOCO_NAMES_NNUNET, "network_weights" },
};

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FILE, &c.output, "OUT",
      "the file to write: .pt and .pth for PyTorch, else safetensors" },
    { "names", 'n', VOCO_OPT_CHOICE, &c.names, "STYLE", "how the parameters are called",
      .choices = name_styles },
    { "part", 'p', VOCO_OPT_CHOICE, &c.part, "PART",
      "all that the file has, the backbone of pre-training (swinViT and encoder1 to 10), or "
      "swinViT alone", .choices = parts },
    { "type", 0, VOCO_OPT_CHOICE, &c.type, "TYPE", "of the numbers, if not as they are",
      .choices = type_names },
    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "say that the weights were trained with this order of patch merging, whatever the file "
      "says; no number changes", .choices = voco_merging_names },
    { 0 }
};

static bool
asked_for(enum voco_name_part part)
{
    switch (part) {
    case VOCO_PART_ENCODER:
        return true;
    case VOCO_PART_BACKBONE:
        return c.part != PART_ENCODER;
    default:
        return c.part == PART_ALL;
    }
}

/* The tensors that were asked for and have a place; *ret_left counts the others. */
static enum voco_err
choose(const struct voco_tensorfile *file, const char *path, struct voco_rewrite *out,
       int *ret_left)
{
    struct voco_nametable names;
    const enum voco_err err = voco_nametable_make(&names, file, path);

    *ret_left = 0;
    for (int k = 0; k < file->n && err == VOCO_OK; k++) {
        const struct voco_filetensor *t = &file->item[k];
        char *common, *name;

        if (names.original[k] != k)
            continue;
        common = voco_name_common(t->name);
        name = asked_for(voco_name_part(common))
            ? voco_name_styled(common, styles[c.names].style) : NULL;

        if (name) {
            voco_rewrite_add(out, t, name, c.type < 0 ? NULL : types[c.type]);
        } else {
            voco_detail("%s: left out: %s", path, t->name);
            (*ret_left)++;
        }
        free(common);
    }
    voco_nametable_free(&names);
    return err;
}

static void
announce(const struct voco_model_config *config, const struct voco_rewrite *out, int left)
{
    voco_note("%s: %d tensors with the names of %s, %d left out", c.output, out->n,
              name_styles[c.names], left);
    if (config->net == VOCO_NET_SWINUNETR && config->assumed)
        voco_note("MONAI before 1.5 merges patches in the legacy order, 1.5 and later in the "
                  "fixed one; %s says as little as the input", c.output);
    else if (config->net == VOCO_NET_SWINUNETR)
        voco_note("%s patch merging: for MONAI %s", voco_merging_name(config->merging),
                  config->merging == VOCO_MERGING_LEGACY
                  ? "before 1.5; later ones load it and compute something else"
                  : "1.5 and later; earlier ones load it and compute something else");
}

static enum voco_err
export(const struct voco_tensorfile *file, const char *path)
{
    struct voco_rewrite out = { 0 };
    struct voco_filemeta meta[VOCO_MODEL_KEYS];
    struct voco_model_config config;
    struct voco_network net;
    int left, n;
    enum voco_err err = voco_cmd_model_recognise(file, path, c.merging, false, &net);

    if (err != VOCO_OK || (err = voco_network_config(&net, path, &config)) != VOCO_OK)
        return err;
    voco_tensorfile_tell(file, path);
    n = voco_model_meta(&config, net.decoder, meta) - 1;    /* a part may be written */
    if ((err = choose(file, path, &out, &left)) == VOCO_OK && out.n == 0)
        err = voco_fail(VOCO_EUSAGE, "%s: none of its tensors has a place among the names of "
                        "%s", path, name_styles[c.names]);
    if (err == VOCO_OK) {
        voco_rewrite_add_indices(&out);
        voco_rewrite_add_copies(&out);
        err = voco_rewrite_write(&out, c.output, file, path, styles[c.names].wrapper, meta,
                                 n);
    }
    if (err == VOCO_OK)
        announce(&config, &out, left);
    voco_rewrite_free(&out);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    (void)argc;
    return voco_cmd_model_rewrite(argv[0], c.output, export);
}

const struct voco_verb voco_cmd_model_export = {
    .name = "model export",
    .summary = "write weights for MONAI, PyTorch and VoCo's own scripts",
    .args = "FILE",
    .details = "FILE is a .safetensors file, a checkpoint or a run of voco, or anything that\n"
               "import takes.\n"
               "\n"
               "  voco model export run -o encoder.pt\n"
               "  voco model export run -o half.safetensors --part backbone --type bf16",
    .options = options,
    .min_args = 1, .max_args = 1,
    .run = run,
};
