/* Files of named tensors, whatever their format. */
#define _GNU_SOURCE
#include "tensorfile/tensorfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "tensorfile/names.h"
#include "tensorfile/safetensors.h"
#include "tensorfile/torchfile.h"

static bool
is_named(const char *path)
{
    static const char *const ending[] = { ".safetensors", ".pt", ".pth" };
    const size_t n = strlen(path);

    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        const size_t m = strlen(ending[i]);

        if (n > m && strcasecmp(path + n - m, ending[i]) == 0)
            return true;
    }
    return false;
}

bool
voco_tensorfile_sniff(const char *path)
{
    unsigned char head[16];
    FILE *in = voco_open_stream(path, "rb");
    const size_t n = in ? fread(head, 1, sizeof head, in) : 0;

    if (in)
        fclose(in);
    return voco_torchfile_is(head, n) || voco_safetensors_is(head, n) || is_named(path);
}

static enum voco_err
parse(struct voco_tensorfile *f, const void *bytes, size_t n, const char *path)
{
    return voco_torchfile_is(bytes, n) ? voco_torchfile_parse(f, bytes, n, path)
        : voco_safetensors_parse(f, bytes, n, path);
}

static enum voco_err
open_file(struct voco_tensorfile *f, const char *path)
{
    struct stat info;
    enum voco_err err;
    void *map;
    int fd = voco_open(path, O_RDONLY, 0);

    if (fd < 0)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 8) {
        close(fd);
        return voco_fail(VOCO_EFORMAT, "%s: not a file of weights", path);
    }
    map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return voco_fail_errno(errno == ENOMEM ? VOCO_EMEMORY : VOCO_EIO, "%s: cannot map",
                               path);
    if ((err = parse(f, map, (size_t)info.st_size, path)) != VOCO_OK) {
        munmap(map, (size_t)info.st_size);
        return err;
    }
    f->map = map;
    f->map_bytes = (size_t)info.st_size;
    return VOCO_OK;
}

/* Names without the common prefix in front of those of a network. */
static void
leave_prefix_out(struct voco_tensorfile *f)
{
    const int prefix = voco_names_prefix((const char *const *)f->name, f->n);

    f->prefix = voco_format("%.*s", prefix > 0 ? prefix : 0, f->n ? f->name[0] : "");
    for (int i = 0; i < f->n && prefix > 0; i++)
        f->item[i].name += prefix;
}

enum voco_err
voco_tensorfile_open(struct voco_tensorfile *f, const char *path)
{
    char *inside = voco_format("%s/model.safetensors", path);
    const bool folder = voco_is_folder(path), there = voco_file_exists(inside);
    enum voco_err err;

    *f = (struct voco_tensorfile){ 0 };
    if (folder && !there)
        err = voco_fail(VOCO_EFORMAT, "%s: a folder without model.safetensors; expected a "
                        "file of weights, a checkpoint (RUN/ckpt-STEP) or a finished run",
                        path);
    else
        err = open_file(f, folder ? inside : path);
    if (err == VOCO_OK)
        leave_prefix_out(f);
    free(inside);
    return err;
}

void
voco_tensorfile_close(struct voco_tensorfile *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->name[i]);
    for (int i = 0; i < f->n_meta; i++) {
        free(f->meta[i].key);
        free(f->meta[i].value);
    }
    for (int i = 0; i < f->n_foreign; i++)
        free(f->foreign[i]);
    for (int i = 0; i < f->n_dicts; i++) {
        free(f->dict[i].path);
        free(f->dict[i].python);
        free(f->dict[i].first);
    }
    free(f->dict);
    free(f->prefix);
    free(f->item);
    free(f->name);
    free(f->meta);
    free(f->foreign);
    free(f->wrapper);
    voco_zip_close(f->zip);
    free(f->beside);
    if (f->map)
        munmap(f->map, f->map_bytes);
    *f = (struct voco_tensorfile){ 0 };
}

enum voco_err
voco_tensorfile_reserve(struct voco_tensorfile *f, size_t n, const char *what)
{
    f->item = calloc(n + 1, sizeof *f->item);
    f->name = calloc(n + 1, sizeof *f->name);
    if (!f->item || !f->name)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %zu tensors", what, n);
    return VOCO_OK;
}

void
voco_tensorfile_add_meta(struct voco_tensorfile *f, const char *key, const char *value)
{
    if ((f->n_meta & (f->n_meta - 1)) == 0) {       /* room for as many again */
        f->meta = realloc(f->meta, 2 * ((size_t)f->n_meta + 1) * sizeof *f->meta);
        VOCO_NEED(f->meta);
    }
    f->meta[f->n_meta].key = voco_format("%s", key);
    f->meta[f->n_meta++].value = voco_format("%s", value);
}

const struct voco_filetensor *
voco_tensorfile_find(const struct voco_tensorfile *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->item[i].name, name) == 0)
            return &f->item[i];
    return NULL;
}

const char *
voco_tensorfile_meta(const struct voco_tensorfile *f, const char *key)
{
    for (int i = 0; i < f->n_meta; i++)
        if (strcmp(f->meta[i].key, key) == 0)
            return f->meta[i].value;
    return NULL;
}

void
voco_tensorfile_tell(const struct voco_tensorfile *f, const char *path)
{
    if (f->prefix && *f->prefix)
        voco_note("%s: all names begin with %s, which is left out", path, f->prefix);
    for (int i = 0; i < f->n_dicts && f->n; i++) {
        const struct voco_filedict *d = &f->dict[i];
        char *text = voco_format("%s: %d tensor%s under %s (%s, ...) are not used; the weights "
                                 "are %s%s", path, d->n, voco_plural(d->n),
                                 *d->path ? d->path : "the top", d->first ? d->first : "?",
                                 *f->wrapper ? "those under " : "those at the top", f->wrapper);

        if (d->network)
            voco_warn("%s", text);
        else
            voco_note("%s", text);
        free(text);
    }
}

/* " A (12 tensors: x.weight, ...)" behind the text. */
static char *
name_dict(char *text, const struct voco_filedict *d)
{
    char *longer = voco_format("%s %s (%d tensor%s: %s, ...)", text,
                               *d->path ? d->path : "the top", d->n, voco_plural(d->n),
                               d->first ? d->first : "?");

    free(text);
    return longer;
}

char *
voco_tensorfile_contents(const struct voco_tensorfile *f, const char *path)
{
    enum { SHOWN = 3 };
    char *text, *longer;

    if (f->n == 0 && f->n_dicts == 0)
        return f->n_foreign
            ? voco_format("it holds no tensors but inside of objects, such as %s; in Python: "
                          "torch.save(MODEL.state_dict(), \"NEW.pt\")", f->foreign[0])
            : voco_format("it holds no tensors");
    if (f->n == 0) {
        text = voco_format("which of its dictionaries is meant?");
        for (int i = 0; i < f->n_dicts; i++)
            text = name_dict(text, &f->dict[i]);
        longer = voco_format("%s; in Python: torch.save(torch.load(\"%s\", map_location=\"cpu\")"
                             "%s, \"NEW.pt\")", text, path, f->dict[0].python);
        free(text);
        return longer;
    }
    text = voco_format("its %d tensor%s%s%s begin with", f->n, voco_plural(f->n),
                       f->wrapper && *f->wrapper ? " under " : "",
                       f->wrapper ? f->wrapper : "");
    for (int i = 0; i < f->n && i < SHOWN; i++) {
        longer = voco_format("%s%s %s", text, i ? "," : "", f->name[i]);
        free(text);
        text = longer;
    }
    for (int i = 0; i < f->n_dicts; i++) {
        longer = voco_format("%s%s", text, i ? "," : "; beside them");
        free(text);
        text = name_dict(longer, &f->dict[i]);
    }
    return text;
}

enum voco_err
voco_tensorfile_verify(const struct voco_tensorfile *f)
{
    enum voco_err err = VOCO_OK;

    for (int i = 0; i < f->n && err == VOCO_OK; i++)
        err = voco_filetensor_check(&f->item[i]);
    return err;
}
