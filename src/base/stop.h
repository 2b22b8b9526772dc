/*
 * Signals.  By default one that ends the program first removes unfinished files
 * (base/temporary.h).  Verbs that can stop in an orderly way ask for a flag instead: SIGTERM,
 * SIGINT, SIGUSR1, SIGUSR2 and SIGXCPU set it, and a second SIGINT ends the program at once.
 */
#ifndef VOCO_BASE_STOP_H
#define VOCO_BASE_STOP_H

#include <signal.h>

extern volatile sig_atomic_t voco_stop_signal;      /* 0, or the number of the signal */

void voco_stop_default(void);        /* as soon as the program begins */
void voco_stop_install(void);        /* the flag */

#endif
