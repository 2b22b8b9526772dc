/* Command lines from tables: parsing, --help and suggestions.  getopt_long finds the
 * options and permutes; types, ranges and sentences are ours. */
#define _GNU_SOURCE
#include "base/opt.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { OPTIONS_MAX = 128, LONG_BASE = 256, HELP_COLUMN = 28, LINE_WIDTH = 79 };

static bool want_help, want_quiet, want_verbose;

/* Options of every verb.  A verb may take one of their letters for itself. */
const struct voco_opt voco_common_options[] = {
    { "help", 'h', VOCO_OPT_FLAG, &want_help, NULL, "print this text and stop",
      .section = "Common options" },
    { "quiet", 'q', VOCO_OPT_FLAG, &want_quiet, NULL, "only warnings and errors" },
    { "verbose", 'v', VOCO_OPT_FLAG, &want_verbose, NULL, "more detail" },
    { NULL }
};

/* All options of a verb: its own, then the common ones; values are addresses. */
struct table {
    struct voco_opt row[OPTIONS_MAX];
    const char *name[OPTIONS_MAX + 1];
    int n;
};

static const struct voco_opt *
by_letter(const struct table *t, int letter)
{
    for (int i = 0; i < t->n; i++)
        if (t->row[i].letter == letter)
            return &t->row[i];
    return NULL;
}

void *
voco_opt_value(const struct voco_opt *o, const void *config)
{
    return config ? (char *)config + (uintptr_t)o->value : o->value;
}

static void
add_rows(struct table *t, const struct voco_opt *o, const void *config)
{
    for (; o && o->name; o++) {
        VOCO_ASSERT(t->n < OPTIONS_MAX);
        t->name[t->n] = o->name;
        t->row[t->n] = *o;
        t->row[t->n++].value = voco_opt_value(o, config);
    }
}

static void
gather(struct table *t, const struct voco_verb *verb)
{
    t->n = 0;
    add_rows(t, verb->options, verb->config);
    add_rows(t, voco_common_options, NULL);
    t->name[t->n] = NULL;
}

/* ---- values ---- */

static bool
bounded(const struct voco_opt *o)
{
    return o->min != 0 || o->max != 0;
}

static bool
inside(const struct voco_opt *o, double x)
{
    return !bounded(o) || (x >= o->min && x <= o->max);
}

/* "a number from 0 to 1", "a whole number of at least 1", ... */
static void
describe_range(const struct voco_opt *o, const char *noun, char *text, size_t size)
{
    if (!bounded(o))
        snprintf(text, size, "%s", noun);
    else if (o->max >= 1e15)
        snprintf(text, size, "%s of at least %.10g", noun, o->min);
    else if (o->min <= -1e15)
        snprintf(text, size, "%s of at most %.10g", noun, o->max);
    else
        snprintf(text, size, "%s from %.10g to %.10g", noun, o->min, o->max);
}

static enum voco_err
bad_value(const struct voco_opt *o, const char *text, const char *noun)
{
    char expected[128];

    describe_range(o, noun, expected, sizeof expected);
    return voco_fail(VOCO_EUSAGE, "--%s: '%s' is not %s", o->name, text, expected);
}

static enum voco_err
parse_int(const struct voco_opt *o, const char *text)
{
    char *end;
    long long x;

    errno = 0;
    x = strtoll(text, &end, 10);
    if (end == text || *end || errno || !inside(o, (double)x))
        return bad_value(o, text, "a whole number");
    *(int64_t *)o->value = x;
    return VOCO_OK;
}

/* Reads n numbers separated by commas; false unless all are there and finite. */
static bool
read_reals(const char *text, int n, double *x)
{
    for (int i = 0; i < n; i++) {
        char *end;

        x[i] = strtod(text, &end);
        if (end == text || !isfinite(x[i]) || *end != (i + 1 < n ? ',' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

static enum voco_err
parse_real(const struct voco_opt *o, const char *text)
{
    double x;

    if (!read_reals(text, 1, &x) || !inside(o, x))
        return bad_value(o, text, "a number");
    *(double *)o->value = x;
    return VOCO_OK;
}

static enum voco_err
parse_real3(const struct voco_opt *o, const char *text)
{
    double x[3], *value = o->value;

    if (read_reals(text, 1, x))
        x[2] = x[1] = x[0];
    else if (!read_reals(text, 3, x))
        return bad_value(o, text, "one number or three with commas, each a number");
    for (int i = 0; i < 3; i++)
        if (!inside(o, x[i]))
            return bad_value(o, text, "one number or three with commas, each a number");
    memcpy(value, x, sizeof x);
    return VOCO_OK;
}

static enum voco_err
parse_range(const struct voco_opt *o, const char *text)
{
    double x[2], *value = o->value;

    if (!read_reals(text, 2, x) || !(x[0] < x[1]) || !inside(o, x[0]) || !inside(o, x[1]))
        return bad_value(o, text, "LOW,HIGH with LOW below HIGH, each a number");
    memcpy(value, x, sizeof x);
    return VOCO_OK;
}

static enum voco_err
parse_size(const struct voco_opt *o, const char *text)
{
    int64_t bytes;

    if (voco_parse_size(text, &bytes))
        return voco_fail_in(VOCO_EUSAGE, "--%s", o->name);
    if (!inside(o, (double)bytes)) {
        char low[16], high[16];

        return voco_fail(VOCO_EUSAGE, "--%s: '%s' is not between %s and %s", o->name, text,
                         voco_format_bytes(o->min, low), voco_format_bytes(o->max, high));
    }
    *(int64_t *)o->value = bytes;
    return VOCO_OK;
}

static enum voco_err
parse_choice(const struct voco_opt *o, const char *text)
{
    char known[512] = "";
    const char *near;
    size_t used = 0;

    for (int i = 0; o->choices[i]; i++) {
        if (strcmp(text, o->choices[i]) == 0) {
            *(int *)o->value = i;
            return VOCO_OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     i ? ", " : "", o->choices[i]);
    }
    near = voco_opt_nearest(text, o->choices);
    return voco_fail(VOCO_EUSAGE, "--%s: '%s' is not one of %s%s%s%s", o->name, text, known,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum voco_err
parse_list(const struct voco_opt *o, const char *text)
{
    struct voco_opt_list *list = o->value;
    const int max = (int)(sizeof list->item / sizeof list->item[0]);

    if (list->n >= max)
        return voco_fail(VOCO_EUSAGE, "--%s may be given at most %d times", o->name, max);
    list->item[list->n++] = text;
    return VOCO_OK;
}

static enum voco_err
parse_value(const struct voco_opt *o, const char *text)
{
    if (o->given)
        *o->given = true;
    switch (o->kind) {
    case VOCO_OPT_FLAG:
        *(bool *)o->value = true;
        return VOCO_OK;
    case VOCO_OPT_OFF:
        *(bool *)o->value = false;
        return VOCO_OK;
    case VOCO_OPT_INT:
        return parse_int(o, text);
    case VOCO_OPT_REAL:
        return parse_real(o, text);
    case VOCO_OPT_REAL3:
        return parse_real3(o, text);
    case VOCO_OPT_RANGE:
        return parse_range(o, text);
    case VOCO_OPT_SIZE:
        return parse_size(o, text);
    case VOCO_OPT_CHOICE:
        return parse_choice(o, text);
    case VOCO_OPT_LIST:
        return parse_list(o, text);
    case VOCO_OPT_TEXT:
    case VOCO_OPT_FILE:
    case VOCO_OPT_FOLDER:
        if (*text == '\0')
            return voco_fail(VOCO_EUSAGE, "--%s: expected %s, got nothing", o->name, o->arg);
        *(const char **)o->value = text;
        return VOCO_OK;
    }
    return voco_fail(VOCO_EINTERNAL, "--%s: unknown kind of option", o->name);
}

enum voco_err
voco_parse_size(const char *text, int64_t *ret_bytes)
{
    static const char units[] = "KMGT";
    char *end;
    double x = strtod(text, &end);

    if (end != text) {
        const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;

        if (unit) {
            x = ldexp(x, 10 * (int)(unit - units + 1));
            end++;
            if (*end == 'i')
                end++;
        }
        if (*end == 'B')
            end++;
    }
    if (end == text || *end || !(x >= 0 && x <= 0x1p62))
        return voco_fail(VOCO_EUSAGE, "'%s' is not a size such as 512M, 8G or 1.5GiB", text);
    *ret_bytes = (int64_t)x;
    return VOCO_OK;
}

/* ---- the line ---- */

static const struct voco_opt *
find_row(const struct voco_opt *o, const char *name)
{
    for (; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

/* The option that chooses a form of the verb. */
static const struct voco_opt *
chooser(const struct voco_verb *verb)
{
    const struct voco_opt *o = find_row(verb->options, verb->choose);

    VOCO_ASSERT(o && o->kind == VOCO_OPT_CHOICE);
    return o;
}

static const char *
choice_name(const struct voco_verb *verb, int i)
{
    return chooser(verb)->choices[i];
}

const char *
voco_verb_choice(const struct voco_verb *verb)
{
    int i;

    if (!verb->choose)
        return NULL;
    i = *(int *)voco_opt_value(chooser(verb), verb->config);
    return i > 0 ? choice_name(verb, i) : NULL;
}

/* The last value of --NAME among the words, NULL: it is not there. */
static const char *
value_among(const char *name, int argc, char *const *argv)
{
    const size_t n = strlen(name);
    const char *value = NULL;

    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (strncmp(argv[i], "--", 2) || strncmp(argv[i] + 2, name, n))
            continue;
        if (argv[i][2 + n] == '=')
            value = argv[i] + 2 + n + 1;
        else if (!argv[i][2 + n] && i + 1 < argc)
            value = argv[i + 1];
    }
    return value;
}

enum voco_err
voco_verb_form(const struct voco_verb *verb, int argc, char *const *argv,
               const struct voco_verb **ret)
{
    const char *value = verb->choose ? value_among(verb->choose, argc, argv) : NULL;
    struct voco_opt row;
    int i = 0;
    enum voco_err err;

    *ret = verb;
    if (!verb->choose)
        return VOCO_OK;
    row = *chooser(verb);
    row.value = &i;
    if (value && (err = parse_choice(&row, value)) != VOCO_OK)
        return err;
    *ret = *verb->chosen = verb->form(i);
    return VOCO_OK;
}

static enum voco_err
unknown_option(const struct voco_verb *verb, const struct table *t, const char *word)
{
    char name[64];
    const char *near;
    size_t n = 0;
    int matches = 0;

    if (word[0] == '-' && word[1] == '-') {
        n = strcspn(word + 2, "=");
        for (int i = 0; i < t->n; i++)
            matches += strncmp(t->name[i], word + 2, n) == 0;
    }
    if (matches > 1)
        return voco_fail(VOCO_EUSAGE, "%.*s could be several options; see 'voco %s --help'",
                         (int)n + 2, word, verb->name);
    snprintf(name, sizeof name, "%.*s", (int)n, word + 2);
    for (int i = 0; n && verb->form && verb->form(i); i++)
        if (find_row(verb->form(i)->options, name))
            return voco_fail(VOCO_EUSAGE, "--%s is an option of --%s %s, not of %s", name,
                             verb->choose, choice_name(verb, i),
                             voco_verb_choice(verb) ? voco_verb_choice(verb)
                                                    : choice_name(verb, 0));
    near = n ? voco_opt_nearest(name, t->name) : NULL;
    if (near)
        return voco_fail(VOCO_EUSAGE, "unknown option '%s'; did you mean '--%s'?", word,
                         near);
    return voco_fail(VOCO_EUSAGE, "unknown option '%s'; see 'voco %s --help'", word,
                     verb->name);
}

static bool
asks_for_help(const struct table *t, int argc, char **argv)
{
    const bool letter = by_letter(t, 'h')->value == &want_help;

    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || (letter && !strcmp(argv[i], "-h")))
            return true;
    return false;
}

/* The tables that getopt wants; letters has room for ":" and "x:" of each option. */
static void
getopt_tables(const struct table *t, struct option *longs, char *letters)
{
    *letters++ = ':';
    for (int i = 0; i < t->n; i++) {
        const struct voco_opt *o = &t->row[i];
        const bool value = o->kind != VOCO_OPT_FLAG && o->kind != VOCO_OPT_OFF;

        longs[i] = (struct option){ o->name, value ? required_argument : no_argument, NULL,
                                    LONG_BASE + i };
        if (o->letter && by_letter(t, o->letter) == o) {
            *letters++ = o->letter;
            if (value)
                *letters++ = ':';
        }
    }
    longs[t->n] = (struct option){ 0 };
    *letters = '\0';
}

static enum voco_err
parse_options(const struct voco_verb *verb, const struct table *t, int argc, char **argv)
{
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
    int c;

    getopt_tables(t, longs, letters);
    opterr = 0;
    optind = 0;         /* glibc and musl: also forget the state of an earlier parse */
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        const struct voco_opt *o;
        enum voco_err err;

        if (c == '?' || c == ':') {
            o = optopt >= LONG_BASE ? &t->row[optopt - LONG_BASE] : by_letter(t, optopt);
            if (o && c == ':')
                return voco_fail(VOCO_EUSAGE, "--%s needs a value: %s", o->name, o->arg);
            if (o && optopt >= LONG_BASE)
                return voco_fail(VOCO_EUSAGE, "--%s takes no value", o->name);
            if (optopt) {
                const char word[3] = { '-', (char)optopt, '\0' };

                return unknown_option(verb, t, word);
            }
            return unknown_option(verb, t, argv[optind - 1]);
        }
        o = c >= LONG_BASE ? &t->row[c - LONG_BASE] : by_letter(t, c);
        if ((err = parse_value(o, optarg)))
            return err;
    }
    return VOCO_OK;
}

enum voco_err
voco_opt_apply(const struct voco_verb *verb, int n, char *const *words)
{
    char **argv = calloc((size_t)n + 2, sizeof *argv);
    struct table t;
    enum voco_err err;

    if (!argv)
        return voco_fail(VOCO_EMEMORY, "no memory for %d options", n);
    argv[0] = (char *)verb->name;
    for (int i = 0; i < n; i++)
        argv[i + 1] = words[i];
    gather(&t, verb);
    err = parse_options(verb, &t, n + 1, argv);
    if (!err && optind <= n)
        err = voco_fail(VOCO_EUSAGE, "'%s' is no option", argv[optind]);
    free(argv);
    return err;
}

enum voco_err
voco_opt_parse(const struct voco_verb *verb, int argc, char **argv, int *ret_argc,
               char ***ret_argv, bool *ret_done)
{
    struct table t;
    enum voco_err err;
    int n;

    gather(&t, verb);
    want_quiet = want_verbose = false;
    *ret_done = asks_for_help(&t, argc, argv);
    if (*ret_done) {
        voco_opt_help(verb, stdout);
        return VOCO_OK;
    }
    if ((err = parse_options(verb, &t, argc, argv)))
        return err;
    if (want_quiet || want_verbose)
        voco_log_level = want_quiet ? VOCO_LOG_QUIET : VOCO_LOG_VERBOSE;
    n = argc - optind;
    if (n < verb->min_args)
        return voco_fail(VOCO_EUSAGE, "'voco %s' needs %s; see 'voco %s --help'", verb->name,
                         verb->args, verb->name);
    if (verb->max_args >= 0 && n > verb->max_args)
        return voco_fail(VOCO_EUSAGE, "unexpected argument '%s'; see 'voco %s --help'",
                         argv[optind + verb->max_args], verb->name);
    *ret_argc = n;
    *ret_argv = argv + optind;
    return VOCO_OK;
}

/* ---- help ---- */

/* text from column on, wrapped at LINE_WIDTH; at is the column reached already. */
static void
print_wrapped(FILE *out, const char *text, int at, int column)
{
    bool first = true;

    while (*text) {
        const int n = (int)strcspn(text, " ");

        if (at + !first + n > LINE_WIDTH && !first) {
            fprintf(out, "\n%*s", column, "");
            at = column;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", n, text);
        at += n + !first;
        first = false;
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void
describe_default(const struct voco_opt *o, char *text, size_t size)
{
    const double *x = o->value;

    *text = '\0';
    switch (o->kind) {
    case VOCO_OPT_INT:
        if (*(const int64_t *)o->value != INT64_MIN)
            snprintf(text, size, "%lld", (long long)*(const int64_t *)o->value);
        break;
    case VOCO_OPT_REAL:
        if (!isnan(x[0]))
            snprintf(text, size, "%.10g", x[0]);
        break;
    case VOCO_OPT_REAL3:
        if (!isnan(x[0]))
            snprintf(text, size, "%.10g,%.10g,%.10g", x[0], x[1], x[2]);
        break;
    case VOCO_OPT_RANGE:
        if (!isnan(x[0]))
            snprintf(text, size, "%.10g,%.10g", x[0], x[1]);
        break;
    case VOCO_OPT_SIZE: {
        char bytes[16];

        if (*(const int64_t *)o->value > 0)
            snprintf(text, size, "%s",
                     voco_format_bytes((double)*(const int64_t *)o->value, bytes));
        break;
    }
    case VOCO_OPT_CHOICE:
        if (*(const int *)o->value >= 0)
            snprintf(text, size, "%s", o->choices[*(const int *)o->value]);
        break;
    case VOCO_OPT_TEXT:
    case VOCO_OPT_FILE:
    case VOCO_OPT_FOLDER:
        if (*(const char *const *)o->value)
            snprintf(text, size, "%s", *(const char *const *)o->value);
        break;
    case VOCO_OPT_FLAG:
    case VOCO_OPT_OFF:
    case VOCO_OPT_LIST:
        break;
    }
}

static void
print_option(const struct table *t, const struct voco_opt *o, FILE *out)
{
    char line[1024], def[256];
    size_t used;
    int at;

    if (o->letter && by_letter(t, o->letter) == o)
        at = fprintf(out, "  -%c, --%s", o->letter, o->name);
    else
        at = fprintf(out, "      --%s", o->name);
    if (o->arg)
        at += fprintf(out, " %s", o->arg);
    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - at, "");
    used = (size_t)snprintf(line, sizeof line, "%s", o->help);
    if (o->kind == VOCO_OPT_CHOICE)
        for (int i = 0; o->choices[i] && used < sizeof line; i++)
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%s",
                                     i ? ", " : ": ", o->choices[i]);
    if (o->kind == VOCO_OPT_LIST && used < sizeof line)
        used += (size_t)snprintf(line + used, sizeof line - used, "; may be repeated");
    describe_default(o, def, sizeof def);
    if (*def && used < sizeof line)
        snprintf(line + used, sizeof line - used, " (default %s)", def);
    print_wrapped(out, line, HELP_COLUMN, HELP_COLUMN);
}

/* Paragraphs: a blank line separates; a line that starts with a space stays as it is. */
static void
print_details(const char *text, FILE *out)
{
    while (*text) {
        const int n = (int)strcspn(text, "\n");
        char line[1024];

        snprintf(line, sizeof line, "%.*s", n, text);
        if (line[0] == ' ')
            fprintf(out, "%s\n", line);
        else
            print_wrapped(out, line, 0, 0);
        text += n + (text[n] == '\n');
    }
}

void
voco_opt_help(const struct voco_verb *verb, FILE *out)
{
    struct table t;

    gather(&t, verb);
    fprintf(out, "Usage: voco %s%s", verb->name, verb->subs ? " VERB" : "");
    if (voco_verb_choice(verb))
        fprintf(out, " --%s %s", verb->choose, voco_verb_choice(verb));
    fprintf(out, " [OPTION...]%s%s\n\n", *verb->args ? " " : "", verb->args);
    print_wrapped(out, verb->summary, 0, 0);
    if (verb->subs) {
        fprintf(out, "\nVerbs:\n");
        voco_verbs_print(verb->subs, out);
    }
    for (int i = 0; i < t.n; i++) {
        if (t.row[i].section)
            fprintf(out, "\n%s:\n", t.row[i].section);
        else if (i == 0)
            fprintf(out, "\nOptions:\n");
        print_option(&t, &t.row[i], out);
    }
    if (verb->form && !voco_verb_choice(verb)) {
        fprintf(out, "\nChoices of --%s, each with options of its own:\n", verb->choose);
        for (int i = 0; verb->form(i); i++)
            fprintf(out, "  %-12s %s\n", choice_name(verb, i), verb->form(i)->summary);
    }
    if (verb->details) {
        fputc('\n', out);
        print_details(verb->details, out);
    }
}

/* ---- suggestions ---- */

/* Edits between a and b (insert, delete, replace, swap neighbours); words of up to 31
 * letters, longer ones are infinitely far. */
static int
distance(const char *a, const char *b)
{
    enum { N = 32 };
    const size_t na = strlen(a), nb = strlen(b);
    int d[N][N];

    if (na >= N || nb >= N)
        return N;
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < d[i][j])
                d[i][j] = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < d[i][j])
                d[i][j] = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[na][nb];
}

const char *
voco_opt_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    int least = 3;

    for (; *names; names++) {
        const int edits = distance(word, *names);

        /* half of a short word must be right, or "on" would suggest "no" and "run" */
        if (edits < least && 2 * (size_t)edits <= strlen(*names)) {
            least = edits;
            best = *names;
        }
    }
    return best;
}
