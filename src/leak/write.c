/* The report of a search as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "base/file.h"
#include "data/store/manifest_line.h"
#include "leak/leak.h"
#include "leak/turn.h"

/* Names of files need not be UTF-8. */
static json_t *
text(const char *s)
{
    char *copy = voco_utf8_copy(s);
    json_t *o = copy ? json_string(copy) : NULL;

    free(copy);
    return o;
}

static json_t *
inputs_json(const struct voco_scans *s)
{
    json_t *all = json_array();

    for (int i = 0; i < s->n_inputs; i++) {
        const struct voco_scan_input *in = &s->input[i];
        char hash[9];

        snprintf(hash, sizeof hash, "%08x", (unsigned)in->hash);
        json_array_append_new(all, json_pack("{s:o, s:i, s:o}", "path", text(in->path),
                                             "scans", in->n, "hash", in->is_store
                                             ? json_string(hash) : json_null()));
    }
    return all;
}

static json_t *
scan_json(const struct voco_scans *s, int i)
{
    const struct voco_scan *scan = &s->scan[i];

    return json_pack("{s:i, s:o, s:o}", "input", scan->input, "id", text(scan->id), "source",
                     text(scan->source));
}

static json_t *
pairs_json(const struct voco_leak_page *page)
{
    json_t *all = json_array();
    char name[8];

    for (int i = 0; i < page->leaks->n; i++) {
        const struct voco_leak *p = &page->leaks->pair[i];
        json_t *o = json_pack("{s:f, s:f, s:s, s:s, s:o, s:o}", "score", p->alignment.score,
                              "shared", p->alignment.shared, "agrees",
                              p->whole ? "whole" : "part", "turn",
                              voco_turn_name(p->alignment.turn, name), "scan",
                              scan_json(page->scans, p->scan), "against",
                              scan_json(page->against, p->against));

        if (!p->whole)
            json_object_set_new(o, "shift_mm",
                                json_pack("[f,f,f]", VOCO_THUMB_MM * p->alignment.shift[0],
                                          VOCO_THUMB_MM * p->alignment.shift[1],
                                          VOCO_THUMB_MM * p->alignment.shift[2]));
        json_array_append_new(all, o);
    }
    return all;
}

static void
add_problems(const struct voco_scans *s, const char *side, json_t *all)
{
    for (int i = 0; i < s->n; i++)
        if (s->scan[i].problem) {
            json_t *o = scan_json(s, i);

            json_object_set_new(o, "side", json_string(side));
            json_object_set_new(o, "problem", text(s->scan[i].problem));
            json_array_append_new(all, o);
        }
}

enum voco_err
voco_leak_json(const char *path, const struct voco_leak_page *page)
{
    json_t *problems = json_array(), *root;
    char *dump = NULL, *line;
    enum voco_err err;

    add_problems(page->scans, "scans", problems);
    add_problems(page->against, "against", problems);
    root = json_pack("{s:i, s:f, s:o, s:o, s:o, s:o}", "voco-leak", 1, "threshold",
                     page->least, "scans", inputs_json(page->scans), "against",
                     inputs_json(page->against), "pairs", pairs_json(page), "problems",
                     problems);
    if (root)
        dump = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (!dump)
        return voco_fail(VOCO_EMEMORY, "%s: no memory for %d pairs", path, page->leaks->n);
    line = voco_format("%s\n", dump);
    err = voco_file_write_text(path, line);
    free(line);
    free(dump);
    return err;
}
