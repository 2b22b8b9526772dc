/* Tensors of a file against parameters of a model. */
#include "model/coverage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

const struct voco_demand voco_demand_all = { .want = VOCO_PARTS_ALL, .need = VOCO_PARTS_ALL,
                                             .run = true, .no_partial = true };

enum { NAMED = 6 };             /* of hundreds, perhaps; --verbose names all */
enum { MODULES = 32 };          /* Swin UNETR has 14 */

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

/* ---- tensors of the network that no parameter takes ---- */

/* The first words of the parameters' common names: swinViT, encoder1, ..., decoder5, out. */
struct modules {
    char *name[MODULES];
    int n;
};

/* The same word, or both with a number at the end and the same in front of it: encoder5 is
 * a module of a network that has encoder1 to encoder4. */
static bool
same_module(const char *a, const char *b)
{
    const size_t n = strcspn(a, "."), m = strcspn(b, ".");
    size_t word = n, other = m;

    while (word > 0 && a[word - 1] >= '0' && a[word - 1] <= '9')
        word--;
    while (other > 0 && b[other - 1] >= '0' && b[other - 1] <= '9')
        other--;
    return word == other && (word == n) == (other == m) && memcmp(a, b, word) == 0;
}

static bool
has_module(const struct modules *all, const char *common)
{
    for (int i = 0; i < all->n; i++)
        if (same_module(all->name[i], common))
            return true;
    return false;
}

/* Of the parameters that are wanted. */
static void
collect_modules(const struct voco_match *m, struct modules *ret)
{
    *ret = (struct modules){ .n = 0 };
    for (int i = 0; i < m->params->n; i++) {
        char *common = m->fit[i] == VOCO_FIT_UNWANTED ? NULL
            : voco_name_common(m->params->item[i].name);

        if (common && !has_module(ret, common)) {
            VOCO_ASSERT(ret->n < MODULES);
            ret->name[ret->n++] = common;
        } else {
            free(common);
        }
    }
}

/* Tensors without a parameter: the index tables follow from the window, copies from their
 * originals; of the others, which belong to the network? */
static void
look_at_others(struct voco_match *m)
{
    struct modules modules;

    collect_modules(m, &modules);
    for (int k = 0; k < m->file->n; k++) {
        const struct voco_filetensor *t = &m->file->item[k];
        char *common;

        m->param[k] = m->param[m->original[k]];
        m->cover.copies += m->original[k] != k;
        if (m->param[k] >= 0 || voco_name_is_index(t->name))
            continue;
        common = voco_name_common(t->name);
        m->stray[k] = m->original[k] == k && has_module(&modules, common);
        m->cover.strays += m->stray[k] && voco_filetype_is_float(t->type);
        m->cover.unexpected++;
        free(common);
    }
    for (int i = 0; i < modules.n; i++)
        free(modules.name[i]);
}

/* Of a Swin UNETR swinViT, and nothing of encoder1 to encoder10? */
static bool
is_trunk(const struct voco_nametable *names)
{
    bool trunk = false, maps = false;

    for (int i = 0; i < names->n; i++) {
        const enum voco_name_part part = voco_name_part(names->item[i].common);

        trunk |= part == VOCO_PART_ENCODER && !voco_name_is_nnunet(names->item[i].common);
        maps |= part == VOCO_PART_BACKBONE;
    }
    return trunk && !maps;
}

enum voco_err
voco_match_make(struct voco_match *m, const struct voco_tensorfile *file, const char *path,
                const struct voco_params *params, const struct voco_demand *demand)
{
    struct voco_nametable names = { 0 };
    struct voco_demand asked = *demand;
    enum voco_err err;

    *m = (struct voco_match){ .path = path, .params = params, .file = file,
                              .keep = demand->keep };
    if ((err = voco_nametable_make(&names, file, path)) != VOCO_OK)
        return err;
    m->tensor = calloc((size_t)params->n + 1, sizeof *m->tensor);
    m->fit = calloc((size_t)params->n + 1, sizeof *m->fit);
    m->param = calloc((size_t)file->n + 1, sizeof *m->param);
    m->stray = calloc((size_t)file->n + 1, sizeof *m->stray);
    VOCO_NEED(m->tensor && m->fit && m->param && m->stray);
    memset(m->param, -1, (size_t)file->n * sizeof *m->param);
    if (demand->trunk_alone && is_trunk(&names)) {
        m->cover.trunk_alone = true;
        asked.need &= ~(1u << VOCO_PART_BACKBONE);
    }
    for (int i = 0; i < params->n; i++)
        match_one(m, i, voco_nametable_find(&names, params->item[i].name), &asked);
    m->original = names.original;
    names.original = NULL;
    voco_nametable_free(&names);
    look_at_others(m);
    return VOCO_OK;
}

void
voco_match_free(struct voco_match *m)
{
    free(m->tensor);
    free(m->fit);
    free(m->param);
    free(m->original);
    free(m->stray);
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
    voco_tensorfile_tell(m->file, m->path);
    if (c->copies)
        voco_note("  %d copies of others, as nnU-Net writes them, are not needed", c->copies);
    if (c->adapted)
        voco_note("  %d of one channel adapted to the channels of this model", c->adapted);
    if (c->trunk_alone)
        voco_note("  it has swinViT alone: encoder1 to encoder10 start fresh, as the decoder "
                  "does");
    print_names(&missing, "missing");
    print_names(&shape, "other shape or type");
    print_names(&unexpected, "unexpected");
}

/* "swinViT.a, swinViT.b and 50 more": floats of the network that no parameter takes.
 * Free it. */
static char *
stray_names(const struct voco_match *m)
{
    enum { SHOWN = 2 };
    char *text = voco_format("%s", ""), *longer;
    int n = 0;

    for (int k = 0; k < m->file->n && n < SHOWN; k++)
        if (m->stray[k] && voco_filetype_is_float(m->file->item[k].type)) {
            longer = voco_format("%s%s%s", text, n++ ? ", " : "", m->file->item[k].name);
            free(text);
            text = longer;
        }
    if (m->cover.strays > SHOWN) {
        longer = voco_format("%s and %d more", text, m->cover.strays - SHOWN);
        free(text);
        text = longer;
    }
    return text;
}

static enum voco_err
fail_of_strays(const struct voco_match *m)
{
    char *names = stray_names(m);
    const enum voco_err err = voco_fail(
        VOCO_ECHECKPOINT, "%s: %d tensor%s of its network (%s) ha%s no place in the one that "
        "voco computes, whose results would differ: expected the blocks, norms and layers "
        "that %d parameters are of", m->path, m->cover.strays, voco_plural(m->cover.strays),
        names, m->cover.strays == 1 ? "s" : "ve", m->params->n);

    free(names);
    return err;
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
                         "another shape than this model's%s", m->path, c->needed_missing,
                         c->loaded + c->missing + c->mismatched, c->needed_mismatched,
                         demand->no_partial ? "" : "; --partial loads those that fit");
    if (demand->run && c->strays)
        return fail_of_strays(m);
    if (percent < demand->min_percent)
        return voco_fail(VOCO_ECHECKPOINT, "%s: has %.2f %% of the numbers that are needed, "
                         "expected at least --min-coverage %g", m->path, percent,
                         demand->min_percent);
    return VOCO_OK;
}
