/* Reports of voco leak, as far as they concern one store. */
#include "data/store/leaklist.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { REPORT_MAX = 1 << 30 };

static enum voco_err
load(const char *path, json_t **ret)
{
    int version = 0;
    enum voco_err err = voco_json_read(path, REPORT_MAX, JSON_REJECT_DUPLICATES, ret);

    if (err)
        return err;
    if (json_unpack(*ret, "{s:i}", "voco-leak", &version) != 0)
        err = voco_fail(VOCO_EFORMAT, "%s: not a report of voco leak: no member \"voco-leak\"",
                        path);
    else if (version != 1)
        err = voco_fail(VOCO_EFORMAT, "%s: \"voco-leak\" is %d, expected 1: written by a newer "
                        "voco", path, version);
    return err;
}

/* The number of the report's input that is this store. */
static enum voco_err
find_store(const char *path, const json_t *root, const struct voco_store *store,
           json_int_t *ret)
{
    const json_t *inputs = json_object_get(root, "scans"), *input;
    char hash[9];
    size_t i;

    snprintf(hash, sizeof hash, "%08" PRIx32, voco_store_hash(store));
    json_array_foreach(inputs, i, input) {
        const char *its = json_string_value(json_object_get(input, "hash"));

        if (its && strcmp(its, hash) == 0) {
            *ret = (json_int_t)i;
            return VOCO_OK;
        }
    }
    return voco_fail(VOCO_EUSAGE, "%s: not about this store, whose hash is %s: it searched "
                     "others, or the store has changed since; run voco leak again", path,
                     hash);
}

/* The place of an id among those of the store, which are in order; -1: none. */
static int
find_id(const struct voco_store *store, const char *id)
{
    int low = 0, high = voco_store_count(store);

    while (low < high) {
        const int middle = low + (high - low) / 2;
        const int order = strcmp(id, voco_store_entry(store, middle)->id);

        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static enum voco_err
mark(const char *path, const json_t *pairs, json_int_t input, const struct voco_store *store,
     bool *out, int *ret_n)
{
    const json_t *pair;
    size_t i;

    if (!json_is_array(pairs))
        return voco_fail(VOCO_EFORMAT, "%s: \"pairs\" is missing or not an array", path);
    json_array_foreach(pairs, i, pair) {
        json_int_t its;
        const char *id;
        int at;

        if (json_unpack((json_t *)(uintptr_t)pair, "{s:{s:I, s:s}}", "scan", "input", &its,
                        "id", &id) != 0)
            return voco_fail(VOCO_EFORMAT, "%s: pair %zu has no \"scan\" with \"input\" and "
                             "\"id\"", path, i + 1);
        if (its != input)
            continue;
        at = find_id(store, id);
        if (at < 0)
            return voco_fail(VOCO_EFORMAT, "%s: pair %zu names '%s', which the store lacks",
                             path, i + 1, id);
        *ret_n += !out[at];
        out[at] = true;
    }
    return VOCO_OK;
}

enum voco_err
voco_leak_report_read(const char *path, const struct voco_store *store, bool **ret, int *ret_n)
{
    bool *out = calloc((size_t)voco_store_count(store) + 1, sizeof *out);
    json_t *root = NULL;
    json_int_t input = 0;
    int n = 0;
    enum voco_err err = out ? load(path, &root)
                            : voco_fail(VOCO_EMEMORY, "%s: no memory", path);

    if (!err)
        err = find_store(path, root, store, &input);
    if (!err)
        err = mark(path, json_object_get(root, "pairs"), input, store, out, &n);
    json_decref(root);
    if (err) {
        free(out);
        return err;
    }
    *ret = out;
    *ret_n = n;
    return VOCO_OK;
}
