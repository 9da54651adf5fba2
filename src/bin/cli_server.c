/* ca root, status, version: commands that ask the server something of their own. */
#include "bin/cli.h"

#include "base/limits.h"
#include "base/version.h"
#include "wire/pem.h"
#include "x509/cert.h"

#include <stdio.h>

/* Every block is a certificate, and there is one. */
static bool are_certificates(arena_t *a, slice_t pem)
{
  pem_file_t file;
  cert_t cert;
  if (!rc_ok(pem_parse(a, pem, &file, NULL)) || file.n == 0) return false;
  for (size_t i = 0; i < file.n; i++)
    if (file.blocks[i].kind != PEM_CERT || !rc_ok(cert_parse(a, file.blocks[i].der, &cert, NULL))) return false;
  return true;
}

int cli_ca_root(cli_t *c)
{
  http_answer_t answer;
  cli_request_t rq = {.method = HTTP1_GET,
                      .path = cli_path(c),
                      .accept = "application/x-pem-file, application/pem-certificate-chain"};
  if (!rq.path) return cli_fail(CLI_FAILED, "the arguments are too long");
  if (!cli_ask(c, &rq, &answer)) return CLI_FAILED;
  buf_t pem = buf_on(c->arena, 4 * (size_t)LIM_PEM_FILE);
  if (pem_is(answer.body))
    buf_put(&pem, answer.body);
  else
    pem_emit(&pem, "CERTIFICATE", answer.body);
  if (!rc_ok(buf_rc(&pem)) || !are_certificates(c->arena, buf_slice(&pem)))
    return cli_fail(CLI_FAILED, "the server's answer is no certificate");
  fwrite(pem.p, 1, pem.n, stdout);
  return CLI_DONE;
}

/* Counts that want somebody, worst first, and what to do about them. */
static const struct {
  const char *member, *say, *next;
} attention[] = {
  {"expired_certificates", "certificates have expired", "certctl-cli certs list --status Expired"},
  {"failed_jobs", "jobs have failed",
   "certctl-cli jobs list --status Failed; jobs get ID tells why, jobs retry ID runs it again"},
  {"offline_agents", "agents are offline", "certctl-cli agents list --status Offline; see the agent's log on its host"},
  {"notifications_dead", "notifications could not be delivered", "look at the channel's settings"},
  {"expiring_certificates", "certificates expire within 30 days",
   "certctl-cli certs list --status Expiring; certs renew ID renews one now"},
};

static void print_attention(const json_t *summary)
{
  for (size_t i = 0; i < COUNT_OF(attention); i++) {
    int64_t n = 0;
    if (!rc_ok(json_get_i64(summary, attention[i].member, 0, INT64_MAX, &n, NULL)) || n == 0) continue;
    printf("\n! %lld %s\n  %s\n", (long long)n, attention[i].say, attention[i].next);
  }
}

static void print_members(cli_t *c, const json_t *object)
{
  json_iter_t it = {0};
  slice_t key;
  const json_t *v;
  while (json_next(object, &it, &key, &v)) {
    buf_t b = buf_on(c->arena, 4096);
    slice_t s;
    if (json_as_text(v, &s))
      buf_put(&b, s);
    else
      json_emit(v, &b);
    slice_t name = cli_printable(c->arena, key), value = cli_printable(c->arena, buf_slice(&b));
    printf("  %.*s:%*s %.*s\n", SLICE_ARG(name), name.n < 24 ? (int)(24 - name.n) : 0, "", SLICE_ARG(value));
  }
}

/* {"health":…,"summary":…}, which no single answer of the server holds. */
static void print_both(const json_t *health, const json_t *summary)
{
  BUF_SCOPED buf_t b = buf_heap(LIM_RESPONSE);
  buf_puts(&b, "{\"health\":");
  json_emit(health, &b);
  buf_puts(&b, ",\"summary\":");
  json_emit(summary, &b);
  buf_puts(&b, "}");
  cli_print_compact(buf_slice(&b));
}

int cli_status(cli_t *c)
{
  const json_t *health = NULL, *summary = NULL;
  slice_t status = S("unknown");
  cli_request_t rq = {.method = HTTP1_GET, .path = c->command->path};
  if (!cli_ask_json(c, &rq, &health)) return CLI_FAILED;
  if (!rc_ok(json_get_text(health, "status", &status, NULL))) status = S("unknown");
  int code = slice_is(status, "healthy") ? CLI_DONE : CLI_FAILED;
  if (!c->json) {
    printf("Server Status: %.*s\n", SLICE_ARG(cli_printable(c->arena, status)));
    if (code) printf("\n! the server is not well\n  look at its log\n");
    fflush(stdout);
  }
  rq.path = "/api/v1/stats/summary";
  if (!cli_ask_json(c, &rq, &summary)) return CLI_FAILED;
  if (c->json) {
    print_both(health, summary);
    return code;
  }
  printf("\nSummary Stats:\n");
  print_members(c, summary);
  print_attention(summary);
  return code;
}

int cli_version(cli_t *c)
{
  if (c->json)
    printf("{\n  \"version\": \"%s\"\n}\n", version_text());
  else
    printf("certctl-cli version %s\n", version_text());
  return CLI_DONE;
}
