/* Replayed batches of views. */
#include "objective/views/replay.h"

#include <stdlib.h>

#include "base/log.h"
#include "data/store/cropfile.h"
#include "data/store/hdf5.h"

static enum voco_err
read_view(struct voco_h5 *h, const char *path, const char *name, struct voco_cropset *ret)
{
    bool there;
    enum voco_err err = voco_h5_has(h, name, &there);

    if (err != VOCO_OK)
        return err;
    if (!there)
        return voco_fail(VOCO_EFORMAT, "%s: no dataset %s; a replayed batch has v0 and v1, "
                         "two views of each crop", path, name);
    return voco_cropset_read(h, path, name, ret);
}

/* Takes the views of both sets. */
static enum voco_err
take(const char *path, int crops, struct voco_cropset set[2], struct voco_views_replay *r)
{
    if (set[0].n != set[1].n || set[0].roi != set[1].roi)
        return voco_fail(VOCO_EFORMAT, "%s: v0 has %d crops with edges of %d, v1 %d of %d: "
                         "expected two views of the same crops", path, set[0].n, set[0].roi,
                         set[1].n, set[1].roi);
    if (set[0].n % crops != 0)
        return voco_fail(VOCO_EFORMAT, "%s: views of %d crops, expected a multiple of the %d "
                         "of a volume; see --crops", path, set[0].n, crops);
    *r = (struct voco_views_replay){ .volumes = set[0].n / crops, .crops = crops,
                                     .roi = set[0].roi };
    for (int v = 0; v < 2; v++) {
        r->view[v] = set[v].crops;
        set[v].crops = NULL;
    }
    return VOCO_OK;
}

enum voco_err
voco_views_replay_open(const char *path, int crops, struct voco_views_replay *ret)
{
    struct voco_cropset set[2] = { { 0 } };
    struct voco_h5 *h;
    enum voco_err err = voco_h5_open(path, &h);

    *ret = (struct voco_views_replay){ 0 };
    if (err != VOCO_OK)
        return err;
    if ((err = read_view(h, path, "v0", &set[0])) == VOCO_OK
        && (err = read_view(h, path, "v1", &set[1])) == VOCO_OK)
        err = take(path, crops, set, ret);
    voco_h5_close(h);
    voco_cropset_free(&set[0]);
    voco_cropset_free(&set[1]);
    return err;
}

void
voco_views_replay_free(struct voco_views_replay *r)
{
    free(r->view[0]);
    free(r->view[1]);
    *r = (struct voco_views_replay){ 0 };
}
