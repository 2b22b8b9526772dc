/*
 * Differences between the C interfaces of oneDNN 2.x and 3.x, for dnnl_shim.c alone.
 *
 * In 2.x a memory descriptor is a struct and a primitive descriptor is made from an
 * operation descriptor; in 3.x a memory descriptor is a handle, the operation descriptor
 * is gone, and backward passes want the forward's primitive descriptor.
 */
#ifndef VOCO_DEV_CPU_DNNL_SHIM_API_H
#define VOCO_DEV_CPU_DNNL_SHIM_API_H

#include <dnnl.h>

#include "dev/cpu/dnnl_shim.h"

#if DNNL_VERSION_MAJOR >= 3

#define MD const_dnnl_memory_desc_t
struct md { dnnl_memory_desc_t d; };

static MD
ref(const struct md *m)
{
    return m->d;
}

static void
md_free(struct md *m)
{
    if (m->d)
        dnnl_memory_desc_destroy(m->d);
    m->d = NULL;
}

static dnnl_status_t
md_typed(struct md *m, int rank, const dnnl_dims_t dim, dnnl_data_type_t type,
         dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(&m->d, rank, dim, type, tag);
}

static dnnl_status_t
md_copy(struct md *m, MD from)
{
    return dnnl_memory_desc_clone(&m->d, from);
}

static dnnl_status_t
append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}

static dnnl_status_t
matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct md m[4],
          dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, ref(&m[0]), ref(&m[1]),
                                             ref(&m[2]), ref(&m[3]), attr);
}

/* m: src, weights, bias (may be unset), dst */
static dnnl_status_t
conv_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, enum voco_dnnl_kind kind,
        const struct md m[4], const dnnl_dims_t stride, const dnnl_dims_t pad,
        dnnl_primitive_attr_t attr)
{
    static const dnnl_dims_t no_dilation = { 0 };
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t st;

    st = dnnl_convolution_forward_primitive_desc_create(&hint, engine,
        dnnl_forward_training, dnnl_convolution_direct, ref(&m[0]), ref(&m[1]), ref(&m[2]),
        ref(&m[3]), stride, no_dilation, pad, pad, attr);
    if (st != dnnl_success || kind == VOCO_DNNL_FORWARD) {
        *pd = hint;
        return st;
    }
    if (kind == VOCO_DNNL_BACKWARD_DATA)
        st = dnnl_convolution_backward_data_primitive_desc_create(pd, engine,
            dnnl_convolution_direct, ref(&m[0]), ref(&m[1]), ref(&m[3]), stride,
            no_dilation, pad, pad, hint, attr);
    else
        st = dnnl_convolution_backward_weights_primitive_desc_create(pd, engine,
            dnnl_convolution_direct, ref(&m[0]), ref(&m[1]), NULL, ref(&m[3]), stride,
            no_dilation, pad, pad, hint, attr);
    dnnl_primitive_desc_destroy(hint);
    return st;
}

#else   /* 2.x: descriptors are structs */

#define MD const dnnl_memory_desc_t *
struct md { dnnl_memory_desc_t d; };

static MD
ref(const struct md *m)
{
    return m->d.ndims ? &m->d : NULL;
}

static void
md_free(struct md *m)
{
    m->d.ndims = 0;
}

static dnnl_status_t
md_typed(struct md *m, int rank, const dnnl_dims_t dim, dnnl_data_type_t type,
         dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(&m->d, rank, dim, type, tag);
}

static dnnl_status_t
md_copy(struct md *m, MD from)
{
    m->d = *from;
    return dnnl_success;
}

static dnnl_status_t
append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}

static dnnl_status_t
matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const struct md m[4],
          dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t desc;
    const dnnl_status_t st = dnnl_matmul_desc_init(&desc, ref(&m[0]), ref(&m[1]),
                                                   ref(&m[2]), ref(&m[3]));

    return st != dnnl_success ? st : dnnl_primitive_desc_create(pd, &desc, attr, engine,
                                                                NULL);
}

static dnnl_status_t
conv_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, enum voco_dnnl_kind kind,
        const struct md m[4], const dnnl_dims_t stride, const dnnl_dims_t pad,
        dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t st;

    if (kind == VOCO_DNNL_FORWARD)
        st = dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training,
            dnnl_convolution_direct, ref(&m[0]), ref(&m[1]), ref(&m[2]), ref(&m[3]), stride,
            pad, pad);
    else if (kind == VOCO_DNNL_BACKWARD_DATA)
        st = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct,
            ref(&m[0]), ref(&m[1]), ref(&m[3]), stride, pad, pad);
    else
        st = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct,
            ref(&m[0]), ref(&m[1]), NULL, ref(&m[3]), stride, pad, pad);
    return st != dnnl_success ? st : dnnl_primitive_desc_create(pd, &desc, attr, engine,
                                                                NULL);
}

#endif

static dnnl_status_t
md_tag(struct md *m, int rank, const dnnl_dims_t dim, dnnl_format_tag_t tag)
{
    return md_typed(m, rank, dim, dnnl_f32, tag);
}

#define md_bytes dnnl_memory_desc_get_size
#define md_equal dnnl_memory_desc_equal

#endif
