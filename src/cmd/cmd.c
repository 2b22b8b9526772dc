/* The list of verbs, in the order of `voco --help`. */
#include "cmd/cmd.h"

const struct voco_verb *const voco_verbs[] = {
    &voco_cmd_convert,
    &voco_cmd_leak,
    &voco_cmd_plan,
    &voco_cmd_tune,
    &voco_cmd_pretrain,
    &voco_cmd_predict,
    &voco_cmd_eval,
    &voco_cmd_embed,
    &voco_cmd_probe,
    &voco_cmd_finetune,
    &voco_cmd_model,
    &voco_cmd_info,
    &voco_cmd_verify,
    &voco_cmd_plot,
    &voco_cmd_tasks,
    &voco_cmd_phantom,
    &voco_cmd_doctor,
    &voco_cmd_completion,
    NULL
};
