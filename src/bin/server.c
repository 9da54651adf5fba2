/*
 * certctl-server: the supervisor, and, started again by it, the network process.
 */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/version.h"
#include "bin/link.h"
#include "bin/server_check.h"
#include "bin/server_net.h"
#include "bin/supervisor.h"

#include <stdio.h>

static const char usage[] =
    "certctl-server: control plane of certctl\n"
    "\n"
    "usage: certctl-server [--check] [--help] [--version]\n"
    "\n"
    "Settings come from the environment (CERTCTL_…, docs/reference/configuration.md); none is\n"
    "required. Without any it keeps its state in /var/lib/certctl and serves https://127.0.0.1:8443.\n"
    "\n"
    "  --check              checks settings, store, CA, confinement and port, starts nothing\n"
    "  --list-failpoints    points of -Dfailpoints=true builds at which a test can kill it\n"
    "  --help, --version\n";

enum { EXIT_USAGE = 2 };

/* What the arguments ask for; -1 = serve. */
static int answer(int argc, char **argv, bool *ret_check)
{
  for (int i = 1; i < argc; i++) {
    slice_t a = slice_str(argv[i]);
    if (slice_is(a, LINK_NET_ARGUMENT)) continue;
    if (slice_is(a, "--check")) *ret_check = true;
    else if (slice_is(a, "--help") || slice_is(a, "-h")) return fputs(usage, stdout) < 0;
    else if (slice_is(a, "--version")) return printf("certctl-server %s\n", version_text()) < 0;
    else if (slice_is(a, "--list-failpoints")) return failpoint_list();
    else {
      fprintf(stderr, "certctl-server: unknown argument %s (see --help)\n", argv[i]);
      return EXIT_USAGE;
    }
  }
  return -1;
}

int main(int argc, char **argv)
{
  bool check = false;
  bool net = argc > 1 && slice_is(slice_str(argv[1]), LINK_NET_ARGUMENT);
  conf_t conf = {0};
  err_t e = {0};
  char text[512];
  int code = answer(argc, argv, &check);
  if (code >= 0) return code;
  if (!rc_ok(conf_load(SP_SERVER | (net ? 0 : SP_SIGNER), NULL, NULL, &conf, &e))) {
    conf_refusal(&e, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 1;
  }
  if (!failpoint_arm((const char *)conf.failpoint.p)) {
    fprintf(stderr, "CERTCTL_FAILPOINT names no failpoint (see --list-failpoints)\n");
    return 1;
  }
  conf_start_log(&conf);
  code = check ? server_check(&conf) : net ? server_net_run(&conf) : supervisor_run(&conf, argc - 1, argv + 1);
  conf_fini(&conf);
  return code;
}
