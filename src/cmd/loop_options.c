/* What the options of training runs share. */
#include "cmd/loop_options.h"

const char *const voco_resume_names[] = { "auto", "no", NULL };
