/* Pickles to JSON. */
#include "tensorfile/picklejson.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"

struct walk {
    const struct voco_pickle *p;
    int left;                   /* values that may still be made */
};

static json_t *convert(struct walk *w, const struct voco_pickle_node *x, int depth);

static json_t *
array(struct walk *w, const struct voco_pickle_node *x, int depth)
{
    json_t *list = json_array();

    for (int i = 0; i < x->n && w->left > 0; i++)
        json_array_append_new(list, convert(w, voco_pickle_node(w->p, x->item[i]), depth));
    return list;
}

static json_t *
object(struct walk *w, const struct voco_pickle_node *x, int depth)
{
    json_t *o = json_object();

    for (int i = 0; i + 1 < x->n && w->left > 0; i += 2) {
        const struct voco_pickle_node *key = voco_pickle_node(w->p, x->item[i]);
        char *word = NULL;

        if (key->kind == VOCO_PICKLE_TEXT && key->text.n < 512)
            word = voco_format("%.*s", (int)key->text.n, key->text.at);
        else if (key->kind == VOCO_PICKLE_INT)
            word = voco_format("%" PRId64, key->whole);
        if (word)       /* not UTF-8: left out */
            json_object_set_new(o, word,
                                convert(w, voco_pickle_node(w->p, x->item[i + 1]), depth));
        free(word);
    }
    return o;
}

static json_t *
or_null(json_t *x)
{
    return x ? x : json_null();
}

static json_t *
convert(struct walk *w, const struct voco_pickle_node *x, int depth)
{
    if (depth > VOCO_PICKLE_JSON_DEPTH || w->left-- <= 0)
        return json_null();
    switch (x->kind) {
    case VOCO_PICKLE_BOOL:
        return json_boolean(x->whole);
    case VOCO_PICKLE_INT:
        return json_integer(x->whole);
    case VOCO_PICKLE_REAL:
        return isfinite(x->real) ? json_real(x->real) : json_null();
    case VOCO_PICKLE_TEXT:
        return or_null(json_stringn(x->text.at, x->text.n));
    case VOCO_PICKLE_TUPLE:
    case VOCO_PICKLE_LIST:
    case VOCO_PICKLE_SET:
        return array(w, x, depth + 1);
    case VOCO_PICKLE_DICT:
        return object(w, x, depth + 1);
    case VOCO_PICKLE_CALL:
        return voco_pickle_is_global(voco_pickle_node(w->p, x->callee), "collections",
                                     "OrderedDict") ? object(w, x, depth + 1) : json_null();
    default:
        return json_null();
    }
}

json_t *
voco_pickle_json(const struct voco_pickle *p, const struct voco_pickle_node *node)
{
    struct walk w = { p, VOCO_PICKLE_JSON };

    return convert(&w, node, 0);
}
