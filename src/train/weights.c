/* Weights in and out: safetensors with the names of the PyTorch state_dict. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "train/checkpoint.h"

enum { TOKENS = VOCO_WINDOW * VOCO_WINDOW * VOCO_WINDOW };
enum { MISMATCHES_NAMED = 3 };      /* of what may be hundreds with one cause */

static const char table_end[] = "relative_position_bias_table";
static const char mix_name[] = "backbone.swinViT.layers1c.0.layer.conv1.conv.weight";
static const char index_end[] = "relative_position_index";

const char *
voco_merging_name(enum voco_merging merging)
{
    return merging == VOCO_MERGING_LEGACY ? "legacy" : "fixed";
}

/* The buffer that PyTorch keeps beside each bias table: row of the table for a pair of
 * tokens.  index [TOKENS][TOKENS]. */
static void
fill_position_index(int64_t *index)
{
    const int w = VOCO_WINDOW, span = 2 * w - 1;

    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++) {
            const int d = i / (w * w) - j / (w * w) + w - 1;
            const int h = i / w % w - j / w % w + w - 1;
            const int x = i % w - j % w + w - 1;

            index[i * TOKENS + j] = (d * span + h) * span + x;
        }
}

/* A row of the table as a file's tensor.  Host memory of the device's own type. */
static struct voco_st_tensor
file_tensor(const struct voco_params *t, int id, const struct voco_tensor *slab,
            const char *name)
{
    const struct voco_weights w = { .table = t, .weight = *slab };
    const struct voco_tensor x = voco_weight(&w, id);
    struct voco_st_tensor s = { .name = name, .rank = x.rank, .data = x.data,
                                .type = x.type == VOCO_F64 ? "F64" : "F32",
                                .bytes = voco_tensor_bytes(&x) };

    for (int i = 0; i < x.rank; i++)
        s.dim[i] = x.dim[i];
    return s;
}

/* attn.relative_position_bias_table -> attn.relative_position_index, or NULL. Free it. */
static char *
index_name(const char *name)
{
    const char *at = strstr(name, table_end);

    return at ? voco_format("%.*s%s", (int)(at - name), name, index_end) : NULL;
}

/* What our files call the network. */
static const char *
architecture(const struct voco_model_config *c)
{
    if (!c->classes)
        return c->plain ? "swinunetr-v1-encoder" : "swinunetr-v2-encoder";
    return c->plain ? "swinunetr-v1" : "swinunetr-v2";
}

enum voco_err
voco_model_save(const char *path, struct voco_ctx *ctx, const struct voco_model *model,
                uint32_t *ret_crc, uint64_t *ret_bytes)
{
    const struct voco_params *t = &model->params;
    const struct voco_st_meta meta[] = {
        { "format", "pt" }, { "voco.architecture", architecture(&model->config) },
        { "voco.merging", voco_merging_name(model->config.merging) },
    };
    struct voco_st_tensor *item = calloc(2 * (size_t)t->n, sizeof *item);
    char **owned = calloc((size_t)t->n, sizeof *owned);
    int64_t *index = malloc(sizeof(int64_t) * TOKENS * TOKENS);
    int n = 0;
    enum voco_err err;

    (void)ctx;
    VOCO_ASSERT(item && owned && index);
    fill_position_index(index);
    for (int i = 0; i < t->n; i++) {
        item[n++] = file_tensor(t, i, &model->weight, t->item[i].name);
        owned[i] = index_name(t->item[i].name);
        if (owned[i])
            item[n++] = (struct voco_st_tensor){
                .name = owned[i], .type = "I64", .rank = 2, .dim = { TOKENS, TOKENS },
                .data = index, .bytes = sizeof(int64_t) * TOKENS * TOKENS };
    }
    err = voco_st_write(path, item, n, meta, 3, ret_crc, ret_bytes);
    for (int i = 0; i < t->n; i++)
        free(owned[i]);
    free(owned);
    free(item);
    free(index);
    return err;
}

/* ---- loading ---- */

/* The file's tensor for a parameter of ours: the name itself, then without or with the
 * prefixes that other programs, or models with heads, add or leave out. */
static const struct voco_st_tensor *
find_tensor(const struct voco_safetensors *st, const char *name)
{
    static const char *const wrapper[] = { "", "module." };
    static const char backbone[] = "backbone.";
    const bool inside = strncmp(name, backbone, sizeof backbone - 1) == 0;
    char full[512];

    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            const struct voco_st_tensor *found;

            if (k && inside)
                snprintf(full, sizeof full, "%s%s", wrapper[i], name + sizeof backbone - 1);
            else
                snprintf(full, sizeof full, "%s%s%s", wrapper[i], k ? backbone : "", name);
            found = voco_st_find(st, full);
            if (found)
                return found;
        }
    return NULL;
}

static bool
same_shape(const struct voco_param *p, const struct voco_st_tensor *t)
{
    if (p->rank != t->rank)
        return false;
    for (int i = 0; i < p->rank; i++)
        if (p->dim[i] != t->dim[i])
            return false;
    return true;
}

static bool
loadable_type(const char *type)
{
    return strcmp(type, "F32") == 0 || strcmp(type, "F64") == 0
        || strcmp(type, "F16") == 0 || strcmp(type, "BF16") == 0;
}

static void
upload(struct voco_ctx *ctx, const struct voco_st_tensor *t, const struct voco_tensor *to)
{
    struct voco_tensor from = *to;

    if (strcmp(t->type, "F64") == 0 || strcmp(t->type, "F32") == 0) {
        /* the map may not be aligned for the type */
        from.type = strcmp(t->type, "F64") == 0 ? VOCO_F64 : VOCO_F32;
        from.data = malloc(t->bytes ? t->bytes : 1);
        VOCO_ASSERT(from.data);
        memcpy(from.data, t->data, t->bytes);
    } else {
        from.type = VOCO_F32;
        from.data = malloc((size_t)voco_count(to) * sizeof(float) + 1);
        VOCO_ASSERT(from.data);
        voco_st_to_float(t, 0, voco_count(to), from.data);
    }
    ctx->dev->upload(ctx, &from, to);
    free(from.data);
}

static void
load_one(const char *path, struct voco_ctx *ctx, const struct voco_params *t, int id,
         const struct voco_tensor *slab, const struct voco_st_tensor *found,
         struct voco_coverage *cover)
{
    const struct voco_param *p = &t->item[id];

    cover->model_elements += p->count;
    if (!found) {
        cover->missing++;
        voco_detail("%s: missing: %s", path, p->name);
    } else if (!same_shape(p, found) || !loadable_type(found->type)) {
        if (cover->mismatched++ < MISMATCHES_NAMED)
            voco_warn("%s: %s has another shape or type (%s, rank %d) than the model's",
                      path, p->name, found->type, found->rank);
    } else {
        const struct voco_weights w = { .table = t, .weight = *slab };
        const struct voco_tensor to = voco_weight(&w, id);

        upload(ctx, found, &to);
        cover->loaded++;
        cover->loaded_elements += p->count;
    }
}

enum voco_err
voco_model_load(const char *path, struct voco_ctx *ctx, struct voco_model *model,
                const char *prefix, bool strict, struct voco_coverage *ret)
{
    const struct voco_params *t = &model->params;
    struct voco_safetensors st;
    int buffers = 0;
    enum voco_err err = voco_st_open(&st, path);

    *ret = (struct voco_coverage){ 0 };
    if (err != VOCO_OK)
        return err;
    for (int i = 0; i < t->n; i++)
        if (strncmp(t->item[i].name, prefix, strlen(prefix)) == 0)
            load_one(path, ctx, t, i, &model->weight, find_tensor(&st, t->item[i].name),
                     ret);
    for (int i = 0; i < st.n; i++)
        buffers += strstr(st.item[i].name, index_end) != NULL;
    ret->unexpected = st.n - buffers - ret->loaded - ret->mismatched;
    voco_st_close(&st);
    ctx->weights_version++;
    if (ret->loaded == 0)
        return voco_fail(VOCO_ECHECKPOINT, "%s: none of its %d tensors belongs to this "
                         "model", path, ret->unexpected);
    if (strict && (ret->missing || ret->mismatched))
        return voco_fail(VOCO_ECHECKPOINT, "%s: %d of %d parameters are missing and %d have "
                         "another shape (feature size %lld here)", path, ret->missing,
                         ret->missing + ret->loaded + ret->mismatched, ret->mismatched,
                         (long long)model->config.feature);
    return ctx->err;
}

enum voco_err
voco_model_recognise(const char *path, struct voco_model_config *ret)
{
    struct voco_safetensors st;
    const struct voco_st_tensor *patch;
    const char *merging;
    enum voco_err err = voco_st_open(&st, path);

    if (err != VOCO_OK)
        return err;
    patch = find_tensor(&st, "backbone.swinViT.patch_embed.proj.weight");
    merging = voco_st_meta(&st, "voco.merging");
    if (!patch || patch->rank != 5) {
        err = voco_fail(VOCO_ECHECKPOINT, "%s: no swinViT.patch_embed.proj.weight: not the "
                        "weights of a Swin UNETR", path);
    } else {
        const struct voco_st_tensor *out = find_tensor(&st, "out.conv.conv.weight");
        const struct voco_st_tensor *head = voco_st_find(&st, "student.layer1.0.weight");
        const struct voco_st_tensor *last = voco_st_find(&st, "student.layer3.0.weight");
        const bool heads = head && last && head->rank == 2 && last->rank == 2;

        *ret = (struct voco_model_config){ .feature = patch->dim[0],
                                           .in_channels = patch->dim[1],
                                           .classes = out && out->rank == 5 ? out->dim[0]
                                                                            : 0,
                                           .plain = !find_tensor(&st, mix_name),
                                           .hidden = heads ? head->dim[0] : 1024,
                                           .out = heads ? last->dim[0] : 1024,
                                           .merging = VOCO_MERGING_LEGACY };
        if (merging && strcmp(merging, "fixed") == 0)
            ret->merging = VOCO_MERGING_FIXED;
    }
    voco_st_close(&st);
    return err;
}
