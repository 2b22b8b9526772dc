/* Signals that schedulers and people send. */
#define _GNU_SOURCE
#include "base/stop.h"

#include <unistd.h>

#include "base/temporary.h"

volatile sig_atomic_t voco_stop_signal;

static void
on_signal(int number)
{
    if (number == SIGINT && voco_stop_signal == SIGINT) {
        voco_temporary_remove();
        _exit(130);
    }
    voco_stop_signal = number;
}

/* The end that the signal would have been. */
static void
on_last_signal(int number)
{
    voco_temporary_remove();
    signal(number, SIG_DFL);
    raise(number);                      /* delivered when this function returns */
}

void
voco_stop_default(void)
{
    static const int numbers[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2,
                                   SIGXCPU };
    struct sigaction action = { .sa_handler = on_last_signal }, old;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(numbers[i], &action, NULL);       /* not what nohup ignores */
}

void
voco_stop_install(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGXCPU };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}
