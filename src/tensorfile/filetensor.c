/* Elements of tensors in files: types, strides, conversion. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile/tensorfile.h"
#include "tensorfile/zip.h"

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "elements are copied between files and memory as they are: little-endian only"
#endif

static const struct { const char *name; size_t bytes; } types[] = {
    { "F64", 8 }, { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "I64", 8 }, { "I32", 4 },
    { "I16", 2 }, { "I8", 1 }, { "U64", 8 }, { "U32", 4 }, { "U16", 2 }, { "U8", 1 },
    { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 },
};

const char *
voco_filetype(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].name;
    return NULL;
}

size_t
voco_filetype_bytes(const char *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].bytes;
    return 0;
}

bool
voco_filetype_is_float(const char *type)
{
    return strcmp(type, "F32") == 0 || strcmp(type, "F64") == 0
        || strcmp(type, "F16") == 0 || strcmp(type, "BF16") == 0;
}

int64_t
voco_filetensor_count(const struct voco_filetensor *t)
{
    return (int64_t)(t->bytes / voco_filetype_bytes(t->type));
}

const char *
voco_filetensor_shape(const struct voco_filetensor *t, char buf[192])
{
    int at = snprintf(buf, 192, "[");

    for (int i = 0; i < t->rank; i++)
        at += snprintf(buf + at, (size_t)(192 - at), "%s%" PRId64, i ? "," : "", t->dim[i]);
    snprintf(buf + at, (size_t)(192 - at), "]");
    return buf;
}

/* ---- reading ---- */

enum voco_err
voco_filetensor_check(const struct voco_filetensor *t)
{
    return t->zip ? voco_zip_check(t->zip, t->entry) : VOCO_OK;
}

/* Bytes from the first element to the last, gaps of strides included. */
static size_t
span_bytes(const struct voco_filetensor *t)
{
    int64_t last = 0;

    if (!t->strided || t->bytes == 0)
        return t->bytes;
    for (int i = 0; i < t->rank; i++)
        last += (t->dim[i] - 1) * t->stride[i];
    return (size_t)(last + 1) * voco_filetype_bytes(t->type);
}

/* The span of a tensor in a zip archive. */
static enum voco_err
read_span(const struct voco_filetensor *t, void *out)
{
    const size_t n = span_bytes(t);
    enum voco_err err = VOCO_OK;

    if (n < voco_zip_bytes(t->zip, t->entry))       /* a part has no checksum of its own */
        err = voco_zip_check(t->zip, t->entry);
    return err != VOCO_OK ? err : voco_zip_read(t->zip, t->entry, t->from, n, out);
}

/* Elements of a strided span, row after row as an odometer counts. */
static void
gather(const struct voco_filetensor *t, const char *span, char *to)
{
    const size_t size = voco_filetype_bytes(t->type);
    const int last = t->rank - 1;
    int64_t at[VOCO_FILETENSOR_RANK_MAX] = { 0 }, from = 0;

    for (;;) {
        const char *row = span + (size_t)from * size;
        int k = last - 1;

        for (int64_t i = 0; i < t->dim[last]; i++, to += size)
            memcpy(to, row + (size_t)(i * t->stride[last]) * size, size);
        while (k >= 0 && ++at[k] == t->dim[k]) {
            from -= (t->dim[k] - 1) * t->stride[k];
            at[k--] = 0;
        }
        if (k < 0)
            return;
        from += t->stride[k];
    }
}

static enum voco_err
no_memory(const struct voco_filetensor *t)
{
    return voco_fail(VOCO_EMEMORY, "no memory for %zu bytes of %s", t->bytes, t->name);
}

enum voco_err
voco_filetensor_copy(const struct voco_filetensor *t, void *out)
{
    char *span = NULL;
    enum voco_err err = VOCO_OK;

    if (t->bytes == 0)
        return VOCO_OK;
    if (!t->strided || t->rank == 0) {
        if (t->zip)
            return read_span(t, out);
        memcpy(out, t->data, t->bytes);
        return VOCO_OK;
    }
    if (t->zip) {
        span = malloc(span_bytes(t));
        err = span ? read_span(t, span) : no_memory(t);
    }
    if (err == VOCO_OK)
        gather(t, span ? span : t->data, out);
    free(span);
    return err;
}

/* ---- halves ---- */

static float
from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
    uint32_t bits;
    float f;

    if (exponent == 0) {
        f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 255u << 23 : (exponent + 112) << 23) | fraction << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float
from_bfloat(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Nearest even; from 65520 on infinite. */
static uint16_t
to_half(float f)
{
    uint32_t bits;
    uint16_t sign;
    float a;

    memcpy(&bits, &f, sizeof bits);
    sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000)
        return sign | 0x7E00;
    if (bits >= 0x477FF000)
        return sign | 0x7C00;
    if (bits < 0x38800000) {            /* below 2^-14: whole multiples of 2^-24 */
        memcpy(&a, &bits, sizeof a);
        return sign | (uint16_t)nearbyintf(a * 0x1p24f);
    }
    bits += 0xFFF + (bits >> 13 & 1);
    return sign | (uint16_t)((bits >> 13) - (112 << 10));
}

static uint16_t
to_bfloat(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* ---- conversion ---- */

#define EACH(type_name, c_type, expression)                             \
    if (strcmp(type, type_name) == 0) {                                 \
        for (int64_t i = 0; i < n; i++) {                               \
            c_type x;                                                   \
                                                                        \
            memcpy(&x, (const char *)in + (size_t)i * sizeof x, sizeof x);  \
            out[i] = (expression);                                      \
        }                                                               \
        return;                                                         \
    }

static void
to_floats(const char *type, const void *in, int64_t n, float *out)
{
    EACH("F32", float, x)
    EACH("F64", double, (float)x)
    EACH("F16", uint16_t, from_half(x))
    EACH("BF16", uint16_t, from_bfloat(x))
    EACH("I64", int64_t, (float)x)
    EACH("I32", int32_t, (float)x)
    EACH("U8", uint8_t, (float)x)
    VOCO_ASSERT(!"a type that the caller should have refused");
}

static void
from_floats(const char *type, const float *x, int64_t n, uint16_t *out)
{
    const bool half = strcmp(type, "F16") == 0;

    VOCO_ASSERT(half || strcmp(type, "BF16") == 0);
    for (int64_t i = 0; i < n; i++)
        out[i] = half ? to_half(x[i]) : to_bfloat(x[i]);
}

/* Dense elements from in, a block at a time. */
static void
convert(const struct voco_filetensor *t, const char *in, const char *type, char *out)
{
    enum { BLOCK = 4096 };
    const size_t size = voco_filetype_bytes(t->type), size_out = voco_filetype_bytes(type);
    const int64_t n = voco_filetensor_count(t);
    float block[BLOCK];

    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t m = n - i < BLOCK ? n - i : BLOCK;
        char *to = out + (size_t)i * size_out;

        to_floats(t->type, in + (size_t)i * size, m, block);
        if (strcmp(type, "F32") == 0)
            memcpy(to, block, (size_t)m * sizeof *block);
        else
            from_floats(type, block, m, (uint16_t *)(void *)to);
    }
}

enum voco_err
voco_filetensor_convert(const struct voco_filetensor *t, const char *type, void *out)
{
    char *dense = NULL;
    enum voco_err err = VOCO_OK;

    if (strcmp(t->type, type) == 0)
        return voco_filetensor_copy(t, out);
    if (t->strided || t->zip) {
        dense = malloc(t->bytes + 1);
        err = dense ? voco_filetensor_copy(t, dense) : no_memory(t);
    }
    if (err == VOCO_OK)
        convert(t, dense ? dense : t->data, type, out);
    free(dense);
    return err;
}
