/* Files of measured choices. */
#define _XOPEN_SOURCE 700       /* access, dirent */
#include "config.h"

#include "dev/cpu/tuning.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/open.h"

enum { FORMAT = 1, FILE_MAX = 4 << 20, ROWS_MAX = 10000 };

struct voco_tuning_key
voco_tuning_key(int threads)
{
    struct voco_tuning_key key = { .threads = threads > 0 ? threads
                                                          : voco_default_threads() };
    struct voco_machine machine;
    struct voco_cpu_info info;

    voco_machine_read("", &machine);
    voco_cpu_info(&info);
    snprintf(key.cpu, sizeof key.cpu, "%s%s%s", *machine.cpu ? machine.cpu : "unnamed",
             *machine.cpu_model ? ", " : "", machine.cpu_model);
    snprintf(key.isa, sizeof key.isa, "%s", info.isa);
    snprintf(key.voco, sizeof key.voco, "%s", PACKAGE_VERSION);
    snprintf(key.onednn, sizeof key.onednn, "%s", info.dnnl);
    snprintf(key.blas, sizeof key.blas, "%s", info.blas);
    return key;
}

/* ---- places ---- */

/* "AMD-EPYC-family-25-model-17-avx512-2.json" */
static char *
file_name(const struct voco_tuning_key *key)
{
    char *name = voco_format("%s-%s-%d.json", key->cpu, key->isa, key->threads);
    char *to = name;

    for (const char *p = name; *p; p++) {
        const bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
                        || (*p >= '0' && *p <= '9') || *p == '.';

        if (plain)
            *to++ = *p;
        else if (to > name && to[-1] != '-')
            *to++ = '-';
    }
    *to = '\0';
    return name;
}

/* The folder of the user's tables; NULL where there is no home. */
static char *
cache_folder(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache && *cache == '/')         /* others are to be ignored, says the standard */
        return voco_format("%s/voco/tune", cache);
    return home && *home ? voco_format("%s/.cache/voco/tune", home) : NULL;
}

static const char *
asked(void)
{
    const char *place = getenv("VOCO_TUNE");

    return place && *place ? place : NULL;
}

static char *
folder_of_tables(void)
{
    return asked() && voco_is_folder(asked()) ? voco_format("%s", asked()) : cache_folder();
}

char *
voco_tuning_path(const struct voco_tuning_key *key)
{
    char *folder, *name, *path;

    if (asked() && strcmp(asked(), "none") != 0 && !voco_is_folder(asked()))
        return voco_format("%s", asked());
    folder = folder_of_tables();
    name = file_name(key);
    path = voco_format("%s/%s", folder ? folder : ".", name);
    free(folder);
    free(name);
    return path;
}

/* ---- reading ---- */

static bool
same_text(const json_t *root, const char *name, const char *want)
{
    const char *text = json_string_value(json_object_get(root, name));

    return text && strcmp(text, want) == 0;
}

/* Which part of the key differs; NULL: none. */
static const char *
difference(const json_t *root, const struct voco_tuning_key *key)
{
    if (!same_text(root, "cpu", key->cpu))
        return "CPU";
    if (!same_text(root, "isa", key->isa))
        return "set of kernels";
    if (json_integer_value(json_object_get(root, "threads")) != key->threads)
        return "number of threads";
    if (!same_text(root, "voco", key->voco))
        return "version of voco";
    if (!same_text(root, "onednn", key->onednn))
        return "oneDNN";
    return same_text(root, "blas", key->blas) ? NULL : "BLAS";
}

/* {"op": NAME, "size": [..], "use": IMPL}; false: not one of these */
static bool
read_row(const json_t *row, struct voco_shape *s, const char **ret_use)
{
    const char *op = json_string_value(json_object_get(row, "op"));
    const json_t *size = json_object_get(row, "size");
    const size_t n = json_array_size(size);
    int i = 0;

    *s = (struct voco_shape){ 0 };
    *ret_use = json_string_value(json_object_get(row, "use"));
    while (op && i < VOCO_SHAPE_OPS && strcmp(op, voco_shape_names[i]) != 0)
        i++;
    if (!op || i == VOCO_SHAPE_OPS || !*ret_use)
        return false;
    s->op = (enum voco_shape_op)i;
    if (n != (voco_shape_is_conv(s) ? VOCO_SHAPE_SIZES : 3))
        return false;
    for (size_t k = 0; k < n; k++) {
        if (!json_is_integer(json_array_get(size, k)))
            return false;
        s->size[k] = json_integer_value(json_array_get(size, k));
    }
    return voco_shape_sane(s);
}

static enum voco_err
read_rows(const char *path, const json_t *rows, struct voco_choices *ret)
{
    int repeated;

    if (!json_is_array(rows) || json_array_size(rows) > ROWS_MAX)
        return voco_fail(VOCO_EFORMAT, "%s: 'shapes' is not a list of at most %d", path,
                         ROWS_MAX);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct voco_shape shape;
        const char *use;

        if (!read_row(json_array_get(rows, i), &shape, &use))
            return voco_fail(VOCO_EFORMAT, "%s: shape %zu is damaged: expected \"op\", "
                             "\"size\" and \"use\"", path, i + 1);
        if (!voco_cpu_knows(shape.op, use))
            return voco_fail(VOCO_EFORMAT, "%s: shape %zu: no implementation of %s is called "
                             "'%.40s'", path, i + 1, voco_shape_names[shape.op], use);
        voco_choices_add(ret, &shape, use);
    }
    if ((repeated = voco_choices_repeated(ret)) >= 0)
        return voco_fail(VOCO_EFORMAT, "%s: shape %d is there twice", path, repeated + 1);
    return VOCO_OK;
}

/* The JSON of a table for this key.  NULL on failure, with *ret_err. */
static json_t *
load(const char *path, const struct voco_tuning_key *key, enum voco_err *ret_err)
{
    const char *other;
    json_t *root;

    *ret_err = voco_json_read(path, FILE_MAX, JSON_REJECT_DUPLICATES, &root);
    if (*ret_err != VOCO_OK)
        return NULL;
    if (json_integer_value(json_object_get(root, "voco-tune")) != FORMAT)
        *ret_err = voco_fail(VOCO_EFORMAT, "%s: not a table of voco tune: \"voco-tune\" is "
                             "not %d", path, FORMAT);
    else if ((other = difference(root, key)) != NULL)
        *ret_err = voco_fail(VOCO_EUSAGE, "%s: measured with another %s", path, other);
    if (*ret_err == VOCO_OK)
        return root;
    json_decref(root);
    return NULL;
}

enum voco_err
voco_tuning_read(const char *path, const struct voco_tuning_key *key,
                 struct voco_choices *ret)
{
    enum voco_err err;
    json_t *root = load(path, key, &err);

    *ret = (struct voco_choices){ .threads = key->threads };
    if (!root)
        return err;
    err = read_rows(path, json_object_get(root, "shapes"), ret);
    json_decref(root);
    if (err != VOCO_OK)
        voco_choices_free(ret);
    return err;
}

/* ---- writing ---- */

static json_t *
json_of_shape(const struct voco_shape *s, const char *use)
{
    const int n = voco_shape_is_conv(s) ? VOCO_SHAPE_SIZES : 3;
    json_t *size = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(size, json_integer(s->size[i]));
    return json_pack("{s:s, s:o, s:s}", "op", voco_shape_names[s->op], "size", size, "use",
                     use);
}

static enum voco_err
write_table(const char *path, const struct voco_tuning_key *key, json_t *shapes)
{
    json_t *root = json_pack("{s:i, s:s, s:s, s:i, s:s, s:s, s:s, s:o}", "voco-tune", FORMAT,
                             "cpu", key->cpu, "isa", key->isa, "threads", key->threads,
                             "voco", key->voco, "onednn", key->onednn, "blas", key->blas,
                             "shapes", shapes);
    char *text;
    enum voco_err err;

    VOCO_NEED(root);
    text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    VOCO_NEED(text);
    err = voco_file_write_text(path, text);
    free(text);
    json_decref(root);
    return err;
}

enum voco_err
voco_tuning_prepare(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? voco_format("%.*s", (int)(slash - path + 1), path)
                         : voco_format(".");
    enum voco_err err = voco_folder_make(folder);

    if (err == VOCO_OK && access(folder, W_OK) != 0)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write a table there", folder);
    free(folder);
    return err;
}

/* Rows of the table at path whose shapes are not among the new ones. */
static json_t *
old_rows(const char *path, const struct voco_tuning_key *key, const struct voco_tuned *new,
         int n)
{
    struct voco_choices old;
    json_t *rows = json_array(), *root, *row;
    enum voco_err err;
    size_t at;

    if (!voco_file_exists(path))
        return rows;
    if (voco_tuning_read(path, key, &old) != VOCO_OK) {
        voco_warn("%s: a new table replaces it", voco_fail_text());
        return rows;
    }
    voco_choices_free(&old);
    root = load(path, key, &err);
    json_array_foreach(json_object_get(root, "shapes"), at, row) {
        struct voco_shape shape;
        const char *use;
        bool again = !read_row(row, &shape, &use);

        for (int i = 0; i < n && !again; i++)
            again = voco_shape_equal(&shape, &new[i].shape);
        if (!again)
            json_array_append(rows, row);
    }
    json_decref(root);
    return rows;
}

enum voco_err
voco_tuning_write(const char *path, const struct voco_tuning_key *key,
                  const struct voco_tuned *row, int n)
{
    json_t *rows = old_rows(path, key, row, n);

    for (int i = 0; i < n; i++) {
        json_t *us = json_object();
        json_t *one = json_of_shape(&row[i].shape, row[i].t[row[i].choice].impl);

        for (int k = 0; k < row[i].n; k++)
            json_object_set_new(us, row[i].t[k].impl, json_real(row[i].t[k].seconds * 1e6));
        json_object_set_new(one, "us", us);
        json_array_append_new(rows, one);
    }
    return write_table(path, key, rows);
}

/* ---- use ---- */

static int
tables_in(const char *folder)
{
    DIR *d = folder ? voco_open_folder(folder) : NULL;
    const struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)) != NULL)
        n += strlen(e->d_name) > 5 && strcmp(e->d_name + strlen(e->d_name) - 5, ".json") == 0;
    if (d)
        closedir(d);
    return n;
}

static void
take(const char *path, const struct voco_tuning_key *key, struct voco_choices *ret)
{
    if (voco_tuning_read(path, key, ret) != VOCO_OK)
        voco_warn("%s: the built-in rules choose implementations", voco_fail_text());
    else
        voco_note("tuned: %s: %d shape%s", path, ret->n, voco_plural(ret->n));
}

/* Runs of a voco without tables began with the rules. */
static bool
began_without_tables(const char *run)
{
    char *path = voco_format("%s/config.json", run);
    json_t *root;
    const json_t *options;
    bool old;

    voco_json_read(path, VOCO_JSON_BYTES, 0, &root);
    options = json_object_get(root, "options");
    old = options && !json_object_get(options, "implementations");
    json_decref(root);
    free(path);
    return old;
}

/* A run's choices.  What else made its bits may have changed since: that is warned of by
 * voco_runconfig_compare.  False: it has none of this machine. */
static bool
take_of_run(const char *run, const struct voco_tuning_key *key, struct voco_choices *ret)
{
    char *path = voco_format("%s/tune.json", run);
    const bool has = voco_file_exists(path);
    const enum voco_err err = has ? voco_tuning_read(path, key, ret) : VOCO_OK;

    if (has && err == VOCO_OK)
        voco_note("implementations: as this run began, %s", path);
    else if (err == VOCO_EUSAGE)
        voco_note("%s: the choices it began with are not used", voco_fail_text());
    else if (has)
        voco_warn("%s: the choices it began with are lost", voco_fail_text());
    free(path);
    return has ? err == VOCO_OK : began_without_tables(run);
}

/* The entry choices of the tuner. */
static void
choices(int threads, const char *run, struct voco_choices *ret)
{
    const struct voco_tuning_key key = voco_tuning_key(threads);
    const bool named = asked() && !voco_is_folder(asked());
    char *path, *folder;

    *ret = (struct voco_choices){ 0 };
    if (named && strcmp(asked(), "none") == 0)
        return;
    if (run && !named && take_of_run(run, &key, ret))
        return;
    path = voco_tuning_path(&key);
    folder = folder_of_tables();
    if (named || voco_file_exists(path))
        take(path, &key, ret);
    else if (tables_in(folder) > 0)
        voco_note("%s: tables of other machines or numbers of threads, none for %s, %s, %d "
                  "thread%s: see voco tune", folder, key.cpu, key.isa, key.threads,
                  voco_plural(key.threads));
    free(path);
    free(folder);
}

static bool
describe(char **ret)
{
    const struct voco_tuning_key key = voco_tuning_key(0);
    char *path = voco_tuning_path(&key);
    struct voco_choices c = { 0 };
    bool there = false;

    if (asked() && strcmp(asked(), "none") == 0)
        *ret = voco_format("VOCO_TUNE is none: built-in rules");
    else if (!voco_file_exists(path))
        *ret = voco_format("no table for this machine with %d thread%s: built-in rules",
                           key.threads, voco_plural(key.threads));
    else if (!(there = voco_tuning_read(path, &key, &c) == VOCO_OK))
        *ret = voco_format("%s: built-in rules", voco_fail_text());
    else
        *ret = voco_format("%d shape%s in %s", c.n, voco_plural(c.n), path);
    voco_choices_free(&c);
    free(path);
    return there;
}

/* ---- runs ---- */

static struct voco_choices
choices_of(const struct voco_ctx *ctx, const struct voco_uses *uses)
{
    struct voco_choices c = { .threads = ctx->threads };

    for (int i = 0; i < uses->n; i++)
        voco_choices_set(&c, &uses->row[i].shape, voco_cpu_chosen(ctx, &uses->row[i].shape));
    return c;
}

static uint32_t
used(const struct voco_ctx *ctx, const struct voco_uses *uses)
{
    struct voco_choices c = choices_of(ctx, uses);
    const uint32_t hash = voco_choices_hash(&c);

    voco_choices_free(&c);
    return hash;
}

static enum voco_err
keep(const struct voco_ctx *ctx, const struct voco_uses *uses, const char *run)
{
    const struct voco_tuning_key key = voco_tuning_key(ctx->threads);
    struct voco_choices c = choices_of(ctx, uses);
    char *path = voco_format("%s/tune.json", run);
    json_t *rows = json_array();
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < c.n; i++)
        json_array_append_new(rows, json_of_shape(&c.row[i].shape, c.row[i].impl));
    if (voco_file_exists(path))
        json_decref(rows);
    else
        err = write_table(path, &key, rows);
    voco_choices_free(&c);
    free(path);
    return err;
}

/* ---- by number of threads ---- */

static char *
machine(int threads)
{
    const struct voco_tuning_key key = voco_tuning_key(threads);

    return voco_format("%s, %s, %d thread%s", key.cpu, key.isa, key.threads,
                       voco_plural(key.threads));
}

static char *
path_of(int threads)
{
    const struct voco_tuning_key key = voco_tuning_key(threads);

    return voco_tuning_path(&key);
}

static enum voco_err
write_rows(const char *path, int threads, const struct voco_tuned *row, int n)
{
    const struct voco_tuning_key key = voco_tuning_key(threads);

    return voco_tuning_write(path, &key, row, n);
}

const struct voco_tuner voco_cpu_tuner = {
    .time = voco_tuning_time, .machine = machine, .path = path_of,
    .prepare = voco_tuning_prepare, .write = write_rows, .describe = describe,
    .choices = choices, .used = used, .keep = keep,
};
