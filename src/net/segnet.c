/* Networks for segmentation. */
#include "net/segnet.h"

int
voco_segnet_outputs(const struct voco_segnet *net, double weight[VOCO_OUTPUTS])
{
    const int all = net->kind == VOCO_NET_PLAINCONV ? net->plain.config.stages - 1 : 1;
    const int n = all > 1 ? all - 1 : 1;
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += weight[i] = 1.0 / (double)(1 << i);
    for (int i = 0; i < n; i++)
        weight[i] /= sum;
    return n;
}

void
voco_segnet_shrink(const struct voco_segnet *net, int i, int64_t ret[3])
{
    if (net->kind == VOCO_NET_PLAINCONV) {
        voco_plainconv_shrink(&net->plain.config, i, ret);
    } else {
        VOCO_ASSERT(i == 0);
        ret[0] = ret[1] = ret[2] = 1;
    }
}

void
voco_segnet_multiple(const struct voco_segnet *net, int64_t ret[3])
{
    if (net->kind == VOCO_NET_PLAINCONV)
        voco_plainconv_shrink(&net->plain.config, net->plain.config.stages - 1, ret);
    else
        ret[0] = ret[1] = ret[2] = VOCO_UNETR_MULTIPLE;
}

void
voco_segnet_set_again(struct voco_segnet *net, bool again)
{
    if (net->kind == VOCO_NET_PLAINCONV)
        net->plain.again = again;
    else
        net->unetr.again = again;
}

void
voco_segnet_set_frozen(struct voco_segnet *net, bool frozen)
{
    if (net->kind == VOCO_NET_PLAINCONV)
        net->plain.frozen = frozen;
    else
        net->unetr.cut = frozen ? VOCO_CUT_SKIPS : VOCO_CUT_NOTHING;
}

void
voco_segnet_forward(struct voco_ctx *ctx, const struct voco_weights *w,
                    const struct voco_segnet *net, const struct voco_tensor *x,
                    const struct voco_tensor *logits, int outputs,
                    struct voco_segnet_saved *saved)
{
    if (net->kind == VOCO_NET_PLAINCONV)
        voco_plainconv_forward(ctx, w, &net->plain, x, logits, outputs,
                               saved ? &saved->plain : NULL);
    else
        voco_unetr_forward(ctx, w, &net->unetr, x, logits, saved ? &saved->unetr : NULL);
}

void
voco_segnet_backward(struct voco_ctx *ctx, const struct voco_weights *w,
                     const struct voco_segnet *net, struct voco_segnet_saved *saved,
                     const struct voco_tensor *dlogits, int outputs)
{
    if (net->kind == VOCO_NET_PLAINCONV)
        voco_plainconv_backward(ctx, w, &net->plain, &saved->plain, dlogits, outputs, NULL);
    else
        voco_unetr_backward(ctx, w, &net->unetr, &saved->unetr, dlogits, NULL);
}
