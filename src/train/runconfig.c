/* What a run was asked to do, on what. */
#include "config.h"

#include "train/runconfig.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "dev/cpu.h"
#include "train/checkpoint.h"

static json_t *
text_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

static json_t *
repeats(const struct voco_run_config *c)
{
    json_t *list = json_array();

    for (int i = 0; i < c->n_repeat; i++)
        json_array_append_new(list, json_string(c->repeat[i]));
    return list;
}

/* What decides the numbers: a run resumed under the same ones continues with the same
 * bits. */
static json_t *
numeric_options(const struct voco_run_config *c, const struct voco_store *store,
                const struct voco_plan *plan, const struct voco_ctx *ctx)
{
    struct voco_cpu_info cpu;
    json_t *o;
    char hash[16] = "";

    voco_cpu_describe(&cpu);
    if (store)
        snprintf(hash, sizeof hash, "%08x", (unsigned)voco_store_hash(store));
    o = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:f}",
                  "feature-size", (json_int_t)c->feature, "merging",
                  voco_merging_name((enum voco_merging)c->merging), "batch",
                  (json_int_t)c->batch, "sw", (json_int_t)c->sw, "seed",
                  (json_int_t)c->seed, "steps", (json_int_t)c->steps, "warmup",
                  (json_int_t)c->warmup, "schedule",
                  c->schedule == VOCO_CONSTANT ? "constant" : "warmup-cosine", "lr", c->lr,
                  "weight-decay", c->weight_decay, "beta1", c->beta1, "beta2", c->beta2,
                  "eps", c->eps);
    VOCO_ASSERT(o);
    json_object_set_new(o, "momentum", json_real(c->momentum));
    json_object_set_new(o, "drop", json_real(c->drop));
    json_object_set_new(o, "amsgrad", json_boolean(!c->no_amsgrad));
    json_object_set_new(o, "augment", json_boolean(!c->no_augment));
    json_object_set_new(o, "repeat", repeats(c));
    json_object_set_new(o, "replay", text_or_null(c->replay));
    json_object_set_new(o, "store-hash", json_string(hash));
    json_object_set_new(o, "device", json_string(ctx->dev->name));
    json_object_set_new(o, "precision", json_string("f32"));
    json_object_set_new(o, "group", json_integer(plan->grouping.group));
    json_object_set_new(o, "threads", json_integer(ctx->threads));
    json_object_set_new(o, "isa", json_string(cpu.isa));
    json_object_set_new(o, "onednn", json_string(cpu.dnnl));
    json_object_set_new(o, "blas", json_string(cpu.blas));
    json_object_set_new(o, "voco", json_string(PACKAGE_VERSION));
    return o;
}

static json_t *
plan_object(const struct voco_plan *p)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:I, s:I, s:f}", "crops", p->crops, "group",
                     p->grouping.group, "groups", p->groups, "kept", p->grouping.kept,
                     "parameters", (json_int_t)p->parameters, "bytes", (json_int_t)p->total,
                     "tflop", p->flops * 1e-12);
}

char *
voco_runconfig_options(const struct voco_run_config *c, const struct voco_store *store,
                       const struct voco_plan *plan, const struct voco_ctx *ctx)
{
    json_t *o = numeric_options(c, store, plan, ctx);
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));

    VOCO_ASSERT(text);
    json_decref(o);
    return text;
}

enum voco_err
voco_runconfig_write(const struct voco_run_config *c, const struct voco_plan *plan,
                     const char *options)
{
    char *path = voco_format("%s/config.json", c->out), *text, when[32];
    const time_t now = time(NULL);
    struct voco_machine machine;
    struct voco_newfile f = { 0 };
    json_t *root;
    enum voco_err err;

    voco_machine_read("", &machine);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    root = json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "started", when, "store",
                     text_or_null(c->store), "init", text_or_null(c->init), "options",
                     json_loads(options, 0, NULL), "plan", plan_object(plan), "cpu", machine.cpu, "memory",
                     json_integer((json_int_t)machine.memory));
    VOCO_ASSERT(root);
    text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    err = voco_newfile_open(&f, path);
    if (err == VOCO_OK && fprintf(f.out, "%s\n", text) < 0) {
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", path);
        voco_newfile_discard(&f);
    } else if (err == VOCO_OK) {
        err = voco_newfile_commit(&f);
    }
    free(text);
    json_decref(root);
    free(path);
    return err;
}

int64_t
voco_runconfig_group(const char *run)
{
    char *path = voco_format("%s/config.json", run);
    json_error_t where;
    json_t *root = json_load_file(path, 0, &where);
    const int64_t group = json_integer_value(json_object_get(json_object_get(root, "options"),
                                                             "group"));

    json_decref(root);
    free(path);
    return group > 0 && group <= 1024 ? group : 0;
}

/* Options that decide whether a checkpoint fits at all. */
static bool
shapes_the_model(const char *key)
{
    return strcmp(key, "feature-size") == 0 || strcmp(key, "merging") == 0;
}

enum voco_err
voco_runconfig_compare(const char *checkpoint, const char *then, const char *now)
{
    json_error_t where;
    json_t *a = json_loads(then, 0, &where), *b = json_loads(now, 0, &where), *value;
    enum voco_err err = VOCO_OK;
    const char *key;

    json_object_foreach(b, key, value) {
        json_t *before = json_object_get(a, key);
        char *was, *is;

        if (!before || json_equal(before, value))
            continue;
        was = json_dumps(before, JSON_ENCODE_ANY | JSON_COMPACT);
        is = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (shapes_the_model(key))
            err = voco_fail(VOCO_ECHECKPOINT, "%s was made with --%s %s, now it is %s: give "
                            "the same, or another --out", checkpoint, key, was, is);
        else
            voco_warn("%s: %s was %s and is now %s: the run goes on, but not with the bits "
                      "of an uninterrupted one", checkpoint, key, was, is);
        free(was);
        free(is);
    }
    json_decref(a);
    json_decref(b);
    return err;
}
