/* Lines and numbers of text headers. */
#include "data/volume/headtext.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/volume/stream.h"

enum { HEAD_MAX = 1 << 20 };

static const char BLANKS[] = " \t\r\n\f\v";

enum voco_err
voco_headtext_open(struct voco_headtext *t, const char *path)
{
    struct voco_stream s;
    size_t room;
    enum voco_err err;

    *t = (struct voco_headtext){.path = path};
    err = voco_stream_open(&s, path, 0, VOCO_PLAIN);
    if (err != VOCO_OK)
        return err;
    room = s.file_bytes < HEAD_MAX ? (size_t)s.file_bytes : HEAD_MAX;
    t->text = malloc(room + 1);
    if (t->text == NULL)
        err = voco_fail(VOCO_EMEMORY, "%s: no memory for the header", path);
    else
        err = voco_stream_peek(&s, t->text, room, &t->n);
    if (err == VOCO_OK)
        t->text[t->n] = '\0';
    else
        voco_headtext_close(t);
    voco_stream_close(&s);
    return err;
}

void
voco_headtext_close(struct voco_headtext *t)
{
    free(t->text);
    *t = (struct voco_headtext){0};
}

char *
voco_headtext_line(struct voco_headtext *t)
{
    char *line = t->text + t->at;
    const size_t left = t->n - t->at;
    char *end;

    if (left == 0)
        return NULL;
    end = memchr(line, '\n', left);
    if (end == NULL) {
        t->at = t->n;
        return line;
    }
    t->at += (size_t)(end - line) + 1;
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    return line;
}

char *
voco_trim(char *text)
{
    size_t n;

    text += strspn(text, BLANKS);
    for (n = strlen(text); n > 0 && strchr(BLANKS, text[n - 1]) != NULL; n--)
        text[n - 1] = '\0';
    return text;
}

bool
voco_headtext_same(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if (isblank((unsigned char)*a) && isblank((unsigned char)*b)) {
            a += strspn(a, " \t") - 1;
            b += strspn(b, " \t") - 1;
        } else if (*a != *b)
            return false;
    }
    return *a == *b;
}

static const char *
skip_blanks(const char *p)
{
    return p + strspn(p, BLANKS);
}

static enum voco_err
bad_number(const char *path, const char *key, const char *text)
{
    return voco_fail(VOCO_EFORMAT, "%s: %s: expected numbers, found \"%.60s\"", path, key,
                     text);
}

enum voco_err
voco_parse_reals(const char *path, const char *key, const char *text, int max,
                 double *out, int *ret_n)
{
    *ret_n = 0;
    for (const char *p = skip_blanks(text); *p != '\0'; p = skip_blanks(p)) {
        char *end;

        if (*ret_n == max)
            return voco_fail(VOCO_EFORMAT, "%s: %s: more than %d numbers", path, key,
                             max);
        out[*ret_n] = strtod(p, &end);
        if (end == p || (*end != '\0' && strchr(BLANKS, *end) == NULL))
            return bad_number(path, key, text);
        ++*ret_n;
        p = end;
    }
    return VOCO_OK;
}

enum voco_err
voco_parse_ints(const char *path, const char *key, const char *text, int max,
                int64_t *out, int *ret_n)
{
    *ret_n = 0;
    for (const char *p = skip_blanks(text); *p != '\0'; p = skip_blanks(p)) {
        char *end;

        if (*ret_n == max)
            return voco_fail(VOCO_EFORMAT, "%s: %s: more than %d numbers", path, key,
                             max);
        errno = 0;
        out[*ret_n] = strtoll(p, &end, 10);
        if (end == p || errno != 0 || (*end != '\0' && strchr(BLANKS, *end) == NULL))
            return bad_number(path, key, text);
        ++*ret_n;
        p = end;
    }
    return VOCO_OK;
}

char *
voco_sibling(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    if (name[0] == '/' || slash == NULL)
        return voco_format("%s", name);
    return voco_format("%.*s%s", (int)(slash - path + 1), path, name);
}
