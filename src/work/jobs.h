/*
 * Jobs as rows: added with their wake-up, claimed by agents under a lease,
 * ended by guarded updates. Knows no use case; the caller adds the audit row
 * and the effects on other tables to the same command.
 */
#ifndef WORK_JOBS_H
#define WORK_JOBS_H

#include "db/db.h"
#include "model/resources.h"

enum {
  JOB_LEASE_S = 600,     /* a Running deployment, renewed by Running reports (decisions: jobs and agents) */
  JOB_CSR_LEASE_S = 300, /* an AwaitingCSR job shown to one of several agents */
  JOB_CLAIM_MAX = 32     /* rows of jobs_for_agent */
};

typedef struct job_spec {
  slice_t type;                       /* "Issuance", "Renewal", "Deployment" */
  slice_t certificate, target, agent; /* target and agent may be empty */
  slice_t status;
  int64_t max_attempts;
} job_spec_t;

/* Appends the row to the command and wakes the agent once committed. *ret_id in the arena. */
MUST rc_t job_add(cmd_t *c, arena_t *a, us_t now, const job_spec_t *spec, slice_t *ret_id);

typedef struct job_look {
  job_t job;              /* id, type, certificate, target, agent, status, attempts, max_attempts */
  int64_t retry_s;        /* its policy's pause before a repetition; an hour without a policy */
} job_look_t;

/* The row as it stands now. RC_NOTFOUND. */
MUST rc_t job_look(db_t *db, arena_t *a, slice_t id, job_look_t *ret, err_t *e);

typedef struct work_item {
  slice_t id, type, certificate_id, common_name, target_id, target_type, target_config, status;
  texts_t sans;
} work_item_t;

/*
 * What this agent is to do now: claims its deployments (Running, attempt + 1, leased)
 * and shows the CSRs it owes. A row that another claimed in between is left out.
 */
MUST rc_t jobs_claim(db_t *db, arena_t *a, slice_t agent, us_t now, work_item_t **ret, size_t *ret_n, err_t *e);

/* Agents that have something to begin at `now`. */
MUST rc_t jobs_agents_with_work(db_t *db, arena_t *a, us_t now, texts_t *ret, err_t *e);

#endif
