/*
 * Requests to stop: SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGXCPU set a flag, a second SIGINT
 * ends the process at once.
 */
#ifndef VOCO_BASE_STOP_H
#define VOCO_BASE_STOP_H

#include <signal.h>

extern volatile sig_atomic_t voco_stop_signal;      /* 0, or the number of the signal */

void voco_stop_install(void);

#endif
