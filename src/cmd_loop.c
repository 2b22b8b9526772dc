/* What the options of training runs share. */
#include "cmd_loop.h"

const char *const voco_resume_names[] = { "auto", "no", NULL };
