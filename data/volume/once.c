/* Sentences that were said, in a tree. */
#include "data/volume/once.h"

#include <pthread.h>
#include <search.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *said;

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Takes text over; whether it is new. */
static bool
remember(char *text)
{
    void *node;

    pthread_mutex_lock(&lock);
    node = tsearch(text, &said, by_text);
    pthread_mutex_unlock(&lock);
    return node == NULL || *(char **)node == text;
}

void
voco_warn_once(const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    if (voco_log_level == VOCO_LOG_SILENT)
        return;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    text = malloc((size_t)(n > 0 ? n : 0) + 1);
    if (text == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, (size_t)(n > 0 ? n : 0) + 1, fmt, args);
    va_end(args);
    if (remember(text))
        voco_warn("%s", text);
    else
        free(text);
}
