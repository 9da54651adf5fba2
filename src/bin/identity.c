#include "bin/identity.h"

#include "base/log.h"
#include "bin/link.h"
#include "io/channel.h"
#include "io/file.h"
#include "io/host.h"

#include <stdio.h>
#include "wire/pem.h"
#include "x509/cert.h"
#include "x509/csr_emit.h"

enum { IDENTITY_FILE_MAX = 256 * 1024, NAMES_MAX = 5, LIFETIME_S = 90 * 86400 };

static const char cert_file[] = "server.crt", key_file[] = "server.key";

/* Names under which clients of this host reach it. */
static rc_t own_names(const core_t *core, arena_t *a, names_t *ret)
{
  host_t host;
  slice_t v[NAMES_MAX];
  size_t n = 0;
  name_t *names = ARENA_ARRAY(a, name_t, NAMES_MAX);
  if (!names) return rc(RC_NOMEM);
  v[n++] = S("localhost");
  v[n++] = S("127.0.0.1");
  v[n++] = S("::1");
  host_read(&host);
  if (host.hostname[0]) v[n++] = arena_dup(a, slice_str(host.hostname));
  slice_t bind = core->conf->server_host;
  if (!slice_is(bind, "0.0.0.0") && !slice_is(bind, "::") && bind.n) v[n++] = bind;
  names_t all = {names, 0};
  for (size_t i = 0; i < n; i++) /* a host name that is no DNS name is left out */
    if (rc_ok(names_parse(a, v[i], &names[all.n], NULL))) all.n++;
  return names_dedupe(a, all, ret);
}

static rc_t folder(const core_t *core, dir_t *ret, err_t *e)
{
  char path[LIM_PATH];
  int n = snprintf(path, sizeof path, "%.*s/tls", SLICE_ARG(core->conf->state_dir));
  if (n <= 0 || (size_t)n >= sizeof path) return err_set(e, RC_FULL, "path", "CERTCTL_STATE_DIR", "is too long");
  return dir_open(path, ret, e);
}

static rc_t read_file(const dir_t *d, const char *name, arena_t *a, slice_t *ret, err_t *e)
{
  buf_t b = buf_on(a, IDENTITY_FILE_MAX);
  TRY(file_read(d, name, IDENTITY_FILE_MAX, &b, e));
  *ret = buf_slice(&b);
  return rc(RC_OK);
}

static us_t two_thirds(us_t from, us_t to) { return (us_t){from.us + (to.us - from.us) / 3 * 2}; }

/* Still good: parses, covers today's names, not past two thirds, and of the CA that signs now. */
static bool usable(const core_t *core, arena_t *a, const identity_t *id, names_t names, slice_t chain, us_t *ret_renew)
{
  pem_file_t file, ca;
  cert_t c;
  if (!rc_ok(pem_parse(a, id->cert_pem, &file, NULL)) || file.n < 2 ||
      !rc_ok(cert_parse(a, file.blocks[0].der, &c, NULL)))
    return false;
  if (!rc_ok(pem_parse(a, chain, &ca, NULL)) || ca.n == 0 || !slice_eq(file.blocks[1].der, ca.blocks[0].der))
    return false;
  if (names_missing(names, c.sans)) return false;
  *ret_renew = two_thirds(c.not_before, c.not_after);
  return us_cmp(time_wall(core->time), *ret_renew) < 0;
}

static rc_t texts_of(arena_t *a, names_t names, texts_t *ret)
{
  slice_t *v = ARENA_ARRAY(a, slice_t, names.n + 1);
  if (!v) return rc(RC_NOMEM);
  for (size_t i = 0; i < names.n; i++) v[i] = names.v[i].text;
  *ret = (texts_t){v, names.n};
  return rc(RC_OK);
}

static rc_t sign_own(const core_t *core, arena_t *a, sigkey_t *key, names_t names, slice_t chain, identity_t *ret,
                     err_t *e)
{
  static const slice_t ekus[] = {{(const uint8_t *)"serverAuth", 10}};
  char ref[ID_MAX];
  sign_answer_t leaf;
  texts_t texts;
  buf_t csr = buf_on(a, LIM_CSR_DER), pem = buf_on(a, IDENTITY_FILE_MAX);
  TRY(csr_emit(key, names.v[0].text, names, &csr, e));
  TRY(texts_of(a, names, &texts));
  size_t n = id_new("self-tls", time_wall(core->time).us, ref);
  TRY(signer_sign(core->signer,
                  &(sign_request_t){.ref = slice_of(ref, n),
                                    .issuer = S("iss-local"),
                                    .csr_der = buf_slice(&csr),
                                    .common_name = names.v[0].text,
                                    .names = texts,
                                    .ekus = {ekus, COUNT_OF(ekus)},
                                    .lifetime_s = LIFETIME_S},
                  a, &leaf, e));
  pem_emit(&pem, "CERTIFICATE", leaf.der);
  buf_put(&pem, chain);
  TRY(buf_rc(&pem));
  ret->cert_pem = buf_slice(&pem);
  ret->renew_at = two_thirds(leaf.not_before, leaf.not_after);
  return rc(RC_OK);
}

static rc_t make(const core_t *core, arena_t *a, const dir_t *d, names_t names, slice_t chain, identity_t *ret,
                 err_t *e)
{
  KEY_SCOPED sigkey_t *key = NULL;
  SECRET_SCOPED secret_t pem = {0};
  TRY(key_generate(KEY_P256, 0, &key, e));
  TRY(key_to_pem(key, &pem, e));
  rc_t r = sign_own(core, a, key, names, chain, ret, e);
  if (rc_is(r, RC_DENIED))
    return err_set(e, RC_DENIED, "identity_ceiling", NULL,
                   "the built-in CA's ceiling does not allow a TLS identity for this host; set "
                   "CERTCTL_SERVER_TLS_CERT_PATH and CERTCTL_SERVER_TLS_KEY_PATH");
  TRY(r);
  ret->key_pem = arena_dup(a, slice_of(pem.p, pem.n));
  if (!ret->key_pem.p) return rc(RC_NOMEM);
  TRY(file_write(d, key_file, ret->key_pem, FILE_PRIVATE, e));
  TRY(file_write(d, cert_file, ret->cert_pem, (file_attr_t){0644, FILE_KEEP, FILE_KEEP}, e));
  log_line(LOG_INFO, "TLS identity issued by the built-in CA", log_s("name", names.v[0].text));
  return rc(RC_OK);
}

rc_t identity_self(const core_t *core, arena_t *a, identity_t *ret, err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  identity_t id = {0};
  names_t names;
  slice_t chain;
  TRY(own_names(core, a, &names));
  TRY(signer_ca_chain(core->signer, S("iss-local"), a, &chain, e));
  TRY(folder(core, &d, e));
  bool have = rc_ok(read_file(&d, cert_file, a, &id.cert_pem, NULL)) &&
              rc_ok(read_file(&d, key_file, a, &id.key_pem, NULL));
  if (!have || !usable(core, a, &id, names, chain, &id.renew_at)) TRY(make(core, a, &d, names, chain, &id, e));
  *ret = id;
  return rc(RC_OK);
}

static rc_t read_fd(int *fd, arena_t *a, slice_t *ret, err_t *e)
{
  size_t n;
  uint8_t *p = arena_alloc(a, IDENTITY_FILE_MAX);
  if (!p) return rc(RC_NOMEM);
  TRY(channel_fd_read(fd, p, IDENTITY_FILE_MAX, &n, e));
  *ret = slice_of(p, n);
  return rc(RC_OK);
}

rc_t identity_handed(arena_t *a, bool wait, identity_t *ret, err_t *e)
{
  int cert = -1, key = -1;
  identity_t id = {.renew_at = US_NEVER};
  TRY(link_tls_take(wait, &cert, &key, e));
  rc_t got = read_fd(&cert, a, &id.cert_pem, e);
  if (rc_ok(got)) got = read_fd(&key, a, &id.key_pem, e);
  channel_close(&cert);
  channel_close(&key);
  TRY(got);
  *ret = id;
  return rc(RC_OK);
}
