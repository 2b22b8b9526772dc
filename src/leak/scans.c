/* Reading scans: out of stores by channel, out of lists by case. */
#include "leak/scans.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "data/dataset/case.h"
#include "data/dataset/datalist.h"
#include "data/store/store.h"

/* An input that is open: one of both. */
struct source {
    struct voco_store *store;
    struct voco_datalist list;
};

static bool
is_store(const char *path)
{
    char *manifest = voco_format("%s/manifest.jsonl", path);
    const bool is = voco_file_exists(manifest);

    free(manifest);
    return is;
}

static enum voco_err
open_source(const char *path, struct source *ret)
{
    const struct voco_datalist_options plain = { .root = NULL };
    enum voco_err err;

    *ret = (struct source){ .store = NULL };
    if (is_store(path))
        return voco_store_open(path, &ret->store);
    err = voco_datalist_add(&ret->list, path, &plain);
    return err ? err : voco_datalist_finish(&ret->list);
}

static void
close_source(struct source *s)
{
    voco_store_close(s->store);
    voco_datalist_free(&s->list);
}

static enum voco_err
read_stored(const struct voco_store *store, int i, int channel, struct voco_volume *ret)
{
    const struct voco_store_entry *e = voco_store_entry(store, i);
    const int64_t start[3] = { 0, 0, 0 };
    struct voco_store_scratch scratch = { 0 };
    enum voco_err err = voco_volume_alloc(ret, e->dim);

    if (!err) {
        memcpy(ret->affine, e->affine, sizeof ret->affine);
        err = voco_store_read_channel(store, i, channel, start, e->dim, ret->voxel, &scratch);
    }
    voco_store_scratch_free(&scratch);
    return err;
}

/* All channels of an entry or item. */
static enum voco_err
read_case(const struct source *s, int i, struct voco_case *ret)
{
    const struct voco_store_entry *e;
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_case){ .channel = NULL };
    if (!s->store && s->list.item[i].problem)
        return voco_fail(VOCO_EFORMAT, "%s", s->list.item[i].problem);
    if (!s->store)
        return voco_case_read(&s->list.item[i], VOCO_CHANNEL_ALL, NULL, ret);
    e = voco_store_entry(s->store, i);
    ret->channel = calloc((size_t)e->channels, sizeof *ret->channel);
    if (!ret->channel)
        return voco_fail(VOCO_EMEMORY, "no memory for %d channels", e->channels);
    for (; ret->n_channels < e->channels && !err; ret->n_channels++)
        err = read_stored(s->store, i, ret->n_channels, &ret->channel[ret->n_channels]);
    return err;
}

struct job {
    const struct source *source;
    struct voco_scan *scan;
    bool every;
    struct voco_progress *progress;
    int done;
};

static enum voco_err
describe(const struct voco_case *c, bool every, struct voco_scan *scan)
{
    enum voco_err err = VOCO_OK;

    scan->thumb = calloc((size_t)c->n_channels, sizeof *scan->thumb);
    if (!scan->thumb)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for thumbnails", scan->source);
    for (; scan->n_channels < c->n_channels && !err; scan->n_channels++)
        err = voco_thumb_make(&c->channel[scan->n_channels], every,
                              &scan->thumb[scan->n_channels]);
    return err;
}

static void
forget_thumbs(struct voco_scan *scan)
{
    for (int k = 0; k < scan->n_channels; k++)
        voco_thumb_free(&scan->thumb[k]);
    free(scan->thumb);
    scan->thumb = NULL;
    scan->n_channels = 0;
}

static enum voco_err
read_one(int64_t i, void *user)
{
    struct job *j = user;
    struct voco_scan *scan = &j->scan[i];
    struct voco_case c;
    enum voco_err err = read_case(j->source, (int)i, &c);
    int done;

    if (!err)
        err = describe(&c, j->every, scan);
    voco_case_free(&c);
    if (err) {
        forget_thumbs(scan);
        scan->problem = voco_format("%s", voco_fail_text());
    }
#pragma omp atomic capture
    done = ++j->done;
    voco_progress_show(j->progress, done, "%s", scan->id);
    return err == VOCO_EFORMAT ? VOCO_OK : err;
}

/* Names of an input's scans; index counts on from s->n. */
static enum voco_err
name_scans(const struct source *source, int input, int n, struct voco_scans *s)
{
    struct voco_scan *more = realloc(s->scan, ((size_t)s->n + (size_t)n + 1) * sizeof *more);

    if (!more)
        return voco_fail(VOCO_EMEMORY, "no memory for %d scans", n);
    s->scan = more;
    for (int i = 0; i < n; i++) {
        const struct voco_store_entry *e = source->store ? voco_store_entry(source->store, i)
                                                         : NULL;
        const struct voco_item *item = e ? NULL : &source->list.item[i];

        s->scan[s->n++] = (struct voco_scan){
            .input = input, .index = i, .crc = e ? e->crc : 0,
            .id = voco_format("%s", e ? e->id : item->id),
            .source = voco_format("%s", e ? e->source : item->image[0])
        };
    }
    return VOCO_OK;
}

static enum voco_err
read_input(const char *path, int input, bool every, int threads, struct voco_scans *s)
{
    struct voco_scan_input *in = &s->input[input];
    struct voco_progress progress;
    struct source source;
    enum voco_err err = open_source(path, &source);
    const int n = err ? 0 : source.store ? voco_store_count(source.store) : source.list.n;

    *in = (struct voco_scan_input){ .path = path, .first = s->n, .n = n };
    if (!err) {
        in->is_store = source.store != NULL;
        in->hash = source.store ? voco_store_hash(source.store) : 0;
        err = name_scans(&source, input, n, s);
    }
    if (!err) {
        struct job job = { .source = &source, .scan = s->scan + in->first, .every = every,
                           .progress = &progress };

        voco_progress_start(&progress, "read", 0, n);
        err = voco_parallel_for(threads, n, read_one, &job);
    }
    for (int i = in->first; i < s->n && !err; i++)
        s->n_problems += s->scan[i].problem != NULL;
    if (!err)
        voco_progress_end(&progress, "%s: %d scan%s", path, n, voco_plural(n));
    close_source(&source);
    return err;
}

enum voco_err
voco_scans_read(const char *const *input, int n, bool every, int threads,
                struct voco_scans *ret)
{
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_scans){ .input = calloc((size_t)n + 1, sizeof *ret->input) };
    if (!ret->input)
        return voco_fail(VOCO_EMEMORY, "no memory for %d inputs", n);
    for (; ret->n_inputs < n && !err; ret->n_inputs++)
        err = read_input(input[ret->n_inputs], ret->n_inputs, every, threads, ret);
    return err;
}

void
voco_scans_free(struct voco_scans *s)
{
    for (int i = 0; i < s->n; i++) {
        forget_thumbs(&s->scan[i]);
        free(s->scan[i].id);
        free(s->scan[i].source);
        free(s->scan[i].problem);
    }
    free(s->scan);
    free(s->input);
    *s = (struct voco_scans){ .scan = NULL };
}

enum voco_err
voco_scan_volume(const struct voco_scans *s, int i, int channel, struct voco_volume *ret)
{
    const struct voco_scan *scan = &s->scan[i];
    struct source source;
    struct voco_case c = { .channel = NULL };
    enum voco_err err = open_source(s->input[scan->input].path, &source);

    *ret = (struct voco_volume){ .voxel = NULL };
    if (!err)
        err = read_case(&source, scan->index, &c);
    if (!err && channel >= c.n_channels)
        err = voco_fail(VOCO_EFORMAT, "%s: has %d channels now, %d were compared",
                        scan->source, c.n_channels, scan->n_channels);
    if (!err) {
        *ret = c.channel[channel];
        c.channel[channel].voxel = NULL;
    }
    voco_case_free(&c);
    close_source(&source);
    return err;
}
