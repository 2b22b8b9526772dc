/* Weights of a model in and out, under the names of the PyTorch state_dict. */
#include "model/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "model/provenance.h"
#include "tensorfile/safetensors.h"

enum { TOKENS = VOCO_INDEX_TOKENS };

static const char table_end[] = "relative_position_bias_table";
static const char index_end[] = "relative_position_index";

void
voco_position_index(int64_t *index)
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

/* A row of the table as a file's tensor; slab is of the host (voco_host_view). */
static struct voco_filetensor
file_tensor(const struct voco_params *t, int id, const struct voco_tensor *slab,
            const char *name)
{
    const struct voco_weights w = { .table = t, .weight = *slab };
    const struct voco_tensor x = voco_weight(&w, id);
    struct voco_filetensor s = { .name = name, .rank = x.rank, .data = x.data,
                                .type = x.type == VOCO_F64 ? "F64" : "F32",
                                .bytes = voco_tensor_bytes(&x) };

    for (int i = 0; i < x.rank; i++)
        s.dim[i] = x.dim[i];
    return s;
}

char *
voco_position_index_name(const char *name)
{
    const char *at = strstr(name, table_end);

    return at ? voco_format("%.*s%s", (int)(at - name), name, index_end) : NULL;
}

/* What a run was computed with is known, whatever the weights that it began with said. */
static int
meta_of_run(const struct voco_model_config *config, struct voco_filemeta *meta)
{
    struct voco_model_config known = *config;

    known.assumed = false;
    return voco_model_meta(&known, config->classes > 0, meta);
}

/* The first rows of the table. */
static enum voco_err
save_rows(const char *path, struct voco_ctx *ctx, const struct voco_model *model, int rows,
          uint32_t *ret_crc, uint64_t *ret_bytes)
{
    const struct voco_params *t = &model->params;
    struct voco_filemeta meta[VOCO_MODEL_KEYS + VOCO_SEGINFO_KEYS + VOCO_PROVENANCE_KEYS];
    const int n_model = meta_of_run(&model->config, meta);
    struct voco_filetensor *item = calloc(2 * (size_t)rows, sizeof *item);
    char **owned = calloc((size_t)rows, sizeof *owned);
    int64_t *index = malloc(sizeof(int64_t) * TOKENS * TOKENS);
    int n_more = model->seginfo ? voco_seginfo_meta(model->seginfo, meta + n_model) : 0;
    struct voco_tensor weight;
    void *copy;
    int n = 0;
    enum voco_err err = voco_host_view(ctx, &model->weight, &weight, &copy);

    if (model->provenance)
        n_more += voco_provenance_meta(model->provenance, meta + n_model + n_more);
    VOCO_NEED(item && owned && index);
    voco_position_index(index);
    for (int i = 0; i < rows; i++) {
        item[n++] = file_tensor(t, i, &weight, t->item[i].name);
        owned[i] = voco_position_index_name(t->item[i].name);
        if (owned[i])
            item[n++] = (struct voco_filetensor){
                .name = owned[i], .type = "I64", .rank = 2, .dim = { TOKENS, TOKENS },
                .data = index, .bytes = sizeof(int64_t) * TOKENS * TOKENS };
    }
    if (err == VOCO_OK)
        err = voco_safetensors_write(path, item, n, meta, n_model + n_more, ret_crc,
                                     ret_bytes);
    for (int i = 0; i < n_more; i++)
        free((char *)meta[n_model + i].value);
    for (int i = 0; i < rows; i++)
        free(owned[i]);
    free(owned);
    free(item);
    free(index);
    free(copy);
    return err;
}

enum voco_err
voco_model_save(const char *path, struct voco_ctx *ctx, const struct voco_model *model,
                uint32_t *ret_crc, uint64_t *ret_bytes)
{
    return save_rows(path, ctx, model, model->n_released, ret_crc, ret_bytes);
}

enum voco_err
voco_model_save_all(const char *path, struct voco_ctx *ctx, const struct voco_model *model,
                    uint32_t *ret_crc, uint64_t *ret_bytes)
{
    return save_rows(path, ctx, model, model->params.n, ret_crc, ret_bytes);
}

/* ---- loading ---- */

/* Weights that are no numbers make every result none, or background. */
static enum voco_err
check_finite(const char *path, const struct voco_filetensor *t, const struct voco_tensor *x)
{
    const int64_t n = voco_filetensor_count(t);
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++)
        bad += !isfinite(x->type == VOCO_F64 ? ((const double *)x->data)[i]
                         : (double)((const float *)x->data)[i]);
    return bad == 0 ? VOCO_OK
        : voco_fail(VOCO_ECHECKPOINT, "%s: %" PRId64 " of the %" PRId64 " numbers of %s are NaN "
                    "or infinite: the training that made them had failed", path, bad, n,
                    t->name);
}

/* [out,1,...] in front of the buffer -> [out,channels,...] in all of it, times factor. */
static void
repeat_channel(float *x, int64_t out, int64_t channels, int64_t each, float factor)
{
    for (int64_t o = out - 1; o >= 0; o--)
        for (int64_t c = channels - 1; c >= 0; c--)
            for (int64_t i = each - 1; i >= 0; i--)     /* before it is overwritten */
                x[(o * channels + c) * each + i] = factor * x[o * each + i];
}

/* A tensor for one channel, for all channels of the parameter. */
static enum voco_err
upload_repeated(struct voco_ctx *ctx, const struct voco_filetensor *t, const char *path,
                const struct voco_tensor *to, const struct voco_param *p,
                enum voco_adapter adapter)
{
    const float factor = adapter == VOCO_ADAPT_MEAN ? 1.0f / (float)p->dim[1] : 1.0f;
    struct voco_tensor from = *to;
    enum voco_err err;
    float *x;

    from.type = VOCO_F32;
    from.data = x = malloc(voco_tensor_bytes(&from));
    if (!x)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %s", path, t->name);
    if ((err = voco_filetensor_convert(t, "F32", x)) == VOCO_OK
        && (err = check_finite(path, t, &from)) == VOCO_OK) {
        repeat_channel(x, p->dim[0], p->dim[1], p->count / p->dim[0] / p->dim[1], factor);
        ctx->dev->upload(ctx, &from, to);
    }
    free(x);
    return err;
}

static enum voco_err
upload(struct voco_ctx *ctx, const struct voco_filetensor *t, const char *path,
       const struct voco_tensor *to)
{
    const bool wide = strcmp(t->type, "F64") == 0;
    struct voco_tensor from = *to;
    enum voco_err err;

    from.type = wide ? VOCO_F64 : VOCO_F32;
    from.data = malloc(voco_tensor_bytes(&from) + 1);
    if (!from.data)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %s", path, t->name);
    if ((err = voco_filetensor_convert(t, wide ? "F64" : "F32", from.data)) == VOCO_OK
        && (err = check_finite(path, t, &from)) == VOCO_OK)
        ctx->dev->upload(ctx, &from, to);
    free(from.data);
    return err;
}

/* The parameters that the match has tensors for. */
static enum voco_err
upload_all(struct voco_ctx *ctx, const struct voco_match *m, const struct voco_tensor *slab,
           enum voco_adapter adapter)
{
    const struct voco_weights w = { .table = m->params, .weight = *slab };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < m->params->n && err == VOCO_OK; i++)
        if (m->tensor[i] >= 0) {
            const struct voco_filetensor *t = &m->file->item[m->tensor[i]];
            const struct voco_param *p = &m->params->item[i];
            const struct voco_tensor to = voco_weight(&w, i);

            if (p->rank == 5 && t->dim[1] < p->dim[1])
                err = upload_repeated(ctx, t, m->path, &to, p, adapter);
            else
                err = upload(ctx, t, m->path, &to);
        }
    ctx->weights_version++;
    return err != VOCO_OK ? err : ctx->err;
}

enum voco_err
voco_model_load(const char *path, struct voco_ctx *ctx, struct voco_model *model,
                const struct voco_demand *demand, struct voco_coverage *ret)
{
    struct voco_tensorfile file;
    struct voco_match match = { 0 };
    enum voco_err err = voco_tensorfile_open(&file, path);

    *ret = (struct voco_coverage){ 0 };
    if (err != VOCO_OK)
        return err;
    err = voco_match_make(&match, &file, path, &model->params, demand);
    if (err == VOCO_OK) {
        *ret = match.cover;
        err = voco_match_enough(&match, demand);
        if (!demand->quiet || err != VOCO_OK)
            voco_match_report(&match);
    }
    if (err == VOCO_OK)
        err = upload_all(ctx, &match, &model->weight, demand->adapter);
    voco_match_free(&match);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_model_cover(const char *path, const struct voco_model_config *config,
                 const struct voco_demand *demand)
{
    struct voco_tensorfile file;
    struct voco_model model = { 0 };
    struct voco_match match = { 0 };
    enum voco_err err = voco_tensorfile_open(&file, path);

    if (err == VOCO_OK && (err = voco_model_describe(&model, config)) == VOCO_OK
        && (err = voco_match_make(&match, &file, path, &model.params, demand)) == VOCO_OK) {
        err = voco_match_enough(&match, demand);
        if (!demand->quiet || err != VOCO_OK)
            voco_match_report(&match);
    }
    voco_match_free(&match);
    voco_model_free(&model);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_network_config(const struct voco_network *net, const char *path,
                    struct voco_model_config *ret)
{
    char words[96];

    if (net->problem[0])
        return voco_fail(VOCO_ECHECKPOINT, "%s: %s; voco cannot compute it: %s", path,
                         voco_network_words(net, words), net->problem);
    switch (net->kind) {
    case VOCO_NETWORK_SWINUNETR:
        *ret = (struct voco_model_config){
            .feature = net->feature, .in_channels = net->in_channels,
            .plain = net->version == 1, .classes = net->decoder ? net->classes : 0,
            .merging = net->merging, .assumed = !net->merging_known };
        if (net->student && !ret->classes)
            voco_model_contrast_heads(ret, net->hidden, net->out, 0.9);
        return VOCO_OK;
    case VOCO_NETWORK_PLAINCONV:
        *ret = (struct voco_model_config){
            .net = VOCO_NET_PLAINCONV, .plainconv = net->plainconv,
            .in_channels = net->in_channels, .classes = net->classes, .axes = net->axes,
            .assumed = !net->axes_known };
        return VOCO_OK;
    case VOCO_NETWORK_UNKNOWN:
        break;
    }
    return voco_fail(VOCO_ECHECKPOINT, "%s: %s: neither a Swin UNETR, with %s, nor a "
                     "PlainConvUNet, with %s; %s", path, voco_network_words(net, words),
                     voco_name_marks[0], voco_name_marks[1], net->holds);
}

int
voco_model_meta(const struct voco_model_config *config, bool decoder,
                struct voco_filemeta meta[VOCO_MODEL_KEYS])
{
    int n = 0;

    meta[n++] = (struct voco_filemeta){ "format", "pt" };
    if (!config->assumed)
        meta[n++] = config->net == VOCO_NET_SWINUNETR
        ? (struct voco_filemeta){ "voco.merging", voco_merging_name(config->merging) }
        : (struct voco_filemeta){ "voco.axes", voco_axes_name[config->axes] };
    meta[n++] = (struct voco_filemeta){
        "voco.architecture", voco_architecture_name(config->net, config->plain, decoder) };
    return n;
}

static enum voco_err
recognise(const char *path, struct voco_network *ret)
{
    struct voco_tensorfile file;
    enum voco_err err = voco_tensorfile_open(&file, path);

    *ret = (struct voco_network){ 0 };
    if (err == VOCO_OK)
        err = voco_network_recognise(&file, path, ret);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_model_recognise(const char *path, struct voco_model_config *ret)
{
    struct voco_network net;
    const enum voco_err err = recognise(path, &net);

    return err == VOCO_OK ? voco_network_config(&net, path, ret) : err;
}

enum voco_err
voco_model_recognise_as(const char *path, int merging, struct voco_model_config *ret)
{
    struct voco_network net;
    const enum voco_err err = recognise(path, &net);

    if (err != VOCO_OK)
        return err;
    voco_network_settle(&net, path, merging);
    return voco_network_config(&net, path, ret);
}

enum voco_err
voco_model_recognise_swinunetr(const char *path, int merging, struct voco_model_config *ret)
{
    const enum voco_err err = voco_model_recognise_as(path, merging, ret);
    char words[160];

    if (err == VOCO_OK && ret->net != VOCO_NET_SWINUNETR)
        return voco_fail(VOCO_ECHECKPOINT, "%s: a %s; expected the encoder of a Swin UNETR",
                         path, voco_model_words(ret, words));
    return err;
}

enum voco_err
voco_model_expect_merging(const char *path, int merging,
                          const struct voco_model_config *config)
{
    if (merging < 0)
        return VOCO_OK;
    if (config->net != VOCO_NET_SWINUNETR)
        return voco_fail(VOCO_EUSAGE, "%s: a PlainConvUNet, and --merging is of Swin UNETR",
                         path);
    if ((int)config->merging != merging)
        return voco_fail(VOCO_EUSAGE, "%s: trained with %s patch merging, as the file says, "
                         "and --merging asks for %s, which would compute something else; "
                         "voco model import --merging corrects a file that is wrong", path,
                         voco_merging_name(config->merging),
                         voco_merging_name((enum voco_merging)merging));
    return VOCO_OK;
}
