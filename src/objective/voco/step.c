/* The gradient of VoCo: heads and losses between the two phases of the embeddings. */
#include "objective/voco/step.h"

#include <stdlib.h>

#include "base/log.h"
#include "objective/voco/batch.h"
#include "objective/voco/contrast.h"

int
voco_step_crops(const struct voco_step *step)
{
    return step->size.volumes * (step->size.sw + step->size.bases);
}

static bool
has_teacher(const struct voco_model *model)
{
    return model->config.n_heads > VOCO_TEACHER;
}

/* Does the teacher head see embeddings by a backbone of its own? */
static bool
has_guide(const struct voco_model *model)
{
    return model->config.teacher.there && !model->config.teacher.labels;
}

enum voco_err
voco_step_init(struct voco_step *step, struct voco_ctx *ctx, struct voco_model *model,
               const struct voco_contrast_size *size, struct voco_grouping grouping)
{
    const int64_t random = (int64_t)size->volumes * size->sw, bases = size->bases;
    const int64_t crops = random + size->volumes * bases;
    const int64_t width = voco_encoder_width(&model->encoder);
    const int64_t out = model->config.head[VOCO_STUDENT].out;
    struct voco_arena *a = &step->memory;
    enum voco_err err;

    *step = (struct voco_step){ .ctx = ctx, .model = model, .size = *size,
                                .drop = 0.2, .shards = 1,
                                .reg = true, .inter = has_teacher(model) };
    err = ctx->dev->reserve(ctx, (size_t)((crops + 64) * (4 * width + 3 * out + 64)
                                          + 2 * random * bases) * 8, a);
    if (err != VOCO_OK
        || (err = voco_embedding_init(&step->embed, ctx, model, (int)crops, size->roi,
                                       grouping, a))
           != VOCO_OK)
        return err;
    step->row_factor = malloc((size_t)crops * sizeof *step->row_factor);
    if (!step->row_factor)
        return voco_fail(VOCO_EMEMORY, "no memory for the bookkeeping of a step");
    step->dropped = voco_push_real(ctx, a, 2, crops, width);
    step->student = voco_push_real(ctx, a, 2, crops, out);
    step->teacher = voco_push_real(ctx, a, 2, crops, out);
    step->dstudent = voco_push_real(ctx, a, 2, crops, out);
    step->labels = voco_push_real(ctx, a, 2, random, bases);
    step->predicted = voco_push_real(ctx, a, 2, random, bases);
    step->factor = voco_push_real(ctx, a, 1, crops);
    step->terms = voco_push_real(ctx, a, 1, (int64_t)VOCO_CONTRAST_TERMS);
    if (has_guide(model))
        step->guide = voco_push_real(ctx, a, 2, crops, width);
    return ctx->err;
}

void
voco_step_free(struct voco_step *step)
{
    voco_embedding_free(&step->embed);
    voco_arena_free(&step->memory);
    free(step->row_factor);
    *step = (struct voco_step){ 0 };
}

/* ---- rows and crops ---- */

/* Where the crop of a row lies in the batch. */
struct place {
    bool random;                /* of img, else of crops */
    int64_t at;                 /* its number there */
};

static struct place
place_of(const struct voco_step *step, int row)
{
    const int volumes = step->size.volumes / step->shards;      /* of a shard */
    const int random = volumes * step->size.sw, base = volumes * step->size.bases;
    const int shard = row / (random + base), at = row % (random + base);

    return at < random
        ? (struct place){ true, (int64_t)shard * random + at }
        : (struct place){ false, (int64_t)shard * base + at - random };
}

static void
set_crops(struct voco_step *step, const struct voco_step_input *in)
{
    const int64_t roi = step->size.roi, voxels = roi * roi * roi;

    for (int i = 0; i < voco_step_crops(step); i++) {
        const struct place p = place_of(step, i);

        step->embed.crop[i] = (p.random ? in->img : in->crops) + p.at * voxels;
    }
}

/* Labels, and the factor of each row: 0 where it is dropped; drop is the expected share. */
static void
upload_small(struct voco_step *step, const struct voco_step_input *in, double drop)
{
    const int crops = voco_step_crops(step), random = step->size.volumes * step->size.sw;
    struct voco_tensor labels = step->labels, factor = step->factor;

    for (int i = 0; i < crops; i++) {
        const struct place p = place_of(step, i);
        const int64_t at = p.random ? p.at : random + p.at;

        step->row_factor[i] = in->keep && !in->keep[at] ? 0.0f
                                                        : (float)(1.0 / (1.0 - drop));
    }
    labels.data = (void *)in->labels;
    labels.type = factor.type = VOCO_F32;
    factor.data = step->row_factor;
    step->ctx->dev->upload(step->ctx, &labels, &step->labels);
    step->ctx->dev->upload(step->ctx, &factor, &step->factor);
}

/* ---- heads and losses ---- */

/* The rows of shard i in x, which has as many rows as the batch has crops, or labels. */
static struct voco_tensor
shard_of(const struct voco_step *step, const struct voco_tensor *x, int i)
{
    const int64_t rows = x->dim[0] / step->shards;

    return voco_slice(x, i * rows, rows);
}

/* The losses of shard i, behind its heads. */
static void
losses(struct voco_step *step, int i)
{
    const struct voco_contrast_set set = {
        .form = step->form, .volumes = step->size.volumes / step->shards,
        .sw = step->size.sw, .weight = 1.0 / (double)step->size.volumes,
        .inter = step->inter, .reg = step->reg };
    const struct voco_tensor student = shard_of(step, &step->student, i);
    const struct voco_tensor teacher = shard_of(step, &step->teacher, i);
    const struct voco_tensor labels = shard_of(step, &step->labels, i);
    const struct voco_tensor predicted = shard_of(step, &step->predicted, i);
    const struct voco_tensor dstudent = shard_of(step, &step->dstudent, i);

    voco_contrast(step->ctx, &set, &student, has_teacher(step->model) ? &teacher : NULL, &labels,
                  &step->terms, &predicted, &dstudent);
}

static void
teach(struct voco_step *step, const struct voco_weights *w, int i)
{
    const bool own = has_guide(step->model);
    const struct voco_tensor embedding = shard_of(step, own ? &step->guide : &step->embed.y,
                                                  i);
    const struct voco_tensor teacher = shard_of(step, &step->teacher, i);

    if (has_teacher(step->model) && !step->ctx->err)
        voco_head_forward(step->ctx, w, &step->model->head[VOCO_TEACHER], &embedding,
                          &teacher, NULL);
}

/* Heads and losses of shard i: embedding -> dembedding, and the student's gradients. */
static void
contrast_shard(struct voco_step *step, int i)
{
    struct voco_ctx *ctx = step->ctx;
    const struct voco_head *head = &step->model->head[VOCO_STUDENT];
    const struct voco_weights w = voco_model_weights(step->model);
    const size_t mark = voco_arena_mark(&ctx->keep);
    const struct voco_tensor dropped = shard_of(step, &step->dropped, i);
    const struct voco_tensor student = shard_of(step, &step->student, i);
    const struct voco_tensor dstudent = shard_of(step, &step->dstudent, i);
    const struct voco_tensor dembedding = shard_of(step, &step->embed.dy, i);
    struct voco_head_saved saved;

    voco_head_forward(ctx, &w, head, &dropped, &student, &saved);
    teach(step, &w, i);
    if (!ctx->err)
        losses(step, i);
    if (!ctx->err)
        voco_head_backward(ctx, &w, head, &saved, &dstudent, &dembedding);
    voco_arena_release(&ctx->keep, mark);
}

/* Heads and losses: embedding -> dembedding, and the student's gradients. */
static void
contrast(struct voco_step *step, const struct voco_step_input *in)
{
    struct voco_ctx *ctx = step->ctx;

    upload_small(step, in, step->drop);
    ctx->dev->scale_rows(ctx, &step->embed.y, &step->factor, &step->dropped);
    ctx->dev->fill(ctx, &step->terms, 0.0);
    for (int i = 0; i < step->shards && !ctx->err; i++)
        contrast_shard(step, i);
    if (!ctx->err)
        ctx->dev->scale_rows(ctx, &step->embed.dy, &step->factor, &step->embed.dy);
}

enum voco_err
voco_step_gradient(struct voco_step *step, const struct voco_step_input *in,
                   const volatile sig_atomic_t *stop, double ret_term[VOCO_CONTRAST_TERMS])
{
    const struct voco_tensor host = voco_view(ret_term, VOCO_F64, 1,
                                              (int64_t)VOCO_CONTRAST_TERMS);
    struct voco_embedding *e = &step->embed;
    const double start_s = voco_seconds();
    enum voco_err err;

    set_crops(step, in);
    if (has_guide(step->model))
        voco_embedding_teacher(e, stop, &step->guide);
    voco_embedding_forward(e, stop);
    if (voco_embedding_goes_on(e))
        contrast(step, in);
    step->forward_s = voco_seconds() - start_s;
    if (voco_embedding_goes_on(e))
        voco_embedding_backward(e);
    if ((err = voco_embedding_end(e)) == VOCO_OK)
        step->ctx->dev->download(step->ctx, &step->terms, &host);
    step->backward_s = voco_seconds() - start_s - step->forward_s;
    return err == VOCO_OK ? step->ctx->err : err;
}

enum voco_err
voco_step_predict(struct voco_step *step, const struct voco_step_input *in)
{
    const struct voco_weights w = voco_model_weights(step->model);
    struct voco_ctx *ctx = step->ctx;

    set_crops(step, in);
    if (has_guide(step->model))
        voco_embedding_teacher(&step->embed, NULL, &step->guide);
    voco_embedding_only(&step->embed);
    if (ctx->err)
        return ctx->err;
    upload_small(step, in, 0.0);
    ctx->dev->fill(ctx, &step->terms, 0.0);
    for (int i = 0; i < step->shards && !ctx->err; i++) {
        const struct voco_tensor embedding = shard_of(step, &step->embed.y, i);
        const struct voco_tensor student = shard_of(step, &step->student, i);

        voco_head_forward(ctx, &w, &step->model->head[VOCO_STUDENT], &embedding, &student,
                          NULL);
        teach(step, &w, i);
        if (!ctx->err)
            losses(step, i);
    }
    return ctx->err;
}

void
voco_step_embeddings(struct voco_step *step, float *out)
{
    voco_embed_download(step->ctx, &step->embed.y, out);
}

void
voco_step_predicted(struct voco_step *step, float *out)
{
    voco_embed_download(step->ctx, &step->predicted, out);
}
