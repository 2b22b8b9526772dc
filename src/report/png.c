/* PNG through libpng 1.6.  Errors leave libpng by longjmp, so every function that may be
 * jumped over keeps its state in one struct that outlives the jump. */
#include "report/png.h"

#include <errno.h>
#include <limits.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/open.h"

struct job {
    png_structp png;
    png_infop info;
    char message[160];
    uint8_t *bytes;         /* encoded, or the pixels that are read */
    size_t n, room;
};

static void
on_error(png_structp png, png_const_charp message)
{
    struct job *job = png_get_error_ptr(png);

    strncpy(job->message, message, sizeof job->message - 1);
    png_longjmp(png, 1);
}

static void
on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void
append(png_structp png, png_bytep data, size_t n)
{
    struct job *job = png_get_io_ptr(png);

    if (n > job->room - job->n) {
        const size_t room = (job->n + n) * 2;
        uint8_t *bytes = realloc(job->bytes, room);

        if (!bytes)
            png_error(png, "no memory");
        job->bytes = bytes;
        job->room = room;
    }
    memcpy(job->bytes + job->n, data, n);
    job->n += n;
}

static void
nothing_to_flush(png_structp png)
{
    (void)png;
}

static enum voco_err
encode(struct job *job, const struct voco_picture *p)
{
    const size_t stride = (size_t)p->width * (size_t)p->channels;

    if (setjmp(png_jmpbuf(job->png)))
        return voco_fail(VOCO_EIO, "PNG of %dx%d: %s", p->width, p->height, job->message);
    png_set_write_fn(job->png, job, append, nothing_to_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)p->width, (png_uint_32)p->height, 8,
                 p->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int y = 0; y < p->height; y++)
        png_write_row(job->png, p->pixels + (size_t)y * stride);
    png_write_end(job->png, job->info);
    return VOCO_OK;
}

enum voco_err
voco_png_encode(const struct voco_picture *p, uint8_t **ret, size_t *ret_n)
{
    struct job job = { 0 };

    VOCO_ASSERT(p->width > 0 && p->height > 0 && (p->channels == 1 || p->channels == 3));
    job.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;

    enum voco_err err = job.info ? encode(&job, p)
                                 : voco_fail(VOCO_EMEMORY, "libpng does not start");
    png_destroy_write_struct(&job.png, &job.info);
    if (err) {
        free(job.bytes);
        return err;
    }
    *ret = job.bytes;
    *ret_n = job.n;
    return VOCO_OK;
}

enum voco_err
voco_png_write(const char *path, const struct voco_picture *p)
{
    struct voco_newfile f = { 0 };
    uint8_t *bytes;
    size_t n;
    enum voco_err err = voco_png_encode(p, &bytes, &n);

    if (err)
        return voco_fail_in(err, "%s", path);
    err = voco_newfile_open(&f, path);
    if (!err && fwrite(bytes, 1, n, f.out) != n) {
        err = voco_fail_errno(VOCO_EIO, "%s", path);
        voco_newfile_discard(&f);
    } else if (!err) {
        err = voco_newfile_commit(&f);
    }
    free(bytes);
    return err;
}

static enum voco_err
decode(struct job *job, FILE *in, const char *path, struct voco_picture *ret)
{
    if (setjmp(png_jmpbuf(job->png)))
        return voco_fail(VOCO_EFORMAT, "%s: not a readable PNG: %s", path, job->message);
    png_init_io(job->png, in);
    png_set_user_limits(job->png, 1 << 15, 1 << 15);
    png_read_info(job->png, job->info);
    png_set_expand(job->png);
    png_set_strip_16(job->png);
    png_set_strip_alpha(job->png);
    const int passes = png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);

    const size_t stride = png_get_rowbytes(job->png, job->info);
    const size_t height = png_get_image_height(job->png, job->info);

    job->bytes = calloc(height, stride);
    if (!job->bytes)
        png_error(job->png, "no memory");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(job->png, job->bytes + y * stride, NULL);
    png_read_end(job->png, NULL);
    *ret = (struct voco_picture){
        job->bytes, (int)png_get_image_width(job->png, job->info), (int)height,
        png_get_channels(job->png, job->info),
    };
    return VOCO_OK;
}

enum voco_err
voco_png_read(const char *path, struct voco_picture *ret)
{
    struct job job = { 0 };
    FILE *in = voco_open_stream(path, "rb");

    if (!in)
        return voco_fail_errno(errno == ENOENT ? VOCO_EFORMAT : VOCO_EIO, "%s", path);
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    job.info = job.png ? png_create_info_struct(job.png) : NULL;

    enum voco_err err = job.info ? decode(&job, in, path, ret)
                                 : voco_fail(VOCO_EMEMORY, "libpng does not start");
    if (err)
        free(job.bytes);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    fclose(in);
    return err;
}
