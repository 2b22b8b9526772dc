/*
 * Recipes of tasks: JSON files that name a data set and give the options of the verbs,
 * as published or as anybody likes.
 *
 *   {"title": ..., "modality": ..., "channels": N, "classes": N, "layout": ...,
 *    "VERB": {"OPTION": VALUE, ...}, ...}
 *
 * A value is text, a number, a list of either (which is joined by commas), or true for an
 * option that takes none.
 */
#ifndef VOCO_DATA_DATASET_RECIPE_H
#define VOCO_DATA_DATASET_RECIPE_H

#include "base/err.h"

struct voco_recipe {
    char *name;             /* "btcv" */
    char *path;
    const char *title, *modality, *layout;      /* owned by json */
    int channels, classes;
    void *json;
};

/* name is that of a task that comes with voco, or a path to a .json file.  VOCO_EUSAGE
 * with the nearest name when there is none; VOCO_EFORMAT names file and member. */
enum voco_err voco_recipe_open(const char *name, struct voco_recipe *ret);
void voco_recipe_free(struct voco_recipe *t);       /* accepts {0} */

/* The names of all tasks that come with voco, sorted; free each and the array. */
enum voco_err voco_recipe_names(char ***ret, int *ret_n);

/* The options of a verb as words of a command line, "--roi=96,96,96"; "finetune seg" has
 * those of "finetune".  Free each and the array. */
enum voco_err voco_recipe_words(const struct voco_recipe *t, const char *verb, char ***ret,
                              int *ret_n);

/*
 * The folder of the tasks: $VOCO_SHARE/tasks, else share/voco/tasks beside the program
 * (where it was built), else ../share/voco/tasks (where it is installed, moved or not),
 * else where make install puts them.  Free *ret.
 */
enum voco_err voco_recipe_folder(char **ret);

#endif
