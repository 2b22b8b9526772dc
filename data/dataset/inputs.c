/* Inputs of a command line: the volumes of stores, of files of crops, of lists. */
#include "data/dataset/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/dataset/case.h"
#include "data/store/cropfile.h"

void
voco_inputs_free(struct voco_inputs *in)
{
    for (int i = 0; i < in->n_stores; i++)
        voco_store_close(in->store[i]);
    free(in->store);
    free(in->entry);
    voco_datalist_free(&in->list);
    *in = (struct voco_inputs){ .entry = NULL };
}

static enum voco_err
grow(void **array, int n, size_t size)
{
    void *more = realloc(*array, (size_t)n * size);

    if (!more)
        return voco_fail(VOCO_EMEMORY, "no memory for a list of %d inputs", n);
    *array = more;
    return VOCO_OK;
}

static enum voco_err
add_entry(struct voco_inputs *in, struct voco_input_entry entry)
{
    const enum voco_err err = grow((void **)&in->entry, in->n + 1, sizeof *in->entry);

    if (!err)
        in->entry[in->n++] = entry;
    return err;
}

static enum voco_err
add_store(struct voco_inputs *in, const char *path)
{
    struct voco_store *s;
    enum voco_err err = grow((void **)&in->store, in->n_stores + 1, sizeof *in->store);

    if (err || (err = voco_store_open(path, &s)))
        return err;
    in->store[in->n_stores++] = s;
    for (int i = 0; i < voco_store_count(s) && !err; i++) {
        const struct voco_store_entry *e = voco_store_entry(s, i);

        err = add_entry(in, (struct voco_input_entry){ .id = e->id, .source = e->source,
                                                       .store = s, .index = i });
    }
    return err;
}

enum voco_err
voco_inputs_open(struct voco_inputs *in, int n, const char *const *path,
                 const struct voco_inputs_options *o)
{
    const struct voco_datalist_options lo = { .test_split = o->test_split };
    enum voco_err err = VOCO_OK;

    *in = (struct voco_inputs){ .entry = NULL };
    for (int i = 0; i < n && !err; i++) {
        if (voco_store_is(path[i]))
            err = add_store(in, path[i]);
        else if (o->crops && voco_cropfile_is(path[i]))
            err = add_entry(in, (struct voco_input_entry){ .id = path[i],
                                                           .source = path[i] });
        else
            err = voco_datalist_add(&in->list, path[i], &lo);
    }
    if (!err && in->list.n)
        err = voco_datalist_finish(&in->list);
    for (int i = 0; i < in->list.n && !err; i++) {
        const struct voco_item *item = &in->list.item[i];

        err = add_entry(in, (struct voco_input_entry){ .id = item->id,
                                                       .source = item->image[0],
                                                       .item = item });
    }
    return err;
}

static int
by_id(const void *a, const void *b)
{
    return strcmp((*(const struct voco_input_entry *const *)a)->id,
                  (*(const struct voco_input_entry *const *)b)->id);
}

bool
voco_inputs_clash(const struct voco_inputs *in, const struct voco_input_entry **ret_a,
                  const struct voco_input_entry **ret_b)
{
    const struct voco_input_entry **sorted = calloc((size_t)in->n + 1, sizeof *sorted);
    bool clash = false;

    VOCO_NEED(sorted);
    for (int i = 0; i < in->n; i++)
        sorted[i] = &in->entry[i];
    qsort(sorted, (size_t)in->n, sizeof *sorted, by_id);
    for (int i = 1; i < in->n && !clash; i++) {
        *ret_a = sorted[i - 1];
        *ret_b = sorted[i];
        clash = strcmp((*ret_a)->id, (*ret_b)->id) == 0;
    }
    free(sorted);
    return clash;
}

static enum voco_err
read_stored(const struct voco_store *s, int i, struct voco_case *ret)
{
    static const int64_t origin[3] = { 0 };
    const struct voco_store_entry *e = voco_store_entry(s, i);
    struct voco_store_scratch scratch = { 0 };
    enum voco_err err = VOCO_OK;

    ret->channel = calloc((size_t)e->channels, sizeof *ret->channel);
    if (!ret->channel)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for its channels", e->id);
    for (int c = 0; c < e->channels && !err; c++) {
        struct voco_volume *v = &ret->channel[c];

        ret->n_channels = c + 1;
        if (!(err = voco_volume_alloc(v, e->dim))) {
            memcpy(v->affine, e->affine, sizeof v->affine);
            v->place = e->place;
            err = voco_store_read_channel(s, i, c, origin, e->dim, v->voxel, &scratch);
        }
    }
    voco_store_scratch_free(&scratch);
    if (err)
        voco_case_free(ret);
    return err;
}

enum voco_err
voco_input_read(const struct voco_input_entry *in, struct voco_case *ret)
{
    VOCO_ASSERT(in->item || in->store);
    *ret = (struct voco_case){ .channel = NULL };
    if (in->store)
        return read_stored(in->store, in->index, ret);
    if (in->item->problem)
        return voco_fail(VOCO_EFORMAT, "%s", in->item->problem);
    return voco_case_read(in->item, VOCO_CHANNEL_ALL, NULL, ret);
}

enum voco_err
voco_input_reject(enum voco_err err, int *rejected)
{
    if (err != VOCO_EFORMAT)
        return err;
    voco_warn("rejected: %s", voco_fail_text());
    (*rejected)++;
    return VOCO_OK;
}
