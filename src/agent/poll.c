#include "agent/poll.h"

#include "agent/deploy.h"
#include "base/limits.h"
#include "base/log.h"
#include "crypto/hash.h"

enum {
  POLL_S = 30,
  EARLY_S = 25,       /* a heartbeat due within half a poll goes before it */
  SAME_AGAIN_MS = 5000, /* when the server shows the very same work once more */
  AT_LEAST_MS = 250,  /* between two polls that found nothing: a server that does not really wait is not hammered */
  POLL_ARENA = 8 * 1024 * 1024,
  ITEM_ARENA = 16 * 1024 * 1024
};

/* One poll and its outcome. */
typedef struct round {
  uint32_t failures;             /* polls in a row that failed */
  bool waits;                    /* the server holds the poll until there is work */
  size_t items;
  uint8_t digest[SHA256_LEN];    /* of the work list */
  bool same;                     /* as the list before, and not empty */
  int64_t took_ms;
} round_t;

/* The item's ids are on every line that is logged meanwhile. */
static rc_t run_item(agent_t *g, const json_t *node, arena_t *a, err_t *e)
{
  work_item_t item = {0};
  TRY(work_item_read(node, a, &item, e));
  log_field_t context[] = {log_s("job_id", item.id), log_s("certificate_id", item.certificate_id)};
  log_context(context, COUNT_OF(context));
  rc_t r = job_run(g, &item, e);
  log_context(NULL, 0);
  return r;
}

/* Each item on memory of its own, so that a large one cannot starve the next. */
static void run_items(agent_t *g, const json_t *jobs, arena_t *a, bool (*stopping)(void *), void *self)
{
  size_t n = json_len(jobs) < LIM_WORK_ITEMS ? json_len(jobs) : LIM_WORK_ITEMS;
  for (size_t i = 0; i < n && !stopping(self); i++) {
    err_t e = {0};
    rc_t r = run_item(g, json_at(jobs, i), a, &e);
    /* A failed job was logged where it failed. */
    if (!rc_ok(r) && !rc_is(r, RC_CONFLICT)) log_err(LOG_ERROR, "work item not finished", &e);
    arena_reset(g->arena);
    link_tick(g->link);
  }
}

static rc_t read_work(const http_answer_t *answer, arena_t *a, const json_t **ret, err_t *e)
{
  json_doc_t doc = {0};
  if (answer->status != 200) {
    rc_t r = err_limit(e, RC_CONFLICT, "agent_status", NULL, "work poll was answered with status {limit}",
                       answer->status);
    err_value(e, answer->body.p, answer->body.n);
    return r;
  }
  TRY(json_parse_object(a, answer->body, &doc, e));
  return json_get_array(doc.root, "jobs", ret, e);
}

static rc_t one_round(agent_t *g, round_t *x, bool (*stopping)(void *), void *self, err_t *e)
{
  ARENA_SCOPED arena_t *a = arena_new(POLL_ARENA);
  http_answer_t answer = {0};
  const json_t *jobs = NULL;
  uint8_t digest[SHA256_LEN];
  if (!a) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  int64_t start = time_mono_us(g->time);
  TRY(link_work(g->link, a, &answer, &x->waits, e));
  x->took_ms = (time_mono_us(g->time) - start) / 1000;
  if (link_is_retired(g->link)) return rc(RC_OK);
  TRY(read_work(&answer, a, &jobs, e));
  sha256(answer.body, digest);
  x->items = json_len(jobs);
  x->same = x->items > 0 && memcmp(digest, x->digest, sizeof digest) == 0;
  memcpy(x->digest, digest, sizeof digest);
  run_items(g, jobs, a, stopping, self);
  return rc(RC_OK);
}

static int64_t pause_after(const round_t *x, const rng_t *rng)
{
  int64_t tenth_ms = POLL_S * 100;
  if (x->failures) return link_backoff_ms(rng, x->failures);
  if (x->same) return SAME_AGAIN_MS;
  if (x->items) return 0;
  if (!x->waits) return 9 * tenth_ms + (int64_t)rng_below(rng, (uint64_t)(2 * tenth_ms));
  return x->took_ms < AT_LEAST_MS ? AT_LEAST_MS : 0;
}

rc_t poll_run(agent_t *g, const rng_t *rng, bool (*stopping)(void *self), void *self, err_t *e)
{
  round_t x = {0};
  ARENA_SCOPED arena_t *items = arena_new(ITEM_ARENA);
  if (!items) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  g->arena = items;
  err_t why = {0};
  if (!rc_ok(deploy_recover(g, &why))) log_err(LOG_ERROR, "unfinished deployments not looked at", &why);
  while (!stopping(self) && !link_is_retired(g->link)) {
    why = (err_t){0};
    rc_t r = link_heartbeat(g->link, EARLY_S, &why);
    if (!rc_ok(r)) log_err(LOG_WARN, "heartbeat failed", &why);
    if (stopping(self) || link_is_retired(g->link)) break;
    why = (err_t){0};
    r = one_round(g, &x, stopping, self, &why);
    if (!rc_ok(r) && stopping(self)) break;
    x.failures = rc_ok(r) ? 0 : x.failures + 1;
    if (!rc_ok(r)) log_err(LOG_WARN, "work poll failed", &why);
    link_pause(g->link, pause_after(&x, rng));
  }
  g->arena = NULL;
  return rc(RC_OK);
}
