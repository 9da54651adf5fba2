#include "targets/endpoint.h"

#include "crypto/hash.h"
#include "io/proc.h"
#include "net/probe.h"
#include "wire/ip.h"
#include "wire/json_in.h"

enum { TIMEOUT_MS = 10 * 1000, TIMEOUT_MAX_MS = 60 * 1000, EARLY_MS = 100, NS_PER_MS = 1000000 };

rc_t endpoint_conf_read(slice_t json, arena_t *a, endpoint_conf_t *ret, err_t *e)
{
  json_doc_t doc = {0};
  bool enabled = true;
  slice_t endpoint = {0};
  int64_t timeout_ns = 0;
  ret->host = (slice_t){0};
  ret->timeout_ms = TIMEOUT_MS;
  if (json.n == 0) return rc(RC_OK);
  TRY(json_parse_object(a, json, &doc, e));
  TRY(json_get_bool(doc.root, "enabled", &enabled, e));
  TRY(json_get_text(doc.root, "endpoint", &endpoint, e));
  TRY(json_get_i64(doc.root, "timeout", 0, (int64_t)TIMEOUT_MAX_MS * NS_PER_MS, &timeout_ns, e));
  if (timeout_ns > 0) ret->timeout_ms = timeout_ns / NS_PER_MS + 1;
  if (endpoint.n == 0) return rc(RC_OK);
  rc_t r = endpoint_parse(endpoint, &ret->host, &ret->port, e);
  if (!rc_ok(r) && e) e->field = "endpoint";
  if (!enabled) ret->host = (slice_t){0};
  return r;
}

/* "*.example.org" is nobody's name: a host under it is asked for. */
static slice_t sni_of(slice_t name, arena_t *a)
{
  ip_t ip;
  if (slice_starts(name, S("*.")))
    return arena_printf(a, "www%.*s", SLICE_ARG(slice_sub(name, 1, name.n)));
  return rc_ok(ip_parse(name, &ip)) ? (slice_t){0} : name;
}

/* One handshake. */
static rc_t look(const deploy_context_t *cx, const endpoint_conf_t *c, slice_t sni, deploy_result_t *ret, err_t *e)
{
  BUF_SCOPED buf_t der = buf_heap(LIM_CERT_DER);
  ret->actual_sha256[0] = '\0';
  TRY(probe_leaf(&(probe_spec_t){.host = c->host, .port = c->port, .sni = sni, .deadline_ms = c->timeout_ms,
                                 .time = cx->time, .tick = cx->tick, .self = cx->self},
                 &der, e));
  sha256_hex(buf_slice(&der), ret->actual_sha256);
  ret->verified = strcmp(ret->actual_sha256, ret->expected_sha256) == 0;
  if (ret->verified) return rc(RC_OK);
  return err_set(e, RC_INVALID, "deploy_verify", NULL, "the endpoint serves another certificate");
}

static void tell(const deploy_context_t *cx, const endpoint_conf_t *c, const deploy_result_t *d, const err_t *why)
{
  char text[256];
  buf_t *b = target_report(cx);
  if (!b) return;
  buf_printf(b, "endpoint %.*s port %d ", SLICE_ARG(c->host), c->port);
  if (d->actual_sha256[0]) {
    buf_printf(b, "still serves another certificate, sha256 %s instead of %s", d->actual_sha256, d->expected_sha256);
  } else {
    err_format(why, text, sizeof text);
    buf_printf(b, "could not be asked what it serves: %s", text);
  }
}

rc_t endpoint_verify(const deploy_context_t *cx, const endpoint_conf_t *c, slice_t name, bool once,
                     deploy_result_t *ret, err_t *e)
{
  err_t why = {0};
  ret->verify_skipped = c->host.n == 0;
  ret->verified = false;
  if (ret->verify_skipped) return rc(RC_OK);
  slice_t sni = sni_of(name, cx->arena);
  if (!once) proc_pause(EARLY_MS, cx->time, cx->tick, cx->self);
  rc_t r = look(cx, c, sni, ret, &why);
  int64_t pause_ms = c->backoff_ms;
  for (int64_t i = 0; !once && !rc_ok(r) && i < c->attempts; i++) {
    proc_pause(pause_ms, cx->time, cx->tick, cx->self);
    pause_ms = pause_ms * 2 < c->max_backoff_ms ? pause_ms * 2 : c->max_backoff_ms;
    why = (err_t){0};
    r = look(cx, c, sni, ret, &why);
  }
  ret->probed = !once || rc_ok(r);
  if (rc_ok(r)) return r;
  tell(cx, c, ret, &why);
  return err_set(e, RC_INVALID, "deploy_verify", "post_deploy_verify", "failed: the new certificate is not served");
}
