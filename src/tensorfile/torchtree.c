/* Dictionaries of tensors in a pickle. */
#include "tensorfile/torchtree.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensorfile/names.h"

/* A value may be in several places, also in itself: steps bound the walk, not values. */
enum { WRAPPERS_MAX = 8, DICTS_MAX = 16, DEPTH_MAX = 8, STEPS_MAX = 2 * VOCO_PICKLE_VALUES,
       STEPS_TO_TENSOR = 8, KEY_MAX = 64 };

#define NODE const struct voco_pickle_node *    /* half of every line otherwise */

/* ---- calls that are understood ---- */

static const struct { const char *torch, *type; } storages[] = {
    { "FloatStorage", "F32" }, { "HalfStorage", "F16" }, { "BFloat16Storage", "BF16" },
    { "DoubleStorage", "F64" }, { "LongStorage", "I64" }, { "IntStorage", "I32" },
    { "ShortStorage", "I16" }, { "CharStorage", "I8" }, { "ByteStorage", "U8" },
    { "BoolStorage", "BOOL" },
};

static const struct { const char *module, *name; } known[] = {
    { "collections", "OrderedDict" }, { "torch._utils", "_rebuild_tensor_v2" },
    { "torch._utils", "_rebuild_parameter" }, { "torch", "Size" },
};

const char *
voco_torch_storage(NODE global)
{
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++)
        if (voco_pickle_is_global(global, "torch", storages[i].torch))
            return storages[i].type;
    return NULL;
}

static bool
is_known(NODE global)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (voco_pickle_is_global(global, known[i].module, known[i].name))
            return true;
    return voco_torch_storage(global) != NULL;
}

bool
voco_torch_calls(const struct voco_pickle *p, NODE x, const char *module, const char *name)
{
    return x->kind == VOCO_PICKLE_CALL
        && voco_pickle_is_global(voco_pickle_node(p, x->callee), module, name);
}

static bool
is_dict(const struct voco_pickle *p, NODE x)
{
    return x->kind == VOCO_PICKLE_DICT || voco_torch_calls(p, x, "collections", "OrderedDict");
}

bool
voco_torch_is_tensor(const struct voco_pickle *p, NODE x)
{
    return voco_torch_calls(p, x, "torch._utils", "_rebuild_tensor_v2")
        || voco_torch_calls(p, x, "torch._utils", "_rebuild_parameter");
}

char *
voco_torch_foreign(const struct voco_pickle *p, NODE x)
{
    for (int i = 0; i < STEPS_TO_TENSOR && x->kind == VOCO_PICKLE_CALL; i++)
        x = voco_pickle_node(p, x->callee);
    if (x->kind != VOCO_PICKLE_GLOBAL || is_known(x))
        return NULL;
    return voco_pickle_global_name(x);
}

enum voco_err
voco_torch_refuse(const struct voco_pickle *p, const char *what, const char *place, NODE x,
                  const char *expected)
{
    char *name = voco_torch_foreign(p, x);
    enum voco_err err;

    if (name)
        err = voco_fail(VOCO_EFORMAT, "%s: %s is a call of %s, which voco neither runs nor "
                        "understands; expected %s", what, place, name, expected);
    else
        err = voco_fail(VOCO_EFORMAT, "%s: %s is something else; expected %s", what, place,
                        expected);
    free(name);
    return err;
}

NODE
voco_torch_look_up(const struct voco_pickle *p, NODE dict, const char *key)
{
    for (int i = 0; i + 1 < dict->n; i += 2)
        if (voco_pickle_is_text(voco_pickle_node(p, dict->item[i]), key))
            return voco_pickle_node(p, dict->item[i + 1]);
    return NULL;
}

static int
count_tensors(const struct voco_pickle *p, NODE dict)
{
    int n = 0;

    for (int i = 0; i + 1 < dict->n; i += 2)
        n += voco_torch_is_tensor(p, voco_pickle_node(p, dict->item[i + 1]));
    return n;
}

/* ---- all dictionaries with tensors ---- */

/* A key as text for people, with '?' for bytes that are not printable.  Free it. */
static char *
key_text(struct voco_pickle_text t)
{
    char *text = voco_format("%.*s", t.n < KEY_MAX ? (int)t.n : KEY_MAX, t.at);

    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    return text;
}

/* Do the names of a dict's tensors belong to a network that voco knows? */
static bool
is_network(const struct voco_pickle *p, NODE dict)
{
    char **name = calloc((size_t)dict->n + 1, sizeof *name);
    int n = 0;
    bool yes;

    if (!name)
        return false;
    for (int i = 0; i + 1 < dict->n; i += 2) {
        NODE key = voco_pickle_node(p, dict->item[i]);

        if (key->kind == VOCO_PICKLE_TEXT && key->text.n <= 512
            && voco_torch_is_tensor(p, voco_pickle_node(p, dict->item[i + 1])))
            name[n++] = voco_format("%.*s", (int)key->text.n, key->text.at);
    }
    yes = voco_names_prefix((const char *const *)name, n) >= 0;
    for (int i = 0; i < n; i++)
        free(name[i]);
    free(name);
    return yes;
}

struct found {
    NODE dict;
    struct voco_filedict about;
};

struct walk {
    const struct voco_pickle *p;
    struct found found[DICTS_MAX];
    int n, steps;
};

static bool
is_noted(const struct walk *w, NODE dict)
{
    for (int i = 0; i < w->n; i++)
        if (w->found[i].dict == dict)
            return true;
    return false;
}

/* A dict with tensors that is new, while there is room. */
static void
note_dict(struct walk *w, NODE dict, const char *path, const char *python)
{
    struct voco_filedict about = { 0 };

    if (w->n == DICTS_MAX || is_noted(w, dict) || (about.n = count_tensors(w->p, dict)) == 0)
        return;
    for (int i = 0; i + 1 < dict->n && !about.first; i += 2) {
        NODE key = voco_pickle_node(w->p, dict->item[i]);

        if (key->kind == VOCO_PICKLE_TEXT
            && voco_torch_is_tensor(w->p, voco_pickle_node(w->p, dict->item[i + 1])))
            about.first = key_text(key->text);
    }
    about.network = is_network(w->p, dict);
    about.path = voco_format("%s", path);
    about.python = voco_format("%s", python);
    w->found[w->n++] = (struct found){ dict, about };
}

static bool
is_list(NODE x)
{
    return x->kind == VOCO_PICKLE_LIST || x->kind == VOCO_PICKLE_TUPLE;
}

static void
walk_into(struct walk *w, NODE x, const char *path, const char *python, int depth)
{
    const bool dict = is_dict(w->p, x);

    w->steps += 1 + x->n;
    if (dict)
        note_dict(w, x, path, python);
    for (int i = 0; i + dict < x->n && depth < DEPTH_MAX && w->steps < STEPS_MAX;
         i += 1 + dict) {
        NODE value = voco_pickle_node(w->p, x->item[i + dict]);
        NODE key = dict ? voco_pickle_node(w->p, x->item[i]) : NULL;
        char *word, *longer, *deeper;

        if ((!is_dict(w->p, value) && !is_list(value))
            || (key && key->kind != VOCO_PICKLE_TEXT))
            continue;
        word = key ? key_text(key->text) : voco_format("%d", i);
        longer = voco_format("%s%s%s", path, *path ? "." : "", word);
        deeper = key ? voco_format("%s[\"%s\"]", python, word)
            : voco_format("%s[%s]", python, word);
        walk_into(w, value, longer, deeper, depth + 1);
        free(word);
        free(longer);
        free(deeper);
    }
}

/* ---- the one ---- */

static const char *const wrappers[] = { "state_dict", "network_weights", "net", "student" };

/* The value under the first known wrapper that is a dict, and its key; NULL: none.  Objects
 * of Python there are an error. */
static enum voco_err
unwrap(const struct voco_pickle *p, const char *what, NODE dict, NODE *ret,
       const char **ret_key)
{
    *ret = NULL;
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && !*ret; i++) {
        NODE value = voco_torch_look_up(p, dict, wrappers[i]);

        if (!value || voco_torch_is_tensor(p, value))
            continue;
        if (is_dict(p, value))
            *ret = value;
        else if (value->kind == VOCO_PICKLE_CALL)
            return voco_torch_refuse(p, what, wrappers[i], value, "a dict of tensors");
        *ret_key = wrappers[i];
    }
    return VOCO_OK;
}

/* From *dict through the wrappers; *ret_path is the keys on the way.  Free both texts. */
static enum voco_err
unwrap_all(const struct voco_pickle *p, const char *what, NODE *dict, char **ret_path,
           char **ret_python)
{
    enum voco_err err = VOCO_OK;

    *ret_path = voco_format("%s", "");
    *ret_python = voco_format("%s", "");
    for (int level = 0; level < WRAPPERS_MAX && err == VOCO_OK; level++) {
        NODE inner;
        const char *key = NULL;
        char *longer;

        err = unwrap(p, what, *dict, &inner, &key);
        if (!inner)
            break;
        *dict = inner;
        longer = voco_format("%s%s%s", *ret_path, **ret_path ? "." : "", key);
        free(*ret_path);
        *ret_path = longer;
        longer = voco_format("%s[\"%s\"]", *ret_python, key);
        free(*ret_python);
        *ret_python = longer;
    }
    return err;
}

/* Of those that were found below path: the only one, or the only one with a network; -1:
 * neither. */
static int
choose(const struct walk *w, const char *path)
{
    const size_t n = strlen(path);
    int all = 0, networks = 0, only = -1, network = -1;

    for (int i = 0; i < w->n; i++) {
        const struct voco_filedict *d = &w->found[i].about;

        if (n && (strncmp(d->path, path, n) != 0 || d->path[n] != '.'))
            continue;
        all++;
        only = i;
        networks += d->network;
        network = d->network ? i : network;
    }
    return all == 1 ? only : networks == 1 ? network : -1;
}

/* What was found goes to the file, but for the dict that was chosen, whose path does. */
static void
hand_over(struct walk *w, int chosen, struct voco_tensorfile *f)
{
    f->dict = calloc((size_t)w->n + 1, sizeof *f->dict);
    VOCO_NEED(f->dict);
    for (int i = 0; i < w->n; i++) {
        struct voco_filedict *about = &w->found[i].about;

        if (i != chosen) {
            f->dict[f->n_dicts++] = *about;
            continue;
        }
        f->wrapper = about->path;
        free(about->first);
        free(about->python);
    }
    if (!f->wrapper)
        f->wrapper = voco_format("%s", "");
}

enum voco_err
voco_torch_find_dict(const struct voco_pickle *p, const char *what, struct voco_tensorfile *f,
                     NODE *ret)
{
    NODE root = voco_pickle_node(p, p->root);
    NODE dict = root;
    struct walk w = { .p = p };
    char *path = NULL, *python = NULL;
    int chosen = -1;
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    if (is_dict(p, root) && (err = unwrap_all(p, what, &dict, &path, &python)) == VOCO_OK) {
        note_dict(&w, dict, path, python);
        chosen = w.n - 1;
    }
    if (err == VOCO_OK && (is_dict(p, root) || is_list(root)))
        walk_into(&w, root, "", "", 0);
    if (err == VOCO_OK && w.n == 0 && !is_dict(p, root))
        err = voco_torch_refuse(p, what, "its value", root, "a dict of tensors, as "
                                "torch.save(model.state_dict(), FILE) writes it");
    if (chosen < 0 && path)
        chosen = choose(&w, path);
    if (chosen < 0)
        chosen = choose(&w, "");
    if (err == VOCO_OK)
        *ret = chosen >= 0 ? w.found[chosen].dict : w.n ? NULL : dict;
    hand_over(&w, chosen, f);
    free(path);
    free(python);
    return err;
}
