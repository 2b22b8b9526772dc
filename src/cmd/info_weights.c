/* voco info and voco model inspect about files of weights. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/info.h"
#include "model/provenance.h"
#include "tensorfile/names.h"
#include "tensorfile/tensorfile.h"
#include "model/recognise.h"

/* Numbers of parameters by the first part of the name: backbone, student, teacher.
 * Integers are index tables, no parameters. */
static void
part_rows(struct voco_info *info, const struct voco_tensorfile *f,
          const struct voco_nametable *names)
{
    json_t *parts = json_object();
    char *words = voco_format("%s", ""), count[16];
    int64_t total = 0, bytes = 0, copies = 0;
    const char *key;
    json_t *value;

    for (int i = 0; i < f->n; i++) {
        const struct voco_filetensor *t = &f->item[i];
        const int64_t n = voco_filetype_is_float(t->type) ? voco_filetensor_count(t) : 0;
        const char *name = strncmp(t->name, "module.", 7) == 0 ? t->name + 7 : t->name;
        char *part;

        if (names->original[i] != i) {
            copies++;
            continue;
        }
        part = voco_format("%.*s", (int)strcspn(name, "."), name);
        value = json_object_get(parts, part);
        json_object_set_new(parts, part, json_integer(json_integer_value(value) + n));
        total += n;
        bytes += (int64_t)t->bytes;
        free(part);
    }
    json_object_foreach(parts, key, value) {
        char *longer = voco_format(
            "%s%s%s %s", words, *words != '\0' ? ", " : "", key,
            voco_info_count((double)json_integer_value(value), count));
        free(words);
        words = longer;
    }
    voco_info_row(info, "tensors", json_integer(f->n), NULL);
    if (copies)
        voco_info_row(info, "copies", json_integer(copies), "%" PRId64 " tensors are others "
                      "over again, as nnU-Net writes them", copies);
    voco_info_row(info, "bytes", json_integer(bytes), NULL);
    voco_info_row(info, "parameters", json_integer(total), "%" PRId64 " in %" PRId64
                  " tensors, %s", total, f->n - copies, voco_format_bytes((double)bytes, count));
    if (json_object_size(parts) <= 12)
        voco_info_row(info, "parts", parts, "%s", words);
    else
        json_decref(parts);
    free(words);
}

static void
tensor_rows(struct voco_info *info, const struct voco_tensorfile *f)
{
    json_t *list = json_array();

    for (int i = 0; i < f->n; i++) {
        const struct voco_filetensor *t = &f->item[i];
        char shape[192];
        json_t *one = json_object();

        json_object_set_new(one, "name", voco_info_text(t->name));
        json_object_set_new(one, "type", voco_info_text(t->type));
        json_object_set_new(one, "shape", voco_info_ints(t->dim, t->rank));
        json_array_append_new(list, one);
        voco_info_row(info, "tensor", NULL, "%-4s %s %s", t->type,
                      voco_filetensor_shape(t, shape), t->name);
    }
    voco_info_row(info, "list", list, NULL);
}

/* "F32 145, I64 8" */
static void
type_row(struct voco_info *info, const struct voco_tensorfile *f)
{
    json_t *types = json_object(), *value;
    char *words = voco_format("%s", "");
    const char *name;

    for (int i = 0; i < f->n; i++)
        json_object_set_new(types, f->item[i].type, json_integer(1 + json_integer_value(
            json_object_get(types, f->item[i].type))));
    json_object_foreach(types, name, value) {
        char *longer = voco_format("%s%s%s %" JSON_INTEGER_FORMAT, words,
                                   *words ? ", " : "", name, json_integer_value(value));

        free(words);
        words = longer;
    }
    voco_info_row(info, "types", types, "%s", words);
    free(words);
}

static json_t *
threes(const int (*x)[3], int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("[i,i,i]", x[i][0], x[i][1], x[i][2]));
    return list;
}

/* "32 1x3x3, 64 3x3x3 / 1x2x2": channels, kernel and stride of each stage */
static void
plainconv_rows(struct voco_info *info, const struct voco_network *net)
{
    const struct voco_plainconv_config *c = &net->plainconv;
    char *words = voco_format("%s", "");

    for (int s = 0; s < c->stages; s++) {
        const int *k = c->kernel[s], *by = c->stride[s];
        char *longer = s ? voco_format("%s, %" PRId64 " %dx%dx%d / %dx%dx%d", words,
                                       c->width[s], k[0], k[1], k[2], by[0], by[1], by[2])
            : voco_format("%" PRId64 " %dx%dx%d", c->width[s], k[0], k[1], k[2]);

        free(words);
        words = longer;
    }
    voco_info_row(info, "widths", voco_info_ints(c->width, c->stages), "%s", words);
    free(words);
    voco_info_row(info, "kernels", threes(c->kernel, c->stages), NULL);
    voco_info_row(info, "strides", threes(c->stride, c->stages), NULL);
    voco_info_row(info, "axes", json_string(voco_axes_name[net->axes]), "%s%s",
                  voco_axes_name[net->axes], net->axes_known ? ""
                  : ", assumed, as nnU-Net reads volumes: the file does not say");
    voco_info_row(info, "axes_known", json_boolean(net->axes_known), NULL);
}

static void
network_rows(struct voco_info *info, const struct voco_network *net)
{
    static const char *const kind[] = { NULL, "swinunetr", "plainconvunet" };
    const bool swin = net->kind == VOCO_NETWORK_SWINUNETR;
    char words[96];

    voco_info_row(info, "network", net->kind ? json_string(kind[net->kind]) : json_null(),
                  "%s", voco_network_words(net, words));
    if (!net->kind) {
        voco_info_row(info, "holds", voco_info_text(net->holds), "%s", net->holds);
        return;
    }
    if (swin)
        voco_info_row(info, "version", json_integer(net->version), NULL);
    voco_info_row(info, "feature_size", json_integer(net->feature), "%" PRId64 "%s",
                  net->feature, !swin ? "" : net->feature == 48 ? " (Base)"
                  : net->feature == 96 ? " (Large)" : net->feature == 192 ? " (Huge)" : "");
    voco_info_row(info, "in_channels", json_integer(net->in_channels), "%" PRId64,
                  net->in_channels);
    voco_info_row(info, "decoder", json_boolean(net->decoder), NULL);
    if (net->classes)
        voco_info_row(info, "classes", json_integer(net->classes), "%" PRId64
                      ", background among them", net->classes);
    if (!swin)
        plainconv_rows(info, net);
    if (net->student) {
        voco_info_row(info, "heads", voco_info_ints((int64_t[]){ net->hidden, net->out }, 2),
                      "%" PRId64 " hidden, %" PRId64 " out", net->hidden, net->out);
    }
    if (swin && net->merging_odd[0])
        voco_info_row(info, "merging", voco_info_text(net->merging_odd), "'%s', expected "
                      "legacy or fixed", net->merging_odd);
    else if (swin)
        voco_info_row(info, "merging", json_string(voco_merging_name(net->merging)), "%s%s",
                      voco_merging_name(net->merging), net->merging_known ? ""
                      : ", assumed, as in published weights: the file does not say");
    if (swin)
        voco_info_row(info, "merging_known", json_boolean(net->merging_known), NULL);
    if (net->problem[0])
        voco_info_row(info, "problem", voco_info_text(net->problem), "%s", net->problem);
}

/* Dictionaries with tensors that are not those of the file. */
static void
dict_rows(struct voco_info *info, const struct voco_tensorfile *f)
{
    json_t *list = json_array();

    for (int i = 0; i < f->n_dicts; i++) {
        const struct voco_filedict *d = &f->dict[i];
        const char *first = d->first ? d->first : "?";

        json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:b}", "path", d->path,
                                              "tensors", d->n, "first", first, "network",
                                              d->network));
        voco_info_row(info, "dictionary", NULL, "%s: %d tensor%s: %s, ...%s",
                      *d->path ? d->path : "the top", d->n, voco_plural(d->n), first,
                      f->n ? ", not used" : "");
    }
    voco_info_row(info, "dictionaries", list, NULL);
}

/* "store (hash 0f0f0f0f, 12 volumes, RAS)" of a provenance; a parent's volumes are a number. */
static void
store_row(struct voco_info *info, const char *name, const json_t *root,
          const struct voco_tensorfile *f)
{
    const json_t *store = json_object_get(root, name);
    const bool only = strcmp(name, "store") == 0;
    const json_t *volumes = json_object_get(store, "volumes");
    const char *path = json_string_value(json_object_get(store, "path"));
    const char *hash = json_string_value(json_object_get(store, "hash"));
    const char *lies = voco_tensorfile_meta(f, "voco.orientation");
    const json_int_t n = json_is_array(volumes) ? (json_int_t)json_array_size(volumes)
                                                : json_integer_value(volumes);

    if (store)
        voco_info_row(info, "trained on", NULL, "%s, hash %s, %" JSON_INTEGER_FORMAT
                      "%s%s volumes%s%s", path ? path : "?", hash ? hash : "?", n,
                      only ? "" : " ", only ? "" : name, lies ? ", axes " : "",
                      lies ? lies : "");
}

/* Where the weights come from, generation by generation (model/provenance.h). */
static void
provenance_rows(struct voco_info *info, const struct voco_tensorfile *f)
{
    enum { GENERATIONS = 16 };
    const char *said = voco_tensorfile_meta(f, "voco.provenance");
    json_t *root = said ? json_loads(said, 0, NULL) : NULL;
    const json_t *at = root;

    for (int i = 0; i < GENERATIONS && json_is_object(at); i++) {
        const char *version = json_string_value(json_object_get(at, "voco"));
        const char *objective = json_string_value(json_object_get(at, "objective"));
        const json_t *options = json_object_get(at, "options");
        const json_t *parent = json_object_get(at, "parent");
        const char *path = json_string_value(json_object_get(parent, "path"));
        const char *crc = json_string_value(json_object_get(parent, "crc32c"));

        voco_info_row(info, "made by", NULL, "voco %s, %s, %" JSON_INTEGER_FORMAT " steps, seed "
                      "%" JSON_INTEGER_FORMAT, version ? version : "?",
                      objective ? objective : "?",
                      json_integer_value(json_object_get(at, "step")),
                      json_integer_value(json_object_get(options, "seed")));
        for (const char *const *name = voco_provenance_stores; *name; name++)
            store_row(info, *name, at,
                      at == root ? f : &(struct voco_tensorfile){ .n_meta = 0 });
        if (path)
            voco_info_row(info, "began with", NULL, "%s%s%s", path, crc ? ", CRC-32C " : "",
                          crc ? crc : "");
        at = json_object_get(parent, "provenance");
    }
    if (root)
        voco_info_row(info, "provenance", root, NULL);
}

static void
note_rows(struct voco_info *info, const struct voco_tensorfile *f)
{
    json_t *meta = json_object(), *foreign = json_array();

    for (int i = 0; i < f->n_meta; i++) {
        json_object_set_new(meta, f->meta[i].key, voco_info_text(f->meta[i].value));
        if (strcmp(f->meta[i].key, "voco.provenance") != 0)
            voco_info_row(info, "note", NULL, "%s = %s", f->meta[i].key, f->meta[i].value);
    }
    for (int i = 0; i < f->n_foreign; i++) {
        json_array_append_new(foreign, voco_info_text(f->foreign[i]));
        voco_info_row(info, "Python name", NULL, "%s, beside the tensors; nothing was run",
                      f->foreign[i]);
    }
    voco_info_row(info, "metadata", meta, NULL);
    voco_info_row(info, "python_names", foreign, NULL);
}

enum voco_err
voco_info_weights(const char *path, const struct voco_info_options *o,
                  struct voco_info *info)
{
    struct voco_tensorfile f;
    struct voco_nametable names = { 0 };
    struct voco_network net;
    enum voco_err err = voco_tensorfile_open(&f, path);

    if (err == VOCO_OK && (err = voco_network_recognise(&f, path, &net)) == VOCO_OK
        && (err = voco_nametable_make(&names, &f, path)) == VOCO_OK) {
        const bool inside = f.wrapper != NULL && *f.wrapper != '\0';

        voco_info_row(info, "kind", json_string("weights"), "%s, structure checked%s%s",
                      f.format, inside ? "; tensors inside " : "", inside ? f.wrapper : "");
        voco_info_row(info, "format", json_string(f.format), NULL);
        if (inside)
            voco_info_row(info, "wrapper", voco_info_text(f.wrapper), NULL);
        if (*f.prefix)
            voco_info_row(info, "prefix", voco_info_text(f.prefix), "%s, left out in front of "
                          "all names", f.prefix);
        network_rows(info, &net);
        if (f.n_dicts)
            dict_rows(info, &f);
        if (f.n || !f.n_dicts) {
            part_rows(info, &f, &names);
            type_row(info, &f);
        }
        provenance_rows(info, &f);
        note_rows(info, &f);
        if (o->list)
            tensor_rows(info, &f);
    }
    voco_nametable_free(&names);
    voco_tensorfile_close(&f);
    return err;
}
