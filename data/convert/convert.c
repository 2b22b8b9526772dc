/* Convert: who is next, whether memory allows it, and one volume's way to the store. */
#define _GNU_SOURCE
#include "data/convert/convert.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/parallel.h"

/* Assumed for a DICOM folder, which has no one header to ask: 512x512x500 voxels. */
static const double bytes_unknown = 12.0 * 512 * 512 * 500;

struct state {
    const struct voco_datalist *list;
    const struct voco_convert_options *o;
    struct voco_convert_result *result;
    struct voco_store_writer *writer;
    struct voco_progress progress;
    const int *todo;                    /* indices into the list */
    pthread_mutex_t lock;               /* of all below and of result */
    pthread_cond_t room;
    double in_use;                      /* bytes of the volumes in hand */
    int in_hand;
    int64_t done;
};

void
voco_convert_result_free(struct voco_convert_result *r)
{
    for (int i = 0; r->outcome && i < r->n; i++)
        free(r->outcome[i].reason);
    free(r->outcome);
    *r = (struct voco_convert_result){ .outcome = NULL };
}

/* ---- volumes that the store has already ---- */

/* Two names of one file, or a name whose file has gone since. */
static bool
same_source(const char *stored, const char *now)
{
    char *a, *b;
    bool same;

    if (!stored || strcmp(stored, now) == 0)
        return true;
    a = realpath(stored, NULL);
    b = realpath(now, NULL);
    same = !a || (b && strcmp(a, b) == 0);
    free(a);
    free(b);
    return same;
}

/* The files of an item's image that are read. */
static char *const *
images_of(const struct voco_item *item, int channel, int *ret_n)
{
    const bool all = channel == VOCO_CHANNEL_ALL || item->n_images == 1;

    *ret_n = all ? item->n_images : 1;
    return all || channel < 0 || channel >= item->n_images ? item->image
                                                           : item->image + channel;
}

bool
voco_convert_same(const struct voco_store_entry *entry, const struct voco_item *item,
                  const struct voco_convert_options *o, char *what, size_t what_n)
{
    char *const *image;
    int n;

    if (!same_source(entry->source, voco_case_source(item, o->channel))) {
        snprintf(what, what_n, "it was made from %s, now %s", entry->source,
                 voco_case_source(item, o->channel));
        return false;
    }
    if (entry->dataset && strcmp(entry->dataset, o->dataset) != 0) {
        snprintf(what, what_n, "--dataset was %s, now %s", entry->dataset, o->dataset);
        return false;
    }
    if (o->labels && entry->label.source && item->label
        && !same_source(entry->label.source, item->label)) {
        snprintf(what, what_n, "its labels were made from %s, now %s",
                 entry->label.source, item->label);
        return false;
    }
    if (!voco_transform_same(entry->transforms, &o->transform, what, what_n))
        return false;
    image = images_of(item, o->channel, &n);
    return voco_stamp_same(&entry->stamp, image, n, what, what_n)
        && (!o->labels || !entry->label.source || !item->label
            || voco_stamp_same(&entry->label.stamp, &item->label, 1, what, what_n));
}

/* Sorts the items into skipped and to do; the first that was stored otherwise is an
 * error, before any work. */
static enum voco_err
look_for_stored(struct state *s, int *todo, int *ret_n)
{
    char what[512];
    int n = 0;

    for (int i = 0; i < s->list->n; i++) {
        const struct voco_item *item = &s->list->item[i];
        const struct voco_store_entry *old = voco_store_written(s->writer, item->id);

        if (!old || old->reason) {
            s->result->outcome[i].reason = old ? voco_format("%s", old->reason) : NULL;
            todo[n++] = i;
            continue;
        }
        if (!voco_convert_same(old, item, s->o, what, sizeof what))
            return voco_fail(VOCO_EUSAGE, "%s: volume %s is there already, but %s; name "
                             "a new store, or give the same options", s->o->store,
                             item->id, what);
        s->result->outcome[i].fate = VOCO_FATE_SKIPPED;
        s->result->skipped++;
    }
    *ret_n = n;
    return VOCO_OK;
}

/* ---- plan and memory ---- */

enum voco_err
voco_convert_plan(const struct voco_item *item, const struct voco_convert_options *o,
                  struct voco_convert_plan *ret)
{
    struct voco_volume_header h;
    struct voco_volume v = { .voxel = NULL };
    enum voco_err err = voco_case_describe(item, o->channel, o->labels != NULL, &h);

    *ret = (struct voco_convert_plan){ .bytes = 0 };
    if (err || !h.format)
        return err;
    memcpy(v.dim, h.dim, sizeof v.dim);
    memcpy(v.affine, h.affine, sizeof v.affine);
    memcpy(ret->from, h.dim, sizeof ret->from);
    memcpy(ret->from_mm, h.spacing_mm, sizeof ret->from_mm);
    ret->channels = h.channels;
    err = voco_transform_plan(&v, &o->transform, ret->to, ret->to_mm, &ret->bytes);
    ret->bytes *= h.channels + (o->labels != NULL);
    return err ? voco_fail_in(err, "%s", voco_case_source(item, o->channel)) : VOCO_OK;
}

/* Waits until the volumes in hand leave so many bytes.  One volume alone may always use
 * all of the memory that the user allows, but no more. */
static enum voco_err
take_memory(struct state *s, const char *path, double bytes)
{
    char need[16], have[16];

    if (bytes > (double)s->o->memory_bytes)
        return voco_fail(VOCO_EFORMAT, "%s: needs %s of memory, --memory allows %s", path,
                         voco_format_bytes(bytes, need),
                         voco_format_bytes((double)s->o->memory_bytes, have));
    pthread_mutex_lock(&s->lock);
    while (s->in_hand > 0 && s->in_use + bytes > (double)s->o->memory_bytes)
        pthread_cond_wait(&s->room, &s->lock);
    s->in_use += bytes;
    s->in_hand++;
    pthread_mutex_unlock(&s->lock);
    return VOCO_OK;
}

static void
return_memory(struct state *s, double bytes)
{
    pthread_mutex_lock(&s->lock);
    s->in_use -= bytes;
    s->in_hand--;
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->lock);
}

/* ---- one volume ---- */

static struct voco_store_entry
entry_of(const struct state *s, const struct voco_item *item)
{
    return (struct voco_store_entry){
        .id = item->id, .source = voco_case_source(item, s->o->channel),
        .dataset = s->o->dataset, .preset = s->o->preset,
        .label = { .source = s->o->labels ? item->label : NULL }
    };
}

/* The sentence of this thread becomes the item's reason, in the result and in the store.
 * Until then the reason is that of an earlier convert.  Only what the store refuses is
 * an error. */
static enum voco_err
reject(struct state *s, int index)
{
    const struct voco_item *item = &s->list->item[index];
    const struct voco_store_entry entry = entry_of(s, item);
    struct voco_outcome *outcome = &s->result->outcome[index];
    char *reason = voco_format("%s", voco_fail_text());
    enum voco_err err = VOCO_OK;

    voco_note("rejected %s: %s", item->id, reason);
    if (!outcome->reason || strcmp(outcome->reason, reason) != 0)   /* news */
        err = voco_store_reject(s->writer, &entry, reason);
    pthread_mutex_lock(&s->lock);
    free(outcome->reason);
    *outcome = (struct voco_outcome){ VOCO_FATE_REJECTED, reason };
    s->result->rejected++;
    pthread_mutex_unlock(&s->lock);
    return err;
}

static void
count_stored(struct state *s, int index, const struct voco_transform_report *r,
             int64_t outside)
{
    struct voco_convert_result *sum = s->result;

    pthread_mutex_lock(&s->lock);
    sum->outcome[index].fate = VOCO_FATE_STORED;
    sum->stored++;
    sum->voxels += r->voxels;
    sum->below += r->below;
    sum->above += r->above;
    sum->nonfinite += r->nonfinite;
    sum->outside += outside;
    pthread_mutex_unlock(&s->lock);
}

/* Before they are read: a change while they are read is found the next time. */
static enum voco_err
stamp_files(const struct voco_item *item, const struct voco_convert_options *o,
            struct voco_store_entry *entry)
{
    int n;
    char *const *image = images_of(item, o->channel, &n);
    enum voco_err err = voco_stamp_make(image, n, &entry->stamp);

    if (!err && entry->label.source)
        err = voco_stamp_make(&item->label, 1, &entry->label.stamp);
    return err;
}

/* Label maps lie beside images under names of all kinds: what a search found and looks like
 * one is left out, what somebody named is taken at their word. */
static enum voco_err
check_content(const struct voco_item *item, const struct voco_volume *v, const char *path)
{
    int values;

    if (!voco_volume_looks_labelled(v, &values))
        return VOCO_OK;
    if (item->found)
        return voco_fail(VOCO_EFORMAT, "%s: looks like a label map, with %d different whole"
                         " values: left out; name the file, or list it, to store it as an"
                         " image", path, values);
    voco_warn("%s: stored as an image, but looks like a label map, with %d different whole"
              " values", path, values);
    return VOCO_OK;
}

/* Reads, transforms and stores.  *ret_bad: the volume is at fault, not the store. */
static enum voco_err
convert_volume(struct state *s, int index, bool *ret_bad)
{
    const struct voco_item *item = &s->list->item[index];
    struct voco_case c = { .channel = NULL };
    struct voco_transform_report r = { .json = NULL };
    struct voco_store_entry entry = entry_of(s, item);
    int64_t outside = 0;
    enum voco_err err = stamp_files(item, s->o, &entry);

    *ret_bad = true;
    if (!err)
        err = voco_case_read(item, s->o->channel, s->o->labels, &c);
    if (!err) {
        entry.place = c.channel[0].place;
        err = check_content(item, &c.channel[0], entry.source);
    }
    if (!err) {
        err = voco_transform_case(&c, &s->o->transform, &r);
        if (err)
            err = voco_fail_in(err, "%s", entry.source);
    }
    if (!err) {
        *ret_bad = false;
        entry.transforms = r.json;
        memcpy(entry.window, r.window, sizeof entry.window);
        err = voco_store_add_case(s->writer, &entry, &c, &outside);
    }
    if (!err)
        count_stored(s, index, &r, outside);
    voco_transform_report_free(&r);
    voco_case_free(&c);
    return err;
}

static enum voco_err
convert_one(int64_t turn, void *user)
{
    struct state *s = user;
    const int index = s->todo[turn];
    const struct voco_item *item = &s->list->item[index];
    struct voco_convert_plan plan;
    bool bad = true;
    enum voco_err err;

    if (s->o->stop && *s->o->stop)
        return VOCO_OK;
    err = voco_convert_plan(item, s->o, &plan);
    if (!err && plan.bytes == 0)
        plan.bytes = bytes_unknown < (double)s->o->memory_bytes
                         ? bytes_unknown : (double)s->o->memory_bytes;
    if (!err)
        err = take_memory(s, voco_case_source(item, s->o->channel), plan.bytes);
    if (!err) {
        voco_detail("%s: %s", item->id, voco_case_source(item, s->o->channel));
        err = convert_volume(s, index, &bad);
        return_memory(s, plan.bytes);
    }
    if (err && bad)
        err = reject(s, index);
    if (err)
        return err;
    pthread_mutex_lock(&s->lock);
    voco_progress_show(&s->progress, ++s->done, "%" PRId64 " rejected",
                       s->result->rejected);
    pthread_mutex_unlock(&s->lock);
    return VOCO_OK;
}

/* ---- all of them ---- */

/* Publishes what is complete whatever happened before; the first failure is the one to
 * tell. */
static enum voco_err
finish(struct state *s, enum voco_err err)
{
    char *why = err ? voco_format("%s", voco_fail_text()) : NULL;
    const enum voco_err end = voco_store_finish(s->writer);

    if (err)
        voco_fail(err, "%s", why);
    free(why);
    return err ? err : end;
}

enum voco_err
voco_convert_run(const struct voco_datalist *list, const struct voco_convert_options *o,
                 struct voco_convert_result *ret)
{
    struct state s = { .list = list, .o = o, .result = ret };
    int *todo = calloc((size_t)list->n + 1, sizeof *todo), n = 0;
    enum voco_err err;

    *ret = (struct voco_convert_result){ .n = list->n };
    ret->outcome = calloc((size_t)list->n + 1, sizeof *ret->outcome);
    if (!todo || !ret->outcome) {
        free(todo);
        return voco_fail(VOCO_EMEMORY, "no memory for a list of %d volumes", list->n);
    }
    err = voco_store_create(o->store, &o->element, &s.writer);
    if (err) {
        free(todo);
        return err;
    }
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.room, NULL);
    err = look_for_stored(&s, todo, &n);
    if (!err) {
        if (ret->skipped)
            voco_note("%" PRId64 " of %d volumes are in %s already", ret->skipped,
                      list->n, o->store);
        s.todo = todo;
        s.done = ret->skipped;
        voco_progress_start(&s.progress, "convert", s.done, list->n);
        err = voco_parallel_for(o->threads, n, convert_one, &s);
        voco_progress_end(&s.progress, "%" PRId64 " %s, %" PRId64 " rejected", ret->stored,
                          err ? "done when it failed" : "stored", ret->rejected);
    }
    err = finish(&s, err);
    ret->pending = list->n - ret->stored - ret->skipped - ret->rejected;
    pthread_cond_destroy(&s.room);
    pthread_mutex_destroy(&s.lock);
    free(todo);
    return err;
}
