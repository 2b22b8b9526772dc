/*
 * make_segweights OUT.safetensors FEATURE CHANNELS CLASSES ROI PRESET SEED: weights of a
 * segmentation network by the reference's formula, as fine-tuning writes them.  PRESET -:
 * the file does not say how volumes were prepared.  FEATURE below 0: version 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "data/transform/preset.h"
#include "model/weights.h"

static const struct voco_transform *
preset_of(const char *name)
{
    for (int i = 0; voco_presets[i].name; i++)
        if (strcmp(voco_presets[i].name, name) == 0)
            return &voco_presets[i].transform;
    return NULL;
}

int
main(int argc, char **argv)
{
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    struct voco_seginfo info = { 0 };
    struct voco_model_config config;
    const struct voco_transform *t;
    char *name[] = { "background", "one", "two", "three" };
    int feature;
    enum voco_err err;

    if (argc != 8)
        return 2;
    feature = atoi(argv[2]);
    config = (struct voco_model_config){
        .feature = feature < 0 ? -feature : feature, .plain = feature < 0,
        .in_channels = atoi(argv[3]), .classes = atoi(argv[4]),
        .merging = VOCO_MERGING_FIXED };
    for (int i = 0; i < 3; i++)
        info.roi[i] = atoi(argv[5]);
    if ((t = preset_of(argv[6])) != NULL) {
        info.has_transform = true;
        info.transform = *t;
        info.preset = argv[6];
    }
    if (config.classes <= 4) {
        info.class_name = name;
        info.n_classes = (int)config.classes;
    }
    if ((err = voco_ctx_open(&ctx, &voco_cpu, NULL)) == VOCO_OK
        && (err = voco_model_describe(&model, &config)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, false)) == VOCO_OK) {
        voco_model_fill(&model, &ctx, VOCO_INIT_HASH, strtoull(argv[7], NULL, 10));
        model.seginfo = &info;
        err = voco_model_save(argv[1], &ctx, &model, NULL, NULL);
    }
    if (err != VOCO_OK)
        fprintf(stderr, "make_segweights: %s\n", voco_fail_text());
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    return err == VOCO_OK ? 0 : 1;
}
