#include "api/dispatch.h"

#include "api/denials.h"
#include "api/rest.h"
#include "api/routes.h"
#include "base/log.h"
#include "base/version.h"
#include "core/audit.h"
#include "crypto/hash.h"
#include "db/sql_stmts.h"
#include "wire/url.h"

enum { HEADERS_MAX = 2048 };

rc_t reply_park(reply_t *rp, char kind, slice_t key, int64_t ms)
{
  rp->park = true;
  rp->park_kind = kind;
  rp->park_key = key;
  rp->park_ms = ms;
  return rc(RC_OK);
}

/* --- refusals --- */

static void denial_audit(request_t *rq, const char *reason)
{
  static const actor_t nobody = {.id = {(const uint8_t *)"anonymous", 9}, .type = {(const uint8_t *)"Anonymous", 9}};
  const actor_t *who = rq->actor ? rq->actor : &nobody;
  slice_t subject = rq->actor ? who->id : rq->http->remote_addr;
  err_t e = {0};
  if (!denial_first(rq->app->denials, subject, reason, rq->now)) return;
  cmd_t *c = cmd_new(rq->a);
  if (!c) return;
  AUDIT(c, rq->a, rq->now, who, .action = "auth.denied", .resource_type = "api", .category = "auth",
        .resource_id = slice_str(rq->route->path),
        .details = AUDIT_FACTS(rq->a, fact_s("reason", slice_str(reason)),
                               fact_s("method", rq->http->head->method_text), fact_s("remote", rq->http->remote_addr)));
  request_release(rq);
  if (!rc_ok(db_submit(rq->core->db, c, &e))) log_err(LOG_WARN, "refusal not audited", &e);
}

rc_t reply_denied(request_t *rq, reply_t *rp, int status, const char *reason, const char *text)
{
  denial_audit(rq, reason);
  jw_t j = reply_json(rp, status);
  jw_object(&j);
  jw_put_str(&j, "error", text);
  jw_object_end(&j);
  if (status == 401 && strcmp(reason, "missing") == 0)
    buf_puts(&rp->headers, "WWW-Authenticate: Bearer realm=\"certctl\"\r\n");
  return rc(RC_OK);
}

/* The scope that the route names in its path: issuers and profiles (spec/api.md 1.4). */
static slice_t scope_type(const route_t *r)
{
  if (slice_starts(slice_str(r->path), S("/api/v1/issuers/{"))) return S("issuer");
  if (slice_starts(slice_str(r->path), S("/api/v1/profiles/{"))) return S("profile");
  return (slice_t){NULL, 0};
}

/* True on the loop, where nothing may block: a worker runs the request from its start. */
static bool go_elsewhere(request_t *rq)
{
  rq->elsewhere = rq->http->on_loop;
  return rq->elsewhere;
}

/* RC_OK: go on. RC_DENIED: the reply is made, or made elsewhere. */
static rc_t authenticate(request_t *rq, reply_t *rp, auth_pin_t **ret_pin, err_t *e)
{
  db_read_t *db;
  slice_t header = http1_header(rq->http->head, "Authorization");
  if (auth_known(rq->app->auth, header, rq->now, &rq->actor, ret_pin)) return rc(RC_OK);
  if (go_elsewhere(rq)) return rc(RC_DENIED);
  TRY(request_db(rq, &db, e));
  rc_t got = auth_check(rq->app->auth, db, header, rq->now, &rq->actor, ret_pin, e);
  if (rc_is(got, RC_DENIED)) TRY(reply_denied(rq, rp, 401, e->reason, e->text));
  return got;
}

static rc_t permit(request_t *rq, reply_t *rp, const char *permission)
{
  if (strcmp(permission, PERM_ANY) == 0) return rc(RC_OK);
  if (actor_may(rq->actor, permission_find(slice_str(permission)), scope_type(rq->route), rq->param[0]))
    return rc(RC_OK);
  if (go_elsewhere(rq)) return rc(RC_DENIED);
  TRY(reply_denied(rq, rp, 403, permission, "Insufficient permissions"));
  return rc(RC_DENIED);
}

/* Pins of open routes that authenticate themselves live until the request ends. */
static _Thread_local auth_pin_t *own_pin;

bool request_authorise(request_t *rq, reply_t *rp, const char *permission, rc_t *ret)
{
  err_t e = {0};
  rc_t got = authenticate(rq, rp, &own_pin, &e);
  if (rc_ok(got)) got = permit(rq, rp, permission);
  if (rc_ok(got)) return false;
  *ret = rc_is(got, RC_DENIED) ? rc(RC_OK) : reply_error(rq, rp, got, &e);
  return true;
}

/* --- ETag of lists (spec/scale.md 5) --- */

static rc_t etag(request_t *rq, char out[67], err_t *e)
{
  const char *tables[DB_STAMP_MAX];
  size_t n = rest_stamps(rq->route->out, tables);
  uint64_t stamp;
  char hex[65];
  db_read_t *db;
  if (!db_stamp_known(rq->core->db, tables, n, &stamp)) {
    if (go_elsewhere(rq)) return rc(RC_DENIED);
    TRY(request_db(rq, &db, e));
    TRY(db_stamp(db, tables, n, &stamp, e));
  }
  const struct {
    uint64_t bits[2], stamp;
    int64_t started;
  } fixed = {{rq->actor->global.bits[0], rq->actor->global.bits[1]}, stamp, rq->app->started.us};
  buf_t text = buf_on(rq->a, LIM_HTTP_TARGET + 256);
  buf_puts(&text, version_text());
  buf_puts(&text, rq->route->path);
  buf_byte(&text, '?');
  buf_put(&text, rq->query);
  buf_put(&text, slice_of(&fixed, sizeof fixed));
  TRY(buf_rc(&text));
  sha256_hex(buf_slice(&text), hex);
  out[0] = '"';
  memcpy(out + 1, hex, 64);
  memcpy(out + 65, "\"", 2);
  return rc(RC_OK);
}

/* Weak comparison against the list in If-None-Match. */
static bool none_match(slice_t header, slice_t tag)
{
  slice_t one;
  while (header.p && slice_split(&header, ',', &one)) {
    one = slice_trim(one);
    if (slice_starts(one, S("W/"))) one = slice_sub(one, 2, one.n);
    if (slice_is(one, "*") || slice_eq(one, tag)) return true;
  }
  return false;
}

/* True when the list did not change: 304 is the reply. */
static rc_t unchanged(request_t *rq, reply_t *rp, bool *ret, err_t *e)
{
  char tag[67];
  TRY(etag(rq, tag, e));
  buf_puts(&rp->headers, "ETag: ");
  buf_puts(&rp->headers, tag);
  buf_puts(&rp->headers, "\r\nCache-Control: private, no-cache\r\n");
  *ret = none_match(http1_header(rq->http->head, "If-None-Match"), slice_str(tag));
  if (*ret) rp->status = 304;
  return rc(RC_OK);
}

/* --- one request --- */

static rc_t params(request_t *rq, err_t *e)
{
  slice_t raw[ROUTE_PARAMS_MAX];
  size_t n = 0;
  int status;
  unsigned allow;
  (void)route_find((int)rq->http->head->method, rq->http->head->path, raw, &n, &status, &allow);
  for (size_t i = 0; i < n; i++) {
    rc_t got = url_decode(rq->a, raw[i], false, &rq->param[i]);
    if (!rc_ok(got)) return err_set(e, got.code, "path", "path", "has a broken percent escape");
  }
  return rc(RC_OK);
}

static rc_t run(request_t *rq, reply_t *rp, auth_pin_t **pin, err_t *e)
{
  TRY(params(rq, e));
  if (strcmp(rq->route->perm, PERM_OPEN) != 0) {
    TRY(authenticate(rq, rp, pin, e));
    TRY(permit(rq, rp, rq->route->perm));
  }
  if (rq->route->list) {
    bool same = false;
    TRY(unchanged(rq, rp, &same, e));
    if (same) return rc(RC_OK);
    if (go_elsewhere(rq)) return rc(RC_DENIED);
  }
  return rq->route->handler(rq, rp);
}

static void finish(request_t *rq, reply_t *rp, http_response_t *out)
{
  bool has_body = rp->status != 204 && rp->status != 304;
  if (has_body) {
    buf_puts(&rp->headers, "Content-Type: ");
    buf_puts(&rp->headers, rp->content_type ? rp->content_type : "application/json");
    buf_puts(&rp->headers, "\r\n");
    if (!rp->content_type) buf_byte(&rp->body, '\n');
  }
  *out = (http_response_t){.status = rp->status,
                           .park = rp->park,
                           .park_kind = rp->park_kind,
                           .park_key = rp->park_key,
                           .park_ms = rp->park_ms};
  if (rp->park) return;
  if (!rc_ok(buf_rc(&rp->headers)) || !rc_ok(buf_rc(&rp->body))) {
    out->status = 500;
    out->headers = S("Content-Type: application/json\r\n");
    out->body = S("{\"error\":\"Internal Server Error\",\"message\":\"the reply is larger than its route allows\"}\n");
    return;
  }
  out->headers = buf_slice(&rp->headers);
  if (has_body) out->body = buf_slice(&rp->body);
}

static void handle(void *self, const http_request_t *http, http_response_t *out)
{
  app_t *app = self;
  auth_pin_t *pin = NULL;
  err_t e = {0};
  request_t rq = {.app = app,
                  .core = &app->core,
                  .http = http,
                  .route = http->route,
                  .a = http->arena,
                  .query = http->head->query,
                  .now = time_wall(app->core.time)};
  reply_t rp = {.status = 200, .headers = buf_on(rq.a, HEADERS_MAX), .body = buf_on(rq.a, LIM_RESPONSE)};
  log_field_t fields[] = {log_s("request_id", http->request_id)};
  log_context(fields, 1);
  rc_t got = run(&rq, &rp, &pin, &e);
  if (!rc_ok(got) && !rc_is(got, RC_DENIED)) got = reply_error(&rq, &rp, got, &e);
  request_release(&rq);
  if (rq.elsewhere) *out = (http_response_t){.elsewhere = true};
  else finish(&rq, &rp, out);
  auth_unpin(app->auth, pin);
  auth_unpin(app->auth, own_pin);
  own_pin = NULL;
  if (!rp.park && !rq.elsewhere) {
    atomic_fetch_add(&app->requests, 1);
    log_line(LOG_DEBUG, "request completed", log_s("method", http->head->method_text), log_s("path", http->head->path),
             log_i("status", out->status), log_i("duration_us", time_wall(app->core.time).us - rq.now.us),
             log_s("remote_addr", http->remote_addr));
  }
  log_context(NULL, 0);
}

static void plan(void *self, const http1_head_t *head, http_plan_t *ret)
{
  app_t *app = self;
  slice_t param[ROUTE_PARAMS_MAX];
  size_t n;
  unsigned allow;
  int status = 404;
  const route_t *r = route_find((int)head->method, head->path, param, &n, &status, &allow);
  *ret = (http_plan_t){.arena_max = 64 * 1024, .status = r ? 0 : status};
  if (!r) return;
  size_t body = r->body_max, most = (size_t)app->core.conf->max_body_size;
  *ret = (http_plan_t){.body_max = body < most ? body : most,
                       .arena_max = r->arena_max ? r->arena_max : ROUTE_ARENA,
                       .queue = (int)r->queue,
                       .on_loop = r->on_loop || (r->list && http1_header(head, "If-None-Match").p),
                       .route = r};
}

static void refuse(void *self, int status, const http1_head_t *head, slice_t request_id, buf_t *headers, buf_t *body)
{
  slice_t param[ROUTE_PARAMS_MAX];
  size_t n;
  unsigned allow = 0;
  int ignored;
  bool first = true;
  if (status == 405 && head) {
    (void)route_find((int)head->method, head->path, param, &n, &ignored, &allow);
    buf_puts(headers, "Allow: ");
    for (int m = RM_GET; m <= RM_DELETE; m++)
      if (allow >> m & 1) {
        buf_printf(headers, "%s%s", first ? "" : ", ", route_method_name((route_method_t)m));
        first = false;
      }
    buf_puts(headers, "\r\n");
  }
  jw_t j = jw_on(body);
  jw_object(&j);
  jw_put_str(&j, "error", http1_reason(status));
  jw_put_text(&j, "request_id", request_id);
  jw_object_end(&j);
  buf_byte(body, '\n');
}

http_app_t app_http(app_t *app) { return (http_app_t){.plan = plan, .handle = handle, .refuse = refuse, .self = app}; }

rc_t app_start(app_t *app, err_t *e)
{
  app->started = time_wall(app->core.time);
  app->denials = denial_log_new();
  if (!app->denials) return rc(RC_NOMEM);
  return auth_start(&app->core, &app->auth, e);
}

void app_stop(app_t *app)
{
  auth_free(app->auth);
  denial_log_free(app->denials);
}
