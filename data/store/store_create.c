/* Opening a store for writing, after whatever happened to it before. */
#define _GNU_SOURCE
#include "data/store/store_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "data/store/chunk.h"
#include "data/codec/deflate.h"
#include "data/store/inventory.h"

static const int64_t shard_bytes_default = (int64_t)2 << 30;

static enum voco_err
check_options(struct voco_store_options *o)
{
    if ((unsigned)o->type > VOCO_STORE_I16)
        return voco_fail(VOCO_EUSAGE, "unknown element type %d of a store", (int)o->type);
    if (o->chunk && (o->chunk < VOCO_CHUNK_MIN || o->chunk > VOCO_CHUNK_MAX))
        return voco_fail(VOCO_EUSAGE, "chunk edge %d, expected %d to %d", o->chunk,
                         VOCO_CHUNK_MIN, VOCO_CHUNK_MAX);
    if (!o->level)
        o->level = VOCO_DEFLATE_RUNS;
    if (o->level < 1 || o->level > 9)
        return voco_fail(VOCO_EUSAGE, "deflate level %d, expected 1 to 9", o->level);
    if (o->shard_bytes <= 0)
        o->shard_bytes = shard_bytes_default;
    return VOCO_OK;
}

/* A half-written file of a killed writer? */
static bool
is_temporary(const char *name)
{
    static const char manifest[] = "manifest.jsonl.tmp-", shard[] = "shard-";
    const size_t n = strlen(name);

    return strncmp(name, manifest, sizeof manifest - 1) == 0
        || (n > 5 && strcmp(name + n - 5, ".part") == 0
            && strncmp(name, shard, sizeof shard - 1) == 0);
}

static enum voco_err
remove_temporaries(struct voco_store_writer *w)
{
    DIR *dir = voco_open_folder(w->folder);

    enum voco_err err = VOCO_OK;

    if (!dir)
        return voco_fail_errno(VOCO_EIO, "%s: cannot list", w->folder);
    for (struct dirent *e; (e = voco_folder_next(dir, w->folder, &err)); )
        if (is_temporary(e->d_name))
            unlinkat(w->folder_fd, e->d_name, 0);
    closedir(dir);
    return err;
}

/* A folder that is new to us must be empty. */
static enum voco_err
check_empty(const char *folder)
{
    DIR *dir = voco_open_folder(folder);
    enum voco_err err = VOCO_OK;

    if (!dir)
        return voco_fail_errno(VOCO_EIO, "%s: cannot list", folder);
    for (struct dirent *e; !err && (e = voco_folder_next(dir, folder, &err)); )
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            err = voco_fail(VOCO_EUSAGE, "%s: holds files (%s) but is not a voco store: "
                            "name a new folder", folder, e->d_name);
    closedir(dir);
    return err;
}

/* A whole shard that no line speaks of can only be the last one, whose lines a kill
 * prevented: it goes.  More of them mean that the manifest is damaged: nothing goes. */
static enum voco_err
remove_orphan(struct voco_store_writer *w, const struct voco_inventory *v)
{
    DIR *dir = voco_open_folder(w->folder);
    const int last = v->n_shards ? v->shard[v->n_shards - 1].number : -1;
    int orphan = -1, orphans = 0;
    enum voco_err err = VOCO_OK;

    if (!dir)
        return voco_fail_errno(VOCO_EIO, "%s: cannot list", w->folder);
    for (struct dirent *e; (e = voco_folder_next(dir, w->folder, &err)); ) {
        const int number = voco_shard_number(e->d_name);

        if (number >= 0 && !voco_inventory_shard(v, number)) {
            orphan = number;
            orphans++;
        }
    }
    closedir(dir);
    w->next_shard = last + 1;
    if (err || orphans == 0)
        return err;
    char *name = voco_shard_name(orphan);
    if (orphans > 1 || orphan < last)
        err = voco_fail(VOCO_EFORMAT, "%s: %d shards (%s) are not in manifest.jsonl: "
                        "restore the manifest, or move these files away to have their "
                        "volumes converted again", w->folder, orphans, name);
    else if (unlinkat(w->folder_fd, name, 0) != 0)
        err = voco_fail_errno(VOCO_EIO, "%s/%s: cannot remove", w->folder, name);
    free(name);
    return err;
}

/* Drops lines whose volume is not there: it will be converted again. */
static enum voco_err
drop_lines(struct voco_store_writer *w, const struct voco_inventory *v)
{
    struct voco_manifest *m = &w->manifest;
    bool *keep = malloc((size_t)m->n + 1);

    if (!keep)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", w->folder);
    for (int i = 0; i < m->n; i++)
        keep[i] = m->line[i]->entry.reason || v->shard_of[i] >= 0;
    voco_manifest_filter(m, keep);
    free(keep);
    if (v->lost >= 0)
        voco_note("%s: shard %d is missing; %d volumes will be converted again",
                  w->folder, v->lost, v->lost_lines);
    if (v->cut >= 0)
        voco_note("%s: the last convert was interrupted; the volumes of shard %d will be "
                  "converted again", w->folder, v->cut);
    return VOCO_OK;
}

/* Classes mean the same in all of a store. */
static enum voco_err
check_classes(const struct voco_store_writer *w)
{
    const struct voco_header *has = &w->manifest.header;

    if (w->o.n_classes && w->o.n_classes != has->n_classes)
        return voco_fail(VOCO_EUSAGE, "%s: this store has %d named classes, asked was for "
                         "%d: name a new folder", w->folder, has->n_classes,
                         w->o.n_classes);
    for (int i = 0; i < w->o.n_classes; i++)
        if (strcmp(w->o.class_name[i], has->class_name[i]) != 0)
            return voco_fail(VOCO_EUSAGE, "%s: class %d of this store is %s, asked was "
                             "for %s: name a new folder", w->folder, i,
                             has->class_name[i], w->o.class_name[i]);
    return VOCO_OK;
}

static enum voco_err
reopen(struct voco_store_writer *w)
{
    struct voco_inventory v = {.lost = -1};
    const struct voco_header *has = &w->manifest.header;
    enum voco_err err = voco_manifest_read(w->folder, &w->manifest);

    if (err)
        return err;
    if (has->type != w->o.type || (w->o.chunk && has->chunk != w->o.chunk))
        return voco_fail(VOCO_EUSAGE, "%s: this store has type %s in chunks of %d, asked "
                         "was for %s in chunks of %d: name a new folder", w->folder,
                         voco_store_type_name(has->type), has->chunk,
                         voco_store_type_name(w->o.type),
                         w->o.chunk ? w->o.chunk : has->chunk);
    if ((err = check_classes(w)))
        return err;
    w->o.chunk = has->chunk;
    err = voco_inventory_take(w->folder, &w->manifest, &v);
    if (!err)
        err = remove_orphan(w, &v);
    if (!err && (v.lost >= 0 || v.cut >= 0))
        err = drop_lines(w, &v);
    if (!err && (v.lost >= 0 || v.cut >= 0 || w->manifest.torn))
        err = voco_manifest_write(&w->manifest);
    voco_inventory_free(&v);
    return err;
}

static enum voco_err
start(struct voco_store_writer *w)
{
    char *manifest = voco_format("%s/manifest.jsonl", w->folder);
    enum voco_err err = voco_folder_make(w->folder);

    if (!err)
        err = voco_folder_lock(w->folder, &w->folder_fd);
    if (!err)
        err = remove_temporaries(w);
    if (!err && voco_file_exists(manifest)) {
        err = reopen(w);
    } else if (!err && !(err = check_empty(w->folder))) {
        if (!w->o.chunk)
            w->o.chunk = VOCO_CHUNK_DEFAULT;
        err = voco_manifest_new(w->folder, &w->o, &w->manifest);
        if (!err)
            err = voco_manifest_write(&w->manifest);
    }
    if (!err) {
        w->manifest_fd = voco_open(manifest, O_WRONLY | O_APPEND, 0);
        if (w->manifest_fd < 0)
            err = voco_fail_errno(VOCO_EIO, "%s: cannot open to write", manifest);
    }
    free(manifest);
    return err;
}

enum voco_err
voco_store_create(const char *path, const struct voco_store_options *o,
                  struct voco_store_writer **ret)
{
    struct voco_store_writer *w = calloc(1, sizeof *w);
    enum voco_err err;

    *ret = NULL;
    if (!w)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", path);
    w->folder = voco_format("%s", path);
    w->folder_fd = w->manifest_fd = -1;
    w->o = *o;
    pthread_mutex_init(&w->mutex, NULL);
    if ((err = check_options(&w->o)) || (err = start(w))) {
        voco_store_abandon(w);
        return err;
    }
    *ret = w;
    return VOCO_OK;
}
