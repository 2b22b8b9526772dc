/* A table of fixed size, since a signal handler reads it. */
#include "base/temporary.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 64, ROOM = 4096 };

static struct {
    atomic_bool used;           /* set when path is whole */
    char path[ROOM];
} name[NAMES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;       /* of those who write */

void
voco_temporary_add(const char *path)
{
    const size_t n = strlen(path) + 1;
    int i = 0;

    pthread_mutex_lock(&mutex);
    while (i < NAMES && atomic_load(&name[i].used))
        i++;
    if (i < NAMES && n <= ROOM) {
        memcpy(name[i].path, path, n);
        atomic_store(&name[i].used, true);
    }
    pthread_mutex_unlock(&mutex);
}

void
voco_temporary_drop(const char *path)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < NAMES; i++)
        if (atomic_load(&name[i].used) && strcmp(name[i].path, path) == 0)
            atomic_store(&name[i].used, false);
    pthread_mutex_unlock(&mutex);
}

void
voco_temporary_forget(void)
{
    for (int i = 0; i < NAMES; i++)
        atomic_store(&name[i].used, false);
}

void
voco_temporary_remove(void)
{
    for (int i = 0; i < NAMES; i++)
        if (atomic_load(&name[i].used))
            (void)unlink(name[i].path);
}
