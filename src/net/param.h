/*
 * Parameters: one table of names, one parameter buffer (slab).
 *
 * A row of the table is one entry of the PyTorch state_dict, name and shape letter for
 * letter.  Weights, gradients and the optimizer's moments are flat buffers (slabs) with the
 * same offsets, so that the update, the norm and a checkpoint are single loops.  Rows begin
 * at multiples of 16 elements; the gaps always hold zeros.
 */
#ifndef VOCO_NET_PARAM_H
#define VOCO_NET_PARAM_H

#include <stdint.h>

#include "base/arena.h"
#include "base/tensor.h"
#include "dev/device.h"

struct voco_param {
    char *name;                 /* owned */
    int64_t dim[VOCO_RANK_MAX];
    int rank;
    int64_t offset, count;      /* elements into a slab */
};

struct voco_params {
    struct voco_param *item;    /* owned */
    int n, room;
    int64_t count;              /* elements of a slab, gaps included */
    const char *hash_prefix;    /* in front of the names for VOCO_INIT_HASH; NULL: nothing */
};

/* Append a parameter; returns its index.  The name is formatted: "%s.weight". Aborts if
 * the name exists. */
int voco_params_add(struct voco_params *t, int rank, const int64_t *dim,
                    const char *fmt, ...) VOCO_PRINTF(4, 5);
void voco_params_free(struct voco_params *t);
int voco_params_find(const struct voco_params *t, const char *name);    /* -1: none */

/* Elements of the parameters without the gaps, of those whose name begins so. */
int64_t voco_params_total(const struct voco_params *t, const char *prefix);

/* The same of the parameters in front of an element of the buffers. */
int64_t voco_params_before(const struct voco_params *t, int64_t offset);

/* The table with the slabs that a forward or backward pass works on. */
struct voco_weights {
    const struct voco_params *table;
    struct voco_tensor weight;  /* [count] */
    struct voco_tensor grad;    /* [count] of the trained part; data NULL: inference */
};

/* Views of parameter id in the slabs. */
struct voco_tensor voco_weight(const struct voco_weights *w, int id);
struct voco_tensor voco_gradient(const struct voco_weights *w, int id);

/* How fresh parameters are made. */
enum voco_init { VOCO_INIT_TORCH, VOCO_INIT_HE, VOCO_INIT_HASH };

/* Values of one parameter as host floats, out[count].
 * TORCH: PyTorch's and MONAI's defaults: weights and biases of convolutions and linear
 *   layers uniform in +-1/sqrt(fan_in), norms 1 and 0, bias tables normal(0, 0.02) cut at
 *   +-2; random numbers of (seed, name), so that a parameter's values do not depend on
 *   the other parameters.  fan_in is that of the weight a bias belongs to.
 * HE: nnU-Net's initialisation: weights normal with the variance 2 / (1 + 0.01^2) / fan_in,
 *   for leaky ReLU of slope 0.01; biases 0, norms 1 and 0; random numbers as for TORCH.
 * HASH: the reference's formula by hash_prefix, name and rank (see tests/golden). */
void voco_param_init(const struct voco_params *t, int id, enum voco_init init,
                     uint64_t seed, float *out);

#endif
