/* Small volume files in memory. */
#include "volfile.h"

#include <check.h>
#include <string.h>
#include <zlib.h>

static const struct {
    int code, width;
} NIFTI[N_ELEMENTS] = {
    [U8] = {2, 1}, [I8] = {256, 1}, [U16] = {512, 2}, [I16] = {4, 2}, [U32] = {768, 4},
    [I32] = {8, 4}, [U64] = {1280, 8}, [I64] = {1024, 8}, [F32] = {16, 4}, [F64] = {64, 8}
};

int
value_at(int x, int y, int z)
{
    return x + 5 * y + 20 * z;
}

void
put_int(struct bytes *b, size_t at, int width, bool big, int64_t v)
{
    for (int i = 0; i < width; i++)
        b->data[at + (size_t)(big ? width - 1 - i : i)] = (unsigned char)(v >> 8 * i);
    if (b->n < at + (size_t)width)
        b->n = at + (size_t)width;
}

void
put_real(struct bytes *b, size_t at, int width, bool big, double v)
{
    const float f = (float)v;
    int32_t i32;
    int64_t i64;

    memcpy(&i32, &f, 4);
    memcpy(&i64, &v, 8);
    put_int(b, at, width, big, width == 4 ? i32 : i64);
}

void
append_elements(struct bytes *b, enum element e, bool big)
{
    const int width = NIFTI[e].width;

    for (int z = 0; z < NZ; z++)
        for (int y = 0; y < NY; y++)
            for (int x = 0; x < NX; x++)
                if (e == F32 || e == F64)
                    put_real(b, b->n, width, big, value_at(x, y, z));
                else
                    put_int(b, b->n, width, big, value_at(x, y, z));
}

void
append_text(struct bytes *b, const char *text)
{
    memcpy(b->data + b->n, text, strlen(text));
    b->n += strlen(text);
}

void
make_nifti(struct bytes *b, int version, enum element e, bool big)
{
    const bool two = version == 2;
    const int dims[8] = {3, NX, NY, NZ, 1, 1, 1, 1}, w = two ? 8 : 4;
    const double affine[3][4] = {{-2, 0, 0, 10}, {0, -3, 0, 20}, {0, 0, 4, 30}};
    const size_t dim = two ? 16 : 40, pixdim = two ? 104 : 76, srow = two ? 400 : 280;

    memset(b, 0, sizeof *b);
    put_int(b, 0, 4, big, two ? 540 : 348);
    memcpy(b->data + (two ? 4 : 344), two ? "n+2\0\r\n\032\n" : "n+1", two ? 8 : 4);
    for (size_t i = 0; i < 8; i++) {
        put_int(b, dim + i * (two ? 8 : 2), two ? 8 : 2, big, dims[i]);
        put_real(b, pixdim + i * (size_t)w, w, big, i == 0 ? 1 : (double)i + 1);
    }
    put_int(b, two ? 12 : 70, 2, big, NIFTI[e].code);
    put_int(b, two ? 14 : 72, 2, big, 8 * NIFTI[e].width);
    if (two)
        put_int(b, 168, 8, big, 544);
    else
        put_real(b, 108, 4, big, 352);
    put_int(b, two ? 348 : 254, two ? 4 : 2, big, 1);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 4; j++)
            put_real(b, srow + (4 * i + j) * (size_t)w, w, big, affine[i][j]);
    b->n = two ? 544 : 352;
    append_elements(b, e, big);
}

void
deflated(const struct bytes *from, bool gz, struct bytes *to)
{
    z_stream z = {.next_in = (Bytef *)from->data, .avail_in = (uInt)from->n,
                  .next_out = to->data, .avail_out = sizeof to->data};

    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, gz ? 31 : 15, 8, 0), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n = z.total_out;
    deflateEnd(&z);
}
