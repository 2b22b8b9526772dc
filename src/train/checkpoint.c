/* Checkpoints that are whole or absent, and say so. */
#define _GNU_SOURCE
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "tensorfile/safetensors.h"

static const char *const file_name[] = { "model.safetensors", "optimizer.safetensors",
                                         "state.json" };
enum { MODEL, OPTIMIZER, STATE, FILES };

static const struct { const char *prefix; size_t slab; } moments[] = {
    { "m.", offsetof(struct voco_model, m) }, { "v.", offsetof(struct voco_model, v) },
    { "vmax.", offsetof(struct voco_model, vmax) },
};
enum { MOMENTS = sizeof moments / sizeof *moments };

static const struct voco_tensor *
moment_slab(const struct voco_model *model, int k)
{
    return (const struct voco_tensor *)((const char *)model + moments[k].slab);
}

struct sum {
    uint32_t crc;
    uint64_t bytes;
};

/* Of the optimizer: all, or m alone. */
static int
n_moments(const struct voco_model *model)
{
    return model->config.one_moment ? 1 : MOMENTS;
}

/* Rows in front of the teacher's. */
static int
trained_rows(const struct voco_model *model)
{
    int n = 0;

    while (n < model->params.n && model->params.item[n].offset < model->trained)
        n++;
    return n;
}

static enum voco_err
write_optimizer(const char *path, struct voco_ctx *ctx, const struct voco_model *model,
                struct sum *sum)
{
    const int rows = trained_rows(model), slabs = n_moments(model), n = slabs * rows;
    struct voco_filetensor *item = calloc((size_t)n, sizeof *item);
    void *copy[MOMENTS] = { 0 };
    enum voco_err err = VOCO_OK;

    VOCO_NEED(item);
    for (int k = 0; k < slabs && err == VOCO_OK; k++) {
        struct voco_weights w = { .table = &model->params };

        err = voco_host_view(ctx, moment_slab(model, k), &w.weight, &copy[k]);
        for (int i = 0; i < rows; i++) {
            const struct voco_param *p = &model->params.item[i];
            const struct voco_tensor x = voco_weight(&w, i);
            struct voco_filetensor *t = &item[k * rows + i];

            *t = (struct voco_filetensor){
                .name = voco_format("%s%s", moments[k].prefix, p->name), .rank = 1,
                .type = x.type == VOCO_F64 ? "F64" : "F32", .dim = { p->count },
                .data = x.data, .bytes = voco_tensor_bytes(&x) };
        }
    }
    if (err == VOCO_OK)
        err = voco_safetensors_write(path, item, n, NULL, 0, &sum->crc, &sum->bytes);
    for (int k = 0; k < MOMENTS; k++)
        free(copy[k]);
    for (int i = 0; i < n; i++)
        free((char *)item[i].name);
    free(item);
    return err;
}

static enum voco_err
write_text(const char *path, const char *text, struct sum *sum)
{
    struct voco_newfile f = { 0 };
    const size_t n = strlen(text);
    enum voco_err err = voco_newfile_open(&f, path);

    if (err != VOCO_OK)
        return err;
    sum->crc = voco_crc32c(0, text, n);
    sum->bytes = n;
    if (fwrite(text, 1, n, f.out) != n) {
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", path);
        voco_newfile_discard(&f);
        return err;
    }
    return voco_newfile_commit(&f);
}

static enum voco_err
write_state(const char *path, const struct voco_state *s, struct sum *sum)
{
    json_error_t where;
    json_t *options = json_loads(s->options ? s->options : "{}", 0, &where);
    json_t *root = json_pack("{s:I, s:I, s:I, s:I, s:f, s:o}", "step", (json_int_t)s->step,
                             "updates", (json_int_t)s->updates, "skipped_in_row",
                             (json_int_t)s->skipped_in_row, "rollbacks",
                             (json_int_t)s->rollbacks, "lr_scale", s->lr_scale, "options",
                             options ? options : json_object());
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    enum voco_err err;

    VOCO_NEED(text);
    err = write_text(path, text, sum);
    free(text);
    json_decref(root);
    return err;
}

static enum voco_err
write_sums(const char *path, const struct sum sum[FILES])
{
    struct sum ignored;
    char text[1024];
    int n = 0;

    for (int i = 0; i < FILES; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%08" PRIx32 " %" PRIu64 " %s\n",
                      sum[i].crc, sum[i].bytes, file_name[i]);
    snprintf(text + n, sizeof text - (size_t)n, "%08" PRIx32 " %d SUMS\n",
             voco_crc32c(0, text, (size_t)n), n);
    return write_text(path, text, &ignored);
}

/* The step in a name "ckpt-<step>", -1 for another name. */
static int64_t
step_of(const char *name)
{
    int64_t step;
    char same[32];

    if (sscanf(name, "ckpt-%" SCNd64, &step) != 1 || step < 0)
        return -1;
    snprintf(same, sizeof same, "ckpt-%" PRId64, step);
    return strcmp(name, same) == 0 ? step : -1;
}

static int
newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Steps of the checkpoints in a run folder, newest first. Free *ret. */
static enum voco_err
list_checkpoints(const char *run, int64_t **ret, int *ret_n)
{
    DIR *dir = voco_open_folder(run);
    struct dirent *entry;
    int n = 0, room = 0;
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    *ret_n = 0;
    if (!dir)                   /* a folder that cannot be read is not an empty one */
        return errno == ENOENT ? VOCO_OK : voco_fail_errno(VOCO_EIO, "%s: cannot list", run);
    while ((entry = voco_folder_next(dir, run, &err)) != NULL) {
        const int64_t step = step_of(entry->d_name);

        if (step < 0)
            continue;
        if (n == room) {
            room = room ? 2 * room : 16;
            *ret = realloc(*ret, (size_t)room * sizeof **ret);
            VOCO_NEED(*ret);
        }
        (*ret)[n++] = step;
    }
    closedir(dir);
    if (n)
        qsort(*ret, (size_t)n, sizeof **ret, newest_first);
    *ret_n = n;
    return err;
}

static void
remove_quietly(const char *path)
{
    if (voco_folder_remove(path) != VOCO_OK)
        voco_warn("an old checkpoint stays: %s", voco_fail_text());
}

/* See the header: newest is the step of the one just written. */
static void
remove_old(const char *run, int64_t newest, int keep_last)
{
    int64_t *step;
    int n, kept = 0;

    if (list_checkpoints(run, &step, &n) != VOCO_OK) {
        voco_warn("old checkpoints stay: %s", voco_fail_text());
        n = 0;
    }
    for (int i = 0; i < n; i++) {
        char *path;

        if (step[i] <= newest && kept++ < keep_last)
            continue;
        path = voco_format("%s/ckpt-%" PRId64, run, step[i]);
        remove_quietly(path);
        free(path);
    }
    free(step);
}

/* "model.safetensors.tmp-<number>", a file of another run here, which is over. */
static bool
is_abandoned(const char *name)
{
    const char *tmp = strstr(name, ".tmp-");
    char *end;
    const long pid = tmp ? strtol(tmp + 5, &end, 10) : 0;

    return pid > 0 && !*end && pid != (long)getpid();
}

/* ".ckpt-<step>.old" comes back where the checkpoint that was to replace it did not come. */
static void
put_back(const char *run, const char *old)
{
    char *path = voco_format("%s/%s", run, old);
    char *final = voco_format("%s/%.*s", run, (int)strlen(old) - 5, old + 1);

    if (!voco_file_exists(final))
        (void)rename(path, final);
    free(path);
    free(final);
}

/* files: those of runs that are over, too.  At the start only: later a voco plot may be writing
 * a picture into the folder. */
static void
tidy(const char *run, bool files)
{
    DIR *dir = voco_open_folder(run);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        const bool ours = strncmp(entry->d_name, ".ckpt-", 6) == 0;
        const bool old = ours && strcmp(end, ".old") == 0;
        char *path;

        if (!old && !(ours && strcmp(end, ".tmp") == 0) && !(files && is_abandoned(entry->d_name)))
            continue;
        if (old)
            put_back(run, entry->d_name);
        path = voco_format("%s/%s", run, entry->d_name);
        if (voco_file_exists(path))
            remove_quietly(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

void
voco_checkpoint_tidy(const char *run)
{
    tidy(run, true);
}

/* The folder under its name; one of the same step, from before a roll-back, makes way. */
static enum voco_err
publish(const char *run, const char *temporary, const char *final, int64_t step)
{
    char *old = voco_format("%s/.ckpt-%" PRId64 ".old", run, step);
    const bool replaces = rename(final, old) == 0;
    const enum voco_err err = voco_file_publish(temporary, final);

    if (replaces && err == VOCO_OK)
        remove_quietly(old);
    else if (replaces)
        (void)rename(old, final);
    free(old);
    return err;
}

enum voco_err
voco_checkpoint_write(const char *run, struct voco_ctx *ctx, const struct voco_model *model,
                      const struct voco_state *state, int keep_last)
{
    char *final = voco_format("%s/ckpt-%" PRId64, run, state->step);
    char *temporary = voco_format("%s/.ckpt-%" PRId64 ".tmp", run, state->step);
    char *path[FILES], *sums = voco_format("%s/SUMS", temporary);
    struct sum sum[FILES] = { { 0, 0 } };
    enum voco_err err;

    for (int i = 0; i < FILES; i++)
        path[i] = voco_format("%s/%s", temporary, file_name[i]);
    tidy(run, false);
    if ((err = voco_folder_make(temporary)) == VOCO_OK
        && (err = voco_model_save_all(path[MODEL], ctx, model, &sum[MODEL].crc,
                                      &sum[MODEL].bytes)) == VOCO_OK
        && (err = write_optimizer(path[OPTIMIZER], ctx, model, &sum[OPTIMIZER])) == VOCO_OK
        && (err = write_state(path[STATE], state, &sum[STATE])) == VOCO_OK
        && (err = write_sums(sums, sum)) == VOCO_OK)
        err = publish(run, temporary, final, state->step);
    if (err != VOCO_OK) {
        char *why = voco_format("%s", voco_fail_text());

        (void)voco_folder_remove(temporary);
        voco_fail(err, "%s", why);
        free(why);
    } else {
        remove_old(run, state->step, keep_last);
    }
    for (int i = 0; i < FILES; i++)
        free(path[i]);
    free(sums);
    free(final);
    free(temporary);
    return err;
}

/* ---- reading ---- */

/* A file that is not there, or too long, is damage; one that the system does not give us
 * may be whole. */
static enum voco_err
unreadable(enum voco_err err, int reason)
{
    return err == VOCO_EFORMAT || reason == ENOENT || reason == ENOTDIR
        ? VOCO_ECHECKPOINT : err;
}

static enum voco_err
check_file(const char *folder, const char *name, const struct sum *want)
{
    unsigned char block[1 << 16];
    char *path = voco_format("%s/%s", folder, name);
    struct sum got = { 0, 0 };
    FILE *in = voco_open_stream(path, "rb");
    enum voco_err err = VOCO_OK;
    size_t n;

    if (!in) {
        err = voco_fail_errno(unreadable(VOCO_EIO, errno), "%s", path);
        free(path);
        return err;
    }
    while ((n = fread(block, 1, sizeof block, in)) > 0) {
        got.crc = voco_crc32c(got.crc, block, n);
        got.bytes += n;
    }
    if (ferror(in))
        err = voco_fail_errno(VOCO_EIO, "%s", path);
    else if (got.bytes != want->bytes)
        err = voco_fail(VOCO_ECHECKPOINT, "%s: %" PRIu64 " bytes, expected %" PRIu64
                        ": damaged", path, got.bytes, want->bytes);
    else if (got.crc != want->crc)
        err = voco_fail(VOCO_ECHECKPOINT, "%s: checksum %08" PRIx32 ", expected %08" PRIx32
                        ": damaged", path, got.crc, want->crc);
    fclose(in);
    free(path);
    return err;
}

static enum voco_err
check_sums(const char *folder)
{
    char *path = voco_format("%s/SUMS", folder), *text = NULL, *line;
    size_t n;
    int seen = 0;
    bool whole = false;
    enum voco_err err = voco_file_read(path, 4096, &text, &n);

    if (err != VOCO_OK) {
        err = unreadable(err, errno);
        free(path);
        return voco_fail_in(err, "%s", folder);
    }
    for (line = text; err == VOCO_OK && *line; ) {
        char *end = strchr(line, '\n');
        struct sum sum;
        char name[64];

        if (!end || sscanf(line, "%8" SCNx32 " %" SCNu64 " %63s", &sum.crc, &sum.bytes, name)
            != 3) {
            err = voco_fail(VOCO_ECHECKPOINT, "%s: a line that is not 'crc bytes name'",
                            path);
        } else if (strcmp(name, "SUMS") == 0) {
            whole = voco_crc32c(0, text, (size_t)(line - text)) == sum.crc && !end[1];
            break;
        } else {
            for (int i = 0; i < FILES; i++)
                seen += strcmp(name, file_name[i]) == 0;
            err = strchr(name, '/') ? voco_fail(VOCO_ECHECKPOINT, "%s: bad name", path)
                                    : check_file(folder, name, &sum);
            line = end + 1;
        }
    }
    if (err == VOCO_OK && (!whole || seen != FILES))
        err = voco_fail(VOCO_ECHECKPOINT, "%s: damaged", path);
    free(text);
    free(path);
    return err;
}

enum voco_err
voco_checkpoint_verify(const char *folder)
{
    struct voco_tensorfile st;
    enum voco_err err = check_sums(folder);

    for (int i = MODEL; i <= OPTIMIZER && err == VOCO_OK; i++) {
        char *path = voco_format("%s/%s", folder, file_name[i]);

        err = voco_tensorfile_open(&st, path);
        if (err == VOCO_OK)
            voco_tensorfile_close(&st);
        free(path);
    }
    return err;
}

enum voco_err
voco_checkpoint_newest(const char *run, char **ret_path)
{
    int64_t *step;
    int n;
    enum voco_err err = list_checkpoints(run, &step, &n);

    *ret_path = NULL;
    for (int i = 0; err == VOCO_OK && i < n && !*ret_path; i++) {
        char *path = voco_format("%s/ckpt-%" PRId64, run, step[i]);

        err = check_sums(path);
        if (err == VOCO_OK) {
            *ret_path = path;
            path = NULL;
        } else if (err == VOCO_ECHECKPOINT) {
            voco_warn("%s; looking for an older checkpoint", voco_fail_text());
            err = VOCO_OK;
        } else {                /* it may be whole, and would be removed as damaged */
            err = voco_fail_in(err, "a checkpoint cannot be read; run it again, or remove "
                               "%s to go on from an older one", path);
        }
        free(path);
    }
    free(step);
    if (err == VOCO_OK && n > 0 && !*ret_path)
        return voco_fail(VOCO_ECHECKPOINT, "%s: all %d checkpoints are damaged; start anew "
                         "in another folder, or from weights with --init", run, n);
    return err;
}

/* By its full name: of a file of m alone, "m." is a prefix that is left out. */
static const struct voco_filetensor *
find_moment(const struct voco_tensorfile *st, const char *name)
{
    const size_t n = strlen(st->prefix);

    return strncmp(name, st->prefix, n) == 0 ? voco_tensorfile_find(st, name + n) : NULL;
}

static enum voco_err
read_optimizer(const char *path, struct voco_ctx *ctx, const struct voco_model *model)
{
    const int rows = trained_rows(model), slabs = n_moments(model);
    struct voco_tensorfile st;
    enum voco_err err = voco_tensorfile_open(&st, path);

    if (err != VOCO_OK)
        return err;
    for (int k = 0; k < slabs && err == VOCO_OK; k++)
        for (int i = 0; i < rows && err == VOCO_OK; i++) {
            const struct voco_weights w = { .table = &model->params,
                                            .weight = *moment_slab(model, k) };
            const struct voco_tensor to = voco_weight(&w, i);
            char *name = voco_format("%s%s", moments[k].prefix, model->params.item[i].name);
            const struct voco_filetensor *t = find_moment(&st, name);
            const bool wide = t && strcmp(t->type, "F64") == 0;

            if (!t || t->rank != 1 || t->dim[0] != model->params.item[i].count
                || (!wide && strcmp(t->type, "F32") != 0)) {
                err = voco_fail(VOCO_ECHECKPOINT, "%s: no %s of %" PRId64 " elements: a "
                                "checkpoint of another model", path, name,
                                model->params.item[i].count);
            } else {
                struct voco_tensor from = to;

                from.type = wide ? VOCO_F64 : VOCO_F32;
                from.data = malloc(t->bytes);
                VOCO_NEED(from.data);
                memcpy(from.data, t->data, t->bytes);
                ctx->dev->upload(ctx, &from, &to);
                free(from.data);
            }
            free(name);
        }
    voco_tensorfile_close(&st);
    return err;
}

/* Far beyond any run, and far from overflow. */
static bool
is_count(json_int_t n)
{
    return n >= 0 && n <= (json_int_t)1 << 53;
}

static enum voco_err
read_state(const char *path, struct voco_state *s)
{
    json_error_t where;
    json_t *root, *options = NULL;
    json_int_t step, updates, skipped, rollbacks;
    char *text = NULL;
    size_t n;
    enum voco_err err = voco_file_read(path, 1 << 20, &text, &n);

    if (err != VOCO_OK)
        return err;
    root = json_loadb(text, n, 0, &where);
    free(text);
    if (!root || json_unpack(root, "{s:I, s:I, s:I, s:I, s:F, s:o}", "step", &step,
                             "updates", &updates, "skipped_in_row", &skipped, "rollbacks",
                             &rollbacks, "lr_scale", &s->lr_scale, "options", &options)
                 != 0
        || !is_count(step) || !is_count(updates) || !is_count(skipped)
        || !is_count(rollbacks) || !(s->lr_scale > 0.0) || !json_is_object(options)) {
        json_decref(root);
        return voco_fail(VOCO_ECHECKPOINT, "%s: not the state of a run", path);
    }
    s->step = step;
    s->updates = updates;
    s->skipped_in_row = skipped;
    s->rollbacks = rollbacks;
    s->options = json_dumps(options, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    return VOCO_OK;
}

enum voco_err
voco_checkpoint_state(const char *folder, struct voco_state *state)
{
    char *path = voco_format("%s/%s", folder, file_name[STATE]);
    enum voco_err err;

    *state = (struct voco_state){ 0 };
    err = read_state(path, state);
    free(path);
    return err;
}

enum voco_err
voco_checkpoint_read(const char *folder, struct voco_ctx *ctx, struct voco_model *model,
                     struct voco_state *state)
{
    static const struct voco_demand all = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_ALL,
                                            .quiet = true };
    char *path[FILES];
    struct voco_coverage cover;
    enum voco_err err = check_sums(folder);

    *state = (struct voco_state){ 0 };
    for (int i = 0; i < FILES; i++)
        path[i] = voco_format("%s/%s", folder, file_name[i]);
    if (err == VOCO_OK
        && (err = voco_model_load(path[MODEL], ctx, model, &all, &cover)) == VOCO_OK
        && (err = read_optimizer(path[OPTIMIZER], ctx, model)) == VOCO_OK)
        err = read_state(path[STATE], state);
    for (int i = 0; i < FILES; i++)
        free(path[i]);
    return err;
}
