/* Signals that schedulers and people send. */
#define _GNU_SOURCE
#include "base/stop.h"

#include <unistd.h>

volatile sig_atomic_t voco_stop_signal;

static void
on_signal(int number)
{
    if (number == SIGINT && voco_stop_signal == SIGINT)
        _exit(130);
    voco_stop_signal = number;
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
