/* The deterministic transforms: against MONAI on small awkward grids and on five real
 * volumes (where Debian's mricron-data and invesalius-examples are installed), and
 * against numbers that can be worked out by hand. */
#include <hdf5.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "data/volume/affine.h"
#include "data/transform/geometry.h"
#include "data/transform/preset.h"
#include "data/transform/transform.h"
#include "data/transform/window.h"
#include "tests/test.h"

#define ck_ok(call) ck_assert_msg((call) == VOCO_OK, "%s: %s", #call, voco_fail_text())

/* ---- reading golden files ---- */

static hid_t
golden(const char *name)
{
    const char *folder = getenv("VOCO_GOLDEN");
    char *path = voco_format("%s/%s", folder ? folder : "tests/golden", name);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);

    ck_assert_msg(file >= 0, "cannot open %s", path);
    free(path);
    return file;
}

static void
read_attribute(hid_t at, const char *name, hid_t type, void *out)
{
    const hid_t a = H5Aopen(at, name, H5P_DEFAULT);

    ck_assert_msg(a >= 0 && H5Aread(a, type, out) >= 0, "no attribute %s", name);
    H5Aclose(a);
}

static int64_t
read_dataset(hid_t at, const char *name, hid_t type, void *out, int64_t limit,
             int64_t dim[3])
{
    const hid_t d = H5Dopen2(at, name, H5P_DEFAULT), s = H5Dget_space(d);
    hsize_t size[3] = { 1, 1, 1 };
    int64_t n;

    ck_assert_msg(d >= 0, "no dataset %s", name);
    H5Sget_simple_extent_dims(s, size, NULL);
    n = H5Sget_simple_extent_npoints(s);
    ck_assert_int_le(n, limit);
    ck_assert(H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    for (int i = 0; dim && i < 3; i++)
        dim[i] = (int64_t)size[i];
    H5Sclose(s);
    H5Dclose(d);
    return n;
}

static void
check_affine(const char *where, const double got[4][4], const double want[4][4])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            ck_assert_msg(fabs(got[i][j] - want[i][j]) <= 1e-6,
                          "%s: affine[%d][%d] is %.12g, want %.12g", where, i, j,
                          got[i][j], want[i][j]);
}

/* ---- small volumes, every voxel ---- */

enum { SMALL_MAX = 4096 };

/* Tolerances are relative to the span of intensities: float's half ulp of the result for
 * spacing, which is computed in double; a few ulps where torch computes in float. */
static void
check_small(hid_t group, const char *name, const char *stage,
            const struct voco_volume *v, double tolerance, bool with_affine)
{
    static float want[SMALL_MAX];
    char *where = voco_format("%s/%s", name, stage);
    const hid_t d = H5Dopen2(group, stage, H5P_DEFAULT);
    double affine[4][4];
    int64_t dim[3];
    const int64_t n = read_dataset(group, stage, H5T_NATIVE_FLOAT, want, SMALL_MAX, dim);

    for (int i = 0; i < 3; i++)
        ck_assert_msg(dim[i] == v->dim[i], "%s: axis %d has %d voxels, want %d", where, i,
                      (int)v->dim[i], (int)dim[i]);
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)v->voxel[i] - want[i]) <= tolerance,
                      "%s: voxel %d is %.9g, want %.9g", where, (int)i,
                      (double)v->voxel[i], (double)want[i]);
    if (with_affine) {
        read_attribute(d, "affine", H5T_NATIVE_DOUBLE, affine);
        check_affine(where, v->affine, affine);
    }
    H5Dclose(d);
    free(where);
}

static void
load_small(hid_t group, struct voco_volume *v)
{
    static float voxel[SMALL_MAX];
    int64_t dim[3];
    const int64_t n = read_dataset(group, "voxel", H5T_NATIVE_FLOAT, voxel, SMALL_MAX,
                                   dim);

    ck_ok(voco_volume_alloc(v, dim));
    memcpy(v->voxel, voxel, (size_t)n * sizeof *voxel);
    read_attribute(group, "affine", H5T_NATIVE_DOUBLE, v->affine);
}

static void
run_small(hid_t group, const char *name)
{
    const int64_t resized[3] = { 13, 6, 8 };
    struct voco_orientation o;
    struct voco_regrid g;
    struct voco_volume v;
    struct voco_crop_box box;
    int64_t below, above;
    double mm[3];

    read_attribute(group, "mm", H5T_NATIVE_DOUBLE, mm);
    for (int how = VOCO_LINEAR; how <= VOCO_NEAREST; how++) {
        load_small(group, &v);
        voco_orient_plan(v.affine, &o);
        ck_ok(voco_orient(&v, &o));
        check_small(group, name, "orient", &v, 0, true);
        ck_ok(voco_spacing_plan(v.dim, v.affine, mm, &g));
        ck_ok(voco_regrid(&v, &g, how));
        check_small(group, name, how == VOCO_NEAREST ? "nearest" : "spacing", &v,
                    how == VOCO_NEAREST ? 0 : 1e-4, true);
        if (how == VOCO_NEAREST) {
            voco_volume_free(&v);
            break;
        }
        ck_assert(voco_foreground_box(&v, -175, false, &box));
        voco_crop(&v, &box);
        voco_window_apply(&v, -175, 250, &below, &above);
        check_small(group, name, "crop", &v, 3e-7, true);
        ck_ok(voco_resize(&v, resized));
        check_small(group, name, "resize", &v, 5e-7, false);
        voco_volume_free(&v);
    }
}

/* The whole chain, with a crop that is widened, mostly beyond the grid. */
static void
run_small_multiple(hid_t group, const char *name)
{
    struct voco_transform t = { .orient = true, .scaling = VOCO_SCALING_RANGE,
                                .window = { -175, 250 }, .multiple = { 4, 3, 8 },
                                .foreground = VOCO_FOREGROUND_WINDOW };
    struct voco_transform_report report;
    struct voco_volume v;
    int64_t most[3];
    double mm[3], bytes;

    load_small(group, &v);
    read_attribute(group, "mm", H5T_NATIVE_DOUBLE, t.spacing_mm);
    ck_ok(voco_transform_plan(&v, &t, most, mm, &bytes));
    ck_ok(voco_transform_run(&v, &t, &report));
    check_small(group, name, "crop_multiple", &v, 3e-7, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_le(v.dim[i], most[i]);
    voco_transform_report_free(&report);
    voco_volume_free(&v);
}

/* Symmetric, to at least this size. */
static enum voco_err
pad(struct voco_volume *v, const int64_t least[3], float value)
{
    int64_t dim[3], before[3];

    voco_pad_plan(v->dim, least, dim, before);
    return voco_pad_at(v, dim, before, value);
}

static herr_t
small_case(hid_t file, const char *name, const H5L_info_t *info, void *user)
{
    const hid_t group = H5Gopen2(file, name, H5P_DEFAULT);

    (void)info;
    run_small(group, name);
    run_small_multiple(group, name);
    H5Gclose(group);
    ++*(int *)user;
    return 0;
}

START_TEST(small_volumes_on_awkward_grids_agree_with_monai)
{
    const hid_t file = golden("transform_small.h5");
    int n = 0;

    H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, small_case, &n);
    H5Fclose(file);
    ck_assert_int_ge(n, 14);
}
END_TEST

/* ---- real volumes ---- */

static const double EXACT = 1.2e-7, RESIZED = 1.5e-6;

static const struct real_volume {
    const char *name, *path;
    struct voco_transform t;
} real_volumes[] = {
    { "ch2", "/usr/share/mricron/templates/ch2.nii.gz",
      { .window = { 0, 254 }, .spacing_mm = { 1.5, 1.5, 1.5 } } },
    { "inia19", "/usr/share/mricron/templates/inia19-t1-brain.nii.gz",
      { .window = { 0, 300 }, .spacing_mm = { 0.7, 1.1, 0.9 } } },
    { "jhu189", "/usr/share/mricron/templates/jhu189.nii.gz",
      { .window = { 0, 189 }, .spacing_mm = { 1.5, 1.5, 1.5 } } },
    { "ct_head_abdomen", "/usr/share/doc/invesalius-examples/examples/Cranium.inv3",
      { .window = { -175, 250 }, .spacing_mm = { 1.5, 1.5, 1.5 },
        .resize = { 192, 192, 64 } } },
    { "ct_head_chest", "/usr/share/doc/invesalius-examples/examples/Cranium.inv3",
      { .window = { -1000, 500 }, .spacing_mm = { 1.25, 1.25, 5 } } },
};

/* matrix.dat inside the gzipped tar: i16, x fastest, 256 x 256 x 108. */
static void
load_cranium(const char *path, struct voco_volume *v)
{
    const int64_t dim[3] = { 256, 256, 108 };
    const double mm[3] = { -0.9570311903953552, -0.9570311903953552, 1.5 };
    const double origin[3] = { 122, 122, -80 };
    gzFile f = gzopen(path, "rb");
    char header[513] = "";
    static int16_t slice[256 * 256];

    ck_assert(f != NULL);
    ck_ok(voco_volume_alloc(v, dim));
    while (gzread(f, header, 512) == 512 && !strstr(header, "/matrix.dat")) {
        const z_off_t size = (z_off_t)strtoul(header + 124, NULL, 8);

        gzseek(f, (size + 511) / 512 * 512, SEEK_CUR);
    }
    for (int64_t z = 0; z < dim[2]; z++) {
        ck_assert_int_eq(gzread(f, slice, sizeof slice), (int)sizeof slice);
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[0]; x++)
                v->voxel[(x * dim[1] + y) * dim[2] + z] = slice[y * dim[0] + x];
    }
    gzclose(f);
    for (int i = 0; i < 3; i++) {
        v->affine[i][i] = mm[i];
        v->affine[i][3] = origin[i];
    }
}

/* 4096 picked voxels, in parts of the window.  Up to the first resize every step is exact
 * but for the last bit of a float; torch resizes in float: a few ulps of 1. */
static void
check_stage(hid_t file, const char *name, const char *stage, const struct voco_volume *v,
            double unit, double tolerance)
{
    static int64_t index[4096];
    static float want[4096];
    char *where = voco_format("%s/%s", name, stage);
    const hid_t group = H5Gopen2(file, where, H5P_DEFAULT);
    double affine[4][4], worst = 0;
    int64_t dim[3], n;

    read_attribute(group, "shape", H5T_NATIVE_INT64, dim);
    read_attribute(group, "affine", H5T_NATIVE_DOUBLE, affine);
    n = read_dataset(group, "index", H5T_NATIVE_INT64, index, 4096, NULL);
    read_dataset(group, "value", H5T_NATIVE_FLOAT, want, 4096, NULL);
    for (int i = 0; i < 3; i++)
        ck_assert_msg(dim[i] == v->dim[i], "%s: axis %d has %d voxels, want %d", where, i,
                      (int)v->dim[i], (int)dim[i]);
    check_affine(where, v->affine, affine);
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)v->voxel[index[i]] - want[i]) / unit);
    ck_assert_msg(worst <= tolerance, "%s: worst voxel is off by %.2g of the window",
                  where, worst);
    H5Gclose(group);
    free(where);
}

START_TEST(real_volumes_agree_with_monai_at_every_stage)
{
    const struct real_volume *r = &real_volumes[_i];
    const int64_t crop[3] = { 64, 64, 64 }, block[3] = { 192, 192, 64 };
    const double unit = r->t.window[1] - r->t.window[0];
    struct voco_orientation o;
    struct voco_regrid g;
    struct voco_volume v;
    struct voco_crop_box box;
    int64_t below, above;
    hid_t file;

    if (!voco_file_exists(r->path))
        test_skip("the volume %s: no file %s", r->name, r->path);
    if (strstr(r->path, ".inv3"))
        load_cranium(r->path, &v);
    else
        ck_ok(voco_volume_read(r->path, &v));
    file = golden("volume.h5");
    voco_orient_plan(v.affine, &o);
    ck_ok(voco_orient(&v, &o));
    check_stage(file, r->name, "orient", &v, unit, EXACT);
    ck_ok(voco_spacing_plan(v.dim, v.affine, r->t.spacing_mm, &g));
    ck_ok(voco_regrid(&v, &g, VOCO_LINEAR));
    check_stage(file, r->name, "spacing", &v, unit, EXACT);
    voco_window_apply(&v, r->t.window[0], r->t.window[1], &below, &above);
    check_stage(file, r->name, "scale", &v, 1, EXACT);
    ck_assert(voco_foreground_box(&v, 0, false, &box));
    voco_crop(&v, &box);
    check_stage(file, r->name, "foreground", &v, 1, EXACT);
    ck_ok(pad(&v, crop, 0));
    check_stage(file, r->name, "pad", &v, 1, EXACT);
    if (r->t.resize[0]) {
        ck_ok(voco_resize(&v, r->t.resize));
        check_stage(file, r->name, "resize", &v, 1, RESIZED);
    }
    ck_ok(pad(&v, block, 0));
    check_stage(file, r->name, "pad192", &v, 1, r->t.resize[0] ? RESIZED : EXACT);
    voco_volume_free(&v);
    H5Fclose(file);
}
END_TEST

START_TEST(the_chain_gives_the_last_stage_of_the_reference)
{
    const struct real_volume *r = &real_volumes[_i];
    struct voco_transform t = voco_presets[0].transform;
    struct voco_transform_report report;
    struct voco_volume v, header;
    int64_t dim[3];
    double mm[3], bytes;
    hid_t file;

    if (!voco_file_exists(r->path))
        test_skip("the volume %s: no file %s", r->name, r->path);
    memcpy(t.window, r->t.window, sizeof t.window);
    memcpy(t.spacing_mm, r->t.spacing_mm, sizeof t.spacing_mm);
    memcpy(t.resize, r->t.resize, sizeof t.resize);
    if (strstr(r->path, ".inv3"))
        load_cranium(r->path, &v);
    else
        ck_ok(voco_volume_read(r->path, &v));
    header = v;
    ck_ok(voco_transform_plan(&header, &t, dim, mm, &bytes));
    ck_ok(voco_transform_run(&v, &t, &report));
    file = golden("volume.h5");
    check_stage(file, r->name, "pad192", &v, 1, r->t.resize[0] ? RESIZED : EXACT);
    for (int i = 0; i < 3; i++)
        ck_assert_int_le(v.dim[i], dim[i]);
    ck_assert_double_ge(bytes, 4.0 * (double)(v.dim[0] * v.dim[1] * v.dim[2]));
    voco_transform_report_free(&report);
    voco_volume_free(&v);
    H5Fclose(file);
}
END_TEST

/* ---- by hand ---- */

/* voxel = x*100 + y*10 + z */
static void
digits(struct voco_volume *v, int64_t nx, int64_t ny, int64_t nz)
{
    const int64_t dim[3] = { nx, ny, nz };
    float *to;

    ck_ok(voco_volume_alloc(v, dim));
    to = v->voxel;
    for (int64_t x = 0; x < nx; x++)
        for (int64_t y = 0; y < ny; y++)
            for (int64_t z = 0; z < nz; z++)
                *to++ = (float)(x * 100 + y * 10 + z);
}

static float
at(const struct voco_volume *v, int64_t x, int64_t y, int64_t z)
{
    return v->voxel[(x * v->dim[1] + y) * v->dim[2] + z];
}

START_TEST(every_orientation_keeps_each_voxel_at_its_place)
{
    static const int order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                     { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    struct voco_volume v, before;
    struct voco_orientation o;
    double inverse[4][4];
    char name[4];

    digits(&v, 3, 4, 5);
    digits(&before, 3, 4, 5);
    memset(v.affine, 0, sizeof v.affine);
    v.affine[3][3] = 1;
    for (int j = 0; j < 3; j++) {
        v.affine[order[_i / 8][j]][j] = (_i >> j & 1 ? -1 : 1) * (1 + 0.5 * j);
        v.affine[j][3] = 7 * j - 3;
    }
    memcpy(before.affine, v.affine, sizeof v.affine);
    voco_orient_plan(v.affine, &o);
    ck_ok(voco_orient(&v, &o));
    voco_orient_name(v.affine, name);
    ck_assert_str_eq(name, "RAS");
    ck_assert(voco_affine_invert(before.affine, inverse));
    voco_affine_mul(inverse, v.affine, inverse);
    for (int64_t x = 0; x < v.dim[0]; x++)
        for (int64_t y = 0; y < v.dim[1]; y++)
            for (int64_t z = 0; z < v.dim[2]; z++) {
                int64_t p[3];

                for (int i = 0; i < 3; i++)
                    p[i] = (int64_t)nearbyint(inverse[i][0] * (double)x
                                              + inverse[i][1] * (double)y
                                              + inverse[i][2] * (double)z
                                              + inverse[i][3]);
                ck_assert_float_eq(at(&v, x, y, z), at(&before, p[0], p[1], p[2]));
            }
    voco_volume_free(&v);
    voco_volume_free(&before);
}
END_TEST

START_TEST(crop_then_pad_moves_the_origin_and_keeps_the_rest)
{
    const struct voco_crop_box box = { { 1, 0, 2 }, { 1, 3, 2 } };
    const int64_t wide[3] = { 4, 2, 5 };
    struct voco_volume v;
    int64_t dim[3], before[3];

    digits(&v, 3, 3, 5);
    v.affine[2][2] = 2;
    voco_crop(&v, &box);
    ck_assert_float_eq(at(&v, 0, 2, 1), 123);
    ck_assert_double_eq(v.affine[0][3], 1);
    ck_assert_double_eq(v.affine[2][3], 4);
    voco_pad_plan(v.dim, wide, dim, before);
    ck_ok(pad(&v, wide, -1));
    ck_assert_mem_eq(v.dim, dim, sizeof dim);
    ck_assert_int_eq(v.dim[0], 4);
    ck_assert_int_eq(v.dim[1], 3);
    ck_assert_int_eq(v.dim[2], 5);
    ck_assert_int_eq(before[0], 1);
    ck_assert_int_eq(before[1], 0);
    ck_assert_int_eq(before[2], 1);
    ck_assert_float_eq(at(&v, 1, 2, 2), 123);
    ck_assert_float_eq(at(&v, 2, 2, 2), -1);
    ck_assert_float_eq(at(&v, 1, 2, 3), -1);
    ck_assert_double_eq(v.affine[0][3], 0);
    ck_assert_double_eq(v.affine[2][3], 2);
    voco_volume_free(&v);
}
END_TEST

START_TEST(foreground_is_the_tightest_box)
{
    struct voco_volume v;
    struct voco_crop_box box;

    digits(&v, 4, 5, 6);
    memset(v.voxel, 0, 4 * 5 * 6 * sizeof *v.voxel);
    ck_assert(!voco_foreground_box(&v, 0, false, &box));
    v.voxel[(1 * 5 + 4) * 6 + 2] = 1;
    v.voxel[(2 * 5 + 1) * 6 + 3] = -1;
    ck_assert(voco_foreground_box(&v, 0, false, &box));
    ck_assert_int_eq(box.start[0], 1);
    ck_assert_int_eq(box.start[1], 4);
    ck_assert_int_eq(box.start[2], 2);
    ck_assert_int_eq(box.size[0] * box.size[1] * box.size[2], 1);
    ck_assert(voco_foreground_box(&v, 0, true, &box));
    ck_assert_int_eq(box.size[0], 2);
    ck_assert_int_eq(box.size[1], 4);
    ck_assert_int_eq(box.size[2], 2);
    voco_volume_free(&v);
}
END_TEST

START_TEST(a_ramp_stays_a_ramp_under_spacing_and_resize)
{
    const double mm[3] = { 0.5, 2, 1 };
    const int64_t dim[3] = { 5, 3, 9 };
    struct voco_regrid g;
    struct voco_volume v;

    digits(&v, 4, 5, 3);
    ck_ok(voco_spacing_plan(v.dim, v.affine, mm, &g));
    ck_assert_int_eq(g.dim[0], 7);
    ck_assert_int_eq(g.dim[1], 3);
    ck_assert_int_eq(g.dim[2], 3);
    ck_ok(voco_regrid(&v, &g, VOCO_LINEAR));
    ck_assert_float_eq(at(&v, 3, 2, 1), 150 + 40 + 1);
    ck_ok(voco_resize(&v, dim));
    ck_assert_float_eq_tol(at(&v, 1, 1, 4), 75 + 20 + 1, 1e-4);
    ck_assert_float_eq_tol(at(&v, 4, 2, 8), 300 + 40 + 2, 1e-4);
    voco_volume_free(&v);
}
END_TEST

START_TEST(percentiles_are_those_of_the_nonzero_voxels)
{
    const int64_t dim[3] = { 10, 10, 11 };
    struct voco_volume v;
    const double ends[2] = { 0, 100 }, inside[2] = { 50, 10 };
    double mean, sd, got[2];

    ck_ok(voco_volume_alloc(&v, dim));
    for (int i = 0; i < 1100; i++)          /* 0..100 eleven times, in an odd order */
        v.voxel[i] = (float)((i * 37) % 101) - 50;
    ck_ok(voco_window_percentiles(&v, ends, got));
    ck_assert_double_eq(got[0], -50);
    ck_assert_double_eq(got[1], 50);
    for (int i = 0; i < 1100; i++)
        v.voxel[i] = i < 4 ? (float)(10 * (i + 1)) : 0;
    ck_ok(voco_window_percentiles(&v, inside, got));
    ck_assert_double_eq_tol(got[0], 25, 1e-9);
    ck_assert_double_eq_tol(got[1], 13, 1e-9);
    for (int i = 0; i < 3; i++)         /* keys that share their upper half */
        v.voxel[i] = 1 + (float)i * 0x1p-20f;
    v.voxel[3] = 0;
    ck_ok(voco_window_percentiles(&v, inside, got));
    ck_assert_double_eq(got[0], 1 + 0x1p-20);
    ck_assert_double_eq_tol(got[1], 1 + 0.2 * 0x1p-20, 1e-12);
    v.voxel[3] = 40;
    for (int i = 0; i < 3; i++)
        v.voxel[i] = (float)(10 * (i + 1));
    ck_assert_int_eq(voco_window_moments(&v, &mean, &sd), 4);
    ck_assert_double_eq_tol(mean, 25, 1e-9);
    ck_assert_double_eq_tol(sd, sqrt(125), 1e-9);
    voco_volume_free(&v);
}
END_TEST

START_TEST(window_clips_and_counts)
{
    struct voco_volume v;
    int64_t below, above;

    digits(&v, 1, 1, 5);
    voco_window_apply(&v, 1, 3, &below, &above);
    ck_assert_int_eq(below, 1);
    ck_assert_int_eq(above, 1);
    ck_assert_float_eq(v.voxel[0], 0);
    ck_assert_float_eq(v.voxel[2], 0.5f);
    ck_assert_float_eq(v.voxel[4], 1);
    voco_volume_free(&v);
}
END_TEST

static void
expect_refusal(struct voco_volume *v, const struct voco_transform *t, const char *word)
{
    struct voco_transform_report r;

    ck_assert_int_eq(voco_transform_run(v, t, &r), VOCO_EFORMAT);
    ck_assert_msg(strstr(voco_fail_text(), word) != NULL, "'%s' does not say '%s'",
                  voco_fail_text(), word);
    voco_transform_report_free(&r);
    voco_volume_free(v);
}

START_TEST(volumes_that_teach_nothing_are_refused_with_a_reason)
{
    struct voco_transform t = { .orient = true, .scaling = VOCO_SCALING_RANGE,
                                .window = { 0, 100 },
                                .foreground = VOCO_FOREGROUND_WINDOW };
    struct voco_transform_report r;
    struct voco_volume v;

    digits(&v, 2, 3, 4);
    v.voxel[5] = NAN;
    v.voxel[6] = INFINITY;
    expect_refusal(&v, &t, "2 voxels are NaN or infinite");
    digits(&v, 2, 3, 4);
    memset(v.voxel, 0, 24 * sizeof *v.voxel);
    expect_refusal(&v, &t, "constant volume");
    t.window[0] = 500;
    t.window[1] = 600;
    digits(&v, 2, 3, 4);
    expect_refusal(&v, &t, "empty");
    t.window[0] = -2;
    t.window[1] = -1;
    digits(&v, 2, 3, 4);
    expect_refusal(&v, &t, "constant after windowing");
    t.scaling = VOCO_SCALING_PERCENTILE;
    t.window[0] = 10;
    t.window[1] = 20;
    digits(&v, 2, 3, 4);
    for (int i = 1; i < 24; i++)
        v.voxel[i] = 7;
    expect_refusal(&v, &t, "empty");
    t = voco_presets[0].transform;
    t.spacing_mm[0] = 1e-7;
    digits(&v, 2, 3, 4);
    expect_refusal(&v, &t, "resampling");
    t = voco_presets[0].transform;
    t.window[0] = 0;
    t.replace_nonfinite = true;
    digits(&v, 2, 3, 4);
    v.voxel[5] = NAN;
    ck_ok(voco_transform_run(&v, &t, &r));
    ck_assert_int_eq(r.nonfinite, 1);
    voco_transform_report_free(&r);
    voco_volume_free(&v);
}
END_TEST

START_TEST(kept_intensities_are_cropped_and_padded_by_the_window)
{
    struct voco_transform t = { .orient = true, .scaling = VOCO_SCALING_RANGE,
                                .window = { 119, 500 }, .pad = { 4, 4, 4 },
                                .foreground = VOCO_FOREGROUND_WINDOW,
                                .keep_intensity = true };
    struct voco_transform_report r;
    struct voco_volume v;

    digits(&v, 2, 3, 3);
    ck_ok(voco_transform_run(&v, &t, &r));      /* leaves 120 121 122 */
    ck_assert_int_eq(v.dim[0] * v.dim[1] * v.dim[2], 64);
    ck_assert_float_eq(at(&v, 1, 1, 0), 120);
    ck_assert_float_eq(at(&v, 1, 1, 2), 122);
    ck_assert_float_eq(at(&v, 0, 0, 0), 119);
    ck_assert_int_eq(r.voxels, 3);
    ck_assert_double_eq(r.window[0], 119);
    voco_transform_report_free(&r);
    voco_volume_free(&v);
}
END_TEST

/* As nnU-Net does: zeros inside of the box of nonzero voxels count, those around do not. */
START_TEST(standardised_voxels_are_those_of_the_nonzero_box)
{
    const struct voco_transform t = { .scaling = VOCO_SCALING_STANDARDIZE,
                                      .foreground = VOCO_FOREGROUND_NONZERO };
    static const float inside[4] = { 10, 0, 30, 40 };       /* mean 20, variance 250 */
    const int64_t dim[3] = { 4, 3, 3 };
    struct voco_transform_report r;
    struct voco_volume v;

    ck_ok(voco_volume_alloc(&v, dim));
    memset(v.voxel, 0, 36 * sizeof *v.voxel);
    for (int i = 0; i < 4; i++)
        v.voxel[((1 + i / 2) * 3 + 1 + i % 2) * 3 + 1] = inside[i];
    ck_ok(voco_transform_run(&v, &t, &r));
    ck_assert_int_eq(v.dim[0] * v.dim[1] * v.dim[2], 4);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq_tol(v.voxel[i], (inside[i] - 20) / sqrtf(250), 1e-6f);
    ck_assert_double_eq_tol(r.window[1] - r.window[0], sqrt(250), 1e-9);
    ck_assert(voco_transform_is_unbounded(&t));
    voco_transform_report_free(&r);
    voco_volume_free(&v);
}
END_TEST

START_TEST(a_window_may_become_other_numbers_than_0_and_1)
{
    const struct voco_transform t = { .scaling = VOCO_SCALING_RANGE, .window = { 1, 3 },
                                      .into = { -1, 3 } };
    static const float want[5] = { -1, -1, 1, 3, 3 };
    struct voco_transform_report r;
    struct voco_volume v;

    digits(&v, 1, 1, 5);
    ck_ok(voco_transform_run(&v, &t, &r));
    for (int i = 0; i < 5; i++)
        ck_assert_float_eq(v.voxel[i], want[i]);
    ck_assert(voco_transform_is_unbounded(&t));
    voco_transform_report_free(&r);
    voco_volume_free(&v);
}
END_TEST

START_TEST(the_record_tells_options_apart)
{
    struct voco_transform t = voco_presets[0].transform, other = t;
    struct voco_transform_report r;
    struct voco_volume v;
    char what[256];
    json_t *record;

    digits(&v, 5, 6, 7);
    ck_ok(voco_transform_run(&v, &t, &r));
    ck_assert(voco_transform_same(r.json, &t, what, sizeof what));
    other.spacing_mm[1] = 2;
    ck_assert(!voco_transform_same(r.json, &other, what, sizeof what));
    ck_assert_str_eq(what, "--spacing was 1.5,1.5,1.5, now 1.5,2,1.5");
    ck_assert(!voco_transform_same("{broken", &t, what, sizeof what));
    ck_assert(!voco_transform_same(NULL, &t, what, sizeof what));
    record = json_loads(r.json, 0, NULL);
    ck_assert_int_ge((int)json_array_size(json_object_get(record, "steps")), 3);
    json_decref(record);
    voco_transform_report_free(&r);
    voco_volume_free(&v);
}
END_TEST

START_TEST(presets_are_the_published_ones)
{
    for (int i = 0; voco_presets[i].name; i++)
        ck_assert_str_eq(voco_presets[i].name, voco_preset_names[i]);
    ck_assert_double_eq(voco_presets[0].transform.window[0], -175);
    ck_assert_int_eq(voco_presets[0].transform.resize[0], 0);
    ck_assert_int_eq(voco_presets[2].transform.resize[0], 192);
    ck_assert_double_eq(voco_presets[3].transform.spacing_mm[2], 5);
    ck_assert_double_eq(voco_presets[3].transform.window[1], 500);
}
END_TEST

Suite *
test_suite(void)
{
    const int reals = (int)(sizeof real_volumes / sizeof *real_volumes);
    Suite *s = suite_create("transform");
    TCase *hand = tcase_create("hand"), *monai = tcase_create("monai");

    tcase_set_timeout(monai, 120);
    tcase_add_test(monai, small_volumes_on_awkward_grids_agree_with_monai);
    tcase_add_loop_test(monai, real_volumes_agree_with_monai_at_every_stage, 0, reals);
    tcase_add_loop_test(monai, the_chain_gives_the_last_stage_of_the_reference, 0, reals);
    tcase_add_loop_test(hand, every_orientation_keeps_each_voxel_at_its_place, 0, 48);
    tcase_add_test(hand, crop_then_pad_moves_the_origin_and_keeps_the_rest);
    tcase_add_test(hand, foreground_is_the_tightest_box);
    tcase_add_test(hand, a_ramp_stays_a_ramp_under_spacing_and_resize);
    tcase_add_test(hand, percentiles_are_those_of_the_nonzero_voxels);
    tcase_add_test(hand, window_clips_and_counts);
    tcase_add_test(hand, volumes_that_teach_nothing_are_refused_with_a_reason);
    tcase_add_test(hand, kept_intensities_are_cropped_and_padded_by_the_window);
    tcase_add_test(hand, standardised_voxels_are_those_of_the_nonzero_box);
    tcase_add_test(hand, a_window_may_become_other_numbers_than_0_and_1);
    tcase_add_test(hand, the_record_tells_options_apart);
    tcase_add_test(hand, presets_are_the_published_ones);
    suite_add_tcase(s, hand);
    suite_add_tcase(s, monai);
    return s;
}
