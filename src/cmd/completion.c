/* voco completion: scripts for bash and zsh, written from the tables of all verbs. */
#include "cmd/cmd.h"

#include <string.h>

/* Has one of the forms before number i of the verb an option of this name? */
static bool
in_earlier_form(const struct voco_verb *verb, int i, const char *name)
{
    while (--i >= 0)
        for (const struct voco_opt *o = verb->form(i)->options; o->name; o++)
            if (strcmp(o->name, name) == 0)
                return true;
    return false;
}

/* Calls fn for every option of a verb, its own first, those of all its forms once. */
static void
each_option(const struct voco_verb *verb,
            void (*fn)(const struct voco_opt *o, FILE *out), FILE *out)
{
    for (const struct voco_opt *o = verb->options; o && o->name; o++)
        fn(o, out);
    for (int i = 1; verb->form && verb->form(i); i++)
        for (const struct voco_opt *o = verb->form(i)->options; o->name; o++)
            if (!in_earlier_form(verb, i, o->name))
                fn(o, out);
    for (const struct voco_opt *o = voco_common_options; o->name; o++)
        fn(o, out);
}

/* ---- bash ---- */

static void
bash_name(const struct voco_opt *o, FILE *out)
{
    fprintf(out, " --%s", o->name);
}

/* A case arm for an option with a value: the words that may follow it. */
static void
bash_value(const struct voco_opt *o, FILE *out)
{
    if (o->kind == VOCO_OPT_FLAG || o->kind == VOCO_OPT_OFF)
        return;
    fprintf(out, "        --%s", o->name);
    if (o->letter)
        fprintf(out, "|-%c", o->letter);
    fprintf(out, ") ");
    switch (o->kind) {
    case VOCO_OPT_CHOICE:
        fprintf(out, "_voco_words \"");
        for (int i = 0; o->choices[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
        fprintf(out, "\"");
        break;
    case VOCO_OPT_FILE:
    case VOCO_OPT_LIST:
        fprintf(out, "_voco_paths -f");
        break;
    case VOCO_OPT_FOLDER:
        fprintf(out, "_voco_paths -d");
        break;
    default:
        fprintf(out, "COMPREPLY=()");
    }
    fprintf(out, "; return;;\n");
}

/* The end of a list of words, after the verbs. */
static void
bash_words(const struct voco_verb *const *verbs, FILE *out)
{
    for (int i = 0; verbs[i]; i++)
        fprintf(out, " %s", voco_verb_word(verbs[i]));
    fprintf(out, "\"; return;;\n");
}

static void
bash_verb(const struct voco_verb *verb, FILE *out)
{
    fprintf(out, "    '%s') options=\"", verb->name);
    each_option(verb, bash_name, out);
    fprintf(out, "\"\n        case $prev in\n");
    each_option(verb, bash_value, out);
    fprintf(out, "        esac;;\n");
}

static void
print_bash(FILE *out)
{
    fprintf(out,
            "# bash completion for voco, written by `voco completion bash`\n"
            "_voco_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
            "_voco_paths() {\n"
            "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
            "    compopt -o filenames 2>/dev/null\n"
            "}\n"
            "_voco() {\n"
            "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
            "    local verb= options= i\n"
            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
            "        case ${COMP_WORDS[i]} in -*) continue;; esac\n"
            "        verb=\"$verb${verb:+ }${COMP_WORDS[i]}\"\n"
            "        case $verb in");
    for (int i = 0, n = 0; voco_verbs[i]; i++)
        if (voco_verbs[i]->subs)
            fprintf(out, "%s %s", n++ ? " |" : "", voco_verbs[i]->name);
    fprintf(out, ") ;; *) break;; esac\n"
            "    done\n"
            "    case $verb in\n"
            "    '') _voco_words \"--help --version --quiet --verbose");
    bash_words(voco_verbs, out);
    for (int i = 0; voco_verbs[i]; i++) {
        if (!voco_verbs[i]->subs) {
            bash_verb(voco_verbs[i], out);
            continue;
        }
        fprintf(out, "    %s) _voco_words \"--help", voco_verbs[i]->name);
        bash_words(voco_verbs[i]->subs, out);
        for (int k = 0; voco_verbs[i]->subs[k]; k++)
            bash_verb(voco_verbs[i]->subs[k], out);
    }
    fprintf(out,
            "    esac\n"
            "    case $cur in\n"
            "    -*) _voco_words \"$options\";;\n"
            "    *) _voco_paths -f;;\n"
            "    esac\n"
            "}\n"
            "complete -F _voco voco\n");
}

/* ---- zsh ---- */

/* Text inside '...' and [...] of an _arguments specification. */
static void
zsh_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void
zsh_option(const struct voco_opt *o, FILE *out)
{
    const bool flag = o->kind == VOCO_OPT_FLAG || o->kind == VOCO_OPT_OFF;

    for (int letter = o->letter ? 1 : 0; letter >= 0; letter--) {
        fprintf(out, "            '%s", o->kind == VOCO_OPT_LIST ? "*" : "");
        if (letter)
            fprintf(out, "-%c%s[", o->letter, flag ? "" : "+");
        else
            fprintf(out, "--%s%s[", o->name, flag ? "" : "=");
        zsh_text(o->help, out);
        fputc(']', out);
        if (!flag) {
            fputc(':', out);
            zsh_text(o->arg, out);
            fputc(':', out);
        }
        if (o->kind == VOCO_OPT_FILE || o->kind == VOCO_OPT_LIST)
            fprintf(out, "_files");
        else if (o->kind == VOCO_OPT_FOLDER)
            fprintf(out, "_files -/");
        if (o->kind == VOCO_OPT_CHOICE) {
            fputc('(', out);
            for (int i = 0; o->choices[i]; i++)
                fprintf(out, "%s%s", i ? " " : "", o->choices[i]);
            fputc(')', out);
        }
        fprintf(out, "' \\\n");
    }
}

/* The array of verbs with their summaries, and its use. */
static void
zsh_describe(const struct voco_verb *const *verbs, FILE *out)
{
    fprintf(out, "        local -a verbs=(\n");
    for (int i = 0; verbs[i]; i++) {
        fprintf(out, "            '%s:", voco_verb_word(verbs[i]));
        zsh_text(verbs[i]->summary, out);
        fprintf(out, "'\n");
    }
    fprintf(out, "        )\n"
            "        _describe verb verbs");
}

/* Arms of a case over $words[1]. */
static void
zsh_verbs(const struct voco_verb *const *verbs, FILE *out)
{
    for (int i = 0; verbs[i]; i++) {
        fprintf(out, "        %s) ", voco_verb_word(verbs[i]));
        if (verbs[i]->subs) {
            fprintf(out, "if (( CURRENT == 2 )); then\n");
            zsh_describe(verbs[i]->subs, out);
            fprintf(out, "\n        else\n"
                    "        shift words; (( CURRENT-- ))\n"
                    "        case $words[1] in\n");
            zsh_verbs(verbs[i]->subs, out);
            fprintf(out, "        esac; fi;;\n");
        } else {
            fprintf(out, "_arguments -s \\\n");
            each_option(verbs[i], zsh_option, out);
            fprintf(out, "            '*:file:_files';;\n");
        }
    }
}

static void
print_zsh(FILE *out)
{
    fprintf(out,
            "#compdef voco\n"
            "# zsh completion for voco, written by `voco completion zsh`\n"
            "_voco() {\n"
            "    local context state line\n"
            "    _arguments -C '--help[explain]' '--version[print the version]' \\\n"
            "        '(-q --quiet)'{-q,--quiet}'[only warnings and errors]' \\\n"
            "        '(-v --verbose)'{-v,--verbose}'[more detail]' \\\n"
            "        '1: :->verb' '*:: :->rest'\n"
            "    case $state in\n"
            "    verb)\n");
    zsh_describe(voco_verbs, out);
    fprintf(out,
            ";;\n"
            "    rest)\n"
            "        case $words[1] in\n");
    zsh_verbs(voco_verbs, out);
    fprintf(out,
            "        esac;;\n"
            "    esac\n"
            "}\n"
            "_voco \"$@\"\n");
}

static enum voco_err
run(int argc, char **argv)
{
    static const char *const shells[] = { "bash", "zsh", NULL };

    (void)argc;
    if (strcmp(argv[0], "bash") == 0) {
        print_bash(stdout);
    } else if (strcmp(argv[0], "zsh") == 0) {
        print_zsh(stdout);
    } else {
        const char *near = voco_opt_nearest(argv[0], shells);

        return voco_fail(VOCO_EUSAGE, "completion: '%s' is not bash or zsh%s%s%s", argv[0],
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return VOCO_OK;
}

const struct voco_verb voco_cmd_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .args = "bash|zsh",
    .details = "For this shell only:\n"
               "  . <(voco completion bash)",
    .min_args = 1, .max_args = 1,
    .run = run,
};
