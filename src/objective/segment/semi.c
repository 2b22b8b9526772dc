/* Settings of semi-supervised training, and the store without labels. */
#include "objective/segment/semi.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/transform/transform.h"

const char *const voco_semi_teacher_names[] = { "snapshot", "ema", NULL };

static const struct voco_semi_config defaults = VOCO_SEMI_DEFAULTS;

bool
voco_semi_is_default(const struct voco_semi_config *c)
{
    return c->teacher == defaults.teacher && c->momentum == defaults.momentum
        && c->threshold == defaults.threshold && c->start == defaults.start;
}

enum voco_err
voco_semi_check(const struct voco_semi_config *c, const char *verb)
{
    if (c->teacher != VOCO_SEMI_EMA && c->momentum != defaults.momentum)
        return voco_fail(VOCO_EUSAGE, "%s: --semi-momentum %g: a snapshot does not move; see "
                         "--semi-teacher ema", verb, c->momentum);
    if (c->teacher == VOCO_SEMI_EMA && c->momentum >= 1.0)
        return voco_fail(VOCO_EUSAGE, "%s: --semi-momentum %g: expected a number below 1; "
                         "--semi-teacher snapshot does not move", verb, c->momentum);
    return VOCO_OK;
}

enum voco_err
voco_semi_settle(struct voco_semi_config *c, int64_t steps, struct voco_teacher_config *ret)
{
    if (c->start < 0)
        c->start = steps / 2;
    if (c->start >= steps)
        return voco_fail(VOCO_EUSAGE, "--semi-start %" PRId64 ": the run ends after %" PRId64
                         " step%s, expected an earlier one", c->start, steps,
                         voco_plural(steps));
    *ret = (struct voco_teacher_config){
        .there = true, .labels = true, .start = c->start,
        .momentum = c->teacher == VOCO_SEMI_EMA ? c->momentum : 1.0 };
    return VOCO_OK;
}

/* ---- images ---- */

/* Were both resampled to the same spacing? */
static enum voco_err
compare_spacing(const struct voco_store_entry *e, const struct voco_store_entry *like,
                bool *ret_same)
{
    struct voco_transform a, b;
    enum voco_err err;

    if ((err = voco_transform_of_report(e->transforms, &a)) != VOCO_OK
        || (err = voco_transform_of_report(like->transforms, &b)) != VOCO_OK)
        return err;
    *ret_same = memcmp(a.spacing_mm, b.spacing_mm, sizeof a.spacing_mm) == 0;
    return VOCO_OK;
}

enum voco_err
voco_semi_images(const char *path, const struct voco_store *store,
                 const struct voco_store_entry *like, bool mixed)
{
    const int count = voco_store_count(store);
    const struct voco_store_entry *other = NULL;
    int others = 0;

    for (int i = 0; i < count; i++) {
        const struct voco_store_entry *e = voco_store_entry(store, i);
        bool same = true;
        enum voco_err err;

        if (e->channels != like->channels)
            return voco_fail(VOCO_EFORMAT, "%s: volume %s has %d channel%s, the labelled "
                             "volumes have %d", path, e->id, e->channels,
                             voco_plural(e->channels), like->channels);
        if ((err = compare_spacing(e, like, &same)) != VOCO_OK)
            return voco_fail_in(err, "%s: %s", path, e->id);
        if (!same) {
            other = e;
            others++;
        }
    }
    if (others && (!mixed || others == count))
        return voco_fail(VOCO_EFORMAT, "%s: volume %s has voxels of %g x %g x %g mm, the "
                         "labelled volumes of %g x %g x %g: convert both with the same "
                         "--spacing", path, other->id, other->spacing_mm[0],
                         other->spacing_mm[1], other->spacing_mm[2], like->spacing_mm[0],
                         like->spacing_mm[1], like->spacing_mm[2]);
    if (others)
        voco_warn("%s: %d of %d volumes have another spacing than the labelled ones, which the "
                  "teacher learns from", path, others, count);
    return VOCO_OK;
}

/* ---- the store ---- */

/* The same image: made of the same file, or with the same voxels. */
static bool
is_among(const struct voco_store *store, const int *volume, int n,
         const struct voco_store_entry *e)
{
    for (int i = 0; i < n; i++) {
        const struct voco_store_entry *v = voco_store_entry(store, volume[i]);

        if (strcmp(v->source, e->source) == 0
            || (v->crc == e->crc && memcmp(v->dim, e->dim, sizeof e->dim) == 0))
            return true;
    }
    return false;
}

enum voco_err
voco_unlabelled_open(const char *path, const struct voco_store *first, int like,
                     const int *validate, int n, struct voco_unlabelled *ret)
{
    enum voco_err err = voco_store_open(path, &ret->store);
    int count;

    if (err != VOCO_OK
        || (err = voco_semi_images(path, ret->store, voco_store_entry(first, like), false))
           != VOCO_OK)
        return err;
    count = voco_store_count(ret->store);
    ret->volume = calloc((size_t)count + 1, sizeof *ret->volume);
    VOCO_NEED(ret->volume);
    for (int i = 0; i < count; i++)
        if (!is_among(first, validate, n, voco_store_entry(ret->store, i)))
            ret->volume[ret->n++] = i;
    if (ret->n == 0)
        return voco_fail(VOCO_EFORMAT, "%s: none of its %d volumes is left to learn from: the "
                         "run validates on them", path, count);
    voco_note("%s: %d volume%s, whose labels the teacher predicts", path, ret->n,
              voco_plural(ret->n));
    if (ret->n < count)
        voco_note("%s: %d volume%s left out, on which the run validates", path,
                  count - ret->n, voco_plural(count - ret->n));
    return VOCO_OK;
}

void
voco_unlabelled_close(struct voco_unlabelled *u)
{
    voco_seg_close(u->loader);
    voco_store_close(u->store);
    free(u->volume);
    *u = (struct voco_unlabelled){ .store = NULL };
}
