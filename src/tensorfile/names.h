/*
 * Names of parameters, as the programs that write weights have them.
 *
 * The common form here is MONAI's SwinUNETR: "swinViT.layers1.0.blocks.0.attn.qkv.weight",
 * "encoder1.layer.conv1.conv.weight", "decoder5...", "out.conv.conv.bias"; the heads of
 * pre-training are "student.layer1.0.weight", "teacher...." and "projector....", those of
 * Swin UNETR's own "rotation_head.weight", "contrastive_head.weight", "conv.0.weight".
 *
 * For nnU-Net's networks it is "encoder.stages.0.0.convs.0.conv.weight", "...norm.bias",
 * "decoder.transpconvs.0.weight", "decoder.seg_layers.0.weight".  Its state_dict has every
 * convolution and norm a second time inside all_modules, and all of the encoder a second
 * time inside the decoder: these are copies.
 */
#ifndef VOCO_TENSORFILE_NAMES_H
#define VOCO_TENSORFILE_NAMES_H

#include "tensorfile/tensorfile.h"

/* The common form of a name: without module., _orig_mod. and backbone. in front, the
 * original of a copy, swin_vit is swinViT,
 * mlp.fc1 and mlp.fc2 are mlp.linear1 and mlp.linear2, and the names of NVIDIA's
 * pre-training, which begin with layersN or patch_embed, get swinViT. in front. Free it. */
char *voco_name_common(const char *name);

/* How many bytes to leave out in front of all names, so that they are those of a network
 * that voco knows: 0, or a common prefix up to a full stop; -1: voco knows none. */
int voco_names_prefix(const char *const *name, int n);

/* One tensor of each network that is known, by its common name; NULL-terminated. */
extern const char *const voco_name_marks[];

enum voco_name_style {
    VOCO_NAMES_VOCO,            /* backbone. + common; heads as they are */
    VOCO_NAMES_MONAI,           /* common; no heads */
    VOCO_NAMES_OFFICIAL,        /* module. + VOCO's */
    VOCO_NAMES_NNUNET,          /* common, of nnU-Net's networks; the others have none */
    VOCO_NAMES_NVIDIA           /* module. + names in swinViT, with mlp.fc1, mlp.fc2 */
};

/* Is it one of nnU-Net's networks, by the common name? */
bool voco_name_is_nnunet(const char *common);

/* Names of the copies that nnU-Net's state_dict has of a common name: at most 3, NULL
 * behind them.  Free each. */
enum { VOCO_NAME_COPIES = 3 };
void voco_name_copies(const char *common, char *ret[VOCO_NAME_COPIES + 1]);

/* A common name in a style, or NULL where the style has no place for it. Free it. */
char *voco_name_styled(const char *common, enum voco_name_style style);

/* Which part of the network, by the common name. */
enum voco_name_part {
    VOCO_PART_ENCODER,          /* swinViT; nnU-Net's encoder */
    VOCO_PART_BACKBONE,         /* encoder1 .. encoder10: pre-trained with swinViT */
    VOCO_PART_DECODER,          /* decoder1 .. decoder5, out; nnU-Net's decoder */
    VOCO_PART_HEADS,            /* student, teacher, projector; rotation_head,
                                 * contrastive_head, conv */
    VOCO_PART_OTHER
};
enum voco_name_part voco_name_part(const char *common);

/* Index tables of window attention: buffers that follow from the window, no parameters. */
bool voco_name_is_index(const char *name);

/* ---- the tensors of a file by common name ---- */

struct voco_nametable {
    struct voco_nameitem { char *common; int tensor; } *item;   /* sorted */
    int n;
    int *original;              /* of each tensor that is a copy; else its own number */
};

/* Two names with the same common form are VOCO_EFORMAT, unless one is a copy with the same
 * numbers. */
enum voco_err voco_nametable_make(struct voco_nametable *t, const struct voco_tensorfile *f,
                                  const char *path);
int voco_nametable_find(const struct voco_nametable *t, const char *name);  /* -1: none */
void voco_nametable_free(struct voco_nametable *t);         /* accepts {0} */

#endif
