#include "bin/cli.h"

#include "base/limits.h"
#include "base/version.h"
#include "io/file.h"
#include "wire/url.h"

#include <stdio.h>

enum { TIMEOUT_MS = 30000 };

/* PEM bundle named by the settings, or empty for the system's roots. */
static MUST rc_t read_bundle(cli_t *c, slice_t *ret, err_t *e)
{
  if (c->conf->server_ca_bundle_path.n == 0) {
    *ret = S("");
    return rc(RC_OK);
  }
  buf_t b = buf_on(c->arena, LIM_PEM_FILE);
  const char *path = arena_text(c->arena, c->conf->server_ca_bundle_path);
  if (!path) return err_set(e, RC_NOMEM, "cli_memory", NULL, "out of memory");
  rc_t r = file_read_path(path, LIM_PEM_FILE, &b, e);
  if (rc_ok(r) && b.n == 0) r = err_set(e, RC_SYNTAX, "ca_bundle", NULL, "the file is empty");
  if (!rc_ok(r)) {
    e->field = "CERTCTL_SERVER_CA_BUNDLE_PATH (--ca-bundle):";
    return r;
  }
  *ret = buf_slice(&b);
  return rc(RC_OK);
}

int cli_connect(cli_t *c)
{
  err_t e = {0};
  slice_t pem;
  if (!http1_visible(slice_of(c->conf->api_key.p, c->conf->api_key.n)))
    return cli_fail(CLI_FAILED, "the API key has characters that no key has");
  if (!rc_ok(read_bundle(c, &pem, &e))) return cli_fail_err(CLI_FAILED, &e);
  char agent[64];
  snprintf(agent, sizeof agent, "certctl-cli/%s", version_text());
  http_client_options_t o = {
    .base_url = c->conf->server_url,
    .ca_pem = pem,
    .insecure = c->conf->server_tls_insecure_skip_verify,
    .user_agent = slice_str(agent),
    .time = &timesrc_system,
  };
  return rc_ok(http_client_new(&o, &c->http, &e)) ? CLI_DONE : cli_fail_err(CLI_FAILED, &e);
}

rc_t cli_send(cli_t *c, const cli_request_t *rq, http_answer_t *ret, err_t *e)
{
  const secret_t *key = &c->conf->api_key;
  BUF_SCOPED buf_t b = buf_heap(LIM_HTTP_HEAD);
  buf_printf(&b, "Accept: %s\r\n", rq->accept ? rq->accept : "application/json");
  if (key->n) buf_printf(&b, "Authorization: Bearer %.*s\r\n", (int)key->n, (const char *)key->p);
  if (rq->body.p) buf_puts(&b, "Content-Type: application/json\r\n");
  if (rq->headers) buf_puts(&b, rq->headers);
  rc_t r = buf_rc(&b);
  http_call_t call = {
    .method = rq->method,
    .path = slice_str(rq->path),
    .headers = buf_slice(&b),
    .body = rq->body,
    .timeout_ms = rq->timeout_ms ? rq->timeout_ms : TIMEOUT_MS,
    .body_max = LIM_RESPONSE,
  };
  if (rc_ok(r)) r = http_client_call(c->http, &call, c->arena, ret, e);
  secret_wipe(b.p, b.n);
  return r;
}

/* What people can do about a failure, where there is something. */
static const char *advice(const err_t *e)
{
  slice_t reason = slice_str(e->reason);
  if (slice_is(reason, "tls_verify"))
    return "\n  trust the server's CA with --ca-bundle FILE; certctl-cli --insecure ca root prints it";
  if (slice_is(reason, "sock_connect") || slice_is(reason, "sock_resolve"))
    return "\n  is the server running there? --server names another";
  return "";
}

bool cli_judge(const cli_t *c, rc_t r, const err_t *e, const http_answer_t *answer)
{
  if (!rc_ok(r)) {
    char text[512];
    err_format(e, text, sizeof text);
    cli_fail(CLI_FAILED, "%.*s: %s%s", SLICE_ARG(c->conf->server_url), text, advice(e));
    return false;
  }
  if (answer->status < 400) return true;
  slice_t body = answer->body;
  while (body.n && body.p[body.n - 1] == '\n') body.n--;
  const char *next = answer->status == 401 && c->conf->api_key.n == 0 ? "\n  no key was sent: set CERTCTL_API_KEY or --api-key" : "";
  cli_fail(CLI_FAILED, "API error (HTTP %d): %.*s%s", answer->status, SLICE_ARG(body), next);
  return false;
}

bool cli_judge_json(const cli_t *c, const http_answer_t *answer, const json_t **ret)
{
  json_doc_t doc;
  slice_t body = answer->status == 204 ? S("{\"status\":\"deleted\"}") : answer->body;
  if (!rc_ok(json_parse(c->arena, body, &doc, NULL))) {
    cli_fail(CLI_FAILED, "the server's answer is not JSON (HTTP %d)", answer->status);
    return false;
  }
  *ret = doc.root;
  return true;
}

bool cli_ask(cli_t *c, const cli_request_t *rq, http_answer_t *ret)
{
  err_t e = {0};
  return cli_judge(c, cli_send(c, rq, ret, &e), &e, ret);
}

bool cli_ask_json(cli_t *c, const cli_request_t *rq, const json_t **ret)
{
  http_answer_t answer;
  return cli_ask(c, rq, &answer) && cli_judge_json(c, &answer, ret);
}

/* The row's path with {} filled by the first argument, or by `missing`. */
static void path_emit(const cli_t *c, slice_t missing, buf_t *b)
{
  const char *path = c->command->path, *hole = strstr(path, "{}");
  if (!hole) {
    buf_puts(b, path);
    return;
  }
  buf_put(b, slice_of(path, (size_t)(hole - path)));
  url_encode(b, c->nargs ? c->args[0] : missing);
  buf_puts(b, hole + 2);
}

const char *cli_path(cli_t *c)
{
  buf_t b = buf_on(c->arena, LIM_HTTP_TARGET);
  uint8_t before = '?';
  path_emit(c, S("iss-local"), &b);
  for (const cli_flag_t *f = c->command->flags; f->name; f++) {
    slice_t v = cli_flag(c, f->name);
    if (!v.p || !f->param || (v.n == 0 && f->kind != CF_BOOL)) continue;
    buf_byte(&b, before);
    before = '&';
    buf_puts(&b, f->param);
    buf_byte(&b, '=');
    url_encode(&b, f->kind == CF_BOOL ? S("true") : v);
  }
  buf_byte(&b, 0);
  return rc_ok(buf_rc(&b)) ? (const char *)b.p : NULL;
}

int cli_run_table(cli_t *c)
{
  const json_t *answer = NULL;
  bool post = c->command->method == HTTP1_POST;
  cli_request_t rq = {.method = post ? HTTP1_POST : HTTP1_GET, .path = cli_path(c)};
  if (!rq.path) return cli_fail(CLI_FAILED, "the arguments are too long");
  if (post) rq.body = S("{}");
  if (!cli_ask_json(c, &rq, &answer)) return CLI_FAILED;
  cli_print(c, answer);
  return CLI_DONE;
}
