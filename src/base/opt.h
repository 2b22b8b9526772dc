/*
 * Verbs and options: one table per verb makes the parser, --help, the synopsis of the
 * man page and the shell completion, so that they cannot disagree.
 *
 * Parsing is getopt_long underneath.  A value that does not parse or is out of range is
 * an error that names the option, the value and what was expected; an unknown option or
 * choice is answered with the nearest known one.  Every verb also has --help (-h),
 * --quiet (-q) and --verbose (-v).
 *
 * The value of an option before parsing is its default, which --help shows unless it
 * stands for "none": INT64_MIN for INT, NaN for REAL, REAL3 and RANGE, 0 for SIZE,
 * -1 for CHOICE, NULL for TEXT, FILE and FOLDER.
 */
#ifndef VOCO_BASE_OPT_H
#define VOCO_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum voco_opt_kind {
    VOCO_OPT_FLAG,      /* bool *: present or not */
    VOCO_OPT_OFF,       /* bool *: a flag "no-NAME" that sets NAME, true by default, to false */
    VOCO_OPT_INT,       /* int64_t *: within [min,max] */
    VOCO_OPT_REAL,      /* double *: within [min,max], finite */
    VOCO_OPT_SIZE,      /* int64_t *: bytes, with K M G T (1024) after the number */
    VOCO_OPT_TEXT,      /* const char **: points into argv */
    VOCO_OPT_FILE,      /* as TEXT; completed as a file name */
    VOCO_OPT_FOLDER,    /* as TEXT; completed as a folder */
    VOCO_OPT_CHOICE,    /* int *: index into choices */
    VOCO_OPT_REAL3,     /* double[3]: one number for all, or three with commas */
    VOCO_OPT_RANGE,     /* double[2]: LOW,HIGH with LOW < HIGH */
    VOCO_OPT_LIST       /* struct voco_opt_list *: may be given several times */
};

struct voco_opt_list {
    const char *item[64];
    int n;
};

/* The role of a setting in a training run, whose config.json and checkpoints record all
 * but the free ones.  A run is not resumed with another identity; with other numbers it
 * is, and a warning says that the bits will differ. */
enum voco_role {
    VOCO_FREE,                  /* decides no number: paths, threads, how often to save */
    VOCO_NUMERIC,               /* decides numbers: rates, seeds, sizes of batches */
    VOCO_IDENTITY               /* decides whether a checkpoint fits at all */
};

struct voco_opt {
    const char *name;           /* "feature-size"; NULL ends the table */
    char letter;                /* 0 for none */
    enum voco_opt_kind kind;
    void *value;                /* holds the default before, the value after: an address, or
                                 * VOCO_AT in the struct that verb->config points to */
    const char *arg;            /* "N", "FILE"; NULL for a flag */
    const char *help;           /* one line, without the default, which is added */
    double min, max;            /* of each number; both 0: unbounded, max 1e18: no max */
    const char *const *choices; /* CHOICE: NULL-terminated */
    bool *given;                /* set to true when it was on the line; may be NULL */
    const char *section;        /* not NULL: a heading in --help before this one */
    enum voco_role role;
};

/* The place of a member, for tables that describe a struct instead of one variable. */
#define VOCO_AT(type, member) ((void *)offsetof(type, member))

struct voco_verb {
    const char *name;           /* "convert" */
    const char *summary;        /* one line for `voco --help` */
    const char *args;           /* "INPUT..." or "" */
    const char *details;        /* paragraphs after the options in --help; may be NULL */
    const struct voco_opt *options;     /* NULL: none but --help */
    void *config;               /* the struct whose members options are at; NULL: addresses */
    int min_args, max_args;     /* positional arguments; max -1: any number */
    enum voco_err (*run)(int argc, char **argv);    /* the positional arguments only */
    const char **task;          /* the value of its option --task; NULL: it has none */

    /* A verb with several tables of options has a form for each choice of one CHOICE option,
     * which stands in all of them: choose is its name, form(i) the form of choice i with
     * its config at the defaults, NULL behind the last; *chosen gets the form that runs.
     * The verb itself has the options of form 0, the default.  choose NULL: the verb has one
     * table. */
    const char *choose;
    const struct voco_verb *(*form)(int i);
    const struct voco_verb **chosen;

    /* Verbs below this one, NULL-terminated; their names begin with this one's: "model
     * inspect".  A verb that has some has neither options nor run of its own. */
    const struct voco_verb *const *subs;
};

/* --help, --quiet, --verbose: every verb has them behind its own options. */
extern const struct voco_opt voco_common_options[];

/* Parse argv[1..) by the verb's table.  *ret_argc / *ret_argv: the positional arguments
 * (inside argv).  --help prints and sets *ret_done. */
enum voco_err voco_opt_parse(const struct voco_verb *verb, int argc, char **argv,
                             int *ret_argc, char ***ret_argv, bool *ret_done);

/* Options that come from elsewhere, as words "--name=value": errors are those of a
 * command line.  Values of TEXT, FILE and FOLDER options point into the words, which must
 * stay. */
enum voco_err voco_opt_apply(const struct voco_verb *verb, int n, char *const *words);

/* The address of an option's value, for tables with VOCO_AT. */
void *voco_opt_value(const struct voco_opt *o, const void *config);

void voco_opt_help(const struct voco_verb *verb, FILE *out);

/* The form of verb that the words ask for, verb itself where it has no forms.  VOCO_EUSAGE
 * for a choice that is unknown. */
enum voco_err voco_verb_form(const struct voco_verb *verb, int argc, char *const *argv,
                             const struct voco_verb **ret);

/* The choice of a form, "mae"; NULL for a verb without forms and for form 0. */
const char *voco_verb_choice(const struct voco_verb *verb);

/* The last word of a verb's name, the one that is typed: "inspect". */
const char *voco_verb_word(const struct voco_verb *verb);

/* The verb with this word among them; an unknown word is an error with the nearest one.
 * above: the verb whose verbs they are; NULL at the top. */
enum voco_err voco_verb_find(const struct voco_verb *const *verbs, const char *word,
                             const char *above, const struct voco_verb **ret);

/* A line for each verb, word and summary. */
void voco_verbs_print(const struct voco_verb *const *verbs, FILE *out);

/* The name closest to word within 2 edits, or NULL. names is NULL-terminated. */
const char *voco_opt_nearest(const char *word, const char *const *names);

/* "8G", "512M", "1.5GiB" -> bytes. */
enum voco_err voco_parse_size(const char *text, int64_t *ret_bytes);

#endif
