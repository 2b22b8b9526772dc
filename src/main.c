/* voco VERB ...: finds the verb, runs it, turns its error into a sentence and a status. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd.h"

enum { VERBS_MAX = 64 };

static const struct voco_verb *
find_verb(const char *name)
{
    for (int i = 0; voco_verbs[i]; i++)
        if (strcmp(voco_verbs[i]->name, name) == 0)
            return voco_verbs[i];
    return NULL;
}

static void
print_help(void)
{
    printf("Usage: voco VERB [OPTION...] [ARGUMENT...]\n\n"
           "Self-supervised pre-training of Swin UNETR on 3-D medical images, on CPUs.\n\n"
           "Verbs:\n");
    for (int i = 0; voco_verbs[i]; i++)
        printf("  %-12s %s\n", voco_verbs[i]->name, voco_verbs[i]->summary);
    printf("\nOptions:\n"
           "  -h, --help     print this text and stop\n"
           "      --version  print the version and stop\n"
           "  -q, --quiet    only warnings and errors\n"
           "  -v, --verbose  more detail\n\n"
           "'voco VERB --help' explains a verb.\n");
}

static enum voco_err
unknown_verb(const char *word)
{
    const char *names[VERBS_MAX + 1] = { NULL };
    const char *near;

    for (int i = 0; voco_verbs[i] && i < VERBS_MAX; i++)
        names[i] = voco_verbs[i]->name;
    near = voco_opt_nearest(word, names);
    if (near)
        return voco_fail(VOCO_EUSAGE, "unknown verb '%s'; did you mean '%s'?", word, near);
    return voco_fail(VOCO_EUSAGE, "unknown verb '%s'; 'voco --help' lists them", word);
}

static enum voco_err
run_verb(int argc, char **argv)
{
    const struct voco_verb *verb = find_verb(argv[0]);
    enum voco_err err;
    bool done;

    if (!verb)
        return unknown_verb(argv[0]);
    if ((err = voco_opt_parse(verb, argc, argv, &argc, &argv, &done)) || done)
        return err;
    return verb->run(argc, argv);
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
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            print_help();
            return VOCO_OK;
        } else if (word[0] == '-') {
            return voco_fail(VOCO_EUSAGE, "unknown option '%s' in front of a verb; see "
                             "'voco --help'", word);
        } else {
            return run_verb(argc - i, argv + i);
        }
    }
    return voco_fail(VOCO_EUSAGE, "what to do? 'voco --help' lists the verbs");
}

int
main(int argc, char **argv)
{
    enum voco_err err = run(argc, argv);

    if ((fflush(stdout) != 0 || ferror(stdout)) && !err)
        err = voco_fail_errno(VOCO_EIO, "cannot write to standard output");
    if (err)
        voco_warn("%s", voco_fail_text());
    return voco_exit_code(err);
}
