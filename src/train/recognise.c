/* Networks by the names and shapes of their parameters. */
#include "train/recognise.h"

#include <stdio.h>
#include <string.h>

#include "tensorfile/names.h"

const char *
voco_merging_name(enum voco_merging merging)
{
    return merging == VOCO_MERGING_LEGACY ? "legacy" : "fixed";
}

/* The tensor with this common name and rank, or NULL. */
static const struct voco_filetensor *
find(const struct voco_tensorfile *f, const struct voco_nametable *names, const char *name,
     int rank)
{
    const int i = voco_nametable_find(names, name);

    return i >= 0 && f->item[i].rank == rank ? &f->item[i] : NULL;
}

static void
recognise_heads(const struct voco_tensorfile *f, const struct voco_nametable *names,
                struct voco_network *net)
{
    const struct voco_filetensor *first = find(f, names, "student.layer1.0.weight", 2);
    const struct voco_filetensor *last = find(f, names, "student.layer3.0.weight", 2);

    net->student = first && last;
    net->teacher = find(f, names, "teacher.layer1.0.weight", 2) != NULL;
    if (net->student) {
        net->hidden = first->dim[0];
        net->out = last->dim[0];
    }
}

static void
recognise_merging(const struct voco_tensorfile *f, struct voco_network *net)
{
    const char *merging = voco_tensorfile_meta(f, "voco.merging");

    net->merging = VOCO_MERGING_LEGACY;
    for (int i = 0; merging && i < 2; i++) {
        const enum voco_merging m = i ? VOCO_MERGING_FIXED : VOCO_MERGING_LEGACY;

        if (strcmp(merging, voco_merging_name(m)) == 0) {
            net->merging = m;
            net->merging_known = true;
        }
    }
}

static bool
is_swinunetr(const struct voco_tensorfile *f, const struct voco_nametable *names,
             struct voco_network *net)
{
    const struct voco_filetensor *patch = find(f, names, "swinViT.patch_embed.proj.weight", 5);
    const struct voco_filetensor *out = find(f, names, "out.conv.conv.weight", 5);

    if (!patch)
        return false;
    net->kind = VOCO_NETWORK_SWINUNETR;
    net->feature = patch->dim[0];
    net->in_channels = patch->dim[1];
    net->version = find(f, names, "swinViT.layers1c.0.layer.conv1.conv.weight", 5) ? 2 : 1;
    net->maps = find(f, names, "encoder1.layer.conv1.conv.weight", 5) != NULL;
    net->decoder = find(f, names, "decoder1.conv_block.conv1.conv.weight", 5) != NULL;
    net->classes = out ? out->dim[0] : 0;
    recognise_heads(f, names, net);
    recognise_merging(f, net);
    return true;
}

/* nnU-Net's, from the package dynamic-network-architectures. */
static bool
is_plainconv(const struct voco_tensorfile *f, const struct voco_nametable *names,
             struct voco_network *net)
{
    char name[64];

    for (int i = 0; i < VOCO_NETWORK_STAGES; i++) {
        const struct voco_filetensor *conv;

        snprintf(name, sizeof name, "encoder.stages.%d.0.convs.0.conv.weight", i);
        conv = find(f, names, name, 5);
        if (!conv)
            break;
        if (i == 0)
            net->in_channels = conv->dim[1];
        net->width[net->stages++] = conv->dim[0];
    }
    if (net->stages < 2)
        return false;
    net->kind = VOCO_NETWORK_PLAINCONV;
    net->feature = net->width[0];
    snprintf(name, sizeof name, "decoder.seg_layers.%d.weight", net->stages - 2);
    if (find(f, names, name, 5))
        net->classes = find(f, names, name, 5)->dim[0];
    net->decoder = find(f, names, "decoder.transpconvs.0.weight", 5) != NULL;
    return true;
}

enum voco_err
voco_network_recognise(const struct voco_tensorfile *f, const char *path,
                       struct voco_network *ret)
{
    struct voco_nametable names;
    const enum voco_err err = voco_nametable_make(&names, f, path);

    *ret = (struct voco_network){ 0 };
    if (err != VOCO_OK)
        return err;
    if (!is_swinunetr(f, &names, ret))
        is_plainconv(f, &names, ret);
    voco_nametable_free(&names);
    return VOCO_OK;
}

const char *
voco_network_words(const struct voco_network *net, char buf[96])
{
    const char *parts = net->decoder ? "encoder and decoder"
        : net->kind == VOCO_NETWORK_PLAINCONV || net->maps ? "encoder" : "swinViT alone";

    switch (net->kind) {
    case VOCO_NETWORK_SWINUNETR:
        snprintf(buf, 96, "Swin UNETR v%d, %s%s", net->version, parts,
                 net->student && net->teacher ? ", student and teacher heads"
                 : net->student ? ", student head" : net->teacher ? ", teacher head" : "");
        break;
    case VOCO_NETWORK_PLAINCONV:
        snprintf(buf, 96, "PlainConvUNet (nnU-Net) of %d stages, %s", net->stages, parts);
        break;
    case VOCO_NETWORK_UNKNOWN:
        snprintf(buf, 96, "not recognised");
    }
    return buf;
}

const char *
voco_architecture_name(bool plain, bool decoder)
{
    static const char *const name[2][2] = {
        { "swinunetr-v2-encoder", "swinunetr-v2" }, { "swinunetr-v1-encoder", "swinunetr-v1" }
    };

    return name[plain][decoder];
}
