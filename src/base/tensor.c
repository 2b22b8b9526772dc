/* Views of dense arrays. */
#include "base/tensor.h"

#include <stdarg.h>

#include "base/err.h"

size_t
voco_type_bytes(enum voco_type type)
{
    static const size_t bytes[] = { [VOCO_F32] = 4, [VOCO_F64] = 8, [VOCO_U8] = 1,
                                    [VOCO_BF16] = 2 };

    return bytes[type];
}

const char *
voco_type_name(enum voco_type type)
{
    static const char *const name[] = { [VOCO_F32] = "f32", [VOCO_F64] = "f64",
                                        [VOCO_U8] = "u8", [VOCO_BF16] = "bf16" };

    return name[type];
}

int64_t
voco_count(const struct voco_tensor *x)
{
    int64_t n = 1;

    for (int i = 0; i < x->rank; i++)
        n *= x->dim[i];
    return n;
}

int64_t
voco_rows(const struct voco_tensor *x)
{
    int64_t n = 1;

    for (int i = 0; i < x->rank - 1; i++)
        n *= x->dim[i];
    return n;
}

int64_t
voco_cols(const struct voco_tensor *x)
{
    return x->dim[x->rank - 1];
}

size_t
voco_tensor_bytes(const struct voco_tensor *x)
{
    return (size_t)voco_count(x) * voco_type_bytes(x->type);
}

static struct voco_tensor
shaped(void *data, enum voco_type type, int rank, va_list ap)
{
    struct voco_tensor x = { .data = data, .dim = { 1, 1, 1, 1, 1 }, .rank = rank,
                             .type = type };

    VOCO_ASSERT(rank >= 1 && rank <= VOCO_RANK_MAX);
    for (int i = 0; i < rank; i++)
        x.dim[i] = va_arg(ap, int64_t);
    return x;
}

struct voco_tensor
voco_view(void *data, enum voco_type type, int rank, ...)
{
    va_list ap;
    struct voco_tensor x;

    va_start(ap, rank);
    x = shaped(data, type, rank, ap);
    va_end(ap);
    return x;
}

struct voco_tensor
voco_reshape(const struct voco_tensor *x, int rank, ...)
{
    va_list ap;
    struct voco_tensor y;

    va_start(ap, rank);
    y = shaped(x->data, x->type, rank, ap);
    va_end(ap);
    VOCO_ASSERT(voco_count(&y) == voco_count(x));
    return y;
}

struct voco_tensor
voco_as_tokens(const struct voco_tensor *x)
{
    return voco_reshape(x, 2, voco_rows(x), voco_cols(x));
}

struct voco_tensor
voco_as_voxels(const struct voco_tensor *x)
{
    return voco_reshape(x, 3, x->dim[0], x->dim[1] * x->dim[2] * x->dim[3], x->dim[4]);
}

struct voco_tensor
voco_slice(const struct voco_tensor *x, int64_t first, int64_t n)
{
    const size_t item = voco_tensor_bytes(x) / (size_t)(x->dim[0] ? x->dim[0] : 1);
    struct voco_tensor y = *x;

    VOCO_ASSERT(first >= 0 && n >= 0 && first + n <= x->dim[0]);
    y.data = (char *)x->data + item * (size_t)first;
    y.dim[0] = n;
    return y;
}
