/* Counts of operations. */
#include "dev/flops.h"

double
voco_flops_conv(const struct voco_conv *conv, const struct voco_tensor *y)
{
    return 2.0 * (double)voco_rows(y) * (double)voco_kernel_taps(conv) * (double)conv->cin
           * (double)conv->cout;
}

double
voco_flops_deconv(const struct voco_tensor *x, const struct voco_tensor *w)
{
    return 2.0 * (double)voco_rows(x) * (double)voco_count(w);
}

double
voco_flops_linear(const struct voco_tensor *x, const struct voco_tensor *w)
{
    return 2.0 * (double)voco_rows(x) * (double)voco_count(w);
}

double
voco_flops_attn(const struct voco_windows *win, const struct voco_tensor *y, int products)
{
    double count = (double)y->dim[0], tokens = 1;

    for (int i = 0; i < 3; i++) {
        count *= (double)((win->size[i] + win->window[i] - 1) / win->window[i]);
        tokens *= win->window[i];
    }
    return 2.0 * products * count * tokens * tokens * (double)voco_cols(y);
}

double
voco_flops_each(const struct voco_tensor *x, int n)
{
    return (double)voco_count(x) * n;
}
