/* Provenance of weights. */
#include "config.h"

#include "model/provenance.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/open.h"
#include "data/transform/geometry.h"
#include "data/transform/transform.h"
#include "model/recognise.h"

const char *const voco_provenance_stores[] = { "store", "labelled", "unlabelled", NULL };

static const char provenance_key[] = "voco.provenance";
static const char orientation_key[] = "voco.orientation";
static const char transform_key[] = "voco.transform";

/* ---- writing ---- */

void
voco_provenance_begin(struct voco_provenance *p, const char *objective, const char *options,
                      const struct voco_model_config *config, const int64_t *step)
{
    json_t *settings = json_loads(options, 0, NULL);

    *p = (struct voco_provenance){ .step = step };
    p->root = json_pack("{s:s, s:s, s:s, s:o}", "voco", PACKAGE_VERSION, "objective",
                        objective, "axes", voco_axes_name[config->axes], "options",
                        settings ? settings : json_object());
    VOCO_NEED(p->root);
    if (config->net == VOCO_NET_SWINUNETR)
        json_object_set_new(p->root, "merging",
                            json_string(voco_merging_name(config->merging)));
}

/* A path is any bytes, and JSON holds only UTF-8. */
static json_t *
text(const char *s)
{
    json_t *json = json_string(s);
    char *safe, *c;

    if (json)
        return json;
    safe = voco_format("%s", s);
    for (c = safe; *c; c++)
        if ((unsigned char)*c > '~')
            *c = '?';
    json = json_string(safe);
    free(safe);
    return json;
}

void
voco_provenance_store(struct voco_provenance *p, const char *name, const char *path,
                      uint32_t hash)
{
    char words[16];

    snprintf(words, sizeof words, "%08" PRIx32, hash);
    json_object_set_new(p->root, name,
                        json_pack("{s:o, s:s, s:[]}", "path", text(path), "hash", words,
                                  "volumes"));
}

void
voco_provenance_volume(struct voco_provenance *p, const char *name, const char *id,
                       const double affine[4][4])
{
    json_t *store = json_object_get(p->root, name);
    char orientation[4];

    json_array_append_new(json_object_get(store, "volumes"), text(id));
    voco_orient_name(affine, orientation);
    if (!p->orientation[0])
        memcpy(p->orientation, orientation, sizeof orientation);
    else if (strcmp(p->orientation, orientation) != 0)
        snprintf(p->orientation, sizeof p->orientation, "mixed");
}

/* Bytes and checksum of a file; false where it cannot be read to its end. */
static bool
sum_file(const char *path, json_t *to)
{
    unsigned char block[1 << 16];
    FILE *in = voco_open_stream(path, "rb");
    json_int_t bytes = 0;
    uint32_t crc = 0;
    char words[16];
    size_t n;
    bool whole;

    if (!in)
        return false;
    while ((n = fread(block, 1, sizeof block, in)) > 0) {
        crc = voco_crc32c(crc, block, n);
        bytes += (json_int_t)n;
    }
    whole = !ferror(in);
    fclose(in);
    snprintf(words, sizeof words, "%08" PRIx32, crc);
    if (whole) {
        json_object_set_new(to, "bytes", json_integer(bytes));
        json_object_set_new(to, "crc32c", json_string(words));
    }
    return whole;
}

/* What the parent's file says of itself, without the names of its volumes: how many there
 * were remains. */
static json_t *
of_parent(const char *path)
{
    struct voco_tensorfile file;
    const char *said;
    json_t *root = NULL;

    if (voco_tensorfile_open(&file, path) != VOCO_OK)
        return NULL;
    if ((said = voco_tensorfile_meta(&file, provenance_key)) != NULL)
        root = json_loads(said, 0, NULL);
    voco_tensorfile_close(&file);
    for (const char *const *name = voco_provenance_stores; *name; name++) {
        json_t *store = json_object_get(root, *name);
        const size_t n = json_array_size(json_object_get(store, "volumes"));

        if (store)
            json_object_set_new(store, "volumes", json_integer((json_int_t)n));
    }
    return root;
}

void
voco_provenance_parent(struct voco_provenance *p, const char *path)
{
    json_t *parent = json_pack("{s:o}", "path", text(path)), *theirs;
    char *inside = voco_format("%s/model.safetensors", path);

    if (sum_file(voco_is_folder(path) ? inside : path, parent)
        && (theirs = of_parent(path)) != NULL)
        json_object_set_new(parent, "provenance", theirs);
    json_object_set_new(p->root, "parent", parent);
    free(inside);
}

void
voco_provenance_free(struct voco_provenance *p)
{
    json_decref(p->root);
    *p = (struct voco_provenance){ 0 };
}

int
voco_provenance_meta(const struct voco_provenance *p,
                     struct voco_filemeta meta[VOCO_PROVENANCE_KEYS])
{
    json_t *root = json_copy(p->root);
    int n = 0;

    if (p->step)
        json_object_set_new(root, "step", json_integer(*p->step));
    meta[n++] = (struct voco_filemeta){
        provenance_key, json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17)) };
    VOCO_NEED(meta[0].value);
    json_decref(root);
    if (p->orientation[0])
        meta[n++] = (struct voco_filemeta){ orientation_key,
                                            voco_format("%s", p->orientation) };
    return n;
}

/* ---- reading ---- */

/* Three letters, one of each pair. */
static bool
is_orientation(const char *name)
{
    static const char letters[] = "RASLPI";
    bool seen[3] = { false };

    for (int i = 0; i < 3; i++) {
        const char *at = name[i] ? strchr(letters, name[i]) : NULL;

        if (!at)
            return false;
        seen[(at - letters) % 3] = true;
    }
    return name[3] == '\0' && seen[0] && seen[1] && seen[2];
}

enum voco_err
voco_orientation_read(const struct voco_tensorfile *f, const char *path, char ret[8])
{
    const char *said = voco_tensorfile_meta(f, orientation_key);
    const char *options = voco_tensorfile_meta(f, transform_key);
    struct voco_transform t;

    ret[0] = '\0';
    if (said && strcmp(said, "mixed") == 0)
        return VOCO_OK;
    if (said && !is_orientation(said))
        return voco_fail(VOCO_EFORMAT, "%s: %s is '%.20s': expected three letters such as RAS, "
                         "or mixed", path, orientation_key, said);
    if (said)
        memcpy(ret, said, 4);
    else if (options && voco_transform_parse(options, &t) == VOCO_OK && t.orient)
        memcpy(ret, "RAS", 4);
    return VOCO_OK;
}

enum voco_err
voco_orientation_of(const char *path, char ret[8])
{
    struct voco_tensorfile file;
    enum voco_err err = voco_tensorfile_open(&file, path);

    ret[0] = '\0';
    if (err == VOCO_OK)
        err = voco_orientation_read(&file, path, ret);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_provenance_objective(const char *path, char ret[32])
{
    struct voco_tensorfile file;
    const enum voco_err err = voco_tensorfile_open(&file, path);
    const char *said = err == VOCO_OK ? voco_tensorfile_meta(&file, "voco.provenance") : NULL;
    json_t *root = said ? json_loads(said, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(root, "objective"));

    snprintf(ret, 32, "%s", name ? name : "");
    json_decref(root);
    voco_tensorfile_close(&file);
    return err;
}

enum voco_err
voco_orientation_expect(const char *expected, const double affine[4][4], const char *what)
{
    char name[4];

    voco_orient_name(affine, name);
    if (!expected[0] || strcmp(expected, name) == 0)
        return VOCO_OK;
    return voco_fail(VOCO_EFORMAT, "%s: its axes run %s when the transforms are done, and the "
                     "network was trained on %s, as its file says: bring the volume to %s",
                     what, name, expected, expected);
}
