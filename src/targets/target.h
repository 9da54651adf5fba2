/*
 * Deployment targets: one connector per kind of server. A connector's steps are
 * idempotent and can be taken up again after a kill. Sits on the agent's host.
 */
#ifndef TARGETS_TARGET_H
#define TARGETS_TARGET_H

#include "base/buf.h"
#include "base/clock.h"
#include "desc/field.h"

/* What to deploy. PEM texts; the key is the agent's own. */
typedef struct deploy_job {
  slice_t leaf_pem, chain_pem, key_pem;
  slice_t config;               /* the target's JSON object */
  slice_t first_dns_name;       /* for SNI and verification */
} deploy_job_t;

typedef struct deploy_context {
  arena_t *arena;
  const timesrc_t *time;
  void (*tick)(void *self);     /* called at least every second while the connector waits; NULL = none */
  void *self;
  buf_t *report;                /* what went wrong and how it was left, for people; printable; NULL = none */
} deploy_context_t;

typedef struct deploy_result {
  bool skipped;                 /* everything was already in place */
  bool verified;                /* a handshake showed the new leaf */
  bool verify_skipped;          /* no endpoint configured */
  bool probed;                  /* the endpoint was asked about this leaf */
  char expected_sha256[65], actual_sha256[65]; /* hex; actual empty when the probe failed */
} deploy_result_t;

typedef struct target_kind {
  const char *type;             /* "NGINX" */
  const field_t *fields;        /* of its configuration; FF_SECRET ones never leave in clear */
  uint32_t nfields;
  /* Checks a configuration object: on the server at write, on the agent before use. */
  rc_t (*check)(slice_t config_json, arena_t *a, err_t *e);
  /*
   * Check, stage, switch, validate, reload, verify; on any failure the old files are back and reloaded, and
   * cx->report says both. *ret is filled as far as it came, on failure too.
   */
  rc_t (*deploy)(const deploy_context_t *cx, const deploy_job_t *job, deploy_result_t *ret, err_t *e);
  /* After a kill in the middle of deploy: puts the old files back and reloads; nothing to do is success. */
  rc_t (*recover)(const deploy_context_t *cx, slice_t config, err_t *e);
} target_kind_t;

/* cx->report, ready for one more sentence; NULL when nobody wants a report. */
buf_t *target_report(const deploy_context_t *cx);

/* The kinds this build has; by type, any case. NULL if unknown. */
const target_kind_t *target_find(slice_t type);
extern const target_kind_t *const target_kinds[];
extern const size_t target_kind_count;

#endif
