/* Voxel probes of several networks. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "dev/list.h"
#include "model/recognise.h"
#include "task/inference.h"
#include "task/probe/interval.h"
#include "task/probe/voxels_write.h"

enum { FEATURE = 48 };          /* of a random network, when nothing says another width */

void
voco_voxel_probe_free(struct voco_voxel_probe *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->network[i].name);
        voco_voxel_scores_free(&p->network[i].scores);
    }
    free(p->network);
    voco_voxel_cases_free(&p->cases);
    voco_store_close(p->store);
    *p = (struct voco_voxel_probe){ .network = NULL };
}

/* ---- networks ---- */

static enum voco_err
describe(const struct voco_voxel_config *c, const char *weights, struct voco_model_config *ret)
{
    enum voco_err err = voco_model_recognise_swinunetr(weights, c->merging, ret);

    if (!err)
        err = voco_model_expect_merging(weights, c->merging, ret);
    if (!err && ret->in_channels != 1)
        err = voco_fail(VOCO_ECHECKPOINT, "%s: weights for %lld input channels, expected 1",
                        weights, (long long)ret->in_channels);
    ret->classes = 0;                   /* of a file for segmentation, the encoder */
    return err;
}

static enum voco_err
open_weights(const struct voco_voxel_config *c, const char *weights, struct voco_inference *f)
{
    const struct voco_demand demand = { .want = VOCO_PARTS_BACKBONE,
                                        .need = VOCO_PARTS_BACKBONE, .run = true,
                                        .partial = c->partial };
    struct voco_model_config config;
    struct voco_coverage cover;
    enum voco_err err = describe(c, weights, &config);

    voco_inference_init(f, weights, VOCO_PRECISION_F32, (int)c->threads, false);
    if (!err && !(err = voco_inference_open(f, &config, &demand, &cover))
        && cover.missing + cover.mismatched)
        voco_warn("%s: %d parameters of the encoder are random numbers", weights,
                  cover.missing + cover.mismatched);
    return err;
}

/* Of the same width and order of patch merging as the first weights. */
static enum voco_err
open_random(const struct voco_voxel_config *c, struct voco_inference *f)
{
    struct voco_model_config config = { .net = VOCO_NET_SWINUNETR, .in_channels = 1,
                                        .feature = FEATURE,
                                        .merging = c->merging >= 0
                                            ? (enum voco_merging)c->merging
                                            : VOCO_MERGING_FIXED };
    struct voco_ctx_options open = { .threads = (int)c->threads };
    enum voco_err err = VOCO_OK;

    voco_inference_init(f, "random", VOCO_PRECISION_F32, (int)c->threads, false);
    open.choices = &f->choices;
    if (c->weights.n)
        err = describe(c, c->weights.item[0], &config);
    if (c->feature)
        config.feature = c->feature;
    if (!err && !(err = voco_ctx_open(&f->ctx, f->dev, &open))
        && !(err = voco_model_describe(&f->model, &config))
        && !(err = voco_model_allocate(&f->model, &f->ctx, false)))
        voco_model_fill(&f->model, &f->ctx, VOCO_INIT_TORCH, (uint64_t)c->random);
    return err ? err : f->ctx.err;
}

/* ---- one of them ---- */

static enum voco_err
read_maps(const struct voco_voxel_probe *p, struct voco_inference *f, const char *name,
          struct voco_maps *maps)
{
    const struct voco_maps_options o = { .crops = (int)p->config->crops,
                                         .voxels = (int)p->config->voxels,
                                         .seed = (uint64_t)p->config->seed };
    struct voco_store_scratch scratch = { .raw = NULL };
    struct voco_progress progress;
    enum voco_err err = VOCO_OK;

    voco_progress_start(&progress, "probe", 0, p->cases.n);
    for (int i = 0; i < p->cases.n && !err; i++) {
        err = voco_maps_read(p->store, p->cases.volume[i], &o, &f->ctx, &f->model, &scratch,
                             &maps[i]);
        voco_progress_show(&progress, i + 1, "%s", name);
    }
    voco_store_scratch_free(&scratch);
    if (!err)
        voco_progress_end(&progress, "%s: %d features of %d voxels of %d volumes", name,
                          maps[0].width, maps[0].n, p->cases.n);
    return err;
}

static enum voco_err
probe_network(const struct voco_voxel_probe *p, struct voco_inference *f,
              struct voco_voxel_network *n)
{
    const struct voco_voxel_config *c = p->config;
    const struct voco_voxel_options o = {
        .labelled = (int)c->labelled, .replicates = (int)c->replicates,
        .threads = c->threads > 0 ? (int)c->threads : voco_default_threads(),
        .seed = (uint64_t)c->seed
    };
    struct voco_maps *maps = calloc((size_t)p->cases.n, sizeof *maps);
    enum voco_err err;

    VOCO_NEED(maps);
    n->feature = f->model.config.feature;
    if (!(err = read_maps(p, f, n->name, maps)))
        err = voco_voxel_score(&p->cases, maps, &o, &n->scores);
    for (int i = 0; i < p->cases.n; i++)
        voco_maps_free(&maps[i]);
    free(maps);
    return err;
}

static void
compare(const struct voco_voxel_probe *p, struct voco_voxel_network *n)
{
    const struct voco_voxel_scores *first = &p->network[0].scores;

    n->difference = n->scores.mean - first->mean;
    voco_probe_interval(n->scores.draw, first->draw, (int)p->config->replicates,
                        &n->difference_low, &n->difference_high);
}

enum voco_err
voco_voxel_probe_run(const struct voco_voxel_config *config, const char *store,
                     struct voco_voxel_probe *ret)
{
    const int random = config->random != INT64_MIN;
    enum voco_err err;

    *ret = (struct voco_voxel_probe){ .config = config, .store_path = store };
    if (config->weights.n + random == 0)
        return voco_fail(VOCO_EUSAGE, "probe voxels: no network; name --weights FILE, or --random "
                         "SEED for one that is not trained");
    if ((err = voco_store_open(store, &ret->store)))
        return err;
    if ((err = voco_voxel_cases_open(ret->store, config->patients, 0, (int)config->folds,
                                     (uint64_t)config->seed, &ret->cases)))
        return voco_fail_in(err, "%s", store);
    if (ret->cases.unlabelled)
        voco_warn("%s: %d of %d volumes have no label map and are left out", store,
                  ret->cases.unlabelled, ret->cases.unlabelled + ret->cases.n);
    ret->network = calloc((size_t)(config->weights.n + random), sizeof *ret->network);
    VOCO_NEED(ret->network);
    while (ret->n < config->weights.n + random && !err) {
        struct voco_voxel_network *n = &ret->network[ret->n];
        struct voco_inference f = { .weights = NULL };

        n->name = random && ret->n == 0
            ? voco_format("random (seed %lld)", (long long)config->random)
            : voco_format("%s", config->weights.item[ret->n - random]);
        err = random && ret->n == 0
            ? open_random(config, &f) : open_weights(config, n->name, &f);
        ret->n++;
        if (!err)
            err = probe_network(ret, &f, n);
        if (!err)
            compare(ret, n);
        voco_inference_close(&f);
    }
    return err;
}
