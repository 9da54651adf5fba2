/*
 * The smallest server that the supervisor can run: its network process is confined as
 * certctl-server's is, asks the signer for one leaf, says ready, and waits. What the scenario tests do to it from outside, with a
 * debugger and with signals, is what they do to certctl-server.
 */
#include "base/log.h"
#include "bin/confine.h"
#include "bin/link.h"
#include "bin/supervisor.h"
#include "io/channel.h"
#include "signer/client.h"
#include "x509/csr_emit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static MUST rc_t ask(signer_client_t *client, err_t *e)
{
  static const slice_t names[] = {{(const uint8_t *)"localhost", 9}};
  char ref[48];
  KEY_SCOPED sigkey_t *key = NULL;
  ARENA_SCOPED arena_t *a = arena_new(1024 * 1024);
  sign_answer_t answer;
  names_t parsed;
  (void)snprintf(ref, sizeof ref, "self-%lld", (long long)time_wall(&timesrc_system).us);
  TRY(key_generate(KEY_P256, 0, &key, e));
  TRY(names_parse_all(a, names, 1, "names", &parsed, e));
  buf_t csr = buf_on(a, LIM_CSR_DER);
  TRY(csr_emit(key, (slice_t){NULL, 0}, parsed, &csr, e));
  sign_request_t rq = {.ref = slice_str(ref), .issuer = S("iss-local"), .csr_der = buf_slice(&csr), .names = {names, 1}, .lifetime_s = 3600};
  TRY(signer_sign(client, &rq, a, &answer, e));
  log_line(LOG_INFO, "leaf", log_s("sha256", answer.fingerprint_hex));
  return rc(RC_OK);
}

/* Says what it was handed, so that a test can see that the newest files arrive. */
static MUST rc_t show_tls(bool wait, err_t *e)
{
  char text[2][64];
  size_t n[2];
  int fds[2];
  rc_t r = link_tls_take(wait, &fds[0], &fds[1], e);
  if (rc_is(r, RC_AGAIN)) return rc(RC_OK);
  TRY(r);
  for (int i = 0; i < 2; i++) TRY(channel_fd_read(&fds[i], text[i], sizeof text[i], &n[i], e));
  log_line(LOG_INFO, "tls", log_s("certificate", slice_of(text[0], n[0])), log_s("key", slice_of(text[1], n[1])));
  return rc(RC_OK);
}

static int network_process(void)
{
  conf_t c = {0};
  err_t e = {0};
  signer_client_t *client = NULL;
  child_signals_hold();
  rc_t r = conf_load(SP_SERVER, NULL, NULL, &c, &e);
  if (rc_ok(r)) r = link_open(false, &e);
  if (rc_ok(r)) r = confine_net(&c, &e);
  if (rc_ok(r) && c.server_tls_cert_path.n > 0) r = show_tls(true, &e);
  if (rc_ok(r)) r = signer_client_new(LINK_SIGNER, 60000, &client, &e);
  if (rc_ok(r)) r = ask(client, &e);
  if (rc_ok(r)) r = link_ready(&e);
  if (!rc_ok(r)) {
    log_err(LOG_ERROR, "network process does not start", &e);
    return 1;
  }
  log_line(LOG_INFO, "serving", log_i("pid", getpid()));
  for (int number = 0; number != SIGTERM; number = child_signal_wait(100)) {
    r = show_tls(false, &e);
    if (rc_is(r, RC_CLOSED)) break;
  }
  signer_client_free(client);
  return 0;
}

int main(int argc, char **argv)
{
  conf_t c = {0};
  err_t e = {0};
  char text[512];
  if (argc > 1 && strcmp(argv[1], LINK_NET_ARGUMENT) == 0) return network_process();
  if (!rc_ok(conf_load(SP_SERVER, NULL, NULL, &c, &e))) {
    conf_refusal(&e, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  int code = supervisor_run(&c, argc - 1, argv + 1);
  conf_fini(&c);
  return code;
}
