/*
 * Whatever a leaf spec holds, what is emitted is read back whole and says what the spec said; and the
 * lint table never fails on it in another way than by naming a rule.
 */
#include "base/check.h"
#include "x509/emit.h"
#include "x509/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts up to `most` octets off the input, their number in its first octet. */
static slice_t take(slice_t *in, size_t most)
{
  if (in->n == 0) return slice_of("", 0);
  size_t n = in->p[0] % (most + 1);
  slice_t v = slice_sub(*in, 1, n);
  *in = slice_sub(*in, 1 + v.n, in->n);
  return v;
}

static void check(const leaf_spec_t *s, slice_t tbs, arena_t *a)
{
  cert_t c;
  err_t e = {0};
  CHECK(rc_ok(cert_parse_tbs(a, tbs, &c, &e)));
  CHECK(slice_eq(c.serial, s->serial) && slice_eq(c.spki.raw, s->spki) && slice_eq(c.issuer.raw, s->issuer->dn));
  CHECK(us_cmp(c.not_before, s->not_before) == 0 && us_cmp(c.not_after, s->not_after) == 0);
  CHECK(c.sans.n == s->names.n && c.must_staple == s->must_staple && c.san_critical == (c.has_san && c.subject.n == 0));
  for (size_t i = 0; i < c.sans.n; i++) CHECK(name_eq(&c.sans.v[i], &s->names.v[i]));
  rc_t r = lint_check(&c, LINT_LEAF, &e);
  CHECK(rc_ok(r) || (rc_is(r, RC_INVALID) && e.reason && e.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const name_kind_t kinds[] = {NAME_DNS, NAME_IP, NAME_EMAIL, NAME_URI, NAME_DIRECTORY};
  static const slice_t dn = {(const uint8_t *)"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "a", 14};
  uint8_t spki[91] = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48"
                     "\xce\x3d\x03\x01\x07\x03\x42";
  uint8_t serial[EMIT_SERIAL] = {1};
  name_t names[16];
  slice_t in = slice_of(data, size), ekus[4];
  slice_t head = slice_sub(in, 0, 8);
  if (head.n < 8) return 0;
  in = slice_sub(in, 8, in.n);
  spki[26] = 4;
  memcpy(spki + 27, head.p, head.n);
  memcpy(serial + 1, head.p, head.n);
  leaf_issuer_t ca = {.dn = dn, .key_id = S("12345678901234567890"),
                      .sigalg = (key_sigalg_t)(head.p[0] % (SIG_ED25519 + 1))};
  leaf_spec_t s = {.issuer = &ca, .serial = slice_of(serial, sizeof serial), .spki = slice_of(spki, sizeof spki),
                   .key_kind = head.p[3] % 2 ? KEY_RSA : KEY_P256, .must_staple = head.p[4] % 2};
  s.not_before = (us_t){(int64_t)(head.p[5] << 8 | head.p[6]) * 86400 * US_PER_S}; /* 1970 to 2149 */
  s.not_after = us_add_s(s.not_before, (int64_t)head.p[7] * 86400);
  s.common_name = take(&in, 80);
  size_t nekus = head.p[0] % 5, n = 0;
  for (size_t i = 0; i < nekus; i++) ekus[i] = take(&in, 24);
  while (in.n && n < COUNT_OF(names)) {
    names[n].kind = kinds[in.p[0] % COUNT_OF(kinds)];
    in = slice_sub(in, 1, in.n);
    names[n++].bytes = take(&in, 255);
  }
  s.names = (names_t){names, n};
  s.ekus = (texts_t){ekus, nekus};

  arena_t *a = arena_new(1 << 20);
  CHECK(a);
  buf_t tbs = buf_on(a, LIM_CERT_DER);
  if (rc_ok(leaf_tbs_emit(&s, &tbs, NULL))) check(&s, buf_slice(&tbs), a);
  arena_free(a);
  return 0;
}
