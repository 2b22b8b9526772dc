/* Reading zip archives of stored entries with libzip. */
#include "tensorfile/zip.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/file.h"

struct voco_zip {
    zip_t *archive;
    char *what;
    int n;
};

bool
voco_zip_is(const void *bytes, size_t n)
{
    return n >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

static zip_stat_t
entry_stat(const struct voco_zip *zip, int entry)
{
    zip_stat_t st;

    zip_stat_init(&st);
    VOCO_ASSERT(zip_stat_index(zip->archive, (zip_uint64_t)entry, 0, &st) == 0);
    return st;
}

/* NULL, with the reason in error. */
static zip_t *
open_source(const void *bytes, size_t n, zip_error_t *error)
{
    zip_source_t *source = zip_source_buffer_create(bytes, n, 0, error);
    zip_t *archive = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, error)
        : NULL;

    if (!archive)
        zip_source_free(source);
    return archive;
}

bool
voco_zip_has_ending(const void *bytes, size_t n, const char *ending)
{
    const size_t m = strlen(ending);
    zip_error_t error;
    zip_t *archive;
    bool found = false;

    zip_error_init(&error);
    archive = open_source(bytes, n, &error);
    zip_error_fini(&error);
    for (zip_int64_t i = 0; archive && !found && i < zip_get_num_entries(archive, 0); i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;

        found = length >= m && strcmp(name + length - m, ending) == 0;
    }
    if (archive)
        zip_discard(archive);
    return found;
}

static enum voco_err
open_archive(struct voco_zip *zip, const void *bytes, size_t n)
{
    zip_error_t error;
    enum voco_err err = VOCO_OK;

    zip_error_init(&error);
    zip->archive = open_source(bytes, n, &error);
    if (!zip->archive)
        err = voco_fail(VOCO_EFORMAT, "%s: %s: truncated, damaged, or no zip archive of "
                        "torch.save", zip->what, zip_error_code_zip(&error) == ZIP_ER_EXISTS
                        ? "a name is there twice" : zip_error_strerror(&error));
    zip_error_fini(&error);
    return err;
}

static bool
is_printable(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 127)
            return false;
    return true;
}

/* Entries are like those of torch.save; *left is the room that the file has for them. */
static enum voco_err
check_entry(const struct voco_zip *zip, int entry, uint64_t *left)
{
    const zip_stat_t st = entry_stat(zip, entry);

    if (!is_printable(st.name))
        return voco_fail(VOCO_EFORMAT, "%s: entry %d of the zip archive has a name with "
                         "control characters", zip->what, entry);
    if (st.encryption_method != ZIP_EM_NONE)
        return voco_fail(VOCO_EFORMAT, "%s: %s is encrypted", zip->what, st.name);
    if (st.comp_method != ZIP_CM_STORE || st.comp_size != st.size)
        return voco_fail(VOCO_EFORMAT, "%s: %s is compressed (method %d); expected stored "
                         "entries as torch.save writes them: unpack the archive and pack it "
                         "with zip -0 -r", zip->what, st.name, st.comp_method);
    if (st.size > *left)
        return voco_fail(VOCO_EFORMAT, "%s: the entries of the zip archive overlap: together "
                         "they are larger than the file", zip->what);
    *left -= st.size;
    return VOCO_OK;
}

enum voco_err
voco_zip_open(struct voco_zip **ret, const void *bytes, size_t n, const char *what)
{
    struct voco_zip *zip = calloc(1, sizeof *zip);
    uint64_t left = n;
    enum voco_err err;

    VOCO_NEED(zip);
    *ret = NULL;
    zip->what = voco_format("%s", what);
    err = open_archive(zip, bytes, n);
    if (err == VOCO_OK) {
        const zip_int64_t count = zip_get_num_entries(zip->archive, 0);

        if (count > INT_MAX)
            err = voco_fail(VOCO_EFORMAT, "%s: a zip archive of 2^31 entries", what);
        else
            zip->n = (int)count;
    }
    for (int i = 0; i < zip->n && err == VOCO_OK; i++)
        err = check_entry(zip, i, &left);
    if (err == VOCO_OK)
        *ret = zip;
    else
        voco_zip_close(zip);
    return err;
}

void
voco_zip_close(struct voco_zip *zip)
{
    if (!zip)
        return;
    if (zip->archive)
        zip_discard(zip->archive);
    free(zip->what);
    free(zip);
}

int
voco_zip_count(const struct voco_zip *zip)
{
    return zip->n;
}

int
voco_zip_find(const struct voco_zip *zip, const char *name)
{
    return (int)zip_name_locate(zip->archive, name, 0);
}

const char *
voco_zip_name(const struct voco_zip *zip, int entry)
{
    return entry_stat(zip, entry).name;
}

size_t
voco_zip_bytes(const struct voco_zip *zip, int entry)
{
    return (size_t)entry_stat(zip, entry).size;
}

static enum voco_err
fail_read(const struct voco_zip *zip, int entry, const char *why)
{
    return voco_fail(VOCO_EFORMAT, "%s: %s: %s: the file is damaged", zip->what,
                     voco_zip_name(zip, entry), why);
}

/* Of an open entry; a byte behind the last one makes libzip look at the checksum. */
static bool
read_part(zip_file_t *f, size_t n, void *out, bool check)
{
    char more;

    return zip_fread(f, out, n) == (zip_int64_t)n && (!check || zip_fread(f, &more, 1) == 0);
}

enum voco_err
voco_zip_read(const struct voco_zip *zip, int entry, size_t from, size_t n, void *out)
{
    const zip_stat_t st = entry_stat(zip, entry);
    enum voco_err err = VOCO_OK;
    zip_file_t *f;

    VOCO_ASSERT(from <= st.size && n <= st.size - from);
    if (n == 0)                 /* libzip 1.7 crashes when it seeks in an empty entry */
        return VOCO_OK;
    f = zip_fopen_index(zip->archive, (zip_uint64_t)entry, 0);
    if (!f)
        return fail_read(zip, entry, zip_strerror(zip->archive));
    if ((from && zip_fseek(f, (zip_int64_t)from, SEEK_SET) != 0)
        || !read_part(f, n, out, n == st.size && st.crc != 0))
        err = fail_read(zip, entry, zip_file_strerror(f));
    zip_fclose(f);
    return err;
}

enum voco_err
voco_zip_check(const struct voco_zip *zip, int entry)
{
    const zip_stat_t st = entry_stat(zip, entry);
    enum voco_err err = VOCO_OK;
    char block[16384];
    zip_file_t *f;

    /* torch.serialization.set_crc32_options(False) leaves a 0 there */
    if (st.crc == 0 || st.size == 0)
        return VOCO_OK;
    f = zip_fopen_index(zip->archive, (zip_uint64_t)entry, 0);
    if (!f)
        return fail_read(zip, entry, zip_strerror(zip->archive));
    for (uint64_t left = st.size; left > 0 && err == VOCO_OK;) {
        const size_t n = left < sizeof block ? (size_t)left : sizeof block;

        left -= n;
        if (!read_part(f, n, block, left == 0))
            err = fail_read(zip, entry, zip_file_strerror(f));
    }
    zip_fclose(f);
    return err;
}
