/* voco model import: weights of other programs into a file of voco's. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/model.h"
#include "model/nnunet.h"
#include "model/rewrite.h"
#include "model/weights.h"

static struct {
    const char *output, *plans, *configuration;
    int merging;
    bool partial;
    double min_coverage;
} c = { .merging = -1 };

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FILE, &c.output, "OUT.safetensors", "the file to write" },
    { "merging", 0, VOCO_OPT_CHOICE, &c.merging, "ORDER",
      "order of patch merging that the weights were trained with (default: that of the "
      "file, or legacy)", .choices = voco_merging_names },
    { "plans", 0, VOCO_OPT_FILE, &c.plans, "PLANS.json",
      "nnU-Net's plans, which say how volumes are prepared, where the checkpoint has none" },
    { "configuration", 0, VOCO_OPT_TEXT, &c.configuration, "NAME",
      "of the plans (default: that of the checkpoint, or 3d_fullres)" },
    { "partial", 0, VOCO_OPT_FLAG, &c.partial, NULL,
      "load the parameters that fit, where others are missing or have another shape" },
    { "min-coverage", 0, VOCO_OPT_REAL, &c.min_coverage, "PERCENT",
      "as --partial, but the file must have this share of the numbers", 0, 100 },
    { 0 }
};

/* Tensors that go with the network but not into the table of its parameters: strays, by
 * which predict and embed will know that it is another network, and a decoder whose output
 * layer is not a convolution to classes. */
static int
keep_others(const struct voco_match *m, struct voco_rewrite *out)
{
    int n = 0;

    for (int k = 0; k < m->file->n; k++) {
        const struct voco_filetensor *t = &m->file->item[k];
        char *common = voco_name_common(t->name), *name = NULL;

        if (m->param[k] < 0 && m->original[k] == k && !voco_name_is_index(t->name)
            && (m->stray[k] || voco_name_part(common) == VOCO_PART_DECODER)
            && (name = voco_name_styled(common, VOCO_NAMES_VOCO)) != NULL) {
            voco_rewrite_add(out, t, name, "F32");
            n++;
        }
        free(common);
    }
    return n;
}

static enum voco_err
write_matched(const struct voco_match *m, const struct voco_network *net,
              const struct voco_model_config *config, const struct voco_seginfo *info)
{
    struct voco_filemeta meta[VOCO_MODEL_KEYS + VOCO_SEGINFO_KEYS];
    const int n_model = voco_model_meta(config, net->decoder, meta);
    const int n_info = voco_seginfo_meta(info, meta + n_model);
    struct voco_rewrite out = { 0 };
    int kept;
    enum voco_err err;

    for (int i = 0; i < m->params->n; i++)
        if (m->tensor[i] >= 0) {
            char *common = voco_name_common(m->params->item[i].name);

            voco_rewrite_add(&out, &m->file->item[m->tensor[i]],
                             voco_name_styled(common, VOCO_NAMES_VOCO), "F32");
            free(common);
        }
    kept = keep_others(m, &out);
    if (kept)
        voco_note("  kept as they are: %d tensors of the network that voco does not compute",
                  kept);
    if (m->cover.strays)
        voco_warn("%s: %d tensors of its network have no place in the one that voco computes: "
                  "predict and embed will refuse %s", m->path, m->cover.strays, c.output);
    voco_rewrite_add_indices(&out);
    err = voco_rewrite_write(&out, c.output, m->file, m->path, NULL, meta,
                             n_model + n_info);
    if (err == VOCO_OK)
        voco_note("%s: %d tensors", c.output, out.n);
    for (int i = 0; i < n_info; i++)
        free((char *)meta[n_model + i].value);
    voco_rewrite_free(&out);
    return err;
}

/* How volumes are prepared for nnU-Net's networks, where the file or --plans tell. */
static enum voco_err
read_plans(const struct voco_tensorfile *file, const char *path,
           struct voco_model_config *config, struct voco_seginfo *info)
{
    const struct voco_nnunet_source source = { c.plans, c.configuration };
    char *transform;
    bool found;
    enum voco_err err;

    if (config->net != VOCO_NET_PLAINCONV)
        return c.plans || c.configuration
            ? voco_fail(VOCO_EUSAGE, "%s: a Swin UNETR, and --plans are of nnU-Net", path)
            : VOCO_OK;
    err = voco_nnunet_read(file, path, &source, &found, info, &config->axes);
    if (err != VOCO_OK)
        return err;
    if (!found) {
        voco_note("  without plans: predict will want --preset and --roi");
        return VOCO_OK;
    }
    transform = voco_transform_options(&info->transform);
    voco_note("  %s: windows of %" PRId64 " x %" PRId64 " x %" PRId64 ", transforms %s",
              info->preset, info->roi[0], info->roi[1], info->roi[2],
              transform ? transform : "?");
    free(transform);
    return VOCO_OK;
}

static void
announce(const char *path, const struct voco_network *net,
         const struct voco_model_config *config)
{
    char words[96], model[160];

    voco_note("%s: %s: %s%s", path, voco_network_words(net, words),
              voco_model_words(config, model),
              config->net == VOCO_NET_SWINUNETR && config->assumed ? " (assumed)" : "");
}

static enum voco_err
import(const struct voco_tensorfile *file, const char *path)
{
    struct voco_demand demand = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_BACKBONE,
                                  .keep = 1 << VOCO_PART_DECODER,
                                  .partial = c.partial, .min_percent = c.min_coverage };
    struct voco_model_config config;
    struct voco_model model = { 0 };
    struct voco_match match = { 0 };
    struct voco_seginfo info = { 0 };
    struct voco_network net;
    enum voco_err err = voco_cmd_model_recognise(file, path, c.merging, c.plans != NULL,
                                                 &net);

    if (err != VOCO_OK)
        return err;
    if (net.decoder)
        demand.need |= 1 << VOCO_PART_DECODER;
    if (!net.student)
        demand.want &= ~(1u << VOCO_PART_HEADS);
    if ((err = voco_network_config(&net, path, &config)) == VOCO_OK
        && (err = voco_model_describe(&model, &config)) == VOCO_OK
        && (err = voco_match_make(&match, file, path, &model.params, &demand)) == VOCO_OK) {
        announce(path, &net, &config);
        voco_match_report(&match);
        if ((err = voco_match_enough(&match, &demand)) == VOCO_OK
            && (err = read_plans(file, path, &config, &info)) == VOCO_OK)
            err = write_matched(&match, &net, &config, &info);
    }
    voco_seginfo_free(&info);
    voco_match_free(&match);
    voco_model_free(&model);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    (void)argc;
    return voco_cmd_model_rewrite(argv[0], c.output, import);
}

const struct voco_verb voco_cmd_model_import = {
    .name = "model import",
    .summary = "make a file of voco's from the weights of another program",
    .args = "FILE",
    .details = "FILE is a .pt or .pth, .safetensors, or a checkpoint, of VoCo, MONAI, "
               "NVIDIA's pre-training, nnU-Net or voco.  Every parameter is accounted for; one that is "
               "missing is an error unless --partial.  FILE itself can be given to --init and "
               "--weights, too.",
    .options = options,
    .min_args = 1, .max_args = 1,
    .run = run,
};
