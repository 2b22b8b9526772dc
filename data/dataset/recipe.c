/* Recipes of tasks, and where they are. */
#include "data/dataset/recipe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/opt.h"
#include "data/dataset/listing.h"

enum { PATH_LONGEST = 4096 };

/* ---- the folder ---- */

/* The folder of the running program; NULL where /proc does not tell. */
static char *
program_folder(void)
{
    char path[PATH_LONGEST];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return voco_format("%s", path);
}

enum voco_err
voco_recipe_folder(char **ret)
{
    const char *share = getenv("VOCO_SHARE");
    char *beside = program_folder(), *place[3] = { NULL, NULL, NULL };

    *ret = NULL;
    if (share && *share) {
        place[0] = voco_format("%s/tasks", share);
    } else {
        if (beside) {
            place[0] = voco_format("%s/share/voco/tasks", beside);
            place[1] = voco_format("%s/../share/voco/tasks", beside);
        }
        place[2] = voco_format("%s/tasks", VOCO_SHARE_DIR);
    }
    for (int i = 0; i < 3; i++) {
        if (place[i] && !*ret && voco_is_folder(place[i]))
            *ret = place[i];
        else
            free(place[i]);
    }
    free(beside);
    return *ret ? VOCO_OK
        : voco_fail(VOCO_EIO, "the recipes of tasks are not there: expected %s/tasks; set "
                    "VOCO_SHARE to the folder that has tasks", share && *share
                    ? share : VOCO_SHARE_DIR);
}

/* ---- a task ---- */

void
voco_recipe_free(struct voco_recipe *t)
{
    free(t->name);
    free(t->path);
    json_decref(t->json);
    *t = (struct voco_recipe){ .name = NULL };
}

static bool
ends_in_json(const char *name)
{
    const size_t n = strlen(name);

    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static enum voco_err
wrong(const struct voco_recipe *t, const char *member, const char *expected)
{
    return voco_fail(VOCO_EFORMAT, "%s: \"%s\" is missing or wrong: expected %s", t->path,
                     member, expected);
}

static bool
is_value(const json_t *v)
{
    bool good = json_is_string(v) || json_is_number(v) || json_is_true(v)
        || json_array_size(v) > 0;

    for (size_t i = 0; good && i < json_array_size(v); i++)
        good = json_is_string(json_array_get(v, i)) || json_is_number(json_array_get(v, i));
    return good;
}

/* Every member that is an object gives options to a verb. */
static enum voco_err
check_options(const struct voco_recipe *t)
{
    const char *verb, *option;
    json_t *options, *value;

    json_object_foreach((json_t *)t->json, verb, options)
        if (json_is_object(options))
            json_object_foreach(options, option, value)
                if (!is_value(value))
                    return wrong(t, option, "text, a number, a list of them, or true");
    return VOCO_OK;
}

static bool
whole_number(const json_t *v, int low, int high, int *ret)
{
    const json_int_t n = json_integer_value(v);

    if (!json_is_integer(v) || n < low || n > high)
        return false;
    *ret = (int)n;
    return true;
}

static enum voco_err
take(struct voco_recipe *t)
{
    const json_t *channels = json_object_get(t->json, "channels");
    const json_t *classes = json_object_get(t->json, "classes");

    t->title = json_string_value(json_object_get(t->json, "title"));
    t->modality = json_string_value(json_object_get(t->json, "modality"));
    t->layout = json_string_value(json_object_get(t->json, "layout"));
    if (!t->title)
        return wrong(t, "title", "text");
    if (!t->modality)
        return wrong(t, "modality", "text");
    if (!t->layout)
        return wrong(t, "layout", "text");
    if (!whole_number(channels, 1, 64, &t->channels))
        return wrong(t, "channels", "a number from 1 to 64");
    if (!whole_number(classes, 2, 256, &t->classes))
        return wrong(t, "classes", "a number from 2 to 256");
    return check_options(t);
}

static enum voco_err
no_such_task(const char *name)
{
    char **names;
    const char *near = NULL;
    int n = 0;
    enum voco_err err = voco_recipe_names(&names, &n);

    if (err)
        return err;
    names = realloc(names, ((size_t)n + 1) * sizeof *names);
    VOCO_NEED(names != NULL);
    names[n] = NULL;
    near = voco_opt_nearest(name, (const char *const *)names);
    voco_fail(VOCO_EUSAGE, "there is no task '%s'%s%s%s; voco tasks lists them, and a path "
              "to a .json file is a task, too", name, near ? ": did you mean '" : "",
              near ? near : "", near ? "'?" : "");
    voco_names_free(names, n);
    return VOCO_EUSAGE;
}

enum voco_err
voco_recipe_open(const char *name, struct voco_recipe *ret)
{
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    char *folder = NULL;
    json_t *root = NULL;
    enum voco_err err = VOCO_OK;

    *ret = (struct voco_recipe){ .name = voco_format("%s", last) };
    if (ends_in_json(name)) {
        ret->name[strlen(last) - 5] = '\0';
        ret->path = voco_format("%s", name);
    } else if (!(err = voco_recipe_folder(&folder))) {
        ret->path = voco_format("%s/%s.json", folder, name);
        if (slash || *name == '.' || !voco_file_exists(ret->path))
            err = no_such_task(name);
    }
    free(folder);
    if (!err)
        err = voco_json_read(ret->path, VOCO_JSON_BYTES, JSON_REJECT_DUPLICATES, &root);
    ret->json = root;
    if (!err)
        err = take(ret);
    if (err)
        voco_recipe_free(ret);
    return err;
}

enum voco_err
voco_recipe_names(char ***ret, int *ret_n)
{
    char *folder, **names;
    int n = 0, kept = 0;
    enum voco_err err = voco_recipe_folder(&folder);

    *ret = NULL;
    *ret_n = 0;
    if (err)
        return err;
    err = voco_folder_names(folder, &names, &n);
    for (int i = 0; i < n; i++) {
        if (ends_in_json(names[i])) {
            names[i][strlen(names[i]) - 5] = '\0';
            names[kept++] = names[i];
        } else
            free(names[i]);
    }
    free(folder);
    if (err)
        return err;
    *ret = names;
    *ret_n = kept;
    return VOCO_OK;
}

/* ---- options ---- */

/* "96", or as it is written. */
static void
put_scalar(FILE *out, const json_t *v)
{
    if (json_is_string(v))
        fputs(json_string_value(v), out);
    else if (json_is_integer(v))
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else
        fprintf(out, "%.15g", json_number_value(v));
}

static char *
word(const char *option, const json_t *value)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    VOCO_ASSERT(out);                       /* as voco_format */
    fprintf(out, "--%s", option);
    if (!json_is_true(value))
        fputc('=', out);
    if (json_is_string(value) || json_is_number(value))
        put_scalar(out, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i)
            fputc(',', out);
        put_scalar(out, json_array_get(value, i));
    }
    VOCO_ASSERT(fclose(out) == 0 && text);
    return text;
}

enum voco_err
voco_recipe_words(const struct voco_recipe *t, const char *verb, char ***ret, int *ret_n)
{
    char *first = voco_format("%.*s", (int)strcspn(verb, " "), verb);
    json_t *options = json_object_get(t->json, first), *value;
    const char *option;

    free(first);
    *ret_n = 0;
    *ret = calloc(json_object_size(options) + 1, sizeof **ret);
    if (!*ret)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", t->path);
    json_object_foreach(options, option, value)
        (*ret)[(*ret_n)++] = word(option, value);
    return VOCO_OK;
}
