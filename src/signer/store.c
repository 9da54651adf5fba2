#include "signer/store.h"

#include "base/mem.h"
#include "crypto/sealed.h"
#include "signer/message.h"
#include "wire/pem.h"
#include "x509/lint.h"

#include <stdio.h>

enum {
  CA_ARENA = 4 * 1024 * 1024, /* chain, parsed certificate, ceiling of 1,000 patterns, all read once */
  SEALED_MAX = 1024 * 1024,   /* key, LIM_CA_CHAIN certificates, ceiling */
  CA_YEARS = 10,
  PASSPHRASE_BYTES = 32,
  FILE_TEXT = 128
};

/* What is inside ca-<issuer>.sealed. */
typedef struct sealed_ca {
  slice_t key_pem;
  texts_t chain;           /* DER, the CA first */
  slice_t ceiling;         /* JSON */
} sealed_ca_t;

static const msg_field_t sealed_ca_fields[] = {
    MSG_TEXT(sealed_ca_t, key_pem, 16 * 1024),
    MSG_TEXTS(sealed_ca_t, chain, LIM_CERT_DER, LIM_CA_CHAIN),
    MSG_TEXT(sealed_ca_t, ceiling, LIM_CEILING_FILE),
};
static const msg_shape_t sealed_ca_shape = MSG_SHAPE(sealed_ca_t, sealed_ca_fields);

rc_t store_issuer_check(slice_t issuer, err_t *e)
{
  bool ok = issuer.n >= 1 && issuer.n <= 64 && issuer.p[0] != '.';
  for (size_t i = 0; ok && i < issuer.n; i++) {
    uint8_t c = issuer.p[i];
    ok = ascii_is_alnum(c) || c == '.' || c == '_' || c == '-';
  }
  if (ok) return rc(RC_OK);
  return err_quote(e, RC_INVALID, "issuer_name", "issuer",
                   "must be 1 to 64 letters, digits, dots, hyphens or underscores", issuer);
}

static MUST rc_t file_of(slice_t issuer, char out[FILE_TEXT], err_t *e)
{
  TRY(store_issuer_check(issuer, e));
  (void)snprintf(out, FILE_TEXT, "ca-%.*s.sealed", SLICE_ARG(issuer));
  return rc(RC_OK);
}

static MUST rc_t no_memory(err_t *e)
{
  return err_set(e, RC_NOMEM, "store_memory", NULL, "out of memory");
}

static void fini_wiped(buf_t *b)
{
  if (b->p) secret_wipe(b->p, b->size);
  buf_fini(b);
}
#define WIPED CLEANUP(fini_wiped)

/*
 * The file's own name is what is authenticated beside the content, so one issuer's file cannot stand in for another's.
 */
static MUST rc_t seal_file(const store_t *s, const char *name, slice_t plain, err_t *e)
{
  BUF_SCOPED buf_t sealed = buf_heap(SEALED_MAX);
  TRY(sealed_seal(s->passphrase, slice_str(name), plain, s->rng, &sealed, e));
  return file_write(s->dir, name, buf_slice(&sealed), FILE_PRIVATE, e);
}

static MUST rc_t open_file(const store_t *s, const char *name, secret_t *ret, err_t *e)
{
  BUF_SCOPED buf_t sealed = buf_heap(SEALED_MAX);
  TRY(file_read(s->dir, name, SEALED_MAX, &sealed, e));
  return sealed_open(s->passphrase, slice_str(name), buf_slice(&sealed), ret, e);
}

void ca_free(ca_t *ca)
{
  if (!ca) return;
  key_free(ca->key);
  arena_free(ca->arena);
  mem_free(ca);
}

static MUST rc_t build_pem(ca_t *ca, texts_t chain)
{
  buf_t pem = buf_on(ca->arena, LIM_SIGN_CHAIN);
  for (size_t i = 0; i < chain.n; i++) pem_emit(&pem, "CERTIFICATE", chain.v[i]);
  ca->pem = buf_slice(&pem);
  return buf_rc(&pem);
}

/* Fills ca from the parts; whatever is not consistent is refused. */
static MUST rc_t build(ca_t *ca, slice_t issuer, const sealed_ca_t *parts, err_t *e)
{
  ca->issuer = arena_dup(ca->arena, issuer);
  TRY(key_from_pem(parts->key_pem, &ca->key, e));
  if (parts->chain.n == 0) return err_set(e, RC_INVALID, "ca_missing", "CA certificate", "is not there");
  slice_t der = arena_dup(ca->arena, parts->chain.v[0]);
  if (!ca->issuer.p || !der.p) return no_memory(e);
  TRY(cert_parse(ca->arena, der, &ca->cert, e));
  if (!key_match(ca->key, ca->cert.spki.raw))
    return err_set(e, RC_INVALID, "ca_key", "CA key", "does not belong to the CA certificate");
  TRY(ceiling_parse(ca->arena, parts->ceiling, &ca->ceiling, e));
  if (ca->cert.path_len >= 0 && ca->ceiling.path_len > ca->cert.path_len)
    return err_limit(e, RC_INVALID, "ca_path_len", "path_len", "is above the CA certificate's path length of {limit}",
                     ca->cert.path_len);
  if (!rc_ok(build_pem(ca, parts->chain)))
    return err_set(e, RC_FULL, "ca_chain", "CA certificate", "has too long a chain");
  TRY(emit_key_id(ca->cert.spki.raw, ca->key_id, e));
  ca->leaf = (leaf_issuer_t){
      .dn = ca->cert.subject.raw,
      .key_id = ca->cert.ski.n ? ca->cert.ski : slice_of(ca->key_id, sizeof ca->key_id),
      .sigalg = key_sigalg(ca->key),
  };
  return rc(RC_OK);
}

static MUST rc_t ca_new(slice_t issuer, const sealed_ca_t *parts, ca_t **ret, err_t *e)
{
  ca_t *ca = (ca_t *)mem_alloc(sizeof *ca);
  if (!ca) return no_memory(e);
  ca->arena = arena_new(CA_ARENA);
  rc_t r = ca->arena ? build(ca, issuer, parts, e) : no_memory(e);
  if (rc_ok(r)) *ret = ca;
  else ca_free(ca);
  return r;
}

static MUST rc_t seal_ca(const store_t *s, const char *name, const sealed_ca_t *parts, err_t *e)
{
  WIPED buf_t plain = buf_heap(SEALED_MAX);
  uint8_t *room = buf_grow(&plain, SEALED_MAX); /* once, so that growing leaves no copy of the key behind */
  if (!room) return no_memory(e);
  plain.n = 0;
  TRY(msg_put(&sealed_ca_shape, parts, &plain));
  return seal_file(s, name, buf_slice(&plain), e);
}

/* Reads the sealed parts; they point into *ret_plain and the arena. */
static MUST rc_t unseal_ca(const store_t *s, const char *name, arena_t *a, secret_t *ret_plain, sealed_ca_t *ret,
                           err_t *e)
{
  TRY(open_file(s, name, ret_plain, e));
  slice_t in = slice_of(ret_plain->p, ret_plain->n);
  if (rc_ok(msg_get(&sealed_ca_shape, &in, a, ret)) && in.n == 0) return rc(RC_OK);
  return err_set(e, RC_SYNTAX, "sealed_format", NULL, "is no sealed CA of this version");
}

rc_t store_ca_load(const store_t *s, slice_t issuer, ca_t **ret, err_t *e)
{
  char name[FILE_TEXT];
  sealed_ca_t parts;
  ARENA_SCOPED arena_t *a = arena_new(64 * 1024);
  SECRET_SCOPED secret_t plain = {0};
  if (!a) return no_memory(e);
  TRY(file_of(issuer, name, e));
  TRY(unseal_ca(s, name, a, &plain, &parts, e));
  return ca_new(issuer, &parts, ret, e);
}

/* The certificate of a new CA, appended to *der. */
static MUST rc_t self_sign(const store_t *s, slice_t common_name, int64_t path_len, us_t now, sigkey_t *key, buf_t *der,
                           err_t *e)
{
  uint8_t serial[EMIT_SERIAL];
  BUF_SCOPED buf_t tbs = buf_heap(LIM_CERT_DER);
  emit_serial(s->rng, serial);
  us_t from = us_add_s(us_floor_s(now), -EMIT_BACKDATE_S); /* leaves are backdated too, but never before their CA */
  ca_spec_t spec = {
      .serial = slice_of(serial, sizeof serial),
      .not_before = from,
      /* Two leap days in ten years at least. */
      .not_after = us_add_s(from, CA_YEARS * INT64_C(365) * 86400 + 2 * 86400 - 1),
      .common_name = common_name,
      .path_len = (int32_t)path_len,
  };
  TRY(ca_tbs_emit(&spec, key, &tbs, e));
  cert_t checked;
  ARENA_SCOPED arena_t *a = arena_new(256 * 1024);
  if (!a) return no_memory(e);
  TRY(lint_tbs(a, buf_slice(&tbs), LINT_CA, &checked, e));
  return cert_sign(buf_slice(&tbs), key, der);
}

/* A CA that is consistent, sealed before anybody sees it. */
static MUST rc_t take_in(const store_t *s, const char *name, slice_t issuer, const sealed_ca_t *parts, ca_t **ret,
                         err_t *e)
{
  ca_t *ca;
  TRY(ca_new(issuer, parts, &ca, e));
  rc_t r = seal_ca(s, name, parts, e);
  if (rc_ok(r)) *ret = ca;
  else ca_free(ca);
  return r;
}

static MUST rc_t make_with_key(const store_t *s, const char *name, slice_t issuer, slice_t common_name, slice_t ceiling,
                               us_t now, sigkey_t *key, ca_t **ret, err_t *e)
{
  ceiling_t c;
  BUF_SCOPED buf_t der = buf_heap(LIM_CERT_DER);
  SECRET_SCOPED secret_t pem = {0};
  ARENA_SCOPED arena_t *a = arena_new(CA_ARENA);
  if (!a) return no_memory(e);
  TRY(ceiling_parse(a, ceiling, &c, e));
  TRY(self_sign(s, common_name, c.path_len, now, key, &der, e));
  TRY(key_to_pem(key, &pem, e));
  slice_t chain = buf_slice(&der);
  sealed_ca_t parts = {slice_of(pem.p, pem.n), {&chain, 1}, ceiling};
  return take_in(s, name, issuer, &parts, ret, e);
}

rc_t store_ca_make(const store_t *s, slice_t issuer, slice_t common_name, slice_t ceiling, us_t now, ca_t **ret,
                   err_t *e)
{
  char name[FILE_TEXT];
  KEY_SCOPED sigkey_t *key = NULL;
  TRY(file_of(issuer, name, e));
  TRY(key_generate(KEY_P256, 0, &key, e));
  return make_with_key(s, name, issuer, common_name, ceiling, now, key, ret, e);
}

static MUST rc_t check_ca(const cert_t *c, us_t now, err_t *e)
{
  if (!c->is_ca)
    return err_set(e, RC_INVALID, "ca_not_ca", "CA certificate", "is no CA certificate (basicConstraints)");
  if (c->has_key_usage && !(c->key_usage & KU_CERT_SIGN))
    return err_set(e, RC_INVALID, "ca_usage", "CA certificate", "may not sign certificates (keyUsage)");
  if (us_cmp(now, c->not_before) < 0 || us_cmp(now, c->not_after) >= 0)
    return err_set(e, RC_INVALID, "ca_dates", "CA certificate", "is not valid now");
  return rc(RC_OK);
}

/* Each certificate signed by the next (RFC 5280 6.1); the last may be a root or not. */
static MUST rc_t check_chain(arena_t *a, texts_t chain, us_t now, err_t *e)
{
  cert_t below, c;
  TRY(cert_parse(a, chain.v[0], &below, e));
  TRY(check_ca(&below, now, e));
  for (size_t i = 1; i < chain.n; i++) {
    key_sigalg_t alg;
    TRY(cert_parse(a, chain.v[i], &c, e));
    TRY(check_ca(&c, now, e));
    if (!slice_eq(below.issuer.raw, c.subject.raw) || !c.spki.usable ||
        !rc_ok(sigalg_from_der(below.sig_alg, &alg, NULL)) || !rc_ok(key_verify(&c.spki.parts, alg, below.tbs, below.signature, NULL)))
      return err_limit(e, RC_INVALID, "ca_chain", "CA certificate",
                       "does not sign the one before it (number {limit} in the file)", (int64_t)i + 1);
    below = c;
  }
  return rc(RC_OK);
}

static MUST rc_t read_chain(arena_t *a, slice_t pem, texts_t *ret, err_t *e)
{
  pem_file_t f;
  TRY(pem_parse(a, pem, &f, e));
  slice_t *v = ARENA_ARRAY(a, slice_t, LIM_CA_CHAIN);
  size_t n = 0;
  if (!v) return no_memory(e);
  for (size_t i = 0; i < f.nproblems; i++)
    if (f.problems[i].lost) return err_set(e, RC_SYNTAX, f.problems[i].reason, "CA certificate", f.problems[i].text);
  for (size_t i = 0; i < f.n; i++) {
    if (f.blocks[i].kind != PEM_CERT) continue;
    if (n == LIM_CA_CHAIN)
      return err_limit(e, RC_FULL, "ca_chain", "CA certificate", "file has more than {limit} certificates",
                       LIM_CA_CHAIN);
    v[n++] = f.blocks[i].der;
  }
  if (n == 0) return err_set(e, RC_INVALID, "ca_missing", "CA certificate", "file has no certificate");
  *ret = (texts_t){v, n};
  return rc(RC_OK);
}

rc_t store_ca_import(const store_t *s, slice_t issuer, slice_t cert_pem, slice_t key_pem, slice_t ceiling, us_t now,
                     ca_t **ret, err_t *e)
{
  char name[FILE_TEXT];
  sealed_ca_t parts = {.ceiling = ceiling};
  KEY_SCOPED sigkey_t *key = NULL;
  SECRET_SCOPED secret_t pem = {0};
  ARENA_SCOPED arena_t *a = arena_new(2 * (size_t)LIM_PEM_FILE);
  if (!a) return no_memory(e);
  TRY(file_of(issuer, name, e));
  TRY(read_chain(a, cert_pem, &parts.chain, e));
  TRY(check_chain(a, parts.chain, now, e));
  TRY(key_from_pem(key_pem, &key, e));
  TRY(key_to_pem(key, &pem, e)); /* the operator's file may hold more than the key */
  parts.key_pem = slice_of(pem.p, pem.n);
  return take_in(s, name, issuer, &parts, ret, e);
}

rc_t store_ca_set_ceiling(const store_t *s, slice_t issuer, slice_t ceiling, err_t *e)
{
  char name[FILE_TEXT];
  sealed_ca_t parts;
  ca_t *checked;
  ARENA_SCOPED arena_t *a = arena_new(64 * 1024);
  SECRET_SCOPED secret_t plain = {0};
  if (!a) return no_memory(e);
  TRY(file_of(issuer, name, e));
  TRY(unseal_ca(s, name, a, &plain, &parts, e));
  parts.ceiling = ceiling;
  TRY(ca_new(issuer, &parts, &checked, e));
  ca_free(checked);
  return seal_ca(s, name, &parts, e);
}

rc_t store_passphrase(const dir_t *dir, const rng_t *rng, secret_t *ret, err_t *e)
{
  static const char name[] = "passphrase";
  rc_t r = file_read_secret(dir, name, 4096, ret, e);
  if (!rc_is(r, RC_NOTFOUND)) return r;

  SECRET_SCOPED secret_t made = {0};
  uint8_t bytes[PASSPHRASE_BYTES];
  char hex[2 * PASSPHRASE_BYTES + 1];
  rng_fill(rng, bytes, sizeof bytes);
  hex_encode(slice_of(bytes, sizeof bytes), hex);
  secret_wipe(bytes, sizeof bytes);
  TRY(secret_take(&made, hex, 2 * PASSPHRASE_BYTES));
  TRY(file_write(dir, name, slice_of(made.p, made.n), FILE_PRIVATE, e));
  *ret = made;
  made = (secret_t){0};
  return rc(RC_OK);
}
