/* make_tiny OUT.safetensors: weights of a PlainConvUNet so small that a step takes
 * milliseconds, one channel and 12 classes, by the reference's formula. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "data/transform/preset.h"
#include "model/weights.h"

#define K { 3, 3, 3 }

int
main(int argc, char **argv)
{
    static const struct voco_model_config config = {
        .net = VOCO_NET_PLAINCONV, .in_channels = 1, .classes = 12,
        .plainconv = { 3, { 2, 3, 4 }, { K, K, K }, { { 1, 1, 1 }, { 2, 2, 2 }, { 2, 2, 2 } },
                       { 1, 1, 1 }, { 1, 1 } } };
    struct voco_ctx ctx = { 0 };
    struct voco_model model = { 0 };
    struct voco_seginfo info = { .roi = { 32, 32, 32 }, .has_transform = true };
    enum voco_err err;

    if (argc != 2)
        return 2;
    for (int i = 0; voco_presets[i].name; i++)
        if (strcmp(voco_presets[i].name, "abdomen") == 0)
            info.transform = voco_presets[i].transform;
    info.preset = "abdomen";
    if ((err = voco_ctx_open(&ctx, &voco_cpu, NULL)) == VOCO_OK
        && (err = voco_model_describe(&model, &config)) == VOCO_OK
        && (err = voco_model_allocate(&model, &ctx, false)) == VOCO_OK) {
        voco_model_fill(&model, &ctx, VOCO_INIT_HASH, 3);
        model.seginfo = &info;
        err = voco_model_save(argv[1], &ctx, &model, NULL, NULL);
    }
    if (err != VOCO_OK)
        fprintf(stderr, "make_tiny: %s\n", voco_fail_text());
    voco_model_free(&model);
    voco_ctx_close(&ctx);
    return err == VOCO_OK ? 0 : 1;
}
