/*
 * certs create and renew: the request, and --wait, which follows every job the
 * request brought about (one issuance per agent, then its deployments) until
 * all have ended. Progress goes to stderr, one line for each change.
 */
#include "bin/cli.h"

#include "base/limits.h"
#include "wire/json_out.h"
#include "wire/url.h"

#include <stdio.h>
#include <time.h>

enum { POLL_S = 50, POLL_SLACK_MS = 15000, PAUSE_MS = 1000, JOBS_MAX = 500 };

typedef struct followed {
  slice_t id, status;
} followed_t;

typedef struct follow {
  cli_t c;       /* the run, on an arena of its own that lives for one look */
  arena_t *keep; /* the run's */
  slice_t certificate;
  us_t since; /* older jobs are another request's */
  int64_t start_us, deadline_us;
  followed_t seen[JOBS_MAX];
  size_t nseen;
  size_t failed;
  bool away;     /* the server could not be asked last time */
  slice_t open; /* a job that has not ended, or empty */
} follow_t;

static int64_t now_us(void)
{
  return time_mono_us(&timesrc_system);
}

static void pause_ms(int64_t ms)
{
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static slice_t text_member(const json_t *node, const char *key)
{
  slice_t s = S("");
  return rc_ok(json_get_text(node, key, &s, NULL)) ? s : S("");
}

/* `prefix` and the encoded id; NULL when it is too long. */
static const char *path_of(arena_t *a, const char *prefix, slice_t id)
{
  buf_t b = buf_on(a, LIM_HTTP_TARGET);
  buf_puts(&b, prefix);
  url_encode(&b, id);
  buf_byte(&b, 0);
  return rc_ok(buf_rc(&b)) ? (const char *)b.p : NULL;
}

/* GET of path_of, as JSON; says why it failed and returns false. */
static bool ask_for(cli_t *c, const char *prefix, slice_t id, const json_t **ret)
{
  const char *path = path_of(c->arena, prefix, id);
  if (path) return cli_ask_json(c, &(cli_request_t){.method = HTTP1_GET, .path = path}, ret);
  cli_fail(CLI_FAILED, "the id is too long");
  return false;
}

/* True when the state is news. */
static bool note_state(follow_t *f, slice_t id, slice_t status)
{
  size_t i = 0;
  while (i < f->nseen && !slice_eq(f->seen[i].id, id)) i++;
  if (i == f->nseen && f->nseen < JOBS_MAX) f->seen[f->nseen++] = (followed_t){.id = arena_dup(f->keep, id)};
  if (i == JOBS_MAX || slice_eq(f->seen[i].status, status)) return false;
  f->seen[i].status = arena_dup(f->keep, status);
  return true;
}

static void say_state(const follow_t *f, const json_t *job, slice_t id, slice_t status)
{
  slice_t type = text_member(job, "type"), target = text_member(job, "target_id"), why = text_member(job, "last_error");
  double after_s = (double)(now_us() - f->start_us) / 1e6;
  slice_t line = arena_printf(f->c.arena, "%6.1fs  %.*s %.*s%s%.*s: %.*s%s%.*s", after_s, SLICE_ARG(type),
                              SLICE_ARG(id), target.n ? " to " : "", SLICE_ARG(target), SLICE_ARG(status),
                              why.n ? ", " : "", SLICE_ARG(why));
  fprintf(stderr, "%.*s\n", SLICE_ARG(cli_printable(f->c.arena, line)));
}

static void look_at(follow_t *f, const json_t *job)
{
  us_t created = f->since;
  slice_t id = text_member(job, "id"), status = text_member(job, "status");
  if (!rc_ok(json_get_time(job, "created_at", &created, NULL)) || us_cmp(created, f->since) < 0) return;
  bool failed = slice_ieq(status, S("Failed")) || slice_ieq(status, S("Cancelled"));
  bool ended = failed || slice_ieq(status, S("Completed"));
  if (note_state(f, id, status)) say_state(f, job, id, status);
  if (failed) f->failed++;
  if (!ended) f->open = id;
}

/* A server that restarts is no failure of the jobs: RC_AGAIN, said once. */
static MUST rc_t say_away(follow_t *f)
{
  if (!f->away) fprintf(stderr, "the server is away; trying again\n");
  f->away = true;
  return rc(RC_AGAIN);
}

/* All jobs of the certificate, oldest first. RC_AGAIN while the server is away, RC_INVALID with the reason said. */
static MUST rc_t look_at_all(follow_t *f)
{
  const json_t *list = NULL, *rows = NULL;
  http_answer_t answer = {0};
  err_t e = {0};
  const char *path = path_of(f->c.arena, "/api/v1/jobs?per_page=500&certificate_id=", f->certificate);
  if (!path) return rc(RC_INVALID);
  rc_t r = cli_send(&f->c, &(cli_request_t){.method = HTTP1_GET, .path = path}, &answer, &e);
  if ((!rc_ok(r) && e.retry) || answer.status == 503) return say_away(f);
  if (!cli_judge(&f->c, r, &e, &answer) || !cli_judge_json(&f->c, &answer, &list)) return rc(RC_INVALID);
  TRY(json_get_array(list, "data", &rows, NULL));
  f->away = false;
  f->failed = 0;
  f->open = S("");
  for (size_t i = json_len(rows); i-- > 0;) look_at(f, json_at(rows, i));
  return rc(RC_OK);
}

/* The state last seen of a job. */
static slice_t seen_state(const follow_t *f, slice_t id)
{
  for (size_t i = 0; i < f->nseen; i++)
    if (slice_eq(f->seen[i].id, id)) return f->seen[i].status;
  return S("");
}

/* One long poll of the open job, of at most wait_s; true if its state is another one now. */
static bool poll_open(follow_t *f, int64_t wait_s)
{
  char prefer[48];
  http_answer_t answer = {0};
  json_doc_t job;
  snprintf(prefer, sizeof prefer, "Prefer: wait=%d\r\n", (int)wait_s);
  cli_request_t rq = {.method = HTTP1_GET,
                      .path = path_of(f->c.arena, "/api/v1/jobs/", f->open),
                      .headers = prefer,
                      .timeout_ms = wait_s * 1000 + POLL_SLACK_MS};
  if (!rq.path || !rc_ok(cli_send(&f->c, &rq, &answer, NULL)) || answer.status != 200) return false;
  if (!rc_ok(json_parse(f->c.arena, answer.body, &job, NULL))) return false;
  slice_t status = text_member(job.root, "status");
  return status.n && !slice_eq(status, seen_state(f, f->open));
}

/*
 * Waits until the open job has news: a long poll, or a second where the server
 * offers none, has none to give at once, or is away for the moment.
 */
static void wait_for_news(follow_t *f)
{
  int64_t from = now_us(), left_s = (f->deadline_us - from) / US_PER_S;
  bool news = left_s > 0 && !f->away && poll_open(f, left_s < POLL_S ? left_s : POLL_S);
  int64_t left_ms = (f->deadline_us - now_us()) / 1000;
  bool at_once = now_us() - from < PAUSE_MS * 1000;
  if (!news && at_once && left_ms > 0) pause_ms(left_ms < PAUSE_MS ? left_ms : PAUSE_MS);
}

/* Follows until the end: an exit code. */
static int follow(follow_t *f)
{
  for (;;) {
    arena_reset(f->c.arena);
    rc_t r = look_at_all(f);
    if (!rc_ok(r) && !rc_is(r, RC_AGAIN)) return CLI_FAILED;
    if (rc_ok(r) && f->nseen == 0) {
      fprintf(stderr, "nothing to wait for: the certificate has no job (no --target?)\n");
      return CLI_DONE;
    }
    if (rc_ok(r) && f->open.n == 0) break;
    if (now_us() >= f->deadline_us)
      return cli_fail(CLI_WAITING, "still under way; certctl-cli jobs list --certificate %.*s shows how it goes on",
                      SLICE_ARG(f->certificate));
    wait_for_news(f);
  }
  if (f->failed == 0) return CLI_DONE;
  return cli_fail(CLI_FAILED, "%zu of %zu jobs failed", f->failed, f->nseen);
}

/* --wait's time in *ret_us, 0 when it was not given; CLI_USAGE when it is no time. */
static int wait_span(const cli_t *c, int64_t *ret_us)
{
  slice_t v = cli_flag(c, "wait");
  *ret_us = 0;
  if (!v.p) return CLI_DONE;
  if (!rc_ok(conf_duration(v.n ? v : S("5m"), ret_us)) || *ret_us < US_PER_S || *ret_us > 24 * 3600 * US_PER_S)
    return cli_fail(CLI_USAGE, "--wait takes a time of 1s to 24h, as in --wait=5m");
  return CLI_DONE;
}

static int follow_and_show(cli_t *c, slice_t certificate, us_t since, int64_t span_us)
{
  const json_t *row = NULL;
  follow_t *f = ARENA_NEW(c->arena, follow_t);
  ARENA_SCOPED arena_t *round = arena_new(CLI_MEMORY);
  if (!f || !round) return cli_fail(CLI_FAILED, "out of memory");
  *f = (follow_t){.c = *c, .keep = c->arena, .certificate = certificate, .since = since};
  f->c.arena = round;
  f->start_us = now_us();
  f->deadline_us = f->start_us + span_us;
  int code = follow(f);
  if (!ask_for(c, "/api/v1/certificates/", certificate, &row)) return CLI_FAILED;
  cli_print(c, row);
  return code;
}

/* Body of POST /certificates from the flags; NULL p out of memory. */
static slice_t create_body(cli_t *c)
{
  texts_t sans = {0}, targets = {0};
  buf_t b = buf_on(c->arena, LIM_HTTP_TARGET * 16);
  jw_t j = jw_on(&b);
  if (!rc_ok(cli_flag_list(c, "san", &sans)) || !rc_ok(cli_flag_list(c, "target", &targets)))
    return (slice_t){NULL, 0};
  slice_t cn = cli_flag(c, "cn"), issuer = cli_flag(c, "issuer"), policy = cli_flag(c, "policy");
  if (!cn.n) cn = sans.n ? sans.v[0] : c->args[0];
  jw_object(&j);
  jw_put_text(&j, "name", c->args[0]);
  jw_put_text(&j, "common_name", cn);
  jw_put_text(&j, "issuer_id", issuer.n ? issuer : S("iss-local"));
  jw_put_text(&j, "renewal_policy_id", policy.n ? policy : S("rp-default"));
  jw_key(&j, "sans");
  jw_texts(&j, sans);
  jw_key(&j, "target_ids");
  jw_texts(&j, targets);
  for (const cli_flag_t *f = c->command->flags; f->name; f++) {
    bool done = strcmp(f->name, "cn") == 0 || strcmp(f->name, "issuer") == 0 || strcmp(f->name, "policy") == 0;
    slice_t v = cli_flag(c, f->name);
    if (f->kind == CF_TEXT && f->param && !done && v.n) jw_put_text(&j, f->param, v);
  }
  jw_object_end(&j);
  return rc_ok(buf_rc(&b)) ? buf_slice(&b) : (slice_t){NULL, 0};
}

int cli_certs_create(cli_t *c)
{
  const json_t *row = NULL;
  int64_t span_us;
  int code = wait_span(c, &span_us);
  if (code) return code;
  slice_t body = create_body(c);
  if (!body.p) return cli_fail(CLI_FAILED, "the arguments are too long");
  cli_request_t rq = {.method = HTTP1_POST, .path = c->command->path, .body = body};
  if (!cli_ask_json(c, &rq, &row)) return CLI_FAILED;
  slice_t id = text_member(row, "id");
  if (!span_us) {
    cli_print(c, row);
    return CLI_DONE;
  }
  fprintf(stderr, "certificate %.*s created\n", SLICE_ARG(cli_printable(c->arena, id)));
  return follow_and_show(c, id, US_NEVER, span_us);
}

/* When the job was made; jobs before it belong to something else. */
static bool job_created(cli_t *c, slice_t id, us_t *ret)
{
  const json_t *job = NULL;
  return ask_for(c, "/api/v1/jobs/", id, &job) && rc_ok(json_get_time(job, "created_at", ret, NULL));
}

int cli_certs_renew(cli_t *c)
{
  const json_t *answer = NULL;
  int64_t span_us;
  int code = wait_span(c, &span_us);
  if (code) return code;
  const char *path = cli_path(c);
  if (!path) return cli_fail(CLI_FAILED, "the arguments are too long");
  if (!cli_ask_json(c, &(cli_request_t){.method = HTTP1_POST, .path = path}, &answer)) return CLI_FAILED;
  slice_t job = text_member(answer, "job_id"), id = cli_printable(c->arena, c->args[0]);
  bool forced = cli_flag(c, "force").p != NULL;
  FILE *to = span_us || c->json ? stderr : stdout; /* with --wait stdout is the certificate's */
  if (c->json && !span_us) cli_print_json(answer);
  fprintf(to, "%s of certificate %.*s started\n", forced ? "Forced renewal" : "Renewal", SLICE_ARG(id));
  if (job.n) fprintf(to, "Job ID: %.*s\n", SLICE_ARG(cli_printable(c->arena, job)));
  if (!span_us) return CLI_DONE;
  us_t since = US_NEVER;
  if (job.n && !job_created(c, job, &since)) return CLI_FAILED;
  return follow_and_show(c, c->args[0], since, span_us);
}
