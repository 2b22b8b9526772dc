/* A network with its weights on the CPU. */
#include "task/inference.h"

#include "dev/list.h"

void
voco_inference_init(struct voco_inference *f, const char *weights, int precision,
                    int threads, bool trace)
{
    *f = (struct voco_inference){
        .weights = weights, .threads = threads, .trace = trace,
        .dev = voco_device_by_name("cpu", (enum voco_precision)precision) };
    f->choices = voco_choices_read(f->dev, threads, NULL);
}

enum voco_err
voco_inference_open(struct voco_inference *f, const struct voco_model_config *config,
                    const struct voco_demand *demand, struct voco_coverage *ret)
{
    const struct voco_ctx_options open = { .threads = f->threads, .choices = &f->choices };
    const struct voco_device *dev = voco_trace_wrap(&f->traced, f->trace, f->dev);
    enum voco_err err;

    if ((err = voco_ctx_open(&f->ctx, dev, &open)) != VOCO_OK
        || (err = voco_model_describe(&f->model, config)) != VOCO_OK
        || (err = voco_model_allocate(&f->model, &f->ctx, false)) != VOCO_OK)
        return err;
    if (!demand->no_partial)
        voco_model_fill(&f->model, &f->ctx, VOCO_INIT_TORCH, 0);
    return voco_model_load(f->weights, &f->ctx, &f->model, demand, ret);
}

void
voco_inference_close(struct voco_inference *f)
{
    voco_trace_tell(&f->traced, &f->ctx);
    voco_model_free(&f->model);
    voco_ctx_close(&f->ctx);
    voco_choices_free(&f->choices);
    voco_trace_free(&f->traced);
}
