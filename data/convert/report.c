/* The lines of a convert: plans of a dry run, and the summary. */
#include "data/convert/report.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/open.h"
#include "data/store/chunk.h"

/* ---- dry run ---- */

/* Entries are in the order of their ids. */
static const struct voco_store_entry *
find_entry(const struct voco_store *s, const char *id)
{
    int low = 0, high = s ? voco_store_count(s) : 0;

    while (low < high) {
        const int mid = low + (high - low) / 2;
        const int order = strcmp(voco_store_entry(s, mid)->id, id);

        if (order == 0)
            return voco_store_entry(s, mid);
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void
print_grid(const int64_t dim[3], const double mm[3])
{
    printf(" %" PRId64 "x%" PRId64 "x%" PRId64 " (%.3gx%.3gx%.3g mm)", dim[0], dim[1],
           dim[2], mm[0], mm[1], mm[2]);
}

enum voco_err
voco_convert_show_plans(const struct voco_datalist *list,
                        const struct voco_convert_options *o)
{
    struct voco_store *s = NULL;
    enum voco_err err = voco_store_is(o->store) ? voco_store_open(o->store, &s) : VOCO_OK;
    char what[512], text[16];
    int usable = 0;

    for (int i = 0; i < list->n && !err; i++) {
        const struct voco_item *item = &list->item[i];
        const struct voco_store_entry *old = find_entry(s, item->id);
        struct voco_convert_plan plan;

        printf("%s:", item->id);
        if (old && voco_convert_same(old, item, o, what, sizeof what)) {
            printf(" is in the store already\n");
        } else if (old) {
            printf(" is in the store, but %s\n", what);
        } else if (voco_convert_plan(item, o, &plan)) {
            printf(" rejected: %s\n", voco_fail_text());
            continue;
        } else if (plan.bytes == 0) {
            printf(" DICOM folder, read as it is converted\n");
        } else {
            print_grid(plan.from, plan.from_mm);
            printf(" ->");
            print_grid(plan.to, plan.to_mm);
            if (plan.channels > 1)
                printf(", %d channels", plan.channels);
            printf("%s, memory %s\n", o->transform.foreground ? " before the crop" : "",
                   voco_format_bytes(plan.bytes, text));
        }
        usable++;
    }
    voco_store_close(s);
    if (!err && usable < list->n)
        err = voco_fail(usable ? VOCO_EREJECTED : VOCO_EFORMAT,
                        "%d of %d volumes would be rejected", list->n - usable, list->n);
    return err;
}

/* ---- summary ---- */

/* What several rejects have in common: the reason without its file and its numbers. */
static char *
kind_of(const struct voco_item *item, const char *reason)
{
    char *kind = voco_format("%s", reason), *to = kind;
    const char *from = kind;

    for (int i = 0; i < item->n_images; i++) {
        const size_t n = strlen(item->image[i]);

        if (strncmp(kind, item->image[i], n) == 0 && kind[n] == ':')
            from = kind + n + 1 + (kind[n + 1] == ' ');
    }
    while (*from) {
        if (isdigit((unsigned char)*from)) {
            while (isdigit((unsigned char)*from) || *from == '.')
                from++;
            *to++ = '#';
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return kind;
}

struct group {
    char *kind;
    int count, first;
};

static int
larger_group(const void *x, const void *y)
{
    const struct group *a = x, *b = y;

    return b->count != a->count ? (b->count > a->count) - (b->count < a->count)
                                : a->first - b->first;
}

/* One line per kind of reason, with the first volume as an example. */
static void
print_rejects(const struct voco_datalist *list, const struct voco_convert_result *r)
{
    struct group *group = calloc((size_t)r->n, sizeof *group);
    int n = 0, g;

    for (int i = 0; group && i < r->n; i++) {
        char *kind;

        if (r->outcome[i].fate != VOCO_FATE_REJECTED)
            continue;
        kind = kind_of(&list->item[i], r->outcome[i].reason);
        for (g = 0; g < n && strcmp(group[g].kind, kind) != 0; g++)
            ;
        if (g == n)
            group[n++] = (struct group){ .kind = kind, .first = i };
        else
            free(kind);
        group[g].count++;
    }
    if (n)
        qsort(group, (size_t)n, sizeof *group, larger_group);
    for (g = 0; g < n; g++) {
        printf("  %6d  %s%s\n", group[g].count, r->outcome[group[g].first].reason,
               group[g].count > 1 ? "  (and others)" : "");
        free(group[g].kind);
    }
    free(group);
}

static double
store_bytes(const char *store)
{
    DIR *dir = voco_open_folder(store);
    double bytes = 0;

    for (struct dirent *e; dir && (e = readdir(dir)); ) {
        char *path = voco_format("%s/%s", store, e->d_name);
        struct stat st;

        if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
            bytes += (double)st.st_size;
        free(path);
    }
    if (dir)
        closedir(dir);
    return bytes;
}

static void
print_clipping(const struct voco_convert_options *o, const struct voco_convert_result *r)
{
    const double all = r->voxels ? (double)r->voxels : 1;

    if (r->below || r->above)
        printf("  clipped by the window: %.3g %% of the voxels below, %.3g %% above\n",
               100 * (double)r->below / all, 100 * (double)r->above / all);
    if (r->outside)
        printf("  clipped by %s: %" PRId64 " voxels\n",
               voco_store_type_name(o->element.type), r->outside);
    if (r->nonfinite)
        printf("  NaN or infinite, now %g: %" PRId64 " voxels\n",
               o->transform.nonfinite_value, r->nonfinite);
}

void
voco_convert_print_summary(const struct voco_datalist *list,
                           const struct voco_convert_options *o,
                           const struct voco_convert_result *r, double seconds)
{
    struct voco_store *s = NULL;
    char a[16], b[16];

    printf("%s: %" PRId64 " volume%s stored", o->store, r->stored, voco_plural(r->stored));
    if (r->skipped)
        printf(", %" PRId64 " there before", r->skipped);
    if (r->changed)
        printf(", %" PRId64 " kept whose files have changed", r->changed);
    if (r->pending)
        printf(", %" PRId64 " not reached", r->pending);
    printf(", %" PRId64 " rejected, in %s\n", r->rejected,
           voco_format_seconds(seconds, a));
    print_rejects(list, r);
    print_clipping(o, r);
    if (r->stored + r->skipped + r->changed == 0 || voco_store_open(o->store, &s))
        return;
    printf("  the store has %d volume%s in %s of type %s; hash %08" PRIx32 "\n",
           voco_store_count(s), voco_plural(voco_store_count(s)),
           voco_format_bytes(store_bytes(o->store), b),
           voco_store_type_name(o->element.type), voco_store_hash(s));
    voco_store_close(s);
    if (!r->pending)
        printf("next: voco %s --store %s --out RUN\n",
               o->labels ? "finetune seg" : "pretrain", o->store);
}
