/* VoCo's losses: position prediction within a volume, consistency with the next one,
 * decorrelation of the bases; and those of its variants. */
#include "objective/voco/contrast.h"

/* The rows of one volume and its partner that the losses look at. */
struct pair {
    struct voco_tensor random, base;            /* of volume i */
    struct voco_tensor other;                   /* bases of volume j */
};

static struct pair
pair_of(const struct voco_tensor *rows, const struct voco_contrast_set *set, int64_t i)
{
    const int64_t volumes = set->volumes, sw = set->sw;
    const int64_t bases = (rows->dim[0] - volumes * sw) / volumes;
    const int64_t first = volumes * sw;
    const int64_t j = (i + 1) % volumes;

    return (struct pair){ .random = voco_slice(rows, i * sw, sw),
                          .base = voco_slice(rows, first + i * bases, bases),
                          .other = voco_slice(rows, first + j * bases, bases) };
}

/* How a form of the loss differs from others. */
struct form {
    bool symmetric;             /* weights of both directions, their mean */
    bool joint;                 /* CE sums over all volumes, else each volume has its own */
    bool parts;                 /* terms: positive and negative part of CE */
    bool squared;               /* negative part */
    int power;                  /* of the regulariser ... */
    bool both;                  /* ... whose gradient goes into both bases of a pair */
};

static const struct form forms[] = {
    [VOCO_FORM_VOCO] = { .power = 2 },
    [VOCO_FORM_CVPR] = { .symmetric = true, .parts = true, .squared = true, .power = 2 },
    [VOCO_FORM_NNSSL] = { .joint = true, .parts = true, .squared = true, .power = 1,
                          .both = true },
};

/* Tensors of all volumes, [volumes*sw, bases]. */
struct position {
    const struct form *form;
    struct voco_tensor label, weight;   /* weight: predicted */
    struct voco_tensor toward, back;    /* assign(S random, T base), assign(T random, S base);
                                         * of a form that is not symmetric, weight alone */
    struct voco_tensor half;            /* [volumes*sw], 0.5 each */
    struct voco_tensor dweight;
};

/* The same of the rows of volume i. */
static struct position
rows_of(const struct position *all, int64_t i, int64_t sw)
{
    struct position p = *all;

    p.label = voco_slice(&all->label, i * sw, sw);
    p.weight = voco_slice(&all->weight, i * sw, sw);
    p.dweight = voco_slice(&all->dweight, i * sw, sw);
    p.toward = voco_slice(&all->toward, i * sw, sw);
    if (p.form->symmetric) {
        p.back = voco_slice(&all->back, i * sw, sw);
        p.half = voco_slice(&all->half, i * sw, sw);
    }
    return p;
}

static struct position
make_position(struct voco_ctx *ctx, const struct form *form, const struct voco_tensor *label,
              const struct voco_tensor *predicted)
{
    struct position p = { .form = form, .label = *label, .weight = *predicted,
                          .toward = *predicted,
                          .dweight = voco_push_like(ctx, &ctx->temp, predicted) };

    if (form->symmetric) {
        p.toward = voco_push_like(ctx, &ctx->temp, predicted);
        p.back = voco_push_like(ctx, &ctx->temp, predicted);
        p.half = voco_push_real(ctx, &ctx->temp, 1, predicted->dim[0]);
        if (!ctx->err)
            ctx->dev->fill(ctx, &p.half, 0.5);
    }
    return p;
}

/* ---- the position term ---- */

static void
predict(struct voco_ctx *ctx, const struct pair *s, const struct pair *t,
        const struct position *p)
{
    const struct voco_device *dev = ctx->dev;

    dev->assign_forward(ctx, &s->random, &t->base, &p->toward);
    if (!p->form->symmetric)
        return;
    dev->assign_forward(ctx, &t->random, &s->base, &p->back);
    dev->copy(ctx, &p->toward, &p->weight);
    dev->add(ctx, &p->back, &p->weight);
    dev->scale_rows(ctx, &p->weight, &p->half, &p->weight);
}

/* CE of labels and weights, and its gradient in those of one direction. */
static void
compare(struct voco_ctx *ctx, const struct position *p, double weight,
        const struct voco_tensor *terms)
{
    const struct form *f = p->form;
    const double eps = 1e-6;
    const struct voco_ce ce = {
        .squared = f->squared, .eps_y = f->joint ? 0.0 : eps,
        .eps_zero = f->joint ? eps * (double)voco_count(&p->label) : eps };
    const struct voco_tensor loss = voco_slice(terms, 0, f->parts ? 2 : 1);

    ctx->dev->ce_forward(ctx, &ce, &p->label, &p->weight, weight, &loss);
    ctx->dev->ce_backward(ctx, &ce, &p->label, &p->weight,
                          f->symmetric ? 0.5 * weight : weight, &p->dweight);
}

static void
predict_backward(struct voco_ctx *ctx, const struct pair *s, const struct pair *t,
                 const struct position *p, const struct pair *ds)
{
    const struct voco_device *dev = ctx->dev;

    dev->assign_backward(ctx, &s->random, &t->base, &p->toward, &p->dweight, &ds->random,
                         NULL);
    if (p->form->symmetric)
        dev->assign_backward(ctx, &t->random, &s->base, &p->back, &p->dweight, NULL,
                             &ds->base);
}

/* ---- the others ---- */

static void
inter(struct voco_ctx *ctx, double weight, const struct pair *s, const struct pair *t,
      const struct pair *ds, const struct voco_tensor *terms)
{
    const struct voco_ce ce = { .eps_y = 1e-6, .eps_zero = 1e-6 };
    const struct voco_device *dev = ctx->dev;
    const struct voco_tensor loss = voco_slice(terms, VOCO_TERM_INTER, 1);
    const struct voco_tensor p = voco_push_real(ctx, &ctx->temp, 2, s->random.dim[0],
                                                s->other.dim[0]);
    const struct voco_tensor target = voco_push_like(ctx, &ctx->temp, &p);
    const struct voco_tensor dp = voco_push_like(ctx, &ctx->temp, &p);

    if (ctx->err)
        return;
    dev->assign_forward(ctx, &t->random, &t->other, &target);
    dev->assign_forward(ctx, &s->random, &s->other, &p);
    dev->ce_forward(ctx, &ce, &target, &p, weight, &loss);
    dev->ce_backward(ctx, &ce, &target, &p, weight, &dp);
    dev->assign_backward(ctx, &s->random, &s->other, &p, &dp, &ds->random, &ds->other);
}

static void
decorrelate(struct voco_ctx *ctx, const struct form *f, double weight, const struct pair *s,
            const struct pair *ds, const struct voco_tensor *terms)
{
    const struct voco_device *dev = ctx->dev;
    const int64_t bases = s->base.dim[0];
    const struct voco_tensor loss = voco_slice(terms, VOCO_TERM_REG, 1);
    const struct voco_tensor self = voco_push_real(ctx, &ctx->temp, 2, bases, bases);
    const struct voco_tensor dself = voco_push_like(ctx, &ctx->temp, &self);

    if (ctx->err)
        return;
    dev->assign_forward(ctx, &s->base, &s->base, &self);
    dev->decor_forward(ctx, f->power, &self, weight, &loss);
    dev->decor_backward(ctx, f->power, &self, weight, &dself);
    dev->assign_backward(ctx, &s->base, &s->base, &self, &dself, &ds->base,
                         f->both ? &ds->base : NULL);
}

/* ---- all ---- */

void
voco_contrast(struct voco_ctx *ctx, const struct voco_contrast_set *set,
              const struct voco_tensor *student, const struct voco_tensor *teacher,
              const struct voco_tensor *labels, const struct voco_tensor *terms,
              const struct voco_tensor *predicted, const struct voco_tensor *dstudent)
{
    const struct voco_tensor *target = teacher ? teacher : student;
    const struct form *form = &forms[set->form];
    const size_t mark = voco_arena_mark(&ctx->temp);
    const struct position all = make_position(ctx, form, labels, predicted);

    VOCO_ASSERT((teacher || !set->inter) && !(form->parts && set->inter));
    if (ctx->err)
        return;
    ctx->dev->fill(ctx, dstudent, 0.0);
    for (int64_t i = 0; form->joint && i < set->volumes; i++) {
        const struct pair s = pair_of(student, set, i), t = pair_of(target, set, i);
        const struct position p = rows_of(&all, i, set->sw);

        predict(ctx, &s, &t, &p);
    }
    if (form->joint)
        compare(ctx, &all, set->weight * (double)set->volumes, terms);
    for (int64_t i = 0; i < set->volumes && !ctx->err; i++) {
        const struct pair s = pair_of(student, set, i), t = pair_of(target, set, i);
        const struct pair ds = pair_of(dstudent, set, i);
        const struct position p = rows_of(&all, i, set->sw);

        if (!form->joint) {
            predict(ctx, &s, &t, &p);
            compare(ctx, &p, set->weight, terms);
        }
        predict_backward(ctx, &s, &t, &p, &ds);
        if (set->inter)
            inter(ctx, set->weight, &s, &t, &ds, terms);
        if (set->reg)
            decorrelate(ctx, form, set->weight, &s, &ds, terms);
    }
    voco_arena_release(&ctx->temp, mark);
}
