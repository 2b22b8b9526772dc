/* Error codes and the sentence that goes with them. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/temporary.h"

enum { SENTENCE_MAX = 1024 };

static _Thread_local char sentence[SENTENCE_MAX];

enum voco_err
voco_fail(enum voco_err err, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);      /* arguments may point into sentence */
    va_end(ap);
    memcpy(sentence, text, sizeof text);
    return err;
}

enum voco_err
voco_fail_errno(enum voco_err err, const char *fmt, ...)
{
    const int reason = errno;
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return voco_fail(err, "%s: %s", text, strerror(reason));
}

enum voco_err
voco_fail_in(enum voco_err err, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return voco_fail(err, "%s: %s", text, sentence);
}

const char *
voco_fail_text(void)
{
    return sentence;
}

int
voco_exit_code(enum voco_err err)
{
    switch (err) {
    case VOCO_OK:          return 0;
    case VOCO_EINTERNAL:   return 1;
    case VOCO_EUSAGE:      return 2;
    case VOCO_EREJECTED:   return 3;
    case VOCO_EFORMAT:     return 4;
    case VOCO_EIO:         return 5;
    case VOCO_EMEMORY:     return 6;
    case VOCO_ENUMERIC:    return 7;
    case VOCO_ECHECKPOINT: return 8;
    case VOCO_ESTOPPED:    return 75;
    }
    return 1;
}

void
voco_assert_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "voco: %s:%d: broken promise: %s (please report this)\n",
            file, line, what);
    abort();
}

void
voco_no_memory(const char *file, int line)
{
    char text[SENTENCE_MAX];
    const int n = snprintf(text, sizeof text, "voco: an allocation of memory failed (%s:%d); "
                           "allow the program more memory, or close others\n", file, line);

    voco_temporary_remove();
    if (n > 0)
        (void)!write(STDERR_FILENO, text, (size_t)n);       /* nobody is left to be told */
    _exit(voco_exit_code(VOCO_EMEMORY));
}
