/*
 * Asks a signer for what its ceiling does not allow, in well-framed messages over its own socket, as a network process that was
 * taken over would. One line for each case: name, ref, reason of the refusal ("signed" when there was none).
 *
 *   signer_probe PROGRAM             starts that signer on a socket pair (settings from the environment)
 *   signer_probe --live PID FD       takes descriptor FD of the running process PID
 *
 * The ceiling the cases are made for: DNS *.example.com and localhost, IP 10.0.0.0/8, no e-mail, no URI, 90 days, P-256,
 * serverAuth and clientAuth.
 */
#include "bin/link.h"
#include "conf/conf.h"
#include "io/channel.h"
#include "signer/client.h"
#include "x509/csr_emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum key_choice { P256, P384, RSA2048, ED25519_KEY, KEYS };

typedef struct probe {
  const char *name;
  const char *csr_names[3], *names[3];
  const char *common_name;
  const char *issuer;
  int64_t days, profile_days;
  const char *profile_key;
  const char *ekus[3];
  enum key_choice key;
  bool break_signature;
  const char *ref;           /* NULL: its own */
} probe_t;

#define WWW .csr_names = {"www.example.com"}, .names = {"www.example.com"}

static const probe_t probes[] = {
    {.name = "allowed", WWW, .days = 30, .ref = "probe-known"},
    {.name = "allowed-address", .csr_names = {"10.1.2.3"}, .names = {"10.1.2.3", "*.a.example.com"}, .days = 90},
    {.name = "name-outside", .csr_names = {"www.evil.org"}, .names = {"www.evil.org"}, .days = 30},
    {.name = "name-outside-beside", .csr_names = {"www.example.com"}, .names = {"www.example.com", "evil.org"}, .days = 30},
    {.name = "name-lookalike", .names = {"wwwexample.com"}, .days = 30},
    {.name = "name-of-the-suffix", .names = {"example.com"}, .days = 30},
    {.name = "address-outside", .names = {"192.168.0.1"}, .days = 30},
    {.name = "address-v6-outside", .names = {"2001:db8::1"}, .days = 30},
    {.name = "email-outside", .names = {"root@example.com"}, .days = 30},
    {.name = "uri-outside", .names = {"https://www.example.com/"}, .days = 30},
    {.name = "lifetime-above", WWW, .days = 91},
    {.name = "lifetime-above-profile-widens", WWW, .days = 91, .profile_days = 3650},
    {.name = "lifetime-negative", WWW, .days = -1},
    {.name = "lifetime-above-profile", WWW, .days = 30, .profile_days = 7},
    {.name = "usage-above", WWW, .days = 30, .ekus = {"codeSigning"}},
    {.name = "usage-above-beside", WWW, .days = 30, .ekus = {"serverAuth", "emailProtection"}},
    {.name = "key-p384", WWW, .days = 30, .key = P384},
    {.name = "key-rsa", WWW, .days = 30, .key = RSA2048},
    {.name = "key-ed25519", WWW, .days = 30, .key = ED25519_KEY},
    {.name = "key-rsa-profile-widens", WWW, .days = 30, .key = RSA2048, .profile_key = "RSA:2048"},
    {.name = "key-outside-profile", WWW, .days = 30, .profile_key = "RSA:2048"},
    {.name = "csr-asks-more", .csr_names = {"www.example.com", "admin.example.com"}, .names = {"www.example.com"}, .days = 30},
    {.name = "common-name-beside", .names = {"www.example.com"}, .common_name = "admin.example.com", .days = 30},
    {.name = "csr-signature", WWW, .days = 30, .break_signature = true},
    {.name = "issuer-unknown", WWW, .days = 30, .issuer = "iss-other"},
    {.name = "ref-reused", WWW, .days = 29, .ref = "probe-known"},
    {.name = "allowed-at-the-end", WWW, .days = 90},
};

static void die(const char *what, const err_t *e)
{
  char text[512] = "";
  if (e) err_format(e, text, sizeof text);
  fprintf(stderr, "signer_probe: %s: %s\n", what, text);
  exit(1);
}

static texts_t texts_of(arena_t *a, const char *const *v, size_t most)
{
  slice_t *s = ARENA_ARRAY(a, slice_t, most);
  size_t n = 0;
  while (s && n < most && v[n]) {
    s[n] = slice_str(v[n]);
    n++;
  }
  return (texts_t){s, n};
}

static slice_t make_csr(arena_t *a, sigkey_t *key, texts_t names, bool broken)
{
  err_t e = {0};
  names_t parsed;
  buf_t der = buf_on(a, LIM_CSR_DER);
  if (!rc_ok(names_parse_all(a, names.v, names.n, "names", &parsed, &e))) die("names", &e);
  if (!rc_ok(csr_emit(key, (slice_t){NULL, 0}, parsed, &der, &e))) die("csr", &e);
  if (broken) der.p[der.n - 1] ^= 1;
  return buf_slice(&der);
}

static void run(signer_client_t *client, sigkey_t *const keys[KEYS], const probe_t *p, size_t number)
{
  err_t e = {0};
  char ref[96];
  sign_answer_t answer;
  slice_t profile_key = slice_str(p->profile_key);
  ARENA_SCOPED arena_t *a = arena_new(1024 * 1024);
  if (p->ref) (void)snprintf(ref, sizeof ref, "%s-%d", p->ref, (int)getpid());
  else (void)snprintf(ref, sizeof ref, "probe-%s-%zu-%d", p->name, number, (int)getpid());
  sign_request_t rq = {
      .ref = slice_str(ref),
      .issuer = slice_str(p->issuer ? p->issuer : "iss-local"),
      .csr_der = make_csr(a, keys[p->key], texts_of(a, p->csr_names, 3), p->break_signature),
      .common_name = slice_str(p->common_name),
      .names = texts_of(a, p->names, 3),
      .lifetime_s = p->days * 86400,
      .profile_max_s = p->profile_days * 86400,
      .profile_keys = {&profile_key, p->profile_key ? 1 : 0},
      .ekus = texts_of(a, p->ekus, 3),
  };
  rc_t r = signer_sign(client, &rq, a, &answer, &e);
  if (rc_is(r, RC_CLOSED)) die("the signer is gone", &e);
  printf("%s %s %s\n", p->name, ref, rc_ok(r) ? "signed" : e.reason);
}

/* The signer as a child of this process, as the supervisor starts it. */
static int start_signer(char *path)
{
  err_t e = {0};
  conf_t c = {0};
  conf_env_t env;
  int control[2], stream[2], pipe[2];
  pid_t pid;
  char notice;
  int fds[CHANNEL_FDS];
  char *argv[] = {path, (char[]){LINK_SERVE_ARGUMENT}, NULL};
  if (!rc_ok(conf_load(SP_SIGNER, NULL, NULL, &c, &e)) || !rc_ok(conf_env_new(&c, SP_SIGNER, NULL, &env))) die("settings", &e);
  if (!rc_ok(channel_control(control, &e)) || !rc_ok(channel_stream(stream, &e)) || !rc_ok(channel_pipe(pipe, &e))) die("sockets", &e);
  channel_close(&pipe[1]);
  child_spec_t spec = {.path = path, .argv = argv, .env = env.v, .fds = {control[1], stream[1], pipe[0]}, .nfds = 3};
  if (!rc_ok(child_start(&spec, &pid, &e))) die("start", &e);
  channel_close(&control[1]);
  channel_close(&stream[1]);
  if (!rc_ok(channel_take(control[0], true, &notice, fds, &e))) die("ready", &e);
  conf_env_fini(&env);
  conf_fini(&c);
  return stream[0];
}

static int take_live(int pid, int fd)
{
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  int taken = handle < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, handle, fd, 0);
  if (taken < 0) {
    perror("signer_probe: pidfd_getfd");
    exit(1);
  }
  return taken;
}

int main(int argc, char **argv)
{
  err_t e = {0};
  signer_client_t *client;
  sigkey_t *keys[KEYS];
  int fd = -1;
  if (argc == 2) fd = start_signer(argv[1]);
  else if (argc == 4 && strcmp(argv[1], "--live") == 0) fd = take_live((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));
  else die("usage: signer_probe PROGRAM | --live PID FD", NULL);
  static const key_kind_t kinds[KEYS] = {KEY_P256, KEY_P384, KEY_RSA, KEY_ED25519};
  for (int i = 0; i < KEYS; i++)
    if (!rc_ok(key_generate(kinds[i], 2048, &keys[i], &e))) die("key", &e);
  if (!rc_ok(signer_client_new(fd, 60000, &client, &e))) die("client", &e);
  for (size_t i = 0; i < COUNT_OF(probes); i++) run(client, keys, &probes[i], i);
  fflush(stdout);
  if (argc == 4) _exit(0); /* freeing the client would shut the socket down for its owner too */
  signer_client_free(client);
  for (int i = 0; i < KEYS; i++) key_free(keys[i]);
  return 0;
}
