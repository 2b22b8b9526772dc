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
    static const char *const front[] = { "module.", "_orig_mod.", "backbone." };
    char *common;

    for (size_t i = 0; i < sizeof front / sizeof *front;)
        if (begins(name, front[i])) {
            name += strlen(front[i]);
            i = 0;
        } else {
            i++;
        }
    if (begins(name, "decoder.encoder."))
        name += strlen("decoder.");
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
    } else if (voco_name_is_nnunet(common)) {
        common = replace(common, ".all_modules.0.", ".conv.");
        common = replace(common, ".all_modules.1.", ".norm.");
    }
    return common;
}

const char *const voco_name_marks[] = {
    "swinViT.patch_embed.proj.weight", "encoder.stages.0.0.convs.0.conv.weight", NULL
};

static bool
any_mark(const char *const *name, int n, size_t from)
{
    bool found = false;

    for (int i = 0; i < n && !found; i++) {
        char *common = voco_name_common(name[i] + from);

        for (int k = 0; voco_name_marks[k]; k++)
            found |= strcmp(common, voco_name_marks[k]) == 0;
        free(common);
    }
    return found;
}

int
voco_names_prefix(const char *const *name, int n)
{
    enum { WORDS = 8 };
    size_t shared = n ? strlen(name[0]) : 0;
    int words = 0;

    if (any_mark(name, n, 0))
        return 0;
    for (int i = 1; i < n; i++)
        for (size_t k = 0; k < shared; k++)
            if (name[i][k] != name[0][k])
                shared = k;
    for (size_t k = 1; k <= shared && words < WORDS; k++)
        if (name[0][k - 1] == '.') {
            words++;
            if (any_mark(name, n, k))
                return (int)k;
        }
    return -1;
}

bool
voco_name_is_nnunet(const char *common)
{
    return begins(common, "encoder.") || begins(common, "decoder.");
}

void
voco_name_copies(const char *common, char *ret[VOCO_NAME_COPIES + 1])
{
    const bool encoder = begins(common, "encoder.stages.");
    char *inside = NULL;
    int n = 0;

    ret[0] = NULL;
    if (!voco_name_is_nnunet(common))
        return;
    if (strstr(common, ".conv."))
        inside = replace(voco_format("%s", common), ".conv.", ".all_modules.0.");
    else if (strstr(common, ".norm."))
        inside = replace(voco_format("%s", common), ".norm.", ".all_modules.1.");
    if (inside)
        ret[n++] = inside;
    if (encoder)
        ret[n++] = voco_format("decoder.%s", common);
    if (encoder && inside)
        ret[n++] = voco_format("decoder.%s", inside);
    ret[n] = NULL;
}

/* Is it WORD, a number and a full stop: encoder10. ?  Networks deeper than MONAI's count on. */
static bool
is_numbered(const char *common, const char *word)
{
    const size_t n = strlen(word);
    const size_t digits = begins(common, word) ? strspn(common + n, "0123456789") : 0;

    return digits > 0 && common[n + digits] == '.';
}

enum voco_name_part
voco_name_part(const char *common)
{
    static const struct { const char *front; enum voco_name_part part; } parts[] = {
        { "swinViT.", VOCO_PART_ENCODER }, { "out.", VOCO_PART_DECODER },
        { "encoder.", VOCO_PART_ENCODER }, { "decoder.", VOCO_PART_DECODER },
        { "student.", VOCO_PART_HEADS }, { "teacher.", VOCO_PART_HEADS },
        { "projector.", VOCO_PART_HEADS },
        { "rotation_head.", VOCO_PART_HEADS }, { "contrastive_head.", VOCO_PART_HEADS },
        { "conv.", VOCO_PART_HEADS },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (begins(common, parts[i].front))
            return parts[i].part;
    return is_numbered(common, "encoder") ? VOCO_PART_BACKBONE
        : is_numbered(common, "decoder") ? VOCO_PART_DECODER : VOCO_PART_OTHER;
}

char *
voco_name_styled(const char *common, enum voco_name_style style)
{
    const enum voco_name_part part = voco_name_part(common);
    const char *module = style == VOCO_NAMES_OFFICIAL ? "module." : "";
    char *name;

    if (part == VOCO_PART_OTHER)
        return NULL;
    if (voco_name_is_nnunet(common))
        return style == VOCO_NAMES_OFFICIAL || style == VOCO_NAMES_NVIDIA
            ? NULL : voco_format("%s", common);
    switch (style) {
    case VOCO_NAMES_VOCO:
    case VOCO_NAMES_OFFICIAL:
        return voco_format("%s%s%s", module, part == VOCO_PART_HEADS ? "" : "backbone.",
                           common);
    case VOCO_NAMES_MONAI:
        return part == VOCO_PART_HEADS ? NULL : voco_format("%s", common);
    case VOCO_NAMES_NNUNET:
        return NULL;
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

/* The same name: in the order of the file, so that the first is the original. */
static int
by_name_and_place(const void *a, const void *b)
{
    const struct voco_nameitem *s = a, *t = b;
    const int order = by_name(a, b);

    return order ? order : (s->tensor > t->tensor) - (s->tensor < t->tensor);
}

static bool
same_place(const struct voco_filetensor *a, const struct voco_filetensor *b)
{
    if (a->strided || b->strided)
        return false;
    return a->zip ? a->zip == b->zip && a->entry == b->entry && a->from == b->from
                  : a->data == b->data;
}

/* The same elements?  PyTorch's files have copies in one storage; others may have them
 * twice. */
static enum voco_err
same_elements(const struct voco_filetensor *a, const struct voco_filetensor *b,
              bool *ret_same)
{
    char *x, *y;
    enum voco_err err;

    *ret_same = strcmp(a->type, b->type) == 0 && a->rank == b->rank
        && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
    if (!*ret_same || same_place(a, b))
        return VOCO_OK;
    x = malloc(a->bytes + 1);
    y = malloc(b->bytes + 1);
    if (!x || !y)
        err = voco_fail(VOCO_EMEMORY, "no memory to compare %s and %s", a->name, b->name);
    else if ((err = voco_filetensor_copy(a, x)) == VOCO_OK
             && (err = voco_filetensor_copy(b, y)) == VOCO_OK)
        *ret_same = memcmp(x, y, a->bytes) == 0;
    free(x);
    free(y);
    return err;
}

/* Neighbours with one common name: the second is a copy, or the file is wrong. */
static enum voco_err
merge(struct voco_nametable *t, const struct voco_tensorfile *f, const char *path,
      const struct voco_nameitem *a, const struct voco_nameitem *b)
{
    const struct voco_filetensor *x = &f->item[a->tensor], *y = &f->item[b->tensor];
    bool same;
    enum voco_err err;

    if (!voco_name_is_nnunet(a->common))
        return voco_fail(VOCO_EFORMAT, "%s: %s and %s are both %s; expected one of them",
                         path, x->name, y->name, a->common);
    if ((err = same_elements(x, y, &same)) != VOCO_OK)
        return err;
    if (!same)
        return voco_fail(VOCO_EFORMAT, "%s: %s and %s are both %s and have other numbers; "
                         "expected copies of one tensor", path, x->name, y->name, a->common);
    t->original[b->tensor] = a->tensor;
    return VOCO_OK;
}

enum voco_err
voco_nametable_make(struct voco_nametable *t, const struct voco_tensorfile *f,
                    const char *path)
{
    enum voco_err err = VOCO_OK;
    int kept = 0;

    *t = (struct voco_nametable){ .item = calloc((size_t)f->n + 1, sizeof *t->item),
                                  .original = calloc((size_t)f->n + 1, sizeof *t->original) };
    if (!t->item || !t->original) {
        voco_nametable_free(t);
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d names", path, f->n);
    }
    for (; t->n < f->n; t->n++) {
        t->item[t->n] = (struct voco_nameitem){ voco_name_common(f->item[t->n].name), t->n };
        t->original[t->n] = t->n;
    }
    qsort(t->item, (size_t)t->n, sizeof *t->item, by_name_and_place);
    for (int i = 0; i < t->n; i++) {
        const bool first = kept == 0
            || strcmp(t->item[kept - 1].common, t->item[i].common) != 0;

        if (!first && err == VOCO_OK)
            err = merge(t, f, path, &t->item[kept - 1], &t->item[i]);
        if (first)
            t->item[kept++] = t->item[i];
        else
            free(t->item[i].common);
    }
    t->n = kept;
    if (err != VOCO_OK)
        voco_nametable_free(t);
    return err;
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
    free(t->original);
    *t = (struct voco_nametable){ 0 };
}
