/* Kinds of batches on the ring of slots. */
#include "data/batch/batches.h"

#include <stdlib.h>

#include "data/batch/ring.h"

struct voco_batches {
    const struct voco_batch_kind *kind;
    void *source;
    char *slot;                 /* [n_slots] batches of kind->bytes */
    int n_slots;
    struct voco_ring *ring;
};

static void *
batch_in(const struct voco_batches *b, int slot)
{
    return b->slot + (size_t)slot * b->kind->bytes;
}

static void
begin(void *user, int slot, int64_t step, int unit)
{
    struct voco_batches *b = user;
    struct voco_batch_head *head = batch_in(b, slot);

    head->step = step;
    b->kind->begin(b->source, head, unit);
}

static enum voco_err
fill(void *user, int slot, int unit, void *own)
{
    const struct voco_batches *b = user;

    return b->kind->fill(b->source, batch_in(b, slot), unit, own);
}

static void *
own_new(void *user)
{
    const struct voco_batches *b = user;

    return b->kind->own_new(b->source);
}

enum voco_err
voco_batches_open(const struct voco_batch_kind *kind, void *source, int units, int threads,
                  int ahead, int64_t first_step, struct voco_batches **ret)
{
    struct voco_batches *b = calloc(1, sizeof *b);
    const struct voco_ring_work work = {
        .user = b, .units = units, .threads = threads, .ahead = ahead, .begin = begin,
        .fill = fill, .own_new = own_new, .own_free = kind->own_free
    };
    enum voco_err err = voco_ring_check(&work);

    *ret = NULL;
    if (!err && b) {
        b->kind = kind;
        b->source = source;
        b->slot = calloc((size_t)voco_ring_slots(&work), kind->bytes);
    }
    if (!err && (!b || !b->slot))
        err = voco_fail(VOCO_EMEMORY, "no memory for batches of %s", kind->name);
    while (!err && b->n_slots < voco_ring_slots(&work))
        err = kind->alloc(source, batch_in(b, b->n_slots++));
    if (!err)
        err = voco_ring_open(&work, first_step, &b->ring);
    if (err) {
        voco_batches_close(b);
        return err;
    }
    *ret = b;
    return VOCO_OK;
}

enum voco_err
voco_batches_next(struct voco_batches *b, const void **ret, double *ret_waited_s)
{
    int slot;
    const enum voco_err err = voco_ring_next(b->ring, &slot, ret_waited_s);

    *ret = err ? NULL : batch_in(b, slot);
    return err;
}

void
voco_batches_close(struct voco_batches *b)
{
    if (!b)
        return;
    voco_ring_close(b->ring);
    for (int i = 0; i < b->n_slots; i++)
        b->kind->free(batch_in(b, i));
    free(b->slot);
    free(b);
}

enum voco_err
voco_batch_number(const char *name, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high)
        return VOCO_OK;
    return voco_fail(VOCO_EUSAGE, "%s is %lld, expected %lld to %lld", name,
                     (long long)value, (long long)low, (long long)high);
}

void *
voco_batch_array(int64_t n, size_t size)
{
    const size_t bytes = ((size_t)n * size + 63) / 64 * 64;

    return aligned_alloc(64, bytes ? bytes : 64);
}
