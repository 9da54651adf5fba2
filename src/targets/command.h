/*
 * Operator's commands of a target: reload, validate. Checked when the target is
 * written and again before use, run without a shell, 30 seconds at most.
 */
#ifndef TARGETS_COMMAND_H
#define TARGETS_COMMAND_H

#include "targets/target.h"

/* spec/auth.md 13. `field` is the wire name in errors. */
MUST rc_t command_check(const char *field, slice_t command, arena_t *a, err_t *e);

/*
 * Runs it. Anything but exit 0 in time is RC_INVALID "deploy_command" with the
 * field's name, and cx->report tells exit, output (bounded, printable) or why
 * it could not be started.
 */
MUST rc_t command_run(const deploy_context_t *cx, const char *field, slice_t command, err_t *e);

#endif
