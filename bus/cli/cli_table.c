/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "cli.h"

const struct dri_cli_command *const dri_cli_commands[] = {
    &dri_worker_command,
    &dri_send_command,
    &dri_doctor_command,
    &dri_dlq_ls_command,
    &dri_dlq_show_command,
    &dri_dlq_groups_command,
    &dri_dlq_replay_command,
    &dri_dlq_parked_command,
    &dri_dlq_release_command,
    &dri_registry_ls_command,
    &dri_registry_show_command,
    &dri_registry_put_command,
    &dri_registry_pause_command,
    &dri_registry_resume_command,
    &dri_registry_rm_command,
    &dri_registry_status_command,
    &dri_registry_history_command,
    &dri_registry_diff_command,
    &dri_registry_rollback_command,
    &dri_registry_apply_command,
    &dri_schedule_ls_command,
    &dri_schedule_show_command,
    &dri_schedule_put_command,
    &dri_schedule_rm_command,
    &dri_schedule_cancel_command,
    &dri_schedule_next_command,
    &dri_help_command,
    NULL,
};
