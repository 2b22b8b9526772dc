/* voco tasks: the recipes of published tasks, and their options for the other verbs. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset/listing.h"
#include "data/dataset/recipe.h"

static bool raw;

static const struct voco_opt options[] = {
    { "raw", 0, VOCO_OPT_FLAG, &raw, NULL, "print the recipe's file as it is" },
    { NULL }
};

enum voco_err
voco_cmd_take_recipe(const struct voco_verb *verb)
{
    static char **words;                /* stay: options point into them */
    struct voco_recipe task;
    int n = 0;
    enum voco_err err = voco_recipe_open(*verb->task, &task);

    if (err)
        return err;
    err = voco_recipe_words(&task, verb->name, &words, &n);
    if (!err && (err = voco_opt_apply(verb, n, words)))
        err = voco_fail_in(err, "%s", task.path);
    voco_recipe_free(&task);
    return err;
}

/* ---- the table ---- */

static enum voco_err
print_row(const char *name)
{
    struct voco_recipe task;
    char **words = NULL;
    const char *roi = "";
    int n = 0;
    enum voco_err err = voco_recipe_open(name, &task);

    if (err)
        return err;
    err = voco_recipe_words(&task, "finetune", &words, &n);
    for (int i = 0; i < n; i++)
        if (strncmp(words[i], "--roi=", 6) == 0)
            roi = words[i] + 6;
    if (!err)
        printf("%-18s %-3s %8d %8d  %-11s  %s\n", name, task.modality, task.channels,
               task.classes, roi, task.title);
    voco_names_free(words, n);
    voco_recipe_free(&task);
    return err;
}

static enum voco_err
print_table(void)
{
    char **names;
    int n;
    enum voco_err err = voco_recipe_names(&names, &n);

    if (err)
        return err;
    printf("%-18s %-3s %8s %8s  %-11s\n", "task", "", "channels", "classes", "crop");
    for (int i = 0; i < n && !err; i++)
        err = print_row(names[i]);
    voco_names_free(names, n);
    return err;
}

/* ---- one task ---- */

/* A word as a shell takes it. */
static void
put_word(const char *word)
{
    if (word[strcspn(word, " *?'\"$&()[]{}<>;|\\~#")] == '\0')
        fputs(word, stdout);
    else
        printf("'%s'", word);           /* recipes have no ' */
}

static enum voco_err
print_command(const struct voco_recipe *task, const char *verb, const char *rest)
{
    char **words;
    int n;
    size_t column = 0;
    const enum voco_err err = voco_recipe_words(task, verb, &words, &n);

    if (err)
        return err;
    column = (size_t)printf("    voco %s", verb);
    for (int i = 0; i < n; i++) {
        if (column + strlen(words[i]) > 84)
            column = (size_t)printf(" \\\n       ") - 3;
        putchar(' ');
        put_word(words[i]);
        column += strlen(words[i]) + 1;
    }
    printf(" \\\n        %s\n", rest);
    voco_names_free(words, n);
    return VOCO_OK;
}

static enum voco_err
print_raw(const struct voco_recipe *task)
{
    char *text;
    size_t n;
    const enum voco_err err = voco_file_read(task->path, 1 << 20, &text, &n);

    if (!err)
        fputs(text, stdout);
    free(text);
    return err;
}

static enum voco_err
print_task(const char *name)
{
    struct voco_recipe task;
    enum voco_err err = voco_recipe_open(name, &task);

    if (err)
        return err;
    if (raw) {
        err = print_raw(&task);
        voco_recipe_free(&task);
        return err;
    }
    printf("%s\n%s, %d channel%s, %d classes with background\ndata: %s\nrecipe: %s\n\n",
           task.title, task.modality, task.channels, task.channels > 1 ? "s" : "",
           task.classes, task.layout, task.path);
    printf("With --task %s, convert and finetune seg take these for their defaults; in "
           "full:\n\n", name);
    err = print_command(&task, "convert", "-o STORE DATA");
    if (!err)
        err = print_command(&task, "finetune seg",
                            "--store STORE --weights WEIGHTS --out RUN");
    if (!err)
        err = print_command(&task, "predict",
                            "--weights RUN/best.safetensors -o LABELS IMAGES");
    if (!err)
        printf("    voco eval -o REPORT LABELS TRUTH\n");
    voco_recipe_free(&task);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    enum voco_err err = VOCO_OK;

    if (argc == 0)
        return print_table();
    for (int i = 0; i < argc && !err; i++) {
        if (i > 0)
            putchar('\n');
        err = print_task(argv[i]);
    }
    return err;
}

const struct voco_verb voco_cmd_tasks = {
    .name = "tasks",
    .summary = "list the recipes of published tasks, or show one",
    .args = "[TASK...]",
    .details =
        "A TASK is the name of a recipe, or a path to a .json file of one's own.  Shown\n"
        "are its commands, which --task TASK of convert and finetune seg abbreviates.",
    .options = options,
    .min_args = 0,
    .max_args = -1,
    .run = run
};
