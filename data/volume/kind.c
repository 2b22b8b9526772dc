/* Formats by content and name, and the two files of a pair. */
#include "data/volume/kind.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "data/volume/stream.h"
#include "data/volume/volume.h"

enum { HEAD = 512 };

static const char *const KIND_NAME[] = {
    "unknown", "NIfTI", "MetaImage", "NRRD", "DICOM", "DICOMDIR"
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

/* ---- DICOM ---- */

static unsigned
little(const char *p, int bytes)
{
    unsigned v = 0;

    while (bytes-- > 0)
        v = v << 8 | (unsigned char)p[bytes];
    return v;
}

/* An element of a data set in little endian at p[0..n): its tag, and where the next one
 * begins; false if it is none or that place lies beyond. */
static bool
take_element(const char *p, size_t n, size_t *at, unsigned *ret_tag)
{
    static const char VR[] = "AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUI"
                             "ULUNURUSUTUV";
    static const char LONG[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    const char *e = p + *at, *vr = e + 4;
    size_t length, head = 8;
    bool is_explicit = false, is_long = false;

    if (n < *at + 12)
        return false;
    for (size_t i = 0; i + 1 < sizeof VR; i += 2)
        is_explicit = is_explicit || memcmp(vr, VR + i, 2) == 0;
    for (size_t i = 0; i + 1 < sizeof LONG; i += 2)
        is_long = is_long || (is_explicit && memcmp(vr, LONG + i, 2) == 0);
    if (is_long && little(e + 6, 2) != 0)
        return false;
    head = is_long ? 12 : 8;
    length = is_long ? little(e + 8, 4) : is_explicit ? little(e + 6, 2) : little(e + 4, 4);
    *ret_tag = little(e, 2) << 16 | little(e + 2, 2);
    if (length % 2 != 0 || length > n || *at + head + length > n)
        return false;
    *at += head + length;
    return true;
}

/* The first two elements, in ascending order, of the groups that data sets begin with. */
static bool
begins_like_data_set(const char *head, size_t n)
{
    unsigned first, second;
    size_t at = 0;

    return take_element(head, n, &at, &first) && (first >> 16 == 2 || first >> 16 == 8) &&
           n >= at + 8 && (second = little(head + at, 2) << 16 | little(head + at + 2, 2),
                           second > first && second >> 16 <= 0x10);
}

bool
voco_is_dicom_head(const char *head, size_t n)
{
    return (n >= 132 && memcmp(head + 128, "DICM", 4) == 0) || begins_like_data_set(head, n);
}

bool
voco_is_dicomdir_head(const char *head, size_t n)
{
    static const char CLASS[] = "1.2.840.10008.1.3.10";
    size_t at = n >= 132 && memcmp(head + 128, "DICM", 4) == 0 ? 132 : 0, begin = at;
    unsigned tag;

    while (take_element(head, n, &at, &tag) && tag >> 16 == 2) {
        const size_t value = at - (sizeof CLASS - 1);

        if (tag == 0x00020002)              /* the class of what the file holds */
            return at - begin >= 8 + sizeof CLASS - 1 &&
                   memcmp(head + value, CLASS, sizeof CLASS - 1) == 0;
        begin = at;
    }
    return false;
}

/* ---- any file ---- */

/* head[0..n) with a 0 behind it. */
static enum voco_kind
kind_of_content(const char *head, size_t n)
{
    static const char SIZE[4][4] = {                /* 348 and 540, both byte orders */
        {0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}, {0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}
    };

    for (int i = 0; n >= 4 && i < 4; i++)
        if (memcmp(head, SIZE[i], 4) == 0)
            return VOCO_KIND_NIFTI;
    if (n >= 7 && memcmp(head, "NRRD000", 7) == 0)
        return VOCO_KIND_NRRD;
    if (begins_like_metaimage(head))
        return VOCO_KIND_METAIMAGE;
    if (voco_is_dicomdir_head(head, n))
        return VOCO_KIND_DICOMDIR;
    return voco_is_dicom_head(head, n) ? VOCO_KIND_DICOM : VOCO_KIND_UNKNOWN;
}

static enum voco_kind
kind_of_name(const char *path)
{
    if (ends_in(path, ".mha") || ends_in(path, ".mhd"))
        return VOCO_KIND_METAIMAGE;
    if (ends_in(path, ".nrrd") || ends_in(path, ".nhdr"))
        return VOCO_KIND_NRRD;
    return voco_volume_ending(path) > 0 ? VOCO_KIND_NIFTI : VOCO_KIND_UNKNOWN;
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

enum voco_kind
voco_kind_sniff(const char *path)
{
    char head[HEAD + 1];
    bool packed;
    size_t n;

    if (voco_is_folder(path) || read_head(path, head, &n, &packed) != VOCO_OK)
        return VOCO_KIND_UNKNOWN;
    return kind_of_content(head, n);
}

bool
voco_volume_sniff(const char *path)
{
    return voco_kind_sniff(path) != VOCO_KIND_UNKNOWN;
}

enum voco_err
voco_kind_recognise(const char *path, enum voco_kind *ret)
{
    char head[HEAD + 1];
    bool packed = false;
    size_t n;
    const enum voco_err err = read_head(path, head, &n, &packed);

    if (err != VOCO_OK)
        return err;
    *ret = kind_of_content(head, n);
    if (*ret == VOCO_KIND_UNKNOWN)
        *ret = kind_of_name(path);              /* its reader says what is wrong */
    if (*ret == VOCO_KIND_DICOM)
        return voco_fail(VOCO_EFORMAT, "%s: one DICOM file; give the folder that holds"
                         " the series", path);
    if (*ret == VOCO_KIND_DICOMDIR)
        return voco_fail(VOCO_EFORMAT, "%s: a DICOMDIR lists images and holds none; give"
                         " the folder that it lies in", path);
    if (*ret == VOCO_KIND_UNKNOWN)
        return voco_fail(VOCO_EFORMAT, "%s: neither the content nor the name is that of a"
                         " volume (NIfTI, MetaImage, NRRD or a DICOM folder)", path);
    if (packed && *ret != VOCO_KIND_NIFTI)
        return voco_fail(VOCO_EFORMAT, "%s: a %s file inside gzip is not supported:"
                         " gunzip it", path, KIND_NAME[*ret]);
    return VOCO_OK;
}

/* ---- pairs ---- */

/* path with another ending of three letters in the place of its own, which is at stem: in
 * the case of these letters, in small ones, or in capitals, packed or not, whatever of
 * this is there; else the first of them.  Free the result. */
static char *
partner(const char *path, int stem, const char *letters, bool packed)
{
    char *first = NULL;

    for (int attempt = 0; attempt < 6; attempt++) {
        const int how = attempt / 2;
        char ending[4] = "";
        char *name;

        for (int i = 0; i < 3; i++) {
            const bool capital = how == 0 ? isupper((unsigned char)path[stem + 1 + i]) != 0
                                          : how == 2;

            ending[i] = capital ? (char)toupper((unsigned char)letters[i]) : letters[i];
        }
        name = voco_format("%.*s.%s%s", stem, path, ending, packed == (attempt % 2 == 1)
                           ? "" : isupper((unsigned char)ending[0]) ? ".GZ" : ".gz");
        if (voco_file_exists(name)) {
            free(first);
            return name;
        }
        if (first == NULL)
            first = name;
        else
            free(name);
    }
    return first;
}

char *
voco_header_of(const char *path)
{
    const bool packed = ends_in(path, ".img.gz");
    const int stem = (int)strlen(path) - (packed ? 7 : 4);
    char *header;

    if (!packed && !ends_in(path, ".img"))
        return voco_format("%s", path);
    header = partner(path, stem, "hdr", false);
    if (!voco_file_exists(header)) {            /* perhaps a single file after all */
        free(header);
        return voco_format("%s", path);
    }
    return header;
}

char *
voco_image_of(const char *path)
{
    const bool packed = ends_in(path, ".hdr.gz");

    if (!packed && !ends_in(path, ".hdr"))
        return voco_format("%s.img", path);
    return partner(path, (int)strlen(path) - (packed ? 7 : 4), "img", packed);
}
