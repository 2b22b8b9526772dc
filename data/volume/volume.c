/* Volumes in memory; which reader a file needs.  Formats: nifti.c, metaimage.c, nrrd.c,
 * dicom.c; elements: source.c; writing: nifti_write.c. */
#include "data/volume/volume.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/pages.h"
#include "data/volume/affine.h"
#include "data/volume/clip.h"
#include "data/volume/source.h"

enum { HEAD = 512 };

enum kind {
    KIND_UNKNOWN, KIND_NIFTI, KIND_METAIMAGE, KIND_NRRD, KIND_DICOM_FILE
};

static const char *const KIND_NAME[] = {
    "unknown", "NIfTI", "MetaImage", "NRRD", "DICOM"
};

/* A source, and the temporary folder it lies in when it came out of dcm2niix. */
struct opened {
    struct voco_source src;
    char *folder;
};

int
voco_volume_ending(const char *name)
{
    static const char *const ENDING[] = {
        ".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".mha", ".mhd", ".nrrd",
        ".nhdr"
    };
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++) {
        const size_t m = strlen(ENDING[i]);

        if (n > m && strcasecmp(name + n - m, ENDING[i]) == 0)
            return (int)m;
    }
    return 0;
}

static bool
ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);

    return n > m && strcasecmp(name + n - m, ending) == 0;
}

/* "ObjectType = Image", "NDims=3", ...: a text line with one of the first keys. */
static bool
begins_like_metaimage(const char *head)
{
    static const char *const FIRST[] = {
        "ObjectType", "NDims", "Comment", "ObjectSubType", "TransformType", "Name", "ID",
        "BinaryData", "CreationDate"
    };

    head += strspn(head, " \t\r\n");
    for (size_t i = 0; i < sizeof FIRST / sizeof *FIRST; i++) {
        const size_t n = strlen(FIRST[i]);

        if (strncasecmp(head, FIRST[i], n) == 0 &&
            head[n + strspn(head + n, " \t")] == '=')
            return true;
    }
    return false;
}

/* head[0..n) with a 0 behind it. */
static enum kind
kind_of_content(const char *head, size_t n)
{
    static const char SIZE[4][4] = {                /* 348 and 540, both byte orders */
        {0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}, {0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}
    };

    for (int i = 0; n >= 4 && i < 4; i++)
        if (memcmp(head, SIZE[i], 4) == 0)
            return KIND_NIFTI;
    if (n >= 7 && memcmp(head, "NRRD000", 7) == 0)
        return KIND_NRRD;
    if (n >= 132 && memcmp(head + 128, "DICM", 4) == 0)
        return KIND_DICOM_FILE;
    if (begins_like_metaimage(head))
        return KIND_METAIMAGE;
    return KIND_UNKNOWN;
}

static enum kind
kind_of_name(const char *path)
{
    if (ends_in(path, ".mha") || ends_in(path, ".mhd"))
        return KIND_METAIMAGE;
    if (ends_in(path, ".nrrd") || ends_in(path, ".nhdr"))
        return KIND_NRRD;
    return voco_volume_ending(path) > 0 ? KIND_NIFTI : KIND_UNKNOWN;
}

/* The first bytes of a file, inflated when it is gzip. */
static enum voco_err
read_head(const char *path, char head[HEAD + 1], size_t *ret_n, bool *ret_packed)
{
    struct voco_stream s;
    enum voco_err err = voco_stream_open(&s, path, 0, VOCO_GUESS);

    *ret_n = 0;
    if (err != VOCO_OK)
        return err;
    *ret_packed = s.z != NULL;
    if (s.file_bytes == 0)
        err = voco_fail(VOCO_EFORMAT, "%s: the file is empty", path);
    else
        err = voco_stream_peek(&s, head, HEAD, ret_n);
    head[*ret_n] = '\0';
    voco_stream_close(&s);
    return err;
}

bool
voco_volume_sniff(const char *path)
{
    char head[HEAD + 1];
    bool packed;
    size_t n;

    if (voco_is_folder(path) || read_head(path, head, &n, &packed) != VOCO_OK)
        return false;
    return kind_of_content(head, n) != KIND_UNKNOWN;
}

static enum voco_err
recognise(const char *path, enum kind *ret)
{
    char head[HEAD + 1];
    bool packed = false;
    size_t n;
    const enum voco_err err = read_head(path, head, &n, &packed);

    if (err != VOCO_OK)
        return err;
    *ret = kind_of_content(head, n);
    if (*ret == KIND_UNKNOWN)
        *ret = kind_of_name(path);              /* its reader says what is wrong */
    if (*ret == KIND_DICOM_FILE)
        return voco_fail(VOCO_EFORMAT, "%s: one DICOM file; give the folder that holds"
                         " the series", path);
    if (*ret == KIND_UNKNOWN)
        return voco_fail(VOCO_EFORMAT, "%s: neither the content nor the name is that of a"
                         " volume (NIfTI, MetaImage, NRRD or a DICOM folder)", path);
    if (packed && *ret != KIND_NIFTI)
        return voco_fail(VOCO_EFORMAT, "%s: a %s file inside gzip is not supported:"
                         " gunzip it", path, KIND_NAME[*ret]);
    return VOCO_OK;
}

/* case.img is data: its header is case.hdr. Free the result. */
static char *
header_of(const char *path)
{
    const char *const ending = ends_in(path, ".img") ? ".img"
        : ends_in(path, ".img.gz") ? ".img.gz" : NULL;
    char *header;

    if (ending == NULL)
        return voco_format("%s", path);
    const int stem = (int)(strlen(path) - strlen(ending));
    header = voco_format("%.*s.hdr", stem, path);
    if (!voco_file_exists(header)) {
        char *packed = voco_format("%.*s.hdr.gz", stem, path);

        if (voco_file_exists(packed)) {
            free(header);
            return packed;
        }
        free(packed);
        free(header);
        header = voco_format("%s", path);       /* perhaps a single file after all */
    }
    return header;
}

static enum voco_err
parse_file(const char *path, struct voco_source *src)
{
    char *header = header_of(path);
    enum kind kind = KIND_UNKNOWN;
    enum voco_err err = recognise(header, &kind);

    if (err == VOCO_OK && kind == KIND_METAIMAGE)
        err = voco_metaimage_parse(header, src);
    else if (err == VOCO_OK && kind == KIND_NRRD)
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
