/* Lists of verbs: finding one by the word that was typed, printing them. */
#include <string.h>

#include "base/opt.h"

enum { VERBS_MAX = 64 };

const char *
voco_verb_word(const struct voco_verb *verb)
{
    const char *space = strrchr(verb->name, ' ');

    return space ? space + 1 : verb->name;
}

enum voco_err
voco_verb_find(const struct voco_verb *const *verbs, const char *word, const char *above,
               const struct voco_verb **ret)
{
    const char *names[VERBS_MAX + 1] = { NULL }, *near;

    for (int i = 0; verbs[i]; i++) {
        VOCO_ASSERT(i < VERBS_MAX);
        names[i] = voco_verb_word(verbs[i]);
        if (strcmp(names[i], word) == 0) {
            *ret = verbs[i];
            return VOCO_OK;
        }
    }
    near = voco_opt_nearest(word, names);
    if (near)
        return voco_fail(VOCO_EUSAGE, "unknown verb '%s'; did you mean '%s'?", word, near);
    return voco_fail(VOCO_EUSAGE, "unknown verb '%s'; 'voco %s%s--help' lists them", word,
                     above ? above : "", above ? " " : "");
}

void
voco_verbs_print(const struct voco_verb *const *verbs, FILE *out)
{
    for (int i = 0; verbs[i]; i++)
        fprintf(out, "  %-12s %s\n", voco_verb_word(verbs[i]), verbs[i]->summary);
}
