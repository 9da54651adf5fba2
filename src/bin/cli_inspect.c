/*
 * inspect: reads certificates from files, offline, by the same reader as the
 * rest of the system. One array for all files; what is refused stands in it
 * with the reason and where it is. A private key in a file is passed over.
 */
#include "bin/cli.h"

#include "base/limits.h"
#include "crypto/hash.h"
#include "io/file.h"
#include "wire/json_out.h"
#include "wire/pem.h"
#include "x509/cert.h"

#include <stdio.h>

enum { CHAIN_MAX = 16 };

/* One certificate of the file under work. */
typedef struct entry {
  slice_t der;
  size_t line;  /* of its PEM block; 0 in a DER file */
  bool read;
  cert_t cert;
  err_t why;    /* when it was not read */
} entry_t;

typedef struct inspect {
  arena_t *a;
  jw_t j;
  slice_t path;
  const char *format;
  entry_t *v;
  size_t n;
  bool refused; /* anything, anywhere */
} inspect_t;

static void refuse(inspect_t *x, const char *reason, const char *text, size_t line)
{
  x->refused = true;
  jw_object(&x->j);
  jw_put_str(&x->j, "refused", reason);
  jw_put_str(&x->j, "detail", text);
  jw_put_text(&x->j, "source_path", x->path);
  jw_put_str(&x->j, "source_format", x->format);
  if (line) jw_put_int(&x->j, "line", (int64_t)line);
  jw_object_end(&x->j);
}

static void refuse_err(inspect_t *x, const err_t *e, size_t line)
{
  char text[512];
  err_format(e, text, sizeof text);
  refuse(x, e->reason ? e->reason : "unreadable", text, line);
}

static void put_fingerprint(jw_t *j, slice_t der)
{
  char hex[2 * SHA256_LEN + 1];
  sha256_hex(der, hex);
  jw_put_str(j, "fingerprint_sha256", hex);
}

static void put_dn(inspect_t *x, const char *key, const dn_t *dn)
{
  slice_t text = S("");
  if (!rc_ok(dn_text(x->a, dn, &text))) text = S("");
  jw_put_text(&x->j, key, text);
}

/* Serial, names and key as a discovered certificate has them (spec/api.md 3). */
static void put_subject(inspect_t *x, const entry_t *en)
{
  const cert_t *c = &en->cert;
  jw_t *j = &x->j;
  slice_t cn = S(""), serial = S(""), algorithm = S("");
  bool whole = rc_ok(dn_cn(x->a, &c->subject, &cn)) && rc_ok(cert_serial_text(x->a, c->serial, &serial)) &&
               rc_ok(cert_key_algorithm(x->a, c, &algorithm));
  if (!whole) x->refused = true; /* out of memory: what is printed is not all there is */
  put_fingerprint(j, en->der);
  jw_put_text(j, "common_name", cn);
  jw_key(j, "sans");
  jw_array(j);
  for (size_t i = 0; i < c->sans.n; i++) jw_text(j, c->sans.v[i].text);
  jw_array_end(j);
  jw_put_text(j, "serial_number", serial);
  put_dn(x, "issuer_dn", &c->issuer);
  put_dn(x, "subject_dn", &c->subject);
  jw_put_time(j, "not_before", c->not_before);
  jw_put_time(j, "not_after", c->not_after);
  jw_put_text(j, "key_algorithm", algorithm);
  jw_put_int(j, "key_size", c->spki.size);
  jw_put_bool(j, "is_ca", c->is_ca);
}

/* The certificate of the same file that may have signed this one: name, and key identifier where both give it. */
static const entry_t *issuer_of(const inspect_t *x, const entry_t *en)
{
  for (size_t i = 0; i < x->n; i++) {
    const entry_t *other = &x->v[i];
    if (!other->read || other == en || !slice_eq(other->cert.subject.raw, en->cert.issuer.raw)) continue;
    if (en->cert.aki.n && other->cert.ski.n && !slice_eq(en->cert.aki, other->cert.ski)) continue;
    return other;
  }
  return NULL;
}

/* Upwards from the certificate, as far as the file goes; it stops at a self-signed one. */
static void put_chain(inspect_t *x, const entry_t *en)
{
  jw_key(&x->j, "chain");
  jw_array(&x->j);
  for (int depth = 0; depth < CHAIN_MAX && !slice_eq(en->cert.subject.raw, en->cert.issuer.raw); depth++) {
    en = issuer_of(x, en);
    if (!en) break;
    jw_object(&x->j);
    put_dn(x, "subject_dn", &en->cert.subject);
    put_fingerprint(&x->j, en->der);
    jw_object_end(&x->j);
  }
  jw_array_end(&x->j);
}

static void put_findings(jw_t *j, const cert_t *c)
{
  static const char *const severities[] = {[SEV_NOTICE] = "notice", [SEV_WARNING] = "warning", [SEV_ERROR] = "error"};
  jw_key(j, "findings");
  jw_array(j);
  for (size_t i = 0; i < c->nfindings; i++) {
    jw_object(j);
    jw_put_str(j, "rule", c->findings[i].rule);
    jw_put_str(j, "severity", severities[c->findings[i].severity]);
    jw_put_str(j, "text", c->findings[i].text);
    jw_object_end(j);
  }
  jw_array_end(j);
}

static void put_entry(inspect_t *x, const entry_t *en)
{
  if (!en->read) {
    refuse_err(x, &en->why, en->line);
    return;
  }
  jw_object(&x->j);
  put_subject(x, en);
  jw_put_text(&x->j, "source_path", x->path);
  jw_put_str(&x->j, "source_format", x->format);
  if (en->line) jw_put_int(&x->j, "line", (int64_t)en->line);
  put_chain(x, en);
  put_findings(&x->j, &en->cert);
  jw_object_end(&x->j);
}

static void read_entry(inspect_t *x, slice_t der, size_t line)
{
  entry_t *en = &x->v[x->n++];
  *en = (entry_t){.der = der, .line = line};
  en->read = rc_ok(cert_parse(x->a, der, &en->cert, &en->why));
}

static MUST rc_t read_pem(inspect_t *x, slice_t text, pem_file_t *ret, err_t *e)
{
  TRY(pem_parse(x->a, text, ret, e));
  x->v = ARENA_ARRAY(x->a, entry_t, ret->n);
  if (!x->v) return err_set(e, RC_NOMEM, "memory", NULL, "has more certificates than fit in memory");
  for (size_t i = 0; i < ret->n; i++)
    if (ret->blocks[i].kind == PEM_CERT) read_entry(x, ret->blocks[i].der, ret->blocks[i].line);
  return rc(RC_OK);
}

static void put_pem(inspect_t *x, slice_t text)
{
  pem_file_t file = {0};
  err_t e = {0};
  bool lost = false;
  if (!rc_ok(read_pem(x, text, &file, &e))) {
    refuse_err(x, &e, 0);
    return;
  }
  for (size_t i = 0; i < x->n; i++) put_entry(x, &x->v[i]);
  for (size_t i = 0; i < file.nproblems; i++) {
    const pem_problem_t *p = &file.problems[i];
    lost |= p->lost;
    if (p->lost)
      refuse(x, p->reason, p->text, p->line);
    else
      fprintf(stderr, "note: %.*s, line %zu: %s\n", SLICE_ARG(cli_printable(x->a, x->path)), p->line, p->text);
  }
  if (x->n == 0 && !lost) refuse(x, "pem_missing", "has no certificate", 0);
}

static void put_der(inspect_t *x, slice_t der)
{
  x->v = ARENA_NEW(x->a, entry_t);
  if (!x->v) {
    refuse(x, "memory", "out of memory", 0);
    return;
  }
  read_entry(x, der, 0);
  put_entry(x, &x->v[0]);
}

/* A text in UTF-16 or without any block is a PEM file gone wrong, not a DER one, which begins with a SEQUENCE. */
static void put_file(inspect_t *x, const char *path)
{
  buf_t b = buf_on(x->a, LIM_PEM_FILE);
  err_t e = {0};
  x->n = 0;
  x->format = "";
  if (!rc_ok(file_read_path(path, LIM_PEM_FILE, &b, &e))) {
    refuse_err(x, &e, 0);
    return;
  }
  bool is_der = b.n && b.p[0] == 0x30 && !pem_is(buf_slice(&b));
  x->format = is_der ? "DER" : "PEM";
  if (is_der)
    put_der(x, buf_slice(&b));
  else
    put_pem(x, buf_slice(&b));
}

int cli_inspect(cli_t *c)
{
  BUF_SCOPED buf_t out = buf_heap(4 * (size_t)LIM_RESPONSE);
  inspect_t x = {.a = c->arena, .j = jw_on(&out)};
  jw_array(&x.j);
  for (size_t i = 0; i < c->nargs; i++) {
    const char *path = arena_text(c->arena, c->args[i]);
    if (!path) return cli_fail(CLI_FAILED, "out of memory");
    x.path = c->args[i];
    put_file(&x, path);
  }
  jw_array_end(&x.j);
  if (!rc_ok(buf_rc(&out))) return cli_fail(CLI_FAILED, "the files hold more than can be printed");
  cli_print_compact(buf_slice(&out));
  return x.refused ? CLI_FAILED : CLI_DONE;
}
