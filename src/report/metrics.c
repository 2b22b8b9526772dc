/* Writing metrics.jsonl (history.c reads it). */
#include "report/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"

struct voco_metrics {
    FILE *out;
    char *path;
};

const char *
voco_format_double(double v, char buf[32])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    return buf;
}

/* The step of a line as this file writes them, whole up to the line feed. */
static bool
line_step(const char *line, size_t n, int64_t *ret_step)
{
    static const char head[] = "{\"step\":";
    char *end;

    if (n < sizeof head + 2 || strncmp(line, head, sizeof head - 1) != 0 ||
        line[n - 1] != '\n' || line[n - 2] != '}')
        return false;
    *ret_step = strtoll(line + sizeof head - 1, &end, 10);
    return end > line + sizeof head - 1 && (*end == ',' || *end == '}') && *ret_step >= 0;
}

/* Copy the lines before from_step; *ret_dropped counts the others. */
static enum voco_err
copy_before(FILE *in, FILE *out, const char *path, int64_t from_step,
            int64_t *ret_dropped)
{
    enum voco_err err = VOCO_OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while (!err && (n = getline(&line, &room, in)) > 0) {
        int64_t step;

        if (!line_step(line, (size_t)n, &step) || step >= from_step)
            ++*ret_dropped;
        else if (fwrite(line, 1, (size_t)n, out) != (size_t)n)
            err = voco_fail_errno(VOCO_EIO, "%s: cannot write", path);
    }
    if (!err && ferror(in))
        err = voco_fail_errno(VOCO_EIO, "%s: cannot read", path);
    free(line);
    return err;
}

/* Rewrite path without the steps from from_step on; untouched if there are none. */
static enum voco_err
forget_from(const char *path, int64_t from_step)
{
    struct voco_newfile f = { 0 };
    int64_t dropped = 0;
    FILE *in = voco_open_stream(path, "rb");
    enum voco_err err;

    if (!in)
        return voco_fail_errno(VOCO_EIO, "%s: cannot read", path);
    err = voco_newfile_open(&f, path);
    if (!err)
        err = copy_before(in, f.out, path, from_step, &dropped);
    fclose(in);
    if (err || dropped == 0)
        voco_newfile_discard(&f);
    else
        err = voco_newfile_commit(&f);
    if (!err && dropped > 0)
        voco_detail("%s: %lld lines of step %lld and later removed", path,
                    (long long)dropped, (long long)from_step);
    return err;
}

enum voco_err
voco_metrics_open(const char *path, int64_t from_step, struct voco_metrics **ret)
{
    struct voco_metrics *m;
    FILE *out;

    if (voco_file_exists(path)) {
        const enum voco_err err = forget_from(path, from_step);

        if (err)
            return err;
    }
    out = voco_open_stream(path, "ab");
    if (!out)
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", path);
    m = malloc(sizeof *m);
    if (!m) {
        fclose(out);
        return voco_fail(VOCO_EMEMORY, "%s: no memory", path);
    }
    *m = (struct voco_metrics){ out, voco_format("%s", path) };
    *ret = m;
    return VOCO_OK;
}

static void
put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7F)
            fprintf(out, "\\u%04x", *s);
        else
            fputc(*s, out);
    }
    fputc('"', out);
}

/* ,"nonfinite":{"loss":"nan","grad_norm":"inf"} for those that are not finite. */
static void
put_nonfinite(FILE *out, const struct voco_metric *row, int n)
{
    const char *before = "";

    fputs(",\"nonfinite\":{", out);
    for (int i = 0; i < n; i++) {
        const double v = row[i].value;

        if (isfinite(v))
            continue;
        fprintf(out, "%s\"%s\":\"%s\"", before, row[i].name,
                isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
        before = ",";
    }
    fputc('}', out);
}

enum voco_err
voco_metrics_write(struct voco_metrics *m, int64_t step, const struct voco_metric *row,
                   int n, const char *note)
{
    bool finite = true;
    char buf[32];

    fprintf(m->out, "{\"step\":%lld", (long long)step);
    for (int i = 0; i < n; i++) {
        const bool ok = isfinite(row[i].value);

        fprintf(m->out, ",\"%s\":%s", row[i].name,
                ok ? voco_format_double(row[i].value, buf) : "null");
        finite = finite && ok;
    }
    if (!finite)
        put_nonfinite(m->out, row, n);
    if (note) {
        fputs(",\"note\":", m->out);
        put_string(m->out, note);
    }
    fputs("}\n", m->out);
    if (fflush(m->out) || ferror(m->out))
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", m->path);
    return VOCO_OK;
}

enum voco_err
voco_metrics_sync(struct voco_metrics *m)
{
    if (fflush(m->out) || voco_sync(fileno(m->out)))
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", m->path);
    return VOCO_OK;
}

enum voco_err
voco_metrics_close(struct voco_metrics *m)
{
    enum voco_err err = VOCO_OK;

    if (!m)
        return VOCO_OK;
    if (fclose(m->out))
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", m->path);
    free(m->path);
    free(m);
    return err;
}
