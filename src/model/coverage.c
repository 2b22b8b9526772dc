/* Tensors of a file against parameters of a model. */
#include "model/coverage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

enum { NAMED = 6 };             /* of what may be hundreds; --verbose names all */

static bool
in(unsigned parts, const char *name)
{
    char *common = voco_name_common(name);
    const bool is = parts >> voco_name_part(common) & 1;

    free(common);
    return is;
}

static bool
same_shape(const struct voco_param *p, const struct voco_filetensor *t)
{
    if (p->rank != t->rank)
        return false;
    for (int i = 0; i < p->rank; i++)
        if (p->dim[i] != t->dim[i])
            return false;
    return true;
}

/* Weights [out,1,k,k,k] for a parameter [out,channels,k,k,k]? */
static bool
has_one_channel(const struct voco_param *p, const struct voco_filetensor *t)
{
    struct voco_param narrow = *p;

    if (p->rank != 5 || p->dim[1] == 1)
        return false;
    narrow.dim[1] = 1;
    return same_shape(&narrow, t);
}

static void
match_one(struct voco_match *m, int i, int tensor, const struct voco_demand *demand)
{
    const struct voco_param *p = &m->params->item[i];
    const bool needed = in(demand->need, p->name);
    struct voco_coverage *c = &m->cover;

    m->tensor[i] = -1;
    if (tensor >= 0)
        m->param[tensor] = i;
    if (!in(demand->want, p->name)) {
        m->fit[i] = VOCO_FIT_UNWANTED;
        return;
    }
    c->model_elements += p->count;
    c->needed_elements += needed ? p->count : 0;
    if (tensor < 0) {
        m->fit[i] = VOCO_FIT_MISSING;
        c->missing++;
        c->needed_missing += needed;
    } else if (voco_filetype_is_float(m->file->item[tensor].type)
               && demand->adapter == VOCO_ADAPT_DROP
               && has_one_channel(p, &m->file->item[tensor])) {
        m->fit[i] = VOCO_FIT_DROPPED;
        c->adapted++;
        c->needed_elements -= needed ? p->count : 0;
    } else if (!voco_filetype_is_float(m->file->item[tensor].type)
               || !(same_shape(p, &m->file->item[tensor])
                    || (demand->adapter != VOCO_ADAPT_REFUSE
                        && has_one_channel(p, &m->file->item[tensor])))) {
        m->fit[i] = VOCO_FIT_SHAPE;
        c->mismatched++;
        c->needed_mismatched += needed;
    } else {
        c->adapted += !same_shape(p, &m->file->item[tensor]);
        m->fit[i] = VOCO_FIT_LOADED;
        m->tensor[i] = tensor;
        c->loaded++;
        c->loaded_elements += p->count;
        c->needed_loaded += needed ? p->count : 0;
    }
}

enum voco_err
voco_match_make(struct voco_match *m, const struct voco_tensorfile *file, const char *path,
                const struct voco_params *params, const struct voco_demand *demand)
{
    struct voco_nametable names = { 0 };
    enum voco_err err;

    *m = (struct voco_match){ .path = path, .params = params, .file = file,
                              .keep = demand->keep };
    if ((err = voco_nametable_make(&names, file, path)) != VOCO_OK)
        return err;
    m->tensor = calloc((size_t)params->n + 1, sizeof *m->tensor);
    m->fit = calloc((size_t)params->n + 1, sizeof *m->fit);
    m->param = calloc((size_t)file->n + 1, sizeof *m->param);
    VOCO_ASSERT(m->tensor && m->fit && m->param);
    memset(m->param, -1, (size_t)file->n * sizeof *m->param);
    for (int i = 0; i < params->n; i++)
        match_one(m, i, voco_nametable_find(&names, params->item[i].name), demand);
    for (int k = 0; k < file->n; k++) {
        m->param[k] = m->param[names.original[k]];
        m->cover.unexpected += m->param[k] < 0 && !voco_name_is_index(file->item[k].name);
        m->cover.copies += names.original[k] != k;
    }
    voco_nametable_free(&names);
    return VOCO_OK;
}

void
voco_match_free(struct voco_match *m)
{
    free(m->tensor);
    free(m->fit);
    free(m->param);
    *m = (struct voco_match){ 0 };
}

/* ---- the report ---- */

/* A list of names that ends when it is long. */
struct names {
    char *text;
    int n;
};

static void
add_name(struct names *list, const char *name)
{
    char *longer;

    if (list->n++ >= NAMED && voco_log_level < VOCO_LOG_VERBOSE)
        return;
    longer = voco_format("%s%s%s", list->text ? list->text : "", list->text ? ", " : "", name);
    free(list->text);
    list->text = longer;
}

static void
print_names(struct names *list, const char *what)
{
    if (list->n > NAMED && voco_log_level < VOCO_LOG_VERBOSE)
        voco_note("  %s (%d): %s and %d more (--verbose names them)", what, list->n,
                  list->text, list->n - NAMED);
    else if (list->n)
        voco_note("  %s (%d): %s", what, list->n, list->text);
    free(list->text);
}

static char *
misfit(const struct voco_param *p, const struct voco_filetensor *t)
{
    struct voco_filetensor ours = { .rank = p->rank };
    char here[192], there[192];

    memcpy(ours.dim, p->dim, sizeof p->dim);
    return voco_format("%s is %s %s, expected %s", p->name, t->type,
                       voco_filetensor_shape(t, there), voco_filetensor_shape(&ours, here));
}

void
voco_match_report(const struct voco_match *m)
{
    const struct voco_coverage *c = &m->cover;
    struct names missing = { 0 }, shape = { 0 }, unexpected = { 0 };
    const int wanted = c->loaded + c->missing + c->mismatched;

    for (int k = 0; k < m->file->n; k++) {
        const int i = m->param[k];

        if (i < 0 && !voco_name_is_index(m->file->item[k].name)
            && !in(m->keep, m->file->item[k].name)) {
            add_name(&unexpected, m->file->item[k].name);
        } else if (i >= 0 && m->fit[i] == VOCO_FIT_SHAPE) {
            char *words = misfit(&m->params->item[i], &m->file->item[k]);

            add_name(&shape, words);
            free(words);
        }
    }
    for (int i = 0; i < m->params->n; i++)
        if (m->fit[i] == VOCO_FIT_MISSING)
            add_name(&missing, m->params->item[i].name);
    voco_note("%s: %d of %d parameters loaded (%.1f %% of the numbers)%s%s", m->path, c->loaded,
              wanted, c->model_elements ? 100.0 * (double)c->loaded_elements
              / (double)c->model_elements : 0.0,
              m->file->wrapper && *m->file->wrapper ? ", from inside " : "",
              m->file->wrapper ? m->file->wrapper : "");
    if (c->copies)
        voco_note("  %d copies of others, as nnU-Net writes them, are not needed", c->copies);
    if (c->adapted)
        voco_note("  %d of one channel adapted to the channels of this model", c->adapted);
    print_names(&missing, "missing");
    print_names(&shape, "other shape or type");
    print_names(&unexpected, "unexpected");
}

enum voco_err
voco_match_enough(const struct voco_match *m, const struct voco_demand *demand)
{
    const struct voco_coverage *c = &m->cover;
    const bool partial = demand->partial || demand->min_percent > 0;
    const double percent = c->needed_elements == 0 ? 100.0
        : 100.0 * (double)c->needed_loaded / (double)c->needed_elements;

    if (c->loaded == 0)
        return voco_fail(VOCO_ECHECKPOINT, "%s: none of its %d tensors fits this model",
                         m->path, c->unexpected + c->mismatched);
    if (!partial && (c->needed_missing || c->needed_mismatched))
        return voco_fail(VOCO_ECHECKPOINT, "%s: %d of %d parameters are missing and %d have "
                         "another shape than this model's; --partial takes what fits",
                         m->path, c->needed_missing, c->loaded + c->missing + c->mismatched,
                         c->needed_mismatched);
    if (percent < demand->min_percent)
        return voco_fail(VOCO_ECHECKPOINT, "%s: has %.2f %% of the numbers that are needed, "
                         "expected at least --min-coverage %g", m->path, percent,
                         demand->min_percent);
    return VOCO_OK;
}
