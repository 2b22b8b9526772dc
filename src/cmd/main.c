/* voco VERB ...: finds the verb, runs it, turns its error into a sentence and a status. */
#include "config.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/stop.h"
#include "cmd/cmd.h"

static void
print_help(void)
{
    printf("Usage: voco VERB [OPTION...] [ARGUMENT...]\n\n"
           "Self-supervised pre-training of Swin UNETR on 3-D medical images, on CPUs.\n\n"
           "Verbs:\n");
    voco_verbs_print(voco_verbs, stdout);
    printf("\nOptions:\n"
           "  -h, --help     print this text and stop\n"
           "      --version  print the version and stop\n"
           "  -q, --quiet    only warnings and errors\n"
           "  -v, --verbose  more detail\n\n"
           "'voco VERB --help' explains a verb.\n");
}

static bool
is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* argv[0] is a verb of the list; where that has verbs of its own, argv[1] is one. */
static enum voco_err
run_verb(const struct voco_verb *const *verbs, const char *above, int argc, char **argv)
{
    const struct voco_verb *verb;
    enum voco_err err = voco_verb_find(verbs, argv[0], above, &verb);
    char **rest;
    bool done;
    int n;

    if (err)
        return err;
    if (verb->subs && argc > 1 && !is_help(argv[1])) {
        if (argv[1][0] == '-')
            return voco_fail(VOCO_EUSAGE, "'voco %s' needs a verb in front of '%s'; see "
                             "'voco %s --help'", verb->name, argv[1], verb->name);
        return run_verb(verb->subs, verb->name, argc - 1, argv + 1);
    }
    if (verb->subs && argc == 1)
        return voco_fail(VOCO_EUSAGE, "'voco %s' needs a verb; see 'voco %s --help'",
                         verb->name, verb->name);
    if ((err = voco_verb_form(verb, argc, argv, &verb))
        || (err = voco_opt_parse(verb, argc, argv, &n, &rest, &done)) || done)
        return err;
    if (verb->task && *verb->task && ((err = voco_cmd_take_recipe(verb))
                                      || (err = voco_opt_parse(verb, argc, argv, &n, &rest,
                                                               &done))))
        return err;                     /* again: the command line has the last word */
    return verb->run(n, rest);
}

static enum voco_err
run(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        if (!strcmp(word, "-q") || !strcmp(word, "--quiet")) {
            voco_log_level = VOCO_LOG_QUIET;
        } else if (!strcmp(word, "-v") || !strcmp(word, "--verbose")) {
            voco_log_level = VOCO_LOG_VERBOSE;
        } else if (!strcmp(word, "--version")) {
            puts(PACKAGE_STRING);
            return VOCO_OK;
        } else if (is_help(word)) {
            print_help();
            return VOCO_OK;
        } else if (word[0] == '-') {
            return voco_fail(VOCO_EUSAGE, "unknown option '%s' in front of a verb; see "
                             "'voco --help'", word);
        } else {
            return run_verb(voco_verbs, NULL, argc - i, argv + i);
        }
    }
    return voco_fail(VOCO_EUSAGE, "there is no verb; 'voco --help' lists the verbs");
}

/* For jansson, most of whose functions have no way to say that a value is missing. */
static void *
allocate(size_t bytes)
{
    void *p = malloc(bytes);

    VOCO_NEED(p);
    return p;
}

int
main(int argc, char **argv)
{
    enum voco_err err;

    voco_stop_default();
    json_set_alloc_funcs(allocate, free);
    signal(SIGXFSZ, SIG_IGN);           /* under ulimit -f a write fails with EFBIG */
    err = run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && !err)
        err = voco_fail_errno(VOCO_EIO, "cannot write to standard output");
    if (err)
        voco_warn("%s", voco_fail_text());
    return voco_exit_code(err);
}
