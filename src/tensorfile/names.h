/*
 * Names of parameters, as the programs that write weights have them.
 *
 * The common form here is MONAI's SwinUNETR: "swinViT.layers1.0.blocks.0.attn.qkv.weight",
 * "encoder1.layer.conv1.conv.weight", "decoder5...", "out.conv.conv.bias"; the heads of
 * pre-training are "student.layer1.0.weight" and "teacher....".
 */
#ifndef VOCO_TENSORFILE_NAMES_H
#define VOCO_TENSORFILE_NAMES_H

#include "tensorfile/tensorfile.h"

/* The common form of a name: without module. and backbone. in front, swin_vit is swinViT,
 * mlp.fc1 and mlp.fc2 are mlp.linear1 and mlp.linear2, and the names of NVIDIA's
 * pre-training, which begin with layersN or patch_embed, get swinViT. in front. Free it. */
char *voco_name_common(const char *name);

enum voco_name_style {
    VOCO_NAMES_VOCO,            /* backbone. + common; heads as they are */
    VOCO_NAMES_MONAI,           /* common; no heads */
    VOCO_NAMES_OFFICIAL,        /* module. + VOCO's */
    VOCO_NAMES_NVIDIA           /* module. + what is in swinViT, with mlp.fc1, mlp.fc2 */
};

/* A common name in a style, or NULL where the style has no place for it. Free it. */
char *voco_name_styled(const char *common, enum voco_name_style style);

/* Which part of the network, by the common name. */
enum voco_name_part {
    VOCO_PART_ENCODER,          /* swinViT */
    VOCO_PART_BACKBONE,         /* encoder1 .. encoder10: with swinViT, what pre-training makes */
    VOCO_PART_DECODER,          /* decoder1 .. decoder5, out */
    VOCO_PART_HEADS,            /* student, teacher */
    VOCO_PART_OTHER
};
enum voco_name_part voco_name_part(const char *common);

/* Index tables of window attention: buffers that follow from the window, no parameters. */
bool voco_name_is_index(const char *name);

/* ---- the tensors of a file by common name ---- */

struct voco_nametable {
    struct voco_nameitem { char *common; int tensor; } *item;   /* sorted */
    int n;
};

/* Two names with the same common form are VOCO_EFORMAT. */
enum voco_err voco_nametable_make(struct voco_nametable *t, const struct voco_tensorfile *f,
                                  const char *path);
int voco_nametable_find(const struct voco_nametable *t, const char *name);  /* -1: none */
void voco_nametable_free(struct voco_nametable *t);         /* accepts {0} */

#endif
