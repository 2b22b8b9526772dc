/*
 * edit_weights IN OUT [EDIT...]: a file of weights with other names, tensors or notes, for
 * tests of what strangers' files say; .pt or safetensors by OUT's name.
 *
 *   front=TEXT        in front of all names
 *   add=NAME,N        N zeros more, f32
 *   drop=NAME         one tensor less
 *   nan=NAME          its first element is no number
 *   say=KEY,TEXT      an entry of the metadata
 *   mute              none of the metadata that IN has
 *   wrap=KEY          .pt: inside a dictionary under this key
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/rewrite.h"

enum { EDITS = 16 };

/* The text behind "word=" where arg begins so, else NULL. */
static const char *
behind(const char *arg, const char *word)
{
    const size_t n = strlen(word);

    return strncmp(arg, word, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static int
usage(const char *arg)
{
    fprintf(stderr, "edit_weights: '%s'\n", arg);
    return 2;
}

/* Is the tensor named by an edit of this word? */
static bool
is_named(int argc, char **argv, const char *word, const char *name)
{
    for (int i = 3; i < argc; i++) {
        const char *text = behind(argv[i], word);

        if (text && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static struct voco_filetensor
with_nan(const struct voco_filetensor *t)
{
    struct voco_filetensor out = { .name = t->name, .type = "F32", .rank = t->rank,
                                   .bytes = (size_t)voco_filetensor_count(t) * sizeof(float) };
    float *x = malloc(out.bytes);

    memcpy(out.dim, t->dim, sizeof out.dim);
    if (!x || voco_filetensor_convert(t, "F32", x) != VOCO_OK)
        exit(99);
    x[0] = NAN;
    out.data = x;
    return out;
}

int
main(int argc, char **argv)
{
    struct voco_filetensor made[EDITS] = { { .name = NULL } };
    struct voco_filemeta meta[EDITS];
    struct voco_tensorfile file, told;
    struct voco_rewrite out = { 0 };
    const char *front = "", *wrapper = NULL, *text;
    int n = 0, n_meta = 0;
    enum voco_err err;

    if (argc < 3 || argc > 3 + EDITS)
        return usage("IN OUT [EDIT...]");
    if ((err = voco_tensorfile_open(&file, argv[1])) != VOCO_OK)
        return fprintf(stderr, "edit_weights: %s\n", voco_fail_text()), 1;
    for (int i = 3; i < argc; i++) {
        if ((text = behind(argv[i], "front")) != NULL)
            front = text;
        else if ((text = behind(argv[i], "wrap")) != NULL)
            wrapper = text;
        else if ((text = behind(argv[i], "say")) != NULL && strchr(text, ','))
            meta[n_meta++] = (struct voco_filemeta){
                voco_format("%.*s", (int)strcspn(text, ","), text), strchr(text, ',') + 1 };
        else if ((text = behind(argv[i], "add")) != NULL && strchr(text, ',')) {
            const int64_t count = atoll(strchr(text, ',') + 1);

            made[n] = (struct voco_filetensor){
                .type = "F32", .rank = 1, .dim = { count },
                .bytes = (size_t)count * sizeof(float),
                .data = calloc((size_t)count + 1, sizeof(float)) };
            voco_rewrite_add(&out, &made[n++], voco_format("%s%.*s", front,
                             (int)strcspn(text, ","), text), NULL);
        } else if (!behind(argv[i], "drop") && !behind(argv[i], "nan")
                   && strcmp(argv[i], "mute") != 0)
            return usage(argv[i]);
    }
    for (int i = 0; i < file.n; i++) {
        const struct voco_filetensor *t = &file.item[i];

        if (is_named(argc, argv, "drop", t->name))
            continue;
        if (is_named(argc, argv, "nan", t->name)) {
            made[n] = with_nan(t);
            t = &made[n++];
        }
        voco_rewrite_add(&out, t, voco_format("%s%s", front, t->name), NULL);
    }
    told = file;                        /* its notes are read from here and freed from there */
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "mute") == 0)
            told.n_meta = 0;
    err = voco_rewrite_write(&out, argv[2], &told, argv[1], wrapper, meta, n_meta);
    if (err != VOCO_OK)
        fprintf(stderr, "edit_weights: %s\n", voco_fail_text());
    voco_rewrite_free(&out);
    for (int i = 0; i < n; i++)
        free((void *)(uintptr_t)made[i].data);
    for (int i = 0; i < n_meta; i++)
        free((char *)(uintptr_t)meta[i].key);
    voco_tensorfile_close(&file);
    return err == VOCO_OK ? 0 : 1;
}
