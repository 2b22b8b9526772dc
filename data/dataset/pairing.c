/* Names are sorted once and looked up by search. */
#include "data/dataset/pairing.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct name {
    char *text;                 /* owned */
    int index;
};

static int
by_text(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    const int order = strcmp(x->text, y->text);

    return order != 0 ? order : x->index - y->index;
}

/* The first of sorted[0..n) with this text, or -1. */
static int
find(const struct name *sorted, int n, const char *text)
{
    int low = 0, high = n;

    while (low < high) {
        const int mid = low + (high - low) / 2;

        if (strcmp(sorted[mid].text, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && strcmp(sorted[low].text, text) == 0 ? sorted[low].index : -1;
}

static void
names_free(struct name *name, int n)
{
    for (int i = 0; name != NULL && i < n; i++)
        free(name[i].text);
    free(name);
}

static struct name *
sorted_names(const char *const *text, int n)
{
    struct name *name = calloc((size_t)n + 1, sizeof *name);

    for (int i = 0; name != NULL && i < n; i++)
        name[i] = (struct name){voco_format("%s", text[i]), i};
    if (name != NULL && n > 0)
        qsort(name, (size_t)n, sizeof *name, by_text);
    return name;
}

/* text without the number of a channel, if it has one.  Free it. */
static char *
case_of(const char *text, const struct name *same, int n)
{
    const size_t length = strlen(text);
    const char *end = length > 5 ? text + length - 5 : "";
    char *stem, *first;
    bool channel = *end == '_';

    for (int i = 1; channel && i < 5; i++)
        channel = isdigit((unsigned char)end[i]) != 0;
    stem = voco_format("%.*s", (int)(channel ? length - 5 : length), text);
    first = voco_format("%s_0000", stem);
    if (channel && strcmp(end, "_0000") != 0 && find(same, n, first) < 0) {
        free(stem);
        stem = voco_format("%s", text);
    }
    free(first);
    return stem;
}

/* The cases of b, sorted, under the index of their names. */
static struct name *
cases_of(const struct name *b, int m)
{
    struct name *key = calloc((size_t)m + 1, sizeof *key);

    for (int i = 0; key != NULL && i < m; i++)
        key[i] = (struct name){case_of(b[i].text, b, m), b[i].index};
    if (key != NULL && m > 0)
        qsort(key, (size_t)m, sizeof *key, by_text);
    return key;
}

enum voco_err
voco_pair_names(const char *const *a, int n, const char *const *b, int m, int *ret_b)
{
    struct name *own = sorted_names(a, n), *other = sorted_names(b, m);
    struct name *key = other != NULL ? cases_of(other, m) : NULL;
    enum voco_err err = VOCO_OK;

    if (own == NULL || other == NULL || key == NULL)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d names", n + m);
    for (int i = 0; err == VOCO_OK && i < n; i++) {
        ret_b[i] = find(other, m, a[i]);
        if (ret_b[i] < 0) {
            char *want = case_of(a[i], own, n);

            ret_b[i] = find(key, m, want);
            free(want);
        }
    }
    names_free(key, m);
    names_free(other, m);
    names_free(own, n);
    return err;
}
