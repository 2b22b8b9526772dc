/* The voxel probe of a run that trains: few volumes, two folds, no intervals. */
#include "task/probe/watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/stop.h"
#include "task/probe/voxels.h"
#include "train/objective.h"

enum { VOLUMES = 8, CROPS = 8, VOXELS = 500, FOLDS = 2, SEED = 1 };

struct watch {
    struct voco_store *store;
    struct voco_voxel_cases cases;
    struct voco_store_scratch scratch;
};

static void
close_watch(void *work)
{
    struct watch *w = work;

    if (!w)
        return;
    voco_voxel_cases_free(&w->cases);
    voco_store_scratch_free(&w->scratch);
    voco_store_close(w->store);
    free(w);
}

static enum voco_err
open_watch(const struct voco_run_config *config, void **work)
{
    struct watch *w = calloc(1, sizeof *w);
    enum voco_err err;

    VOCO_NEED(w);
    *work = w;
    if ((err = voco_store_open(config->probe, &w->store)))
        return err;
    err = voco_voxel_cases_open(w->store, NULL, VOLUMES, FOLDS, SEED, &w->cases);
    if (err)
        return voco_fail_in(err, "--probe %s", config->probe);
    voco_note("%s: a probe of %d labelled volume%s, %d classes", config->probe, w->cases.n,
              voco_plural(w->cases.n), w->cases.classes);
    return VOCO_OK;
}

/* Features of all voxels in f32, and the sums of each volume and of a few fits. */
static double
watch_bytes(void *work, const struct voco_model_config *model)
{
    const struct watch *w = work;
    const double width = 32.0 * (double)model->feature;

    return w->cases.n * (CROPS * VOXELS * width * 4 + width * (width + w->cases.classes) * 8)
        + 6 * width * width * 8;
}

static enum voco_err
read_maps(struct watch *w, struct voco_ctx *ctx, const struct voco_model *model,
          struct voco_maps *maps)
{
    const struct voco_maps_options o = { .crops = CROPS, .voxels = VOXELS, .seed = SEED };
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < w->cases.n && !err; i++)
        err = voco_stop_signal ? voco_fail(VOCO_ESTOPPED, "stopped in a probe")
            : voco_maps_read(w->store, w->cases.volume[i], &o, ctx, model, &w->scratch,
                             &maps[i]);
    return err;
}

static enum voco_err
measure(void *work, struct voco_ctx *ctx, const struct voco_model *model,
        struct voco_record *record)
{
    struct watch *w = work;
    const struct voco_voxel_options o = { .threads = ctx->threads, .seed = SEED };
    struct voco_maps *maps = calloc((size_t)w->cases.n, sizeof *maps);
    struct voco_voxel_scores scores = { .n = 0 };
    enum voco_err err;

    VOCO_NEED(maps);
    if (!(err = read_maps(w, ctx, model, maps)))
        err = voco_voxel_score(&w->cases, maps, &o, &scores);
    if (!err) {
        voco_record_add(record, scores.mean, "probe_dice");
        snprintf(record->words, sizeof record->words, "probe Dice %.4f on %d volumes",
                 scores.mean, w->cases.n);
    }
    voco_voxel_scores_free(&scores);
    for (int i = 0; i < w->cases.n; i++)
        voco_maps_free(&maps[i]);
    free(maps);
    return err;
}

const struct voco_watch voco_probe_watch = {
    .open = open_watch,
    .close = close_watch,
    .bytes = watch_bytes,
    .measure = measure
};
