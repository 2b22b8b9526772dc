/* The classes of a dataset.json: {"0": "background", "1": "liver"} (Decathlon, nnU-Net
 * v1) or {"background": 0, "liver": 1, "tumour": [1, 2]} (nnU-Net v2). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/volume/labels.h"
#include "data/dataset/listing.h"

void
voco_classes_free(struct voco_classes *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->class_[i].name);
    free(c->class_);
    *c = (struct voco_classes){.n = 0};
}

static int
by_value(const void *a, const void *b)
{
    const struct voco_class *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

static void
push(struct voco_classes *c, int value, const char *name)
{
    if ((c->n & (c->n - 1)) == 0) {         /* 0 and powers of two: room for as many again */
        c->class_ = realloc(c->class_, 2 * ((size_t)c->n + 1) * sizeof *c->class_);
        VOCO_NEED(c->class_ != NULL);
    }
    c->class_[c->n++] = (struct voco_class){value, voco_format("%s", name)};
}

/* A label value, or -1. */
static int
value_of(const json_t *v)
{
    const char *text = json_string_value(v);
    char *end;
    long value = -1;

    if (json_is_integer(v))
        value = json_integer_value(v) <= VOCO_LABEL_MAX ? (long)json_integer_value(v) : -1;
    else if (text != NULL && isdigit((unsigned char)text[0])) {
        value = strtol(text, &end, 10);
        value = *end == '\0' && value <= VOCO_LABEL_MAX ? value : -1;
    }
    return value >= 0 ? (int)value : -1;
}

/* One member; a region, which is a list of values that have names of their own or none,
 * gives its values. */
static enum voco_err
take_class(const char *path, struct voco_classes *c, const char *key, const json_t *value)
{
    json_t *text = json_string(key);
    const int key_value = value_of(text);
    json_t *one;
    size_t i;

    json_decref(text);
    if (strcmp(key, "ignore") == 0)
        return voco_fail(VOCO_EFORMAT, "%s: the label \"ignore\" of nnU-Net is not "
                         "supported; --labels with rules maps it to a class", path);
    if (key_value >= 0 && json_is_string(value) && value_of(value) < 0)
        push(c, key_value, json_string_value(value));
    else if (value_of(value) >= 0)
        push(c, value_of(value), key);
    else if (json_is_array(value)) {
        json_array_foreach(value, i, one) {
            if (value_of(one) < 0)
                return voco_fail(VOCO_EFORMAT, "%s: \"labels\": region \"%s\": expected "
                                 "whole numbers from 0 to %d", path, key, VOCO_LABEL_MAX);
            push(c, value_of(one), "");
        }
    } else
        return voco_fail(VOCO_EFORMAT, "%s: \"labels\": \"%s\": expected \"VALUE\": NAME "
                         "or NAME: VALUE with values from 0 to %d", path, key,
                         VOCO_LABEL_MAX);
    return VOCO_OK;
}

/* Values once each; a name is better than none. */
static enum voco_err
merge(const char *path, struct voco_classes *c)
{
    int n = 0;

    if (c->n > 0)
        qsort(c->class_, (size_t)c->n, sizeof *c->class_, by_value);
    for (int i = 0; i < c->n; i++) {
        struct voco_class *last = n > 0 ? &c->class_[n - 1] : NULL;
        struct voco_class *this = &c->class_[i];

        if (last == NULL || last->value != this->value) {
            c->class_[n++] = *this;
            continue;
        }
        if (*last->name != '\0' && *this->name != '\0') {
            voco_fail(VOCO_EFORMAT, "%s: \"labels\": the value %d is both %s and %s",
                      path, this->value, last->name, this->name);
            for (; i < c->n; i++)
                free(c->class_[i].name);
            c->n = n;
            return VOCO_EFORMAT;
        }
        if (*last->name == '\0') {
            free(last->name);
            last->name = this->name;
        } else
            free(this->name);
    }
    c->n = n;
    return VOCO_OK;
}

static bool
same(const struct voco_classes *a, const struct voco_classes *b)
{
    bool equal = a->n == b->n;

    for (int i = 0; equal && i < a->n; i++)
        equal = a->class_[i].value == b->class_[i].value
            && strcmp(a->class_[i].name, b->class_[i].name) == 0;
    return equal;
}

void
voco_listing_classes(struct voco_listing *l, const json_t *labels)
{
    struct voco_classes c = {.n = 0};
    struct voco_classes *all = &l->list->classes;
    enum voco_err err = VOCO_OK;
    const char *key;
    json_t *value;

    if (!json_is_object(labels))
        return;
    json_object_foreach((json_t *)labels, key, value)
        if (err == VOCO_OK)
            err = take_class(l->path, &c, key, value);
    if (err == VOCO_OK)
        err = merge(l->path, &c);
    if (err == VOCO_OK && all->n > 0 && !same(all, &c))
        err = voco_fail(VOCO_EFORMAT, "%s: its labels differ from those of another list: "
                        "--labels with rules maps both", l->path);
    if (err != VOCO_OK && all->problem == NULL)
        all->problem = voco_format("%s", voco_fail_text());
    if (err == VOCO_OK && all->n == 0) {
        all->class_ = c.class_;
        all->n = c.n;
        return;
    }
    voco_classes_free(&c);
}
