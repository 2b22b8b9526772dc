/* Names of parameters: what is in front of them, what they are called elsewhere. */
#include "tensorfile/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static bool
begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* With one occurrence of a word replaced; gives the old one back. */
static char *
replace(char *name, const char *word, const char *by)
{
    const char *at = strstr(name, word);
    char *fresh;

    if (!at)
        return name;
    fresh = voco_format("%.*s%s%s", (int)(at - name), name, by, at + strlen(word));
    free(name);
    return fresh;
}

char *
voco_name_common(const char *name)
{
    static const char *const front[] = { "module.", "backbone." };
    char *common;

    for (size_t i = 0; i < sizeof front / sizeof *front;)
        if (begins(name, front[i])) {
            name += strlen(front[i]);
            i = 0;
        } else {
            i++;
        }
    if (begins(name, "swin_vit."))
        common = voco_format("swinViT.%s", name + strlen("swin_vit."));
    else if (begins(name, "patch_embed.")
             || (begins(name, "layers") && name[6] >= '1' && name[6] <= '4'))
        common = voco_format("swinViT.%s", name);
    else
        common = voco_format("%s", name);
    if (begins(common, "swinViT.")) {
        common = replace(common, ".mlp.fc1.", ".mlp.linear1.");
        common = replace(common, ".mlp.fc2.", ".mlp.linear2.");
    }
    return common;
}

enum voco_name_part
voco_name_part(const char *common)
{
    static const struct { const char *front; enum voco_name_part part; } parts[] = {
        { "swinViT.", VOCO_PART_ENCODER }, { "encoder1.", VOCO_PART_BACKBONE },
        { "encoder2.", VOCO_PART_BACKBONE }, { "encoder3.", VOCO_PART_BACKBONE },
        { "encoder4.", VOCO_PART_BACKBONE }, { "encoder10.", VOCO_PART_BACKBONE },
        { "decoder1.", VOCO_PART_DECODER }, { "decoder2.", VOCO_PART_DECODER },
        { "decoder3.", VOCO_PART_DECODER }, { "decoder4.", VOCO_PART_DECODER },
        { "decoder5.", VOCO_PART_DECODER }, { "out.", VOCO_PART_DECODER },
        { "student.", VOCO_PART_HEADS }, { "teacher.", VOCO_PART_HEADS },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (begins(common, parts[i].front))
            return parts[i].part;
    return VOCO_PART_OTHER;
}

char *
voco_name_styled(const char *common, enum voco_name_style style)
{
    const enum voco_name_part part = voco_name_part(common);
    const char *module = style == VOCO_NAMES_OFFICIAL ? "module." : "";
    char *name;

    if (part == VOCO_PART_OTHER)
        return NULL;
    switch (style) {
    case VOCO_NAMES_VOCO:
    case VOCO_NAMES_OFFICIAL:
        return voco_format("%s%s%s", module, part == VOCO_PART_HEADS ? "" : "backbone.",
                           common);
    case VOCO_NAMES_MONAI:
        return part == VOCO_PART_HEADS ? NULL : voco_format("%s", common);
    case VOCO_NAMES_NVIDIA:
        if (part != VOCO_PART_ENCODER)
            return NULL;
        name = voco_format("module.%s", common + strlen("swinViT."));
        name = replace(name, ".mlp.linear1.", ".mlp.fc1.");
        return replace(name, ".mlp.linear2.", ".mlp.fc2.");
    }
    return NULL;
}

bool
voco_name_is_index(const char *name)
{
    static const char end[] = ".relative_position_index";
    const size_t n = strlen(name), m = sizeof end - 1;

    return n > m && strcmp(name + n - m, end) == 0;
}

/* ---- a file's names ---- */

static int
by_name(const void *a, const void *b)
{
    const struct voco_nameitem *s = a, *t = b;

    return strcmp(s->common, t->common);
}

enum voco_err
voco_nametable_make(struct voco_nametable *t, const struct voco_tensorfile *f,
                    const char *path)
{
    *t = (struct voco_nametable){ .item = calloc((size_t)f->n + 1, sizeof *t->item) };
    if (!t->item)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d names", path, f->n);
    for (; t->n < f->n; t->n++)
        t->item[t->n] = (struct voco_nameitem){ voco_name_common(f->item[t->n].name), t->n };
    qsort(t->item, (size_t)t->n, sizeof *t->item, by_name);
    for (int i = 1; i < t->n; i++)
        if (strcmp(t->item[i - 1].common, t->item[i].common) == 0) {
            const enum voco_err err =
                voco_fail(VOCO_EFORMAT, "%s: %s and %s are both %s; expected one of them",
                          path, f->item[t->item[i - 1].tensor].name,
                          f->item[t->item[i].tensor].name, t->item[i].common);

            voco_nametable_free(t);
            return err;
        }
    return VOCO_OK;
}

int
voco_nametable_find(const struct voco_nametable *t, const char *name)
{
    struct voco_nameitem key = { voco_name_common(name), 0 };
    const struct voco_nameitem *found = t->n == 0 ? NULL
        : bsearch(&key, t->item, (size_t)t->n, sizeof *t->item, by_name);

    free(key.common);
    return found ? found->tensor : -1;
}

void
voco_nametable_free(struct voco_nametable *t)
{
    for (int i = 0; i < t->n; i++)
        free(t->item[i].common);
    free(t->item);
    *t = (struct voco_nametable){ 0 };
}
