/* Volumes in memory, and reading them.  Which reader a file needs: kind.c; formats:
 * nifti.c, metaimage.c, nrrd.c, dicom.c; elements: source.c; writing: nifti_write.c. */
#include "data/volume/volume.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/pages.h"
#include "data/volume/affine.h"
#include "data/volume/clip.h"
#include "data/volume/kind.h"
#include "data/volume/source.h"

/* A source, and the temporary folder it lies in when it came out of dcm2niix. */
struct opened {
    struct voco_source src;
    char *folder;
};

static enum voco_err
parse_file(const char *path, struct voco_source *src)
{
    char *header = voco_header_of(path);
    enum voco_kind kind = VOCO_KIND_UNKNOWN;
    enum voco_err err = voco_kind_recognise(header, &kind);

    if (err == VOCO_OK && kind == VOCO_KIND_METAIMAGE)
        err = voco_metaimage_parse(header, src);
    else if (err == VOCO_OK && kind == VOCO_KIND_NRRD)
        err = voco_nrrd_parse(header, src);
    else if (err == VOCO_OK)
        err = voco_nifti_parse(header, src);
    if (err == VOCO_OK)
        err = voco_affine_check(path, src->affine);
    free(header);
    return err;
}

/* A file of voxels names itself in its errors: the path that was asked for goes in front,
 * and in the place of dcm2niix's output, whose name means nothing to anybody. */
static void
name_asked(const char *path, const struct opened *o, const char *file, enum voco_err err)
{
    const char *text = voco_fail_text();
    const size_t n = file != NULL ? strlen(file) : 0;

    if (err == VOCO_OK || file == NULL || strcmp(path, file) == 0)
        return;
    if (o->folder != NULL && strncmp(text, file, n) == 0 && text[n] == ':')
        voco_fail(err, "%s: after dcm2niix:%s", path, text + n + 1);
    else
        voco_fail_in(err, "%s", path);
}

static enum voco_err
open_any(const char *path, struct opened *o)
{
    char *file;
    enum voco_err err;

    *o = (struct opened){.folder = NULL};
    if (!voco_is_folder(path))
        return parse_file(path, &o->src);
    if (!voco_is_dicom_folder(path))
        return voco_fail(VOCO_EFORMAT, "%s: a folder without DICOM files, expected a"
                         " volume", path);
    err = voco_dicom_convert(path, &o->folder, &file);
    if (err == VOCO_OK)
        name_asked(path, o, file, err = parse_file(file, &o->src));
    if (err == VOCO_OK)
        o->src.format = "DICOM";
    free(file);
    return err;
}

static void
close_any(struct opened *o)
{
    voco_source_free(&o->src);
    if (o->folder != NULL && voco_folder_remove(o->folder) != VOCO_OK)
        voco_warn("%s", voco_fail_text());
    free(o->folder);
}

enum voco_err
voco_volume_fits(const int64_t dim[3])
{
    const double total = (double)dim[0] * (double)dim[1] * (double)dim[2] * sizeof(float);
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    char need[16], have[16];

    for (int i = 0; i < 3; i++)
        if (dim[i] < 1)
            return voco_fail(VOCO_EFORMAT, "size %" PRId64 " along %c, expected at least"
                             " 1", dim[i], "xyz"[i]);
    if (memory > 0 && total > memory)
        return voco_fail(VOCO_EMEMORY, "%" PRId64 " x %" PRId64 " x %" PRId64 " voxels"
                         " need %s, this machine has %s", dim[0], dim[1], dim[2],
                         voco_format_bytes(total, need), voco_format_bytes(memory, have));
    return VOCO_OK;
}

enum voco_err
voco_volume_alloc(struct voco_volume *v, const int64_t dim[3])
{
    const enum voco_err err = voco_volume_fits(dim);

    *v = (struct voco_volume){.voxel = NULL};
    if (err != VOCO_OK)
        return err;
    v->voxel = voco_pages_alloc((size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2]
                                * sizeof(float));
    if (v->voxel == NULL)
        return voco_fail(VOCO_EMEMORY, "no memory for %" PRId64 " x %" PRId64 " x %"
                         PRId64 " voxels", dim[0], dim[1], dim[2]);
    for (int i = 0; i < 3; i++) {
        v->dim[i] = dim[i];
        v->affine[i][i] = 1;
    }
    v->affine[3][3] = 1;
    return VOCO_OK;
}

void
voco_volume_free(struct voco_volume *v)
{
    free(v->voxel);
    *v = (struct voco_volume){.voxel = NULL};
}

void
voco_volume_spacing(const struct voco_volume *v, double spacing_mm[3])
{
    voco_affine_spacing(v->affine, spacing_mm);
}

int64_t
voco_volume_nonfinite(const struct voco_volume *v)
{
    const float *const voxel = v->voxel;
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];
    uint32_t any = 0;
    int64_t bad = 0;

#pragma omp simd reduction(|:any)
    for (int64_t i = 0; i < n; i++)         /* the sign when the exponent is all ones */
        any |= ((uint32_t)voco_bits_of(voxel[i]) & 0x7f800000) + 0x00800000;
    for (int64_t i = 0; any >> 31 && i < n; i++)
        bad += !isfinite(voxel[i]);
    return bad;
}

void
voco_volumes_free(struct voco_volume *v, int n)
{
    for (int i = 0; v != NULL && i < n; i++)
        voco_volume_free(&v[i]);
    free(v);
}

void
voco_case_free(struct voco_case *c)
{
    voco_volumes_free(c->channel, c->n_channels);
    voco_volume_free(&c->label);
    *c = (struct voco_case){.channel = NULL};
}

/* All volumes of an open source. */
static enum voco_err
read_opened(const struct opened *o, struct voco_volume **ret)
{
    const int n = o->src.n_volumes;
    struct voco_stream s = {0};
    float *voxel[VOCO_SOURCE_VOLUMES_MAX];
    enum voco_err err = voco_source_open(&o->src, &s);

    *ret = calloc((size_t)n, sizeof **ret);
    if (err == VOCO_OK && *ret == NULL)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory", o->src.path);
    for (int i = 0; err == VOCO_OK && i < n; i++) {
        err = voco_volume_alloc(&(*ret)[i], o->src.dim);
        if (err != VOCO_OK)
            voco_fail_in(err, "%s", o->src.path);
        memcpy((*ret)[i].affine, o->src.affine, sizeof o->src.affine);
        (*ret)[i].place = o->src.place;
        voxel[i] = (*ret)[i].voxel;
    }
    if (err == VOCO_OK)
        err = voco_source_read(&o->src, &s, voxel);
    voco_stream_close(&s);
    return err;
}

/* With only_one, a file of several volumes is refused before any is read. */
static enum voco_err
read_any(const char *path, bool only_one, struct voco_volume **ret, int *ret_n)
{
    struct opened o;
    enum voco_err err = open_any(path, &o);

    *ret = NULL;
    *ret_n = o.src.n_volumes;
    if (err == VOCO_OK && only_one && o.src.n_volumes > 1)
        err = voco_fail(VOCO_EFORMAT, "%s: 4-D with %d time points or channels, expected"
                        " one", path, o.src.n_volumes);
    else if (err == VOCO_OK)
        name_asked(path, &o, o.src.path, err = read_opened(&o, ret));
    if (err != VOCO_OK) {
        voco_volumes_free(*ret, *ret_n);
        *ret = NULL;
        *ret_n = 0;
    }
    close_any(&o);
    return err;
}

enum voco_err
voco_volume_read_all(const char *path, struct voco_volume **ret, int *ret_n)
{
    return read_any(path, false, ret, ret_n);
}

enum voco_err
voco_volume_read(const char *path, struct voco_volume *ret_volume)
{
    struct voco_volume *all;
    int n;
    const enum voco_err err = read_any(path, true, &all, &n);

    *ret_volume = err == VOCO_OK ? all[0] : (struct voco_volume){.voxel = NULL};
    free(all);
    return err;
}

enum voco_err
voco_volume_describe(const char *path, struct voco_volume_header *ret)
{
    struct voco_stream s = {0};
    struct opened o;
    enum voco_err err = open_any(path, &o);

    if (err == VOCO_OK)
        name_asked(path, &o, o.src.path, err = voco_source_open(&o.src, &s));
    if (err == VOCO_OK) {
        *ret = (struct voco_volume_header){
            .format = o.src.format, .element = voco_element_name(o.src.element),
            .compressed = s.z != NULL, .slope = o.src.slope, .inter = o.src.inter,
            .channels = o.src.n_volumes
        };
        memcpy(ret->dim, o.src.dim, sizeof ret->dim);
        memcpy(ret->affine, o.src.affine, sizeof ret->affine);
        voco_affine_spacing((const double (*)[4])ret->affine, ret->spacing_mm);
    }
    voco_stream_close(&s);
    close_any(&o);
    return err;
}

/* The files that a path stands for: header and voxels, or those of a DICOM folder. */
enum voco_err
voco_volume_files(const char *path, char ***ret, int *ret_n)
{
    struct voco_source src = {.path = NULL};

    if (voco_is_folder(path))
        return voco_dicom_files(path, ret, ret_n);
    *ret_n = 0;
    *ret = calloc(2, sizeof **ret);
    if (*ret == NULL)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", path);
    (*ret)[(*ret_n)++] = voco_header_of(path);
    if (parse_file(path, &src) == VOCO_OK && strcmp(src.path, **ret) != 0) {
        (*ret)[(*ret_n)++] = src.path;
        src.path = NULL;
    }
    voco_source_free(&src);
    return VOCO_OK;
}
