/*
 * certctl-agent: arguments, wiring, run. Exit 0 when asked to stop or when the
 * server has retired this agent, 1 when it cannot start.
 */
#include "agent/key.h"
#include "agent/poll.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/version.h"
#include "conf/conf.h"

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
  stop = number;
}

static bool is_stopping(void *self)
{
  return stop != 0;
}

static void catch_signals(void)
{
  struct sigaction end = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGTERM, &end, NULL);
  sigaction(SIGINT, &end, NULL);
  sigaction(SIGPIPE, &ignore, NULL);
}

static int help(void)
{
  size_t n = 0;
  const setting_t *rows = conf_settings(&n);
  printf("Usage: certctl-agent [options]\n\n"
         "Keeps the certificates of this host: makes their keys, asks the server for them,\n"
         "puts them where the programs read them, and proves that they are served.\n\n"
         "Options (a flag wins over the environment):\n");
  for (size_t i = 0; i < n; i++) {
    if (!(rows[i].programs & SP_AGENT)) continue;
    char flag[48] = "";
    if (rows[i].flag) snprintf(flag, sizeof flag, "--%s", rows[i].flag);
    printf("  %-24s CERTCTL_%-36s %s%s%s%s\n", flag, rows[i].name, rows[i].help, rows[i].def ? " (" : "",
           rows[i].def ? rows[i].def : "", rows[i].def ? ")" : "");
  }
  printf("  %-24s %-44s %s\n", "--list-failpoints", "", "Names of the points a test build can be killed at");
  printf("  %-24s %-44s %s\n", "--help, --version", "", "This text; the version");
  return 0;
}

static int version(void)
{
  printf("certctl-agent %s %s\n", version_text(), version_commit());
  return 0;
}

static const struct {
  const char *name;
  int (*run)(void);
} questions[] = {
  {"help", help}, {"h", help}, {"version", version}, {"list-failpoints", failpoint_list}};

/* Answers that need no configuration; -1 if none was asked. */
static int answer(int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (word[0] != '-') continue;
    word += word[1] == '-' ? 2 : 1;
    for (size_t q = 0; q < COUNT_OF(questions); q++) {
      if (strcmp(word, questions[q].name) == 0) return questions[q].run();
    }
  }
  return -1;
}

static int refuse(const char *text)
{
  fprintf(stderr, "certctl-agent: %s\n", text);
  return 1;
}

static int refuse_err(const char *what, const err_t *e)
{
  char text[512];
  err_format(e, text, sizeof text);
  fprintf(stderr, "certctl-agent: %s: %s\n", what, text);
  return 1;
}

static rc_t make_link(const conf_t *c, slice_t ca_pem, link_t **ret, err_t *e)
{
  char agent[64];
  snprintf(agent, sizeof agent, "certctl-agent/%s", version_text());
  return link_new(&(link_options_t){.http = {.base_url = c->server_url,
                                             .ca_pem = ca_pem,
                                             .insecure = c->server_tls_insecure_skip_verify,
                                             .user_agent = slice_str(agent)},
                                    .agent_id = c->agent_id,
                                    .api_key = slice_of(c->api_key.p, c->api_key.n),
                                    .version = slice_str(version_text()),
                                    .time = &timesrc_system,
                                    .rng = &rng_system,
                                    .stopping = is_stopping},
                  ret, e);
}

static int serve(const conf_t *c, link_t *link, const dir_t *keys)
{
  err_t e = {0};
  agent_t agent = {.link = link, .keys = keys, .time = &timesrc_system};
  if (c->server_tls_insecure_skip_verify) log_line(LOG_WARN, "server certificate is not verified");
  log_line(LOG_INFO, "agent started", log_s("agent_id", c->agent_id), log_s("name", c->agent_name),
           log_s("server", c->server_url), log_c("version", version_text()));
  rc_t r = poll_run(&agent, &rng_system, is_stopping, NULL, &e);
  if (!rc_ok(r)) return refuse_err("stopped", &e);
  log_line(LOG_INFO, link_is_retired(link) ? "agent is retired, leaving" : "agent stopped");
  return 0;
}

static int start(const conf_t *c)
{
  err_t e = {0};
  DIR_SCOPED dir_t keys = DIR_CLOSED;
  BUF_SCOPED buf_t ca = buf_heap(LIM_PEM_FILE);
  link_t *link = NULL;
  if (c->api_key.n == 0) return refuse("an API key is required: set CERTCTL_API_KEY or --api-key");
  if (c->agent_id.n == 0) return refuse("the agent's id is required: set CERTCTL_AGENT_ID or --agent-id");
  if (c->server_ca_bundle_path.n && !rc_ok(file_read_path((const char *)c->server_ca_bundle_path.p, LIM_PEM_FILE, &ca, &e)))
    return refuse_err("CERTCTL_SERVER_CA_BUNDLE_PATH", &e);
  if (c->server_ca_bundle_path.n && ca.n == 0) return refuse("CERTCTL_SERVER_CA_BUNDLE_PATH: the file is empty");
  rc_t r = make_link(c, buf_slice(&ca), &link, &e);
  if (!rc_ok(r)) return refuse_err(ca.n && rc_is(r, RC_SYNTAX) ? "CERTCTL_SERVER_CA_BUNDLE_PATH" : "CERTCTL_SERVER_URL", &e);
  buf_fini(&ca);
  r = dir_private((const char *)c->key_dir.p, &keys, &e);
  if (rc_ok(r)) r = dir_lock_try(&keys, &e);
  if (rc_ok(r)) r = key_sweep(&keys, &e);
  int code = rc_ok(r) ? serve(c, link, &keys) : refuse_err("CERTCTL_KEY_DIR", &e);
  link_free(link);
  return code;
}

int main(int argc, char **argv)
{
  conf_t c = {0};
  err_t e = {0};
  char text[512];
  int code = answer(argc, argv);
  if (code >= 0) return code;
  process_private();
  catch_signals();
  if (!rc_ok(conf_load(SP_AGENT, &argc, argv, &c, &e))) {
    conf_refusal(&e, text, sizeof text);
    return refuse(text);
  }
  if (argc > 1) {
    snprintf(text, sizeof text, "unknown argument \"%.100s\"; see --help", argv[1]);
    code = refuse(text);
  } else if (!failpoint_arm((const char *)c.failpoint.p)) {
    code = refuse("CERTCTL_FAILPOINT names no failpoint; see --list-failpoints");
  } else {
    conf_start_log(&c);
    code = start(&c);
  }
  conf_fini(&c);
  return code;
}
