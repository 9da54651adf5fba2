/*
 * One work item of a poll (spec/agent.md 2.2) and what is done with it: an item
 * that awaits a CSR gets one, a deployment is deployed, anything else is left
 * alone. What went wrong is told to the server in the job's own words.
 */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

#include "agent/link.h"
#include "base/limits.h"
#include "desc/field.h"
#include "io/file.h"
#include "wire/json_in.h"

/* Body of a report: its text, each byte of which may become \u00xx, and the members around it. */
enum { JOB_REPORT_MAX = 6 * LIM_DEPLOY_REPORT + 1024 };

/* What the steps of a job share; one thread. */
typedef struct agent {
  link_t *link;
  const dir_t *keys;
  const timesrc_t *time;
  arena_t *arena; /* of one item */
} agent_t;

/* Slices live as long as the poll's answer. */
typedef struct work_item {
  slice_t id, type, status, certificate_id, common_name;
  texts_t sans;
  slice_t target_id, target_type, target_config;
} work_item_t;

/* RC_INVALID with the member's name; members it does not know are ignored. */
MUST rc_t work_item_read(const json_t *node, arena_t *a, work_item_t *ret, err_t *e);

/* Does one item from its beginning to its report. RC_CONFLICT when the item failed (and was reported so). */
MUST rc_t job_run(agent_t *g, const work_item_t *item, err_t *e);

/* POST …/jobs/{id}/status. `error` may be empty. A refusal by the server is logged, not returned. */
MUST rc_t job_report(agent_t *g, slice_t job_id, const char *status, slice_t error, err_t *e);

/* Logs and reports Failed with "<what>: <detail>"; returns RC_CONFLICT. */
MUST rc_t job_fail(agent_t *g, const work_item_t *item, const char *what, slice_t detail, err_t *e);
/* The same with the text of an error. */
MUST rc_t job_fail_err(agent_t *g, const work_item_t *item, const char *what, const err_t *why, err_t *e);

#endif
