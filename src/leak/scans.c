/* Reading scans: out of stores by channel, out of lists by case. */
#include "leak/scans.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"
#include "data/dataset/inputs.h"

static const struct voco_inputs_options plain = { .test_split = false };

struct job {
    const struct voco_inputs *in;
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
    enum voco_err err = voco_input_read(&j->in->entry[i], &c);
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
name_scans(const struct voco_inputs *in, int input, struct voco_scans *s)
{
    struct voco_scan *more = realloc(s->scan,
                                     ((size_t)s->n + (size_t)in->n + 1) * sizeof *more);

    if (!more)
        return voco_fail(VOCO_EMEMORY, "no memory for %d scans", in->n);
    s->scan = more;
    for (int i = 0; i < in->n; i++) {
        const struct voco_input_entry *e = &in->entry[i];

        s->scan[s->n++] = (struct voco_scan){
            .input = input, .index = i,
            .crc = e->store ? voco_store_entry(e->store, e->index)->crc : 0,
            .id = voco_format("%s", e->id), .source = voco_format("%s", e->source)
        };
    }
    return VOCO_OK;
}

static enum voco_err
read_input(const char *path, int input, bool every, int threads, struct voco_scans *s)
{
    struct voco_scan_input *in = &s->input[input];
    struct voco_progress progress;
    struct voco_inputs volumes;
    enum voco_err err = voco_inputs_open(&volumes, 1, &path, &plain);
    const int n = volumes.n;

    *in = (struct voco_scan_input){ .path = path, .first = s->n, .n = err ? 0 : n };
    if (!err) {
        in->is_store = volumes.n_stores > 0;
        in->hash = in->is_store ? voco_store_hash(volumes.store[0]) : 0;
        err = name_scans(&volumes, input, s);
    }
    if (!err) {
        struct job job = { .in = &volumes, .scan = s->scan + in->first, .every = every,
                           .progress = &progress };

        voco_progress_start(&progress, "read", 0, n);
        err = voco_parallel_for(threads, n, read_one, &job);
    }
    for (int i = in->first; i < s->n && !err; i++)
        s->n_problems += s->scan[i].problem != NULL;
    if (!err)
        voco_progress_end(&progress, "%s: %d scan%s", path, n, voco_plural(n));
    voco_inputs_free(&volumes);
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
    struct voco_inputs volumes;
    struct voco_case c = { .channel = NULL };
    enum voco_err err = voco_inputs_open(&volumes, 1, &s->input[scan->input].path, &plain);

    *ret = (struct voco_volume){ .voxel = NULL };
    if (!err && scan->index >= volumes.n)
        err = voco_fail(VOCO_EFORMAT, "%s: is not in %s any more", scan->source,
                        s->input[scan->input].path);
    if (!err)
        err = voco_input_read(&volumes.entry[scan->index], &c);
    if (!err && channel >= c.n_channels)
        err = voco_fail(VOCO_EFORMAT, "%s: has %d channels now, %d were compared",
                        scan->source, c.n_channels, scan->n_channels);
    if (!err) {
        *ret = c.channel[channel];
        c.channel[channel].voxel = NULL;
    }
    voco_case_free(&c);
    voco_inputs_free(&volumes);
    return err;
}
