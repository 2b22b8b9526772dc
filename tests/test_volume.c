/* Volumes: memory, NIfTI in every element type and byte order, and everything that can
 * be wrong with a NIfTI file. */
#define _GNU_SOURCE
#include <math.h>
#include <zlib.h>

#include "data/volume/labels.h"
#include "data/volume/volume.h"
#include "scratch.h"
#include "tests/test.h"
#include "volfile.h"

/* Offsets in a NIfTI-1 header. */
enum { DIM = 40, DATATYPE = 70, BITPIX = 72, PIXDIM = 76, VOX_OFFSET = 108, SLOPE = 112,
       INTER = 116, QFORM = 252, SFORM = 254, QUATERN = 256, QOFFSET = 268, SROW = 280,
       MAGIC = 344 };

static void
assert_values(const struct voco_volume *v, double slope, double inter)
{
    ck_assert_int_eq(v->dim[0], NX);
    ck_assert_int_eq(v->dim[1], NY);
    ck_assert_int_eq(v->dim[2], NZ);
    for (int x = 0; x < NX; x++)
        for (int y = 0; y < NY; y++)
            for (int z = 0; z < NZ; z++)
                ck_assert_float_eq(v->voxel[(x * NY + y) * NZ + z],
                                   (float)(value_at(x, y, z) * slope + inter));
}

static void
assert_affine(const struct voco_volume *v, double d0, double d1, double d2, double o0,
              double o1, double o2)
{
    const double want[4][4] = {{d0, 0, 0, o0}, {0, d1, 0, o1}, {0, 0, d2, o2}, {0, 0, 0, 1}};

    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            ck_assert_double_eq_tol(v->affine[i][j], want[i][j], 1e-12);
}

static struct voco_volume
read_ok(const char *path)
{
    struct voco_volume v;
    const enum voco_err err = voco_volume_read(path, &v);

    ck_assert_msg(err == VOCO_OK, "%s", voco_fail_text());
    return v;
}

/* Refused as a bad file, by its name and with this reason; nothing is left. */
static void
assert_refused(const char *path, const char *reason)
{
    struct voco_volume v;

    ck_assert_int_eq(voco_volume_read(path, &v), VOCO_EFORMAT);
    ck_assert_ptr_null(v.voxel);
    ck_assert_says(reason);
    ck_assert_says(path);
}

static void
refused_bytes(const struct bytes *b, const char *reason)
{
    assert_refused(scratch_bytes("a.nii", b->data, b->n), reason);
}

/* ---- memory ---- */

START_TEST(alloc_refuses_sizes_below_one_and_beyond_memory)
{
    struct voco_volume v;

    ck_assert_int_eq(voco_volume_alloc(&v, (int64_t[3]){2, 0, 2}), VOCO_EFORMAT);
    ck_assert_int_eq(voco_volume_alloc(&v, (int64_t[3]){INT64_MAX, 3, 3}), VOCO_EMEMORY);
    ck_assert_ptr_null(v.voxel);
    voco_volume_free(&v);
}
END_TEST

START_TEST(nonfinite_voxels_are_counted)
{
    struct voco_volume v;

    ck_assert_int_eq(voco_volume_alloc(&v, (int64_t[3]){1, 2, 2}), VOCO_OK);
    v.voxel[0] = 1;
    v.voxel[1] = NAN;
    v.voxel[2] = -INFINITY;
    v.voxel[3] = 0;
    ck_assert_int_eq(voco_volume_nonfinite(&v), 2);
    voco_volume_free(&v);
}
END_TEST

START_TEST(written_volumes_read_back)
{
    static const char *const NAME[] = {"a.nii", "a.nii.gz"};
    struct voco_volume v, back;
    double spacing[3];

    ck_assert_int_eq(voco_volume_alloc(&v, (int64_t[3]){NX, NY, NZ}), VOCO_OK);
    for (int x = 0; x < NX; x++)
        for (int y = 0; y < NY; y++)
            for (int z = 0; z < NZ; z++)
                v.voxel[(x * NY + y) * NZ + z] = (float)value_at(x, y, z);
    v.affine[0][0] = -0.75;
    v.affine[2][3] = -80;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(voco_volume_write(scratch(NAME[i]), &v), VOCO_OK);
        back = read_ok(scratch(NAME[i]));
        assert_values(&back, 1, 0);
        assert_affine(&back, -0.75, 1, 1, 0, 0, -80);
        voco_volume_spacing(&back, spacing);
        ck_assert_double_eq(spacing[0], 0.75);
        voco_volume_free(&back);
    }
    ck_assert_int_eq(voco_volume_write(scratch("no/such/folder.nii"), &v), VOCO_EIO);
    voco_volume_free(&v);
}
END_TEST

/* ---- good NIfTI ---- */

START_TEST(nifti_of_every_element_type_and_byte_order_gives_the_same_voxels)
{
    static struct bytes b;

    for (int version = 1; version <= 2; version++)
        for (int e = 0; e < N_ELEMENTS; e++)
            for (int big = 0; big < 2; big++) {
                make_nifti(&b, version, (enum element)e, big);
                struct voco_volume v = read_ok(scratch_bytes("a.nii", b.data, b.n));
                assert_values(&v, 1, 0);
                assert_affine(&v, -2, -3, 4, 10, 20, 30);
                voco_volume_free(&v);
            }
}
END_TEST

START_TEST(nifti_content_counts_not_the_name)
{
    static struct bytes b, z;
    struct voco_volume v;

    make_nifti(&b, 1, I16, false);
    deflated(&b, true, &z);
    v = read_ok(scratch_bytes("packed_but_called.nii", z.data, z.n));
    voco_volume_free(&v);
    v = read_ok(scratch_bytes("plain_but_called.nii.gz", b.data, b.n));
    voco_volume_free(&v);
    v = read_ok(scratch_bytes("nameless", b.data, b.n));
    voco_volume_free(&v);
    ck_assert(voco_volume_sniff(scratch("nameless")));
    ck_assert(!voco_volume_sniff(scratch("absent")));
}
END_TEST

START_TEST(gzip_of_several_members_and_zero_padding_is_one_stream)
{
    static struct bytes b, part, z, all;
    struct voco_volume v;

    make_nifti(&b, 1, U8, false);
    for (size_t at = 0; at < b.n; at += part.n) {
        part.n = b.n - at < 200 ? b.n - at : 200;
        memcpy(part.data, b.data + at, part.n);
        deflated(&part, true, &z);
        memcpy(all.data + all.n, z.data, z.n);
        all.n += z.n;
    }
    all.n += 7;
    v = read_ok(scratch_bytes("a.nii.gz", all.data, all.n));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
    all.data[all.n++] = 'x';                        /* and what follows is left alone */
    v = read_ok(scratch_bytes("a.nii.gz", all.data, all.n));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
}
END_TEST

START_TEST(slope_zero_or_nan_means_no_scaling_else_it_is_applied_in_double)
{
    static const double SLOPE_OF[] = {0, NAN, INFINITY, 1, 0.1f};
    static struct bytes b;

    for (int i = 0; i < 5; i++) {
        make_nifti(&b, 1, I16, false);
        put_real(&b, SLOPE, 4, false, SLOPE_OF[i]);
        put_real(&b, INTER, 4, false, i >= 3 ? -7 : 5);
        struct voco_volume v = read_ok(scratch_bytes("a.nii", b.data, b.n));
        assert_values(&v, i == 4 ? (double)0.1f : 1, i >= 3 ? -7 : 0);
        voco_volume_free(&v);
    }
    put_real(&b, INTER, 4, false, NAN);
    refused_bytes(&b, "scl_inter");
}
END_TEST

START_TEST(qform_is_used_without_sform_and_its_qfac_turns_the_third_axis)
{
    static struct bytes b;
    struct voco_volume v;

    make_nifti(&b, 1, I16, false);
    put_int(&b, SFORM, 2, false, 0);
    put_int(&b, QFORM, 2, false, 1);
    put_real(&b, PIXDIM, 4, false, -1);
    put_real(&b, QUATERN + 8, 4, false, 1);         /* half a turn about z */
    put_real(&b, QOFFSET, 4, false, 11);
    v = read_ok(scratch_bytes("a.nii", b.data, b.n));
    assert_affine(&v, -2, -3, -4, 11, 0, 0);
    voco_volume_free(&v);
    put_real(&b, QUATERN, 4, false, 0.9);
    refused_bytes(&b, "quaternion");
}
END_TEST

START_TEST(without_sform_and_qform_the_first_axis_goes_left_around_the_middle)
{
    static struct bytes b;
    struct voco_volume v;

    make_nifti(&b, 1, I16, false);
    put_int(&b, SFORM, 2, false, 0);
    v = read_ok(scratch_bytes("a.nii", b.data, b.n));
    assert_affine(&v, -2, 3, 4, 2, -4.5, -8);
    voco_volume_free(&v);
}
END_TEST

START_TEST(pair_is_read_from_either_name_and_needs_its_image)
{
    static struct bytes b;
    struct voco_volume v;

    make_nifti(&b, 1, I16, true);
    memcpy(b.data + MAGIC, "ni1", 4);
    put_real(&b, VOX_OFFSET, 4, true, 0);
    scratch_bytes("p.hdr", b.data, 348);
    assert_refused(scratch("p.hdr"), "p.img, which is not there");
    scratch_bytes("p.img", b.data + 352, b.n - 352);
    v = read_ok(scratch("p.hdr"));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
    v = read_ok(scratch("p.img"));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
}
END_TEST

START_TEST(one_time_point_is_3d_more_are_refused_with_their_number)
{
    static struct bytes b;
    struct voco_volume v;

    make_nifti(&b, 1, U8, false);
    put_int(&b, DIM, 2, false, 7);
    v = read_ok(scratch_bytes("a.nii", b.data, b.n));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
    put_int(&b, DIM + 8, 2, false, 17);
    refused_bytes(&b, "4-D with 17 time points");
    put_int(&b, DIM + 8, 2, false, 1);
    put_int(&b, DIM + 10, 2, false, 3);
    refused_bytes(&b, "3 values a voxel");
}
END_TEST

START_TEST(describe_tells_the_header_without_voxels)
{
    static struct bytes b, z;
    struct voco_volume_header h;

    make_nifti(&b, 2, U16, true);
    deflated(&b, true, &z);
    ck_assert_int_eq(voco_volume_describe(scratch_bytes("a.nii.gz", z.data, z.n), &h),
                     VOCO_OK);
    ck_assert_str_eq(h.format, "NIfTI-2");
    ck_assert_str_eq(h.element, "u16");
    ck_assert(h.compressed);
    ck_assert_int_eq(h.dim[1], NY);
    ck_assert_double_eq(h.spacing_mm[2], 4);
}
END_TEST

/* ---- bad NIfTI ---- */

START_TEST(rgb_and_complex_are_refused_by_name)
{
    static const struct {
        int code;
        const char *name;
    } BAD[] = {{128, "RGB24"}, {2304, "RGBA32"}, {32, "complex64"}, {1792, "complex128"},
               {1536, "float128"}, {1, "binary"}, {99, "datatype 99"}};
    static struct bytes b;

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        make_nifti(&b, 1, U8, false);
        put_int(&b, DATATYPE, 2, false, BAD[i].code);
        refused_bytes(&b, BAD[i].name);
    }
    make_nifti(&b, 1, I16, false);
    put_int(&b, BITPIX, 2, false, 8);
    refused_bytes(&b, "contradicts");
}
END_TEST

START_TEST(absurd_dimensions_are_refused_before_memory_is_asked_for)
{
    static struct bytes b;

    make_nifti(&b, 1, U8, false);
    put_int(&b, DIM, 2, false, 0);
    refused_bytes(&b, "dim[0] is 0");
    put_int(&b, DIM, 2, false, 8);
    refused_bytes(&b, "dim[0] is 8");
    put_int(&b, DIM, 2, false, 3);
    put_int(&b, DIM + 4, 2, false, 0);
    refused_bytes(&b, "dim[2] is 0");
    put_int(&b, DIM + 4, 2, false, -4);
    refused_bytes(&b, "dim[2] is -4");
    for (int i = 1; i <= 3; i++)
        put_int(&b, DIM + 2 * (size_t)i, 2, false, 32767);
    refused_bytes(&b, "truncated or a wrong header");

    make_nifti(&b, 2, U8, false);
    for (size_t i = 1; i <= 3; i++)
        put_int(&b, 16 + 8 * i, 8, false, 1ll << 33);
    refused_bytes(&b, "absurd dimensions");
    for (size_t i = 1; i <= 3; i++)
        put_int(&b, 16 + 8 * i, 8, false, INT64_MAX);
    refused_bytes(&b, "absurd dimensions");
}
END_TEST

START_TEST(unusable_geometry_is_refused)
{
    static struct bytes b;

    make_nifti(&b, 1, U8, false);
    put_real(&b, SROW + 20, 4, false, 0);
    refused_bytes(&b, "spacing along y is 0");
    put_real(&b, SROW + 4, 4, false, 1);
    refused_bytes(&b, "singular");
    make_nifti(&b, 1, U8, false);
    put_real(&b, SROW + 12, 4, false, NAN);
    refused_bytes(&b, "affine row 0, column 3 is nan");
    make_nifti(&b, 1, U8, false);
    put_int(&b, SFORM, 2, false, 0);
    put_real(&b, PIXDIM + 12, 4, false, 0);
    refused_bytes(&b, "spacing along z (pixdim[3]) is 0");
    put_real(&b, PIXDIM + 12, 4, false, NAN);
    refused_bytes(&b, "pixdim[3]");
}
END_TEST

START_TEST(wrong_offsets_and_magic_are_refused)
{
    static const double OFFSET[] = {347, -1, 352.5, NAN, INFINITY, 1e30};
    static struct bytes b;

    for (int i = 0; i < 6; i++) {
        make_nifti(&b, 1, U8, false);
        put_real(&b, VOX_OFFSET, 4, false, OFFSET[i]);
        refused_bytes(&b, "vox_offset");
    }
    put_real(&b, VOX_OFFSET, 4, false, 353);
    refused_bytes(&b, "truncated");
    put_real(&b, VOX_OFFSET, 4, false, 1e9);
    refused_bytes(&b, "truncated");
    make_nifti(&b, 1, U8, false);
    memcpy(b.data + MAGIC, "x+1", 4);
    refused_bytes(&b, "Analyze");
}
END_TEST

START_TEST(damaged_gzip_is_found_although_all_voxels_come_out)
{
    static struct bytes b, z;

    make_nifti(&b, 1, I16, false);
    deflated(&b, true, &z);
    for (size_t cut = 1; cut <= 8; cut++)           /* in the CRC and the length */
        assert_refused(scratch_bytes("a.nii.gz", z.data, z.n - cut), "truncated");
    for (size_t at = 1; at <= 8; at++) {
        z.data[z.n - at] ^= 1;
        assert_refused(scratch_bytes("a.nii.gz", z.data, z.n), "damaged");
        z.data[z.n - at] ^= 1;
    }
    b.n += 16;                                      /* a little padding is harmless */
    deflated(&b, true, &z);
    struct voco_volume v = read_ok(scratch_bytes("a.nii.gz", z.data, z.n));
    voco_volume_free(&v);
}
END_TEST

START_TEST(what_follows_the_checksum_is_ignored_and_data_without_one_are_stopped)
{
    static struct bytes b, z, all;
    static unsigned char long_data[1 << 22];
    struct voco_volume v;
    char *path;
    gzFile out;

    make_nifti(&b, 1, I16, false);
    v = read_ok(scratch_bytes("raw.nii", b.data, b.n + 9));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
    deflated(&b, true, &all);
    memset(&z, 0, sizeof z);
    z.n = sizeof z.data;
    deflated(&z, true, &all);
    deflated(&b, true, &z);
    memcpy(z.data + z.n, all.data, all.n);          /* a member of 64 KiB of zeros */
    v = read_ok(scratch_bytes("a.nii.gz", z.data, z.n + all.n));
    assert_values(&v, 1, 0);
    voco_volume_free(&v);
    memcpy(long_data, b.data, b.n);
    path = voco_format("%s", scratch("long.nii.gz"));
    out = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(out, long_data, sizeof long_data), (int)sizeof long_data);
    gzclose(out);
    assert_refused(path, "go on past");
    free(path);
}
END_TEST

/* ---- units and places ---- */

START_TEST(metres_and_micrometres_are_obeyed_and_written_again_with_both_transforms)
{
    static const struct { int code; double mm; } UNIT[] = {{1, 1e3}, {2, 1}, {3, 1e-3}, {0, 1}};
    static struct bytes b;
    static const uint8_t label[NX * NY * NZ];

    for (int i = 0; i < 4; i++) {
        struct voco_grid g = {.dim = {NX, NY, NZ}};
        struct voco_volume v, again;

        make_nifti(&b, 1, I16, false);
        b.data[123] = (unsigned char)UNIT[i].code;
        put_int(&b, QFORM, 2, false, 2);
        put_real(&b, QOFFSET, 4, false, 17);
        v = read_ok(scratch_bytes("a.nii", b.data, b.n));
        assert_affine(&v, -2 * UNIT[i].mm, -3 * UNIT[i].mm, 4 * UNIT[i].mm,
                      10 * UNIT[i].mm, 20 * UNIT[i].mm, 30 * UNIT[i].mm);
        g.place = v.place;
        ck_assert_int_eq(voco_volume_write_labels(scratch("l.nii"), &g, label), VOCO_OK);
        again = read_ok(scratch("l.nii"));
        ck_assert(memcmp(again.affine, v.affine, sizeof v.affine) == 0);
        ck_assert_int_eq(again.place.units, UNIT[i].code);
        ck_assert_int_eq(again.place.qform_code, 2);
        ck_assert_double_eq(again.place.qoffset[0], 17);
        ck_assert(memcmp(again.place.srow, v.place.srow, sizeof v.place.srow) == 0);
        voco_volume_free(&again);
        voco_volume_free(&v);
    }
}
END_TEST

START_TEST(pair_in_capitals_is_read_from_either_name)
{
    static const char *const NAME[][2] = {{"C.HDR", "C.IMG"}, {"d.Hdr", "d.Img"},
                                          {"e.HDR", "e.img"}, {"f.hdr", "f.IMG"}};
    static struct bytes b;

    make_nifti(&b, 1, I16, true);
    memcpy(b.data + MAGIC, "ni1", 4);
    put_real(&b, VOX_OFFSET, 4, true, 0);
    for (int i = 0; i < 4; i++) {
        scratch_bytes(NAME[i][0], b.data, 348);
        scratch_bytes(NAME[i][1], b.data + 352, b.n - 352);
        for (int k = 0; k < 2; k++) {
            struct voco_volume v = read_ok(scratch(NAME[i][k]));

            assert_values(&v, 1, 0);
            voco_volume_free(&v);
        }
    }
}
END_TEST

START_TEST(few_whole_values_look_like_labels_and_noise_does_not)
{
    struct voco_volume v;
    int values;

    ck_assert_int_eq(voco_volume_alloc(&v, (int64_t[3]){20, 20, 20}), VOCO_OK);
    for (int i = 0; i < 8000; i++)
        v.voxel[i] = (float)(i / 400 > 9);
    ck_assert(voco_volume_looks_labelled(&v, &values));
    ck_assert_int_eq(values, 2);
    for (int i = 0; i < 8000; i++)                  /* 100 cubes of 4 x 4 x 5 */
        v.voxel[i] = (float)(i / 1600 * 20 + i / 80 % 5 * 4 + i / 5 % 4 + 7);
    ck_assert(voco_volume_looks_labelled(&v, &values));
    ck_assert_int_eq(values, 100);
    for (int levels = 9; levels <= 32; levels++) {  /* a bright ball, in few grey levels */
        for (int i = 0; i < 8000; i++) {
            const int x = i / 400 - 10, y = i / 20 % 20 - 10, z = i % 20 - 10;
            const double inside = 1 - (x * x + y * y + z * z) / 301.0;

            v.voxel[i] = (float)(int)(inside * levels) * 5;
        }
        ck_assert_msg(!voco_volume_looks_labelled(&v, &values), "%d levels", levels);
    }
    for (int i = 0; i < 8000; i++)                  /* 12 points that are marked */
        v.voxel[i] = (float)(i % 640 == 7 ? 1 + i / 640 : 0);
    ck_assert(voco_volume_looks_labelled(&v, &values));
    ck_assert_int_eq(values, 14);
    for (int i = 0; i < 8000; i++)                  /* 8 bits, as of a scanner */
        v.voxel[i] = (float)((unsigned)i * 2654435761u >> 24);
    ck_assert(!voco_volume_looks_labelled(&v, &values));
    for (int i = 0; i < 8000; i++)
        v.voxel[i] = (float)(i / 400 > 9) - 0.5f;
    ck_assert(!voco_volume_looks_labelled(&v, &values));
    voco_volume_free(&v);
}
END_TEST

START_TEST(what_is_no_volume_is_said_plainly)
{
    struct voco_volume v;

    assert_refused(scratch_bytes("empty.nii", "", 0), "empty");
    assert_refused(scratch_bytes("empty.nii.gz", "", 0), "empty");
    assert_refused(scratch_text("a.nii", "hello, this is text and not a header"),
                   "not a NIfTI file");
    assert_refused(scratch_text("short.nii", "abc"), "truncated");
    assert_refused(scratch_text("a.txt", "hello"), "neither the content nor the name");
    assert_refused(scratch_folder, "without DICOM files");
    ck_assert_int_eq(voco_volume_read(scratch("absent.nii"), &v), VOCO_EIO);
    ck_assert_says("No such file");
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("volume");
    TCase *memory = tcase_create("memory"), *good = tcase_create("nifti"),
          *bad = tcase_create("bad_nifti");

    tcase_add_checked_fixture(memory, scratch_setup, scratch_teardown);
    tcase_add_test(memory, alloc_refuses_sizes_below_one_and_beyond_memory);
    tcase_add_test(memory, nonfinite_voxels_are_counted);
    tcase_add_test(memory, written_volumes_read_back);
    tcase_add_checked_fixture(good, scratch_setup, scratch_teardown);
    tcase_add_test(good, nifti_of_every_element_type_and_byte_order_gives_the_same_voxels);
    tcase_add_test(good, nifti_content_counts_not_the_name);
    tcase_add_test(good, gzip_of_several_members_and_zero_padding_is_one_stream);
    tcase_add_test(good, slope_zero_or_nan_means_no_scaling_else_it_is_applied_in_double);
    tcase_add_test(good, qform_is_used_without_sform_and_its_qfac_turns_the_third_axis);
    tcase_add_test(good, without_sform_and_qform_the_first_axis_goes_left_around_the_middle);
    tcase_add_test(good, pair_is_read_from_either_name_and_needs_its_image);
    tcase_add_test(good, one_time_point_is_3d_more_are_refused_with_their_number);
    tcase_add_test(good, describe_tells_the_header_without_voxels);
    tcase_add_checked_fixture(bad, scratch_setup, scratch_teardown);
    tcase_add_test(bad, rgb_and_complex_are_refused_by_name);
    tcase_add_test(bad, absurd_dimensions_are_refused_before_memory_is_asked_for);
    tcase_add_test(bad, unusable_geometry_is_refused);
    tcase_add_test(bad, wrong_offsets_and_magic_are_refused);
    tcase_add_test(bad, damaged_gzip_is_found_although_all_voxels_come_out);
    tcase_add_test(bad, what_follows_the_checksum_is_ignored_and_data_without_one_are_stopped);
    tcase_add_test(good, metres_and_micrometres_are_obeyed_and_written_again_with_both_transforms);
    tcase_add_test(good, pair_in_capitals_is_read_from_either_name);
    tcase_add_test(good, few_whole_values_look_like_labels_and_noise_does_not);
    tcase_add_test(bad, what_is_no_volume_is_said_plainly);
    suite_add_tcase(s, memory);
    suite_add_tcase(s, good);
    suite_add_tcase(s, bad);
    return s;
}
