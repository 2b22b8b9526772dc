/* VoCo's losses: position prediction within a volume, consistency with the next one,
 * decorrelation of the bases. */
#include "objective/voco/contrast.h"

enum { INTRA, INTER, REG };

/* The slices of one volume and its partner that the losses look at. */
struct pair {
    struct voco_tensor random, base;            /* of volume i */
    struct voco_tensor other;                   /* bases of volume j */
};

static struct pair
pair_of(const struct voco_tensor *rows, int64_t volumes, int64_t sw, int64_t i)
{
    const int64_t bases = (rows->dim[0] - volumes * sw) / volumes;
    const int64_t first = volumes * sw;
    const int64_t j = (i + 1) % volumes;

    return (struct pair){ .random = voco_slice(rows, i * sw, sw),
                          .base = voco_slice(rows, first + i * bases, bases),
                          .other = voco_slice(rows, first + j * bases, bases) };
}

/* The terms of one volume.  t is s where there is no teacher. */
static void
one_volume(struct voco_ctx *ctx, const struct voco_contrast_set *set, const struct pair *s,
           const struct pair *t, const struct pair *ds, const struct voco_tensor *label,
           const struct voco_tensor *terms, const struct voco_tensor *predicted)
{
    const struct voco_device *dev = ctx->dev;
    const size_t mark = voco_arena_mark(&ctx->temp);
    const int64_t bases = s->base.dim[0], sw = s->random.dim[0];
    const struct voco_tensor p = voco_push_real(ctx, &ctx->temp, 2, sw, bases);
    const struct voco_tensor target = voco_push_like(ctx, &ctx->temp, &p);
    const struct voco_tensor dp = voco_push_like(ctx, &ctx->temp, &p);
    const struct voco_tensor self = voco_push_real(ctx, &ctx->temp, 2, bases, bases);
    const struct voco_tensor dself = voco_push_like(ctx, &ctx->temp, &self);
    const struct voco_tensor intra = voco_slice(terms, INTRA, 1);
    const struct voco_tensor inter = voco_slice(terms, INTER, 1);
    const struct voco_tensor reg = voco_slice(terms, REG, 1);

    if (ctx->err)
        return;
    dev->assign_forward(ctx, &s->random, &t->base, predicted);
    dev->ce_forward(ctx, label, predicted, set->weight, &intra);
    dev->ce_backward(ctx, label, predicted, set->weight, &dp);
    dev->assign_backward(ctx, &s->random, &t->base, predicted, &dp, &ds->random, NULL);

    if (set->inter) {
        dev->assign_forward(ctx, &t->random, &t->other, &target);
        dev->assign_forward(ctx, &s->random, &s->other, &p);
        dev->ce_forward(ctx, &target, &p, set->weight, &inter);
        dev->ce_backward(ctx, &target, &p, set->weight, &dp);
        dev->assign_backward(ctx, &s->random, &s->other, &p, &dp, &ds->random, &ds->other);
    }
    if (set->reg) {
        dev->assign_forward(ctx, &s->base, &s->base, &self);
        dev->decor_forward(ctx, &self, set->weight, &reg);
        dev->decor_backward(ctx, &self, set->weight, &dself);
        dev->assign_backward(ctx, &s->base, &s->base, &self, &dself, &ds->base, NULL);
    }
    voco_arena_release(&ctx->temp, mark);
}

void
voco_contrast(struct voco_ctx *ctx, const struct voco_contrast_set *set,
              const struct voco_tensor *student, const struct voco_tensor *teacher,
              const struct voco_tensor *labels, const struct voco_tensor *terms,
              const struct voco_tensor *predicted, const struct voco_tensor *dstudent)
{
    const int64_t volumes = set->volumes, sw = set->sw;

    VOCO_ASSERT(teacher || !set->inter);
    ctx->dev->fill(ctx, dstudent, 0.0);
    for (int64_t i = 0; i < volumes && !ctx->err; i++) {
        const struct pair s = pair_of(student, volumes, sw, i);
        const struct pair t = pair_of(teacher ? teacher : student, volumes, sw, i);
        const struct pair ds = pair_of(dstudent, volumes, sw, i);
        const struct voco_tensor label = voco_slice(labels, i * sw, sw);
        const struct voco_tensor guess = voco_slice(predicted, i * sw, sw);

        one_volume(ctx, set, &s, &t, &ds, &label, terms, &guess);
    }
}
