/* Networks by the names and shapes of their parameters. */
#include "model/recognise.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/nnunet.h"
#include "tensorfile/names.h"

const char *const voco_merging_names[] = { "legacy", "fixed", NULL };

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

/* Keeps the first problem. */
static void VOCO_PRINTF(2, 3)
problem(struct voco_network *net, const char *fmt, ...)
{
    va_list ap;

    if (net->problem[0])
        return;
    va_start(ap, fmt);
    vsnprintf(net->problem, sizeof net->problem, fmt, ap);
    va_end(ap);
}

static void
recognise_heads(const struct voco_tensorfile *f, const struct voco_nametable *names,
                struct voco_network *net)
{
    const struct voco_filetensor *first = find(f, names, "student.layer1.0.weight", 2);
    const struct voco_filetensor *last = find(f, names, "student.layer3.0.weight", 2);

    net->student = first && last;
    net->teacher = find(f, names, "teacher.layer1.0.weight", 2) != NULL;
    net->swinheads = find(f, names, "rotation_head.weight", 2)
                     && find(f, names, "contrastive_head.weight", 2);
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
    if (merging && !net->merging_known)
        snprintf(net->merging_odd, sizeof net->merging_odd, "%s", merging);
}

static bool
is_swinunetr(const struct voco_tensorfile *f, const struct voco_nametable *names,
             struct voco_network *net)
{
    const struct voco_filetensor *patch = find(f, names, "swinViT.patch_embed.proj.weight", 5);
    const struct voco_filetensor *out = find(f, names, "out.conv.conv.weight", 5);
    const char *axes = voco_tensorfile_meta(f, "voco.axes");

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
    if (axes && strcmp(axes, voco_axes_name[0]) != 0)
        problem(net, "voco.axes is '%.20s', expected %s", axes, voco_axes_name[0]);
    return true;
}

/* ---- nnU-Net's, from the package dynamic-network-architectures ---- */

struct reader {
    const struct voco_tensorfile *f;
    const struct voco_nametable *names;
    struct voco_network *net;
};

static const struct voco_filetensor * VOCO_PRINTF(3, 4)
find_named(const struct reader *r, int rank, const char *fmt, ...)
{
    char name[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return find(r->f, r->names, name, rank);
}

/* Kernel or stride in the last three sizes; from 1 to most. */
static void
take_three(const struct reader *r, const struct voco_filetensor *t, int most, int ret[3])
{
    for (int i = 0; i < 3; i++) {
        if (t->dim[2 + i] < 1 || t->dim[2 + i] > most)
            problem(r->net, "%s has a kernel of %lld, expected 1 to %d", t->name,
                    (long long)t->dim[2 + i], most);
        ret[i] = (int)t->dim[2 + i];
    }
}

/* The convolutions of a stage: how many; kernel is that of the first. */
static int
read_stage(const struct reader *r, const char *stage, int kernel[3])
{
    const struct voco_filetensor *conv;
    int n = 0;

    for (; (conv = find_named(r, 5, "%s.convs.%d.conv.weight", stage, n)) != NULL; n++) {
        if (n == 0 && kernel)
            take_three(r, conv, 7, kernel);
        if (find_named(r, 1, "%s.convs.%d.norm.running_mean", stage, n))
            problem(r->net, "%s has batch norms, expected instance norms", stage);
        if (find_named(r, 1, "%s.convs.%d.all_modules.2.weight", stage, n))
            problem(r->net, "%s has norms in another place than right behind the "
                    "convolution", stage);
        if (!find_named(r, 1, "%s.convs.%d.norm.weight", stage, n)
            || !find_named(r, 1, "%s.convs.%d.conv.bias", stage, n))
            problem(r->net, "%s has convolutions without bias, or norms without scale", stage);
    }
    if (n > VOCO_PLAIN_CONVS)
        problem(r->net, "%s has %d convolutions, expected at most %d", stage, n,
                VOCO_PLAIN_CONVS);
    return n;
}

/* The decoder's stage at resolution s, which tells the stride of the encoder's next. */
static void
read_up(const struct reader *r, int s)
{
    struct voco_plainconv_config *c = &r->net->plainconv;
    const int number = c->stages - 2 - s;
    const struct voco_filetensor *up = find_named(r, 5, "decoder.transpconvs.%d.weight",
                                                  number);
    const struct voco_filetensor *out = find_named(r, 5, "decoder.seg_layers.%d.weight",
                                                   number);
    char stage[64];

    snprintf(stage, sizeof stage, "decoder.stages.%d", number);
    c->up_convs[s] = read_stage(r, stage, NULL);
    if (!up || !out || c->up_convs[s] < 1) {
        problem(r->net, "the decoder lacks stage %d or its output layer", number);
        return;
    }
    take_three(r, up, 8, c->stride[s + 1]);
    r->net->classes = out->dim[0];
}

/* Of our own entry, else of the plans in a checkpoint of nnU-Net. */
static void
recognise_axes(const struct voco_tensorfile *f, struct voco_network *net)
{
    const char *axes = voco_tensorfile_meta(f, "voco.axes");
    int planned;

    if (!axes && voco_nnunet_axes(f, &planned))
        axes = voco_axes_name[planned];

    for (int i = 0; voco_axes_name[i]; i++) {
        if (strcmp(voco_axes_name[i], axes ? axes : "zyx") == 0)
            net->axes = i;
        net->axes_known |= axes && strcmp(voco_axes_name[i], axes) == 0;
    }
    if (axes && !net->axes_known)
        problem(net, "voco.axes is '%.20s', expected xyz in some order", axes);
}

static bool
is_plainconv(const struct voco_tensorfile *f, const struct voco_nametable *names,
             struct voco_network *net)
{
    const struct reader r = { f, names, net };
    struct voco_plainconv_config *c = &net->plainconv;
    const struct voco_filetensor *conv;
    int stages = 0;

    for (; (conv = find_named(&r, 5, "encoder.stages.%d.0.convs.0.conv.weight", stages))
           != NULL && stages < VOCO_PLAIN_STAGES; stages++) {
        char stage[64];

        snprintf(stage, sizeof stage, "encoder.stages.%d.0", stages);
        if (stages == 0)
            net->in_channels = conv->dim[1];
        if (conv->dim[0] < 1 || conv->dim[0] > 8192)
            problem(net, "%s has %lld channels, expected 1 to 8192", conv->name,
                    (long long)conv->dim[0]);
        c->width[stages] = conv->dim[0];
        c->convs[stages] = read_stage(&r, stage, c->kernel[stages]);
        for (int i = 0; i < 3; i++)
            if (c->kernel[stages][i] % 2 == 0)
                problem(net, "%s has a kernel of even size", conv->name);
    }
    if (stages < 2)
        return false;
    if (conv)
        problem(net, "more than %d stages", VOCO_PLAIN_STAGES);
    net->kind = VOCO_NETWORK_PLAINCONV;
    net->feature = c->width[0];
    c->stages = stages;
    net->decoder = find_named(&r, 5, "decoder.transpconvs.0.weight") != NULL;
    for (int i = 0; i < 3; i++)
        c->stride[0][i] = 1;    /* as nnU-Net's planner has it; shapes do not tell */
    for (int s = stages - 2; net->decoder && s >= 0; s--)
        read_up(&r, s);
    if (!net->decoder)
        problem(net, "no decoder, whose transposed convolutions tell the strides");
    recognise_axes(f, net);
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
    if (!is_swinunetr(f, &names, ret) && !is_plainconv(f, &names, ret)) {
        char *text = voco_tensorfile_contents(f, path);

        snprintf(ret->holds, sizeof ret->holds, "%s", text);
        free(text);
    }
    voco_nametable_free(&names);
    return VOCO_OK;
}

void
voco_network_settle(struct voco_network *net, const char *path, int merging)
{
    if (net->kind == VOCO_NETWORK_SWINUNETR && !net->merging_known) {
        if (merging < 0 && net->merging_odd[0])
            problem(net, "voco.merging is '%s', expected legacy or fixed; give the right "
                    "one by --merging", net->merging_odd);
        else if (merging < 0)
            voco_warn("%s: does not say in which order patches are merged: legacy is assumed, "
                      "as in MONAI before 1.5; weights of MONAI 1.5 and later need --merging "
                      "fixed", path);
        else
            net->merging = (enum voco_merging)merging;
        net->merging_known = merging >= 0;
    }
    if (net->kind == VOCO_NETWORK_PLAINCONV && !net->axes_known)
        voco_warn("%s: does not say how the network's axes lie in a volume: %s is assumed, as "
                  "nnU-Net reads files; plans would tell (voco model import --plans)", path,
                  voco_axes_name[net->axes]);
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
                 : net->student ? ", student head" : net->teacher ? ", teacher head"
                 : net->swinheads ? ", rotation, contrast and image heads" : "");
        break;
    case VOCO_NETWORK_PLAINCONV:
        snprintf(buf, 96, "PlainConvUNet (nnU-Net) of %d stages, %s",
                 net->plainconv.stages, parts);
        break;
    case VOCO_NETWORK_UNKNOWN:
        snprintf(buf, 96, "not recognised");
    }
    return buf;
}

const char *
voco_architecture_name(enum voco_net net, bool plain, bool decoder)
{
    static const char *const name[2][2] = {
        { "swinunetr-v2-encoder", "swinunetr-v2" }, { "swinunetr-v1-encoder", "swinunetr-v1" }
    };

    return net == VOCO_NET_PLAINCONV ? "plainconvunet" : name[plain][decoder];
}
