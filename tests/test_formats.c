/* MetaImage, NRRD and DICOM folders; and every format cut at every length and with every
 * byte of its header changed: an error or a volume, never a crash. */
#define _GNU_SOURCE
#include <fcntl.h>

#include "base/log.h"
#include "data/dataset/datalist.h"
#include "data/volume/volume.h"
#include "scratch.h"
#include "tests/test.h"
#include "volfile.h"

static void
assert_values(const struct voco_volume *v)
{
    ck_assert_int_eq(v->dim[0], NX);
    ck_assert_int_eq(v->dim[1], NY);
    ck_assert_int_eq(v->dim[2], NZ);
    for (int x = 0; x < NX; x++)
        for (int y = 0; y < NY; y++)
            for (int z = 0; z < NZ; z++)
                ck_assert_float_eq(v->voxel[(x * NY + y) * NZ + z],
                                   (float)value_at(x, y, z));
}

/* Readable, with the test values and this diagonal and origin. */
static void
assert_reads(const char *path, double d0, double d1, double d2, double o0, double o1,
             double o2)
{
    const double want[3][4] = {{d0, 0, 0, o0}, {0, d1, 0, o1}, {0, 0, d2, o2}};
    struct voco_volume v;

    ck_assert_msg(voco_volume_read(path, &v) == VOCO_OK, "%s", voco_fail_text());
    assert_values(&v);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            ck_assert_double_eq_tol(v.affine[i][j], want[i][j], 1e-12);
    voco_volume_free(&v);
}

static void
assert_refused(const char *path, const char *reason)
{
    struct voco_volume v;

    ck_assert_int_eq(voco_volume_read(path, &v), VOCO_EFORMAT);
    ck_assert_ptr_null(v.voxel);
    ck_assert_says(reason);
    ck_assert_says(path);
}

/* The lines of a header whose names, up to the mark, none of the changes has. */
static void
append_unchanged(struct bytes *b, const char *header, const char *changes, char mark)
{
    for (const char *line = header; *line != '\0'; line = strchr(line, '\n') + 1) {
        const int all = (int)(strchr(line, '\n') + 1 - line);
        const int name = (int)(strchr(line, mark) ? strchr(line, mark) - line : all) + 1;
        char *text = voco_format("%.*s", all, line), *begin = voco_format("%.*s", name, line);
        const char *at = strstr(changes, begin);

        if (name > all || at == NULL || (at != changes && at[-1] != '\n'))
            append_text(b, text);
        free(text);
        free(begin);
    }
}

/* ---- MetaImage ---- */

static const char META[] =
    "ObjectType = Image\nNDims = 3\nDimSize = 3 4 5\nElementSpacing = 2 3 4\n"
    "Offset = -10 -20 30\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n";

static const char *
meta(const char *name, const char *lines, const char *data_file, const struct bytes *data)
{
    static struct bytes b;

    b.n = 0;
    append_unchanged(&b, META, lines, '=');
    append_text(&b, lines);
    append_text(&b, "ElementDataFile = ");
    append_text(&b, data_file);
    append_text(&b, "\n");
    if (data != NULL) {
        memcpy(b.data + b.n, data->data, data->n);
        b.n += data->n;
    }
    return scratch_bytes(name, b.data, b.n);
}

START_TEST(metaimage_of_every_type_and_byte_order_is_turned_from_lps_to_ras)
{
    static const char *const TYPE[N_ELEMENTS] = {
        "MET_UCHAR", "MET_CHAR", "MET_USHORT", "MET_SHORT", "MET_UINT", "MET_INT",
        "MET_ULONG_LONG", "MET_LONG_LONG", "MET_FLOAT", "MET_DOUBLE"
    };
    static struct bytes data, packed;

    for (int e = 0; e < N_ELEMENTS; e++)
        for (int big = 0; big < 2; big++) {
            char *lines = voco_format("BinaryDataByteOrderMSB = %s\nElementType = %s\n",
                                      big ? "True" : "False", TYPE[e]);
            char *zip = voco_format("%sCompressedData = True\n", lines);

            data.n = 0;
            append_elements(&data, (enum element)e, big);
            deflated(&data, false, &packed);
            assert_reads(meta("a.mha", lines, "LOCAL", &data), -2, -3, 4, 10, 20, 30);
            assert_reads(meta("z.mha", zip, "LOCAL", &packed), -2, -3, 4, 10, 20, 30);
            scratch_bytes("a.raw", data.data, data.n);
            assert_reads(meta("a.mhd", lines, "a.raw", NULL), -2, -3, 4, 10, 20, 30);
            scratch_bytes("a.zraw", packed.data, packed.n);
            assert_reads(meta("z.mhd", zip, "a.zraw", NULL), -2, -3, 4, 10, 20, 30);
            free(lines);
            free(zip);
        }
}
END_TEST

START_TEST(metaimage_rows_of_the_matrix_are_the_directions_of_the_axes)
{
    static struct bytes data;
    struct voco_volume v;

    append_elements(&data, U8, false);
    ck_assert_int_eq(voco_volume_read(
        meta("a.mha", "TransformMatrix = 0 1 0 0 0 1 1 0 0\nElementType = MET_UCHAR\n",
             "LOCAL", &data), &v), VOCO_OK);
    ck_assert_double_eq(v.affine[1][0], -2);        /* x runs along LPS y */
    ck_assert_double_eq(v.affine[2][1], 3);
    ck_assert_double_eq(v.affine[0][2], -4);
    voco_volume_free(&v);
}
END_TEST

START_TEST(metaimage_data_may_begin_behind_a_header_of_their_own)
{
    static struct bytes data, padded;

    append_elements(&data, I16, false);
    append_text(&padded, "a header");
    append_elements(&padded, I16, false);
    scratch_bytes("a.raw", padded.data, padded.n);
    assert_reads(meta("a.mhd", "HeaderSize = 8\nElementType = MET_SHORT\n", "a.raw", NULL),
                 -2, -3, 4, 10, 20, 30);
    assert_reads(meta("b.mhd", "HeaderSize = -1\nElementType = MET_SHORT\n", "a.raw", NULL),
                 -2, -3, 4, 10, 20, 30);
    assert_refused(meta("c.mhd", "HeaderSize = 999\nElementType = MET_SHORT\n", "a.raw",
                        NULL), "byte 999");
}
END_TEST

/* META with further lines, and the voxels in the same file at the place given, or, with 0,
 * behind the header. */
static const char *
meta_local(const char *lines, size_t at, const struct bytes *data)
{
    static struct bytes b;

    b.n = 0;
    append_text(&b, META);
    append_text(&b, lines);
    append_text(&b, "ElementType = MET_SHORT\nElementDataFile = LOCAL\n");
    while (b.n < at)
        b.data[b.n++] = ' ';
    memcpy(b.data + b.n, data->data, data->n);
    return scratch_bytes("local.mha", b.data, b.n + data->n);
}

START_TEST(metaimage_with_its_voxels_in_it_obeys_header_size)
{
    static struct bytes data;

    append_elements(&data, I16, false);
    assert_reads(meta_local("HeaderSize = 0\n", 0, &data), -2, -3, 4, 10, 20, 30);
    assert_reads(meta_local("HeaderSize = -1\n", 0, &data), -2, -3, 4, 10, 20, 30);
    assert_reads(meta_local("HeaderSize = -1\n", 500, &data), -2, -3, 4, 10, 20, 30);
    assert_reads(meta_local("HeaderSize = 500\n", 500, &data), -2, -3, 4, 10, 20, 30);
    assert_refused(meta_local("HeaderSize = 8\n", 0, &data),
                   "HeaderSize is 8, but the header takes");
    assert_refused(meta_local("HeaderSize = -2\n", 0, &data), "HeaderSize is -2");
    data.n -= 3;                                    /* the header is no voxels */
    assert_refused(meta_local("HeaderSize = -1\n", 0, &data), "truncated");
    assert_refused(meta_local("HeaderSize = 500\n", 500, &data), "truncated");
}
END_TEST

START_TEST(metaimage_lines_are_read_in_all_their_spellings)
{
    static const struct {
        const char *instead_of, *line;
    } SPELLING[] = {
        {"Offset =", "Origin = -10 -20 30\n"}, {"Offset =", "Position = -10 -20 30\n"},
        {"Offset =", "offset:-10 -20  30\r\n"},
        {"TransformMatrix =", "Rotation = 1 0 0 0 1 0 0 0 1\n"},
        {"TransformMatrix =", "Orientation = 1 0 0 0 1 0 0 0 1\n"},
        {"ElementSpacing =", "ElementSize = 2 3 4\n"}, {"", "ElementSize = 9 9 9\n"},
        {"", "ElementByteOrderMSB = F\n"}, {"", "BinaryDataByteOrderMSB = 0\n"},
        {"", "BinaryData = t\n"}, {"", "BinaryData: TRUE\n"}, {"", "DistanceUnits = ?\n"},
        {"", "DistanceUnits = mm\n"}, {"", "Offset = -10  -20 30\n"}
    };
    static struct bytes data, b;

    append_elements(&data, I16, false);
    for (size_t i = 0; i < sizeof SPELLING / sizeof *SPELLING; i++) {
        b.n = 0;
        append_unchanged(&b, META, SPELLING[i].instead_of, '=');
        append_text(&b, SPELLING[i].line);
        append_text(&b, "ElementType = MET_SHORT\nElementDataFile = Local\n");
        memcpy(b.data + b.n, data.data, data.n);
        assert_reads(scratch_bytes("a.mha", b.data, b.n + data.n), -2, -3, 4, 10, 20, 30);
    }
}
END_TEST

START_TEST(metaimage_that_cannot_be_used_is_refused_with_the_reason)
{
    static const struct {
        const char *lines, *file, *reason;
    } BAD[] = {
        {"ElementType = MET_UCHAR\nElementNumberOfChannels = 3\n", "LOCAL", "3 channels"},
        {"ElementType = MET_FLOAT_MATRIX\n", "LOCAL", "MET_FLOAT_MATRIX"},
        {"", "LOCAL", "ElementType is missing"},
        {"ElementType = MET_UCHAR\n", "LIST", "one file a slice"},
        {"ElementType = MET_UCHAR\n", "s%03d.raw 1 5 1", "one file a slice"},
        {"ElementType = MET_UCHAR\n", "absent.raw", "which is not there"},
        {"ElementType = MET_UCHAR\n", "", "no value"},
        {"ElementType = MET_UCHAR\nBinaryData = False\n", "LOCAL", "text elements"},
        {"ElementType = MET_UCHAR\nBinaryData = maybe\n", "LOCAL", "True or False"},
        {"ElementType = MET_UCHAR\nDimSize = 3 4\n", "LOCAL", "DimSize has 2"},
        {"ElementType = MET_UCHAR\nDimSize = 3 4 -5\n", "LOCAL", "size -5 along z"},
        {"ElementType = MET_UCHAR\nDimSize = 3 4 5.5\n", "LOCAL", "expected numbers"},
        {"ElementType = MET_UCHAR\nDimSize = 9223372036854775807 4 5\n", "LOCAL", "absurd"},
        {"ElementType = MET_UCHAR\nDimSize = 99999999999999999999 4 5\n", "LOCAL",
         "expected numbers"},
        {"ElementType = MET_UCHAR\nDimSize = 100 100 100\n", "LOCAL", "truncated"},
        {"ElementType = MET_UCHAR\nNDims = 2\n", "LOCAL", "NDims is 2"},
        {"ElementType = MET_UCHAR\nNDims = 4\nDimSize = 3 4 5 6\n", "LOCAL", "6 volumes"},
        {"ElementType = MET_UCHAR\nElementSpacing = 1 0 1\n", "LOCAL",
         "spacing along y is 0"},
        {"ElementType = MET_UCHAR\nElementSpacing = 1 nan 1\n", "LOCAL", "spacing along y"},
        {"ElementType = MET_UCHAR\nTransformMatrix = 1 0 0 1 0 0 0 0 1\n", "LOCAL",
         "singular"},
        {"ElementType = MET_UCHAR\nTransformMatrix = 1 0 0 1\n", "LOCAL", "has 4 numbers"},
        {"ElementType = MET_UCHAR\nOffset = 1 inf 1\n", "LOCAL", "column 3 is"},
        {"no equals sign\n", "LOCAL", "Key = Value"}
    };
    static struct bytes data;

    append_elements(&data, U8, false);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_refused(meta("a.mha", BAD[i].lines, BAD[i].file, &data), BAD[i].reason);
    assert_refused(scratch_text("b.mha", META), "without ElementDataFile");
}
END_TEST

/* ---- NRRD ---- */

static const char NRRD[] = "NRRD0005\n# made by a test\ndimension: 3\nsizes: 3 4 5\n";

static const char *
nrrd(const char *name, const char *lines, const struct bytes *data)
{
    static struct bytes b;

    b.n = 0;
    append_unchanged(&b, NRRD, lines, ':');
    append_text(&b, lines);
    if (data != NULL) {
        append_text(&b, "\n");
        memcpy(b.data + b.n, data->data, data->n);
        b.n += data->n;
    }
    return scratch_bytes(name, b.data, b.n);
}

START_TEST(nrrd_of_every_type_and_byte_order_is_read_attached_and_detached)
{
    static const char *const TYPE[N_ELEMENTS] = {
        "unsigned char", "int8", "ushort", "signed short int", "uint32_t", "int",
        "unsigned long long int", "longlong", "float", "double"
    };
    static struct bytes data, packed;

    for (int e = 0; e < N_ELEMENTS; e++)
        for (int big = 0; big < 2; big++) {
            char *lines = voco_format(
                "type: %s\nendian: %s\nspace: RAS\nkey:=value: with colon\n"
                "space directions: (-2,0,0) (0, -3, 0) (0,0,4)\n"
                "space origin: (10,20,30)\n", TYPE[e], big ? "big" : "little");
            char *raw = voco_format("%sencoding: raw\n", lines);
            char *gz = voco_format("%sencoding: gzip\n", lines);
            char *detached = voco_format("%sdata file: d.raw\nbyte skip: 3\n", raw);
            char *at_end = voco_format("%sdatafile: d.raw\nbyteskip: -1\n", raw);
            char *lined = voco_format("%sdatafile: l.raw\nlineskip: 2\n", gz);

            data.n = 0;
            append_elements(&data, (enum element)e, big);
            deflated(&data, true, &packed);
            assert_reads(nrrd("a.nrrd", raw, &data), -2, -3, 4, 10, 20, 30);
            assert_reads(nrrd("z.nrrd", gz, &packed), -2, -3, 4, 10, 20, 30);
            memmove(data.data + 3, data.data, data.n);
            scratch_bytes("d.raw", data.data, data.n + 3);
            assert_reads(nrrd("a.nhdr", detached, NULL), -2, -3, 4, 10, 20, 30);
            assert_reads(nrrd("e.nhdr", at_end, NULL), -2, -3, 4, 10, 20, 30);
            memmove(packed.data + 4, packed.data, packed.n);
            memcpy(packed.data, "a\nb\n", 4);
            scratch_bytes("l.raw", packed.data, packed.n + 4);
            assert_reads(nrrd("l.nhdr", lined, NULL), -2, -3, 4, 10, 20, 30);
            free(lines);
            free(raw);
            free(gz);
            free(detached);
            free(at_end);
            free(lined);
        }
}
END_TEST

START_TEST(nrrd_spaces_are_turned_to_ras)
{
    static const struct {
        const char *space;
        double d0, d1, o0, o1;
    } SPACE[] = {
        {"space: right-anterior-superior\n", 2, 3, 10, 20}, {"space: LAS\n", -2, 3, -10,
        20}, {"space: left-posterior-superior\n", -2, -3, -10, -20},
        {"space dimension: 3\n", -2, -3, -10, -20}
    };
    static struct bytes data;

    append_elements(&data, U8, false);
    for (size_t i = 0; i < sizeof SPACE / sizeof *SPACE; i++) {
        char *lines = voco_format("type: uint8\nencoding: raw\n%sspace origin:"
                                  " (10,20,30)\nspace directions: (2,0,0) (0,3,0) (0,0,4)\n",
                                  SPACE[i].space);

        assert_reads(nrrd("a.nrrd", lines, &data), SPACE[i].d0, SPACE[i].d1, 4,
                     SPACE[i].o0, SPACE[i].o1, 30);
        free(lines);
    }
    assert_reads(nrrd("b.nrrd", "type: uint8\nencoding: raw\nspacings: 2 3 4\n", &data),
                 -2, -3, 4, 0, 0, 0);
    assert_reads(nrrd("c.nrrd", "type: uint8\nencoding: raw\ndimension: 4\n"
                      "sizes: 1 3 4 5\nspace directions: none (2,0,0) (0,3,0) (0,0,4)\n",
                      &data), -2, -3, 4, 0, 0, 0);
}
END_TEST

/* As ITK places them. */
START_TEST(nrrd_axis_mins_place_a_volume_without_a_space)
{
    static const struct {
        const char *lines;
        float o0, o1, o2;
    } MINS[] = {
        {"spacings: 2 3 4\naxis mins: 10 20 30\n", -11, -21.5f, 32},
        {"spacings: 2 3 4\naxis mins: 10 20 30\ncenters: cell cell cell\n", -11, -21.5f, 32},
        {"spacings: 2 3 4\naxismins: 10 20 30\nCenterings: node node node\n", -10, -20, 30},
        {"spacings: 2 3 4\naxis mins: 10 20 30\ncenters: cell ??? node\n", -11, -21.5f, 30},
        {"spacings: 2 3 4\naxis mins: 10 20 30\naxis maxs: 16 32 50\n", -11, -21.5f, 32},
        {"spacings: 0.2 0.3 0.4\naxis mins: 1 2 3\nunits: \"cm\" \"cm\" \"cm\"\n",
         -11, -21.5f, 32},
        {"spacings: 2 3 4\naxis mins: 10 nan 30\n", -11, 0, 32},
        {"spacings: 2 3 4\naxis mins: 10 20 30\nspace: LPS\n", 0, 0, 0},
        {"spacings: 2 3 4\naxis mins: 10 20\n", 0, 0, 0}
    };
    static struct bytes data;

    append_elements(&data, U8, false);
    for (size_t i = 0; i < sizeof MINS / sizeof *MINS; i++) {
        char *lines = voco_format("type: uint8\nencoding: raw\n%s", MINS[i].lines);

        assert_reads(nrrd("a.nrrd", lines, &data), -2, -3, 4, MINS[i].o0, MINS[i].o1,
                     MINS[i].o2);
        free(lines);
    }
}
END_TEST

START_TEST(nrrd_fields_are_read_in_all_their_spellings)
{
    static const char *const LINES[] = {
        "spacedirections: (2,0,0) (0,3,0) (0,0,4)\nspaceorigin: (10,20,30)\n",
        "Space Directions: ( 2, 0, 0 )\t(0,3,0) (0 ,0, 4)\nspace  origin:(10,20,30)\n",
        "space directions: (2e0,0,0) (0,3.0,0) (0,0,+4)\nspace origin: (10,20,30)\r\n",
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (10,20,30)\n"
        "spacings: nan 3 4.0001\nkinds: domain space domain\nspaceunits: \"mm\" mm \"\"\n",
        "space directions: (2000,0,0) (0,3000,0) (0,0,4000)\n"
        "space origin: (10000,20000,30000)\nspace units: \"um\" \"microns\" \"\xc2\xb5m\"\n"
    };
    static const char *const TYPE[] = {
        "uchar", "Unsigned Char", "UINT8", "uint8_t"
    };
    static struct bytes data;

    append_elements(&data, U8, false);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        char *lines = voco_format("type: %s\nencoding: Raw\nspace: right-anterior-superior"
                                  "\n%s", TYPE[i % 4], LINES[i]);

        assert_reads(nrrd("a.nrrd", lines, &data), 2, 3, 4, 10, 20, 30);
        free(lines);
    }
    assert_reads(nrrd("b.nrrd", "type: uint8\nencoding: raw\nspace: RAS\nspace origin: none"
                      "\nspace directions: (2,0,0) (0,3,0) (0,0,4)\n", &data),
                 2, 3, 4, 0, 0, 0);
}
END_TEST

START_TEST(nrrd_voxels_at_the_end_of_the_file_do_not_begin_in_the_header)
{
    static const char LINES[] = "type: uint8\nencoding: raw\nspace: RAS\nspacings: 2 3 4\n"
                                "byte skip: -1\n";
    static struct bytes data, padded;

    append_elements(&data, U8, false);
    append_text(&padded, "something else");
    append_elements(&padded, U8, false);
    assert_reads(nrrd("a.nrrd", LINES, &padded), 2, 3, 4, 0, 0, 0);
    assert_reads(nrrd("b.nrrd", LINES, &data), 2, 3, 4, 0, 0, 0);
    data.n--;
    assert_refused(nrrd("c.nrrd", LINES, &data), "truncated");
}
END_TEST

START_TEST(nrrd_that_cannot_be_used_is_refused_with_the_reason)
{
    static const struct {
        const char *lines, *reason;
    } BAD[] = {
        {"type: uint8\nencoding: raw\nspace: scanner-xyz\n", "space is scanner-xyz"},
        {"type: uint8\nencoding: ascii\n", "encoding is ascii"},
        {"type: uint8\nencoding: bzip2\n", "encoding is bzip2"},
        {"type: uint8\nencoding: hex\n", "encoding is hex"},
        {"type: uint8\n", "encoding is missing"},
        {"type: block\nencoding: raw\n", "type is block"},
        {"encoding: raw\n", "type is missing"},
        {"type: |\nencoding: raw\n", "type is |"},
        {"type: short\nencoding: raw\n", "endian is missing"},
        {"type: uint8\nencoding: raw\nsizes: 3 4\n", "2 sizes"},
        {"type: uint8\nencoding: raw\nsizes: 3 4 0\n", "size 0 along z"},
        {"type: uint8\nencoding: raw\nsizes: 4000000000 4000000000 4\n", "absurd"},
        {"type: uint8\nencoding: raw\nsizes: 4000 4000 4\n", "truncated"},
        {"type: uint8\nencoding: raw\ndimension: 2\n", "dimension is 2"},
        {"type: uint8\nencoding: raw\ndimension: 4\nsizes: 3 3 4 5\n"
         "space directions: none (2,0,0) (0,3,0) (0,0,4)\n", "axis 0 holds 3 values"},
        {"type: uint8\nencoding: raw\nspace directions: (2,0,0) (0,3,0)\n",
         "2 space directions"},
        {"type: uint8\nencoding: raw\nspace directions: (2,0,0) (0,3,0) none\n",
         "holds 5 values"},
        {"type: uint8\nencoding: raw\nspace directions: (2,0) (0,3,0) (0,0,4)\n",
         "three numbers"},
        {"type: uint8\nencoding: raw\nspace directions: (2,0,0) (2,0,0) (0,0,4)\n",
         "singular"},
        {"type: uint8\nencoding: raw\nspacings: 1 0 1\n", "spacing along y is 0"},
        {"type: uint8\nencoding: raw\nspacings: 1 nan 1\n", "nan"},
        {"type: uint8\nencoding: raw\nspacings: 2 3 5\n"
         "space directions: (2,0,0) (0,3,0) (0,0,4)\n", "spacings says 5 along axis 2"},
        {"type: uint8\nencoding: raw\naxis mins: 0 0 0\naxismaxs: 6 12 20\n",
         "write it as spacings"},
        {"type: uint8\nencoding: raw\nspacings: 2 3 4\naxis mins: 0 0 0\naxis maxs: 6 12 30\n",
         "30 apart along axis 2"},
        {"type: uint8\nencoding: raw\nspace: RAS\nspace: LPS\n", "space comes twice"},
        {"type: uint8\nencoding: raw\nspace origin: (1,2,3)\nspaceorigin: (1,2,4)\n",
         "space origin comes twice"},
        {"type: uint8\nencoding: raw\nspace units: \"s\" \"mm\" \"mm\"\n",
         "\"s\" is no unit of length"},
        {"type: uint8\nencoding: text\n", "text for voxels"},
        {"type: uint8\nencoding: raw\ndata file: LIST\n", "several data files"},
        {"type: uint8\nencoding: raw\ndata file: s%03d.raw 1 5 1\n", "several data files"},
        {"type: uint8\nencoding: raw\ndata file: absent.raw\n", "which is not there"},
        {"type: uint8\nencoding: gzip\nbyte skip: -1\n", "byte skip -1"},
        {"type: uint8\nencoding: raw\nbyte skip: 99999999999\n", "truncated"},
        {"no colon\n", "field: value"}
    };
    static struct bytes data;

    append_elements(&data, U8, false);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_refused(nrrd("a.nrrd", BAD[i].lines, &data), BAD[i].reason);
    assert_refused(nrrd("b.nrrd", "type: uint8\nencoding: raw\n", NULL), "has no end");
    assert_refused(scratch_text("c.nrrd", "NRRD0009\n\n"), "NRRD version");
}
END_TEST

/* ---- DICOM: a stand-in for dcm2niix copies what a test prepared ---- */

static void
dicom_setup(void)
{
    static const char SCRIPT[] =
        "#!/bin/sh\n"
        "while [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\n"
        "cp \"$FAKE\"/* \"$out\" 2>/dev/null\n"
        "echo some words; echo Error: a reason >&2; echo more words; exit $FAKE_EXIT\n";
    char dicom[132] = "";

    scratch_setup();
    memcpy(dicom + 128, "DICM", 4);
    scratch_bytes("study/IM0001", dicom, sizeof dicom);
    chmod(scratch_text("bin/dcm2niix", SCRIPT), 0700);
    scratch_text("fake/readme", "");
    char *path = voco_format("%s/bin:/usr/bin:/bin", scratch_folder);
    setenv("PATH", path, 1);
    setenv("FAKE", scratch("fake"), 1);
    setenv("FAKE_EXIT", "0", 1);
    setenv("TMPDIR", scratch_folder, 1);
    free(path);
}

static void
fake_series(const char *name)
{
    static struct bytes b;
    char *file = voco_format("fake/%s.nii", name), *json = voco_format("fake/%s.json", name);

    make_nifti(&b, 1, I16, false);
    scratch_bytes(file, b.data, b.n);
    scratch_text(json, "{\"Modality\": \"CT\", \"SeriesDescription\": \"thin\"}");
    free(file);
    free(json);
}

START_TEST(dicom_folder_is_read_through_dcm2niix)
{
    struct voco_volume_header h;

    fake_series("series2");
    ck_assert(voco_is_dicom_folder(scratch("study")));
    ck_assert(!voco_is_dicom_folder(scratch("fake")));
    assert_reads(scratch("study"), -2, -3, 4, 10, 20, 30);
    ck_assert_int_eq(voco_volume_describe(scratch("study"), &h), VOCO_OK);
    ck_assert_str_eq(h.format, "DICOM");
    assert_refused(scratch("study/IM0001"), "give the folder");
    ck_assert_int_eq(system("test -z \"$(ls -d $TMPDIR/voco-dicom-* 2>/dev/null)\""), 0);
}
END_TEST

START_TEST(dicom_corrected_slices_are_preferred_and_several_series_listed)
{
    fake_series("series2");
    fake_series("series2_Eq_1");
    unlink(scratch("fake/series2_Eq_1.json"));      /* dcm2niix writes none */
    assert_reads(scratch("study"), -2, -3, 4, 10, 20, 30);
    fake_series("series3");
    assert_refused(scratch("study"), "2 series");
    ck_assert_says("series3 \"thin\" CT 3x4x5");
}
END_TEST

START_TEST(dicom_failures_are_told_with_the_reason_of_dcm2niix)
{
    assert_refused(scratch("study"), "found no volume");
    setenv("FAKE_EXIT", "2", 1);
    assert_refused(scratch("study"), "code 2: Error: a reason");
    setenv("FAKE_EXIT", "0", 1);
    fake_series("series2");
    scratch_text("fake/series2.json", "{");
    assert_refused(scratch("study"), "no usable description");
    setenv("PATH", scratch("fake"), 1);
    assert_refused(scratch("study"), "not installed");
}
END_TEST

/* An element of a data set in little endian; vr "": implicit. */
static void
put_element(struct bytes *b, int group, int number, const char *vr, const char *value)
{
    const size_t at = b->n, n = strlen(value);

    put_int(b, at, 2, false, group);
    put_int(b, at + 2, 2, false, number);
    put_int(b, at + 4, 4, false, (int64_t)n);
    if (*vr != '\0') {
        memcpy(b->data + at + 4, vr, 2);
        put_int(b, at + 6, 2, false, (int64_t)n);
    }
    append_text(b, value);
}

START_TEST(dicom_files_are_known_by_what_is_in_them)
{
    static const char *const VR[] = {"CS", ""};
    static struct bytes b;

    fake_series("series2");
    for (int i = 0; i < 2; i++) {               /* explicit, implicit */
        b.n = 0;
        put_element(&b, 8, 5, VR[i], "ISO_IR 100");
        put_element(&b, 8, 8, VR[i], "ORIGINAL");
        put_element(&b, 8, 0x60, VR[i], "CT");
        scratch_bytes("bare/slice", b.data, b.n);
        ck_assert(voco_is_dicom_folder(scratch("bare")));
        assert_reads(scratch("bare"), -2, -3, 4, 10, 20, 30);
    }
    b.n = 0;                                    /* in descending order */
    put_element(&b, 8, 8, "CS", "ORIGINAL");
    put_element(&b, 8, 5, "CS", "ISO_IR 100");
    scratch_bytes("other/turned", b.data, b.n);
    b.n = 0;                                    /* longer than the file */
    put_element(&b, 8, 5, "", "ISO_IR 100");
    put_element(&b, 8, 8, "", "ORIGINAL");
    put_int(&b, 4, 4, false, 1 << 30);
    scratch_bytes("other/long", b.data, b.n);
    memset(b.data, 0, 4096);
    scratch_bytes("other/zeros", b.data, 4096);
    scratch_text("other/text", "\b\nSlice 8 was not good, nor were 9, 10 and 11.\n");
    ck_assert(!voco_is_dicom_folder(scratch("other")));
}
END_TEST

START_TEST(dicomdir_on_top_of_an_export_is_no_image)
{
    static const struct voco_datalist_options PLAIN;
    struct voco_datalist l = {.n = 0};
    static struct bytes b;
    char dicom[132] = "";

    b.n = 128;
    append_text(&b, "DICM");
    put_element(&b, 2, 2, "UI", "1.2.840.10008.1.3.10");
    put_element(&b, 4, 0x1130, "CS", "EXPORT");
    scratch_bytes("export/DICOMDIR", b.data, b.n);
    memcpy(dicom + 128, "DICM", 4);
    scratch_bytes("export/PT0/SE0/IM0", dicom, sizeof dicom);
    fake_series("series2");
    ck_assert(!voco_is_dicom_folder(scratch("export")));
    ck_assert_int_eq(voco_datalist_add(&l, scratch("export"), &PLAIN), VOCO_OK);
    ck_assert_int_eq(voco_datalist_finish(&l), VOCO_OK);
    ck_assert_int_eq(l.n, 1);
    ck_assert_str_eq(l.item[0].image[0], scratch("export/PT0/SE0"));
    assert_reads(l.item[0].image[0], -2, -3, 4, 10, 20, 30);
    assert_refused(scratch("export/DICOMDIR"), "a DICOMDIR lists images and holds none");
    voco_datalist_free(&l);
}
END_TEST

/* ---- any damage ---- */

/* One valid file of each kind: name, bytes, bytes of the header. */
static int
valid_file(int kind, struct bytes *b, size_t *ret_header, const char **ret_name)
{
    static const char *const NAME[] = {
        "f.nii", "f2.nii", "f.nii.gz", "f.mha", "fz.mha", "f.nrrd", "fz.nrrd"
    };
    static struct bytes data, packed;

    if (kind >= (int)(sizeof NAME / sizeof *NAME))
        return 0;
    *ret_name = NAME[kind];
    data.n = b->n = 0;
    append_elements(&data, I16, false);
    deflated(&data, kind == 6, &packed);
    if (kind < 3)
        make_nifti(b, kind == 1 ? 2 : 1, I16, kind == 1);
    if (kind == 2) {
        memcpy(&packed, b, sizeof packed);
        deflated(&packed, true, b);
    }
    if (kind == 3 || kind == 4) {
        append_text(b, META);
        append_text(b, "ElementType = MET_SHORT\n");
        append_text(b, kind == 4 ? "CompressedData = True\n" : "");
        append_text(b, "ElementDataFile = LOCAL\n");
    }
    if (kind >= 5) {
        append_text(b, NRRD);
        append_text(b, "type: int16\nendian: little\nspace: RAS\n"
                       "space directions: (2,0,0) (0,2,0) (0,0,2)\n");
        append_text(b, kind == 6 ? "encoding: gzip\n\n" : "encoding: raw\n\n");
    }
    *ret_header = kind < 2 ? b->n - data.n : b->n;
    if (kind >= 3) {
        const struct bytes *voxels = kind == 4 || kind == 6 ? &packed : &data;

        memcpy(b->data + b->n, voxels->data, voxels->n);
        b->n += voxels->n;
    }
    return 1;
}

START_TEST(every_format_cut_at_any_length_is_an_error)
{
    static struct bytes b;
    const char *name;
    size_t header;

    for (int kind = 0; valid_file(kind, &b, &header, &name); kind++) {
        struct voco_volume v;

        ck_assert_msg(voco_volume_read(scratch_bytes(name, b.data, b.n), &v) == VOCO_OK,
                      "%s", voco_fail_text());
        voco_volume_free(&v);
        for (size_t n = b.n; n-- > 0;) {
            ck_assert_int_eq(truncate(scratch(name), (off_t)n), 0);
            ck_assert_msg(voco_volume_read(scratch(name), &v) == VOCO_EFORMAT,
                          "%s cut to %zu of %zu bytes: %s", name, n, b.n, voco_fail_text());
            ck_assert_ptr_null(v.voxel);
        }
    }
}
END_TEST

START_TEST(every_format_with_any_byte_changed_is_a_volume_or_an_error)
{
    static const unsigned char CHANGE[] = {0x01, 0x80, 0xff, 0x20};
    static struct bytes b;
    const char *name;
    size_t header;

    for (int kind = 0; valid_file(kind, &b, &header, &name); kind++) {
        const int file = open(scratch_bytes(name, b.data, b.n), O_WRONLY);

        for (size_t at = 0; at < header; at++)
            for (size_t i = 0; i < sizeof CHANGE; i++) {
                const unsigned char changed = b.data[at] ^ CHANGE[i];
                struct voco_volume v;
                enum voco_err err;

                ck_assert_int_eq(pwrite(file, &changed, 1, (off_t)at), 1);
                err = voco_volume_read(scratch(name), &v);
                ck_assert_int_eq(pwrite(file, &b.data[at], 1, (off_t)at), 1);
                ck_assert_msg(err == VOCO_OK || err == VOCO_EFORMAT || err == VOCO_EMEMORY,
                              "%s byte %zu: %s", name, at, voco_fail_text());
                voco_volume_free(&v);
            }
        close(file);
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("formats");
    TCase *text = tcase_create("text"), *dicom = tcase_create("dicom"),
          *damage = tcase_create("damage");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_add_checked_fixture(text, scratch_setup, scratch_teardown);
    tcase_add_test(text, metaimage_of_every_type_and_byte_order_is_turned_from_lps_to_ras);
    tcase_add_test(text, metaimage_rows_of_the_matrix_are_the_directions_of_the_axes);
    tcase_add_test(text, metaimage_data_may_begin_behind_a_header_of_their_own);
    tcase_add_test(text, metaimage_with_its_voxels_in_it_obeys_header_size);
    tcase_add_test(text, metaimage_lines_are_read_in_all_their_spellings);
    tcase_add_test(text, metaimage_that_cannot_be_used_is_refused_with_the_reason);
    tcase_add_test(text, nrrd_of_every_type_and_byte_order_is_read_attached_and_detached);
    tcase_add_test(text, nrrd_spaces_are_turned_to_ras);
    tcase_add_test(text, nrrd_axis_mins_place_a_volume_without_a_space);
    tcase_add_test(text, nrrd_fields_are_read_in_all_their_spellings);
    tcase_add_test(text, nrrd_voxels_at_the_end_of_the_file_do_not_begin_in_the_header);
    tcase_add_test(text, nrrd_that_cannot_be_used_is_refused_with_the_reason);
    tcase_add_checked_fixture(dicom, dicom_setup, scratch_teardown);
    tcase_add_test(dicom, dicom_folder_is_read_through_dcm2niix);
    tcase_add_test(dicom, dicom_corrected_slices_are_preferred_and_several_series_listed);
    tcase_add_test(dicom, dicom_files_are_known_by_what_is_in_them);
    tcase_add_test(dicom, dicomdir_on_top_of_an_export_is_no_image);
    tcase_add_test(dicom, dicom_failures_are_told_with_the_reason_of_dcm2niix);
    tcase_add_checked_fixture(damage, scratch_setup, scratch_teardown);
    tcase_set_timeout(damage, 60);
    tcase_add_test(damage, every_format_cut_at_any_length_is_an_error);
    tcase_add_test(damage, every_format_with_any_byte_changed_is_a_volume_or_an_error);
    suite_add_tcase(s, text);
    suite_add_tcase(s, dicom);
    suite_add_tcase(s, damage);
    return s;
}
