/* The settings of a run, and its machine. */
#include "config.h"

#include "train/runconfig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/machine.h"

void
voco_runconfig_machine(json_t *options, const struct voco_ctx *ctx)
{
    struct voco_fact fact[VOCO_FACTS_MAX];
    const int facts = ctx->dev->describe(fact);

    json_object_set_new(options, "device", json_string(ctx->dev->option));
    json_object_set_new(options, "precision", json_string(voco_type_name(ctx->dev->act)));
    json_object_set_new(options, "threads", json_integer(ctx->threads));
    for (int i = 0; i < facts; i++)
        if (fact[i].decides)
            json_object_set_new(options, fact[i].name, json_string(fact[i].text));
    json_object_set_new(options, "voco", json_string(PACKAGE_VERSION));
}

void
voco_runconfig_choices(json_t *options, const struct voco_ctx *ctx,
                       const struct voco_uses *uses)
{
    uint32_t bits;
    char hash[16];

    if (!voco_choices_used(ctx, uses, &bits))
        return;
    snprintf(hash, sizeof hash, "%08x", (unsigned)bits);
    json_object_set_new(options, "implementations", json_string(hash));
}

char *
voco_runconfig_text(json_t *options)
{
    char *text = json_dumps(options, JSON_COMPACT | JSON_REAL_PRECISION(17));

    VOCO_NEED(text);
    json_decref(options);
    return text;
}

enum voco_err
voco_runconfig_write(const char *run, const char *options, json_t *more)
{
    char *path = voco_format("%s/config.json", run), *text, when[32];
    const time_t now = time(NULL);
    struct voco_machine machine;
    json_t *root;
    enum voco_err err;

    voco_machine_read("", &machine);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    root = json_pack("{s:s, s:s, s:I, s:o}", "started", when, "cpu", machine.cpu, "memory",
                     (json_int_t)machine.memory, "options", json_loads(options, 0, NULL));
    VOCO_NEED(root);
    json_object_update(root, more);
    json_decref(more);
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    err = voco_file_write_text(path, text);
    free(text);
    json_decref(root);
    free(path);
    return err;
}

/* An option of a run's config.json; NULL if there is none.  json_decref *ret_root. */
static const json_t *
option_of(const char *run, const char *key, json_t **ret_root)
{
    char *path = voco_format("%s/config.json", run);

    voco_json_read(path, VOCO_JSON_BYTES, 0, ret_root);
    free(path);
    return json_object_get(json_object_get(*ret_root, "options"), key);
}

int64_t
voco_runconfig_integer(const char *run, const char *key)
{
    json_t *root;
    const int64_t value = json_integer_value(option_of(run, key, &root));

    json_decref(root);
    return value;
}

bool
voco_runconfig_is(const char *run, const char *key, const char *word)
{
    json_t *root;
    const char *value = json_string_value(option_of(run, key, &root));
    const bool is = value && strcmp(value, word) == 0;

    json_decref(root);
    return is;
}
