/* Rows that describe something, as text for people and as JSON for programs. */
#include "cmd/info.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

void
voco_info_row(struct voco_info *info, const char *name, json_t *value,
              const char *fmt, ...)
{
    char words[1024];
    va_list ap;

    if (value != NULL)
        json_object_set_new(info->json, name, value);
    if (fmt == NULL)
        return;
    if (info->n == info->capacity) {
        info->capacity = info->capacity > 0 ? 2 * info->capacity : 32;
        info->row = realloc(info->row, (size_t)info->capacity * sizeof *info->row);
        VOCO_NEED(info->row != NULL);
    }
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    info->row[info->n].name = voco_format("%s", name);
    info->row[info->n++].words = voco_format("%s", words);
}

json_t *
voco_info_text(const char *text)
{
    json_t *json = json_string(text);

    if (json == NULL) {
        char *ascii = voco_format("%s", text);

        for (char *p = ascii; *p != '\0'; p++)
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        json = json_string(ascii);
        free(ascii);
    }
    return json;
}

json_t *
voco_info_real(double v)
{
    json_t *json = json_real(v);            /* NULL for NaN and infinities */

    return json != NULL ? json : json_null();
}

json_t *
voco_info_ints(const int64_t *v, int n)
{
    json_t *array = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_integer(v[i]));
    return array;
}

json_t *
voco_info_reals(const double *v, int n)
{
    json_t *array = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(array, voco_info_real(v[i]));
    return array;
}

const char *
voco_info_count(double n, char buf[16])
{
    static const char *const UNIT[] = {"", " k", " M", " G", " T"};
    int u = 0;

    for (; n >= 1000 && u < 4; u++)
        n /= 1000;
    snprintf(buf, 16, u == 0 ? "%.0f%s" : "%.3g%s", n, UNIT[u]);
    return buf;
}

/* With 15 digits where these read back as the same numbers, else with 17. Free it. */
static char *
dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_t *back = text != NULL ? json_loads(text, 0, NULL) : NULL;

    if (!json_equal(json, back)) {
        free(text);
        text = json_dumps(json, JSON_COMPACT);
    }
    json_decref(back);
    return text;
}

/* Control characters of file names and lists must not reach a terminal. */
static void
print_words(const char *words)
{
    for (; *words != '\0'; words++)
        putchar((unsigned char)*words < 0x20 || *words == 0x7f ? '?' : *words);
}

void
voco_info_print(const char *path, struct voco_info *info, enum voco_err err, bool as_json)
{
    if (as_json) {
        char *line;

        if (err != VOCO_OK)
            json_object_set_new(info->json, "error", voco_info_text(voco_fail_text()));
        line = dump(info->json);
        puts(line != NULL ? line : "{}");
        free(line);
        return;
    }
    if (err != VOCO_OK)
        return;
    print_words(path);
    putchar('\n');
    for (int i = 0; i < info->n; i++) {
        printf("  %-17s ", info->row[i].name);
        print_words(info->row[i].words);
        putchar('\n');
    }
}

void
voco_info_free(struct voco_info *info)
{
    for (int i = 0; i < info->n; i++) {
        free(info->row[i].name);
        free(info->row[i].words);
    }
    free(info->row);
    json_decref(info->json);
    *info = (struct voco_info){ 0 };
}
