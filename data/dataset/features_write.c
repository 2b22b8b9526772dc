/* Writing tables of features: HDF5, CSV and NPY. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/csv.h"
#include "data/dataset/features.h"
#include "data/store/cropfile.h"

enum kind { HDF5, CSV, NPY, KINDS };
enum { NPY_HEAD = 128 };

static const char *const ending[KINDS] = { "", ".csv", ".npy" };

struct voco_features_writer {
    enum kind kind;
    bool means;
    char *path;
    struct voco_embeddings *h5;
    struct voco_newfile table;  /* CSV; of NPY the file beside it */
    struct voco_newfile array;  /* NPY */
    int64_t rows;
    int width;                  /* 0: no row yet */
    float *mean;
};

static enum voco_err
open_files(struct voco_features_writer *w)
{
    const size_t stem = strlen(w->path) - strlen(ending[w->kind]);
    char *table = voco_format("%.*s.csv", (int)stem, w->path);
    enum voco_err err = VOCO_OK;

    if (w->kind == HDF5)
        err = voco_embeddings_create(w->path, &w->h5);
    else
        err = voco_newfile_open(&w->table, table);
    if (w->kind == NPY && !err && !(err = voco_newfile_open(&w->array, w->path)))
        fprintf(w->array.out, "%*s", NPY_HEAD, "");     /* the number of rows comes last */
    free(table);
    return err;
}

enum voco_err
voco_features_create(const char *path, bool means, struct voco_features_writer **ret)
{
    const char *dot = strrchr(path, '.');
    enum kind kind = KINDS - 1;
    struct voco_features_writer *w;
    enum voco_err err;

    *ret = NULL;
    while (kind > HDF5 && (!dot || strcmp(dot, ending[kind]) != 0))
        kind--;
    w = calloc(1, sizeof *w);
    VOCO_NEED(w);
    w->kind = kind;
    w->means = means;
    w->path = voco_format("%s", path);
    if ((err = open_files(w)) != VOCO_OK) {
        voco_features_abandon(w);
        return err;
    }
    *ret = w;
    return VOCO_OK;
}

static void
put_head(struct voco_features_writer *w, int width)
{
    FILE *out = w->table.out;

    w->width = width;
    fputs(w->means ? "id,source,crops" : "id,source,crop,x,y,z", out);
    for (int j = 0; j < width && w->kind == CSV; j++)
        fprintf(out, ",f%d", j);
    putc('\n', out);
}

/* Row `crop`, or the mean of `crops` of them, of which place is where the crop begins. */
static void
put_row(struct voco_features_writer *w, const char *id, const char *source, int crop,
        const float *x, const int64_t *place)
{
    FILE *out = w->table.out;

    voco_csv_put(out, id);
    putc(',', out);
    voco_csv_put(out, source);
    fprintf(out, ",%d", crop);
    if (!w->means && place)
        fprintf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64, place[0], place[1], place[2]);
    else if (!w->means)
        fputs(",,,", out);
    for (int j = 0; j < w->width && w->kind == CSV; j++)
        fprintf(out, ",%.9g", (double)x[j]);
    putc('\n', out);
    if (w->kind == NPY)
        fwrite(x, sizeof *x, (size_t)w->width, w->array.out);
    w->rows++;
}

/* The mean over the crops of a volume, summed in double. */
static void
average(struct voco_features_writer *w, int n, int width, const float *x)
{
    w->mean = realloc(w->mean, (size_t)width * sizeof *w->mean);
    VOCO_NEED(w->mean);
    for (int j = 0; j < width; j++) {
        double sum = 0;

        for (int i = 0; i < n; i++)
            sum += x[(int64_t)i * width + j];
        w->mean[j] = (float)(sum / n);
    }
}

enum voco_err
voco_features_add(struct voco_features_writer *w, const char *id, const char *source, int n,
                  int width, const float *embedding, const int64_t (*start)[3])
{
    if (w->means)
        average(w, n, width, embedding);
    if (w->kind == HDF5)
        return voco_embeddings_add(w->h5, id, source, w->means ? 1 : n, width,
                                   w->means ? w->mean : embedding, w->means ? NULL : start);
    if (w->width == 0)
        put_head(w, width);
    if (w->means)
        put_row(w, id, source, n, w->mean, NULL);
    for (int i = 0; i < n && !w->means; i++)
        put_row(w, id, source, i, embedding + (int64_t)i * width, start ? start[i] : NULL);
    return VOCO_OK;
}

/* The head of version 1.0 is text of any length that makes the numbers begin at a multiple of
 * 64; here always the first 128 bytes. */
static enum voco_err
finish_npy(struct voco_features_writer *w)
{
    FILE *out = w->array.out;
    char *text = voco_format("{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64
                             ", %d), }", w->rows, w->width);

    if (fseek(out, 0, SEEK_SET) != 0) {
        free(text);
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", w->path);
    }
    fprintf(out, "\x93NUMPY\x01%c%c%c%-*s\n", '\0', NPY_HEAD - 10, '\0', NPY_HEAD - 11, text);
    free(text);
    return voco_newfile_commit(&w->array);
}

enum voco_err
voco_features_finish(struct voco_features_writer *w)
{
    enum voco_err err = VOCO_OK;

    if (w->kind == HDF5) {
        err = voco_embeddings_finish(w->h5);
        w->h5 = NULL;
    } else
        err = voco_newfile_commit(&w->table);
    if (w->kind == NPY && !err)
        err = finish_npy(w);
    voco_features_abandon(w);
    return err;
}

void
voco_features_abandon(struct voco_features_writer *w)
{
    if (!w)
        return;
    voco_embeddings_abandon(w->h5);
    voco_newfile_discard(&w->table);
    voco_newfile_discard(&w->array);
    free(w->mean);
    free(w->path);
    free(w);
}
