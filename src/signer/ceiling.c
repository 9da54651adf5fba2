#include "signer/ceiling.h"

#include "wire/ip.h"
#include "wire/json_in.h"

slice_t ceiling_default(void)
{
  return S("{\"names\":{\"dns\":[\"*\"],\"ip\":[\"*\"],\"email\":[\"*\"],\"uri\":[\"*\"]},"
           "\"max_lifetime_s\":34387200,"
           "\"keys\":[{\"algorithm\":\"ECDSA\",\"min_size\":256,\"max_size\":384},"
           "{\"algorithm\":\"RSA\",\"min_size\":2048},{\"algorithm\":\"Ed25519\",\"min_size\":0}],"
           "\"usages\":[\"serverAuth\",\"clientAuth\"],\"path_len\":0}");
}

/* --- reading --- */

enum { SIZE_MAX_BITS = 65536, PATH_LEN_MAX = 8 };
static const int64_t LIFETIME_MAX_S = INT64_C(100) * 366 * 86400;

static MUST rc_t required(const json_t *obj, const char *key, err_t *e)
{
  if (json_has(obj, key)) return rc(RC_OK);
  return err_set(e, RC_INVALID, "ceiling_member", key, "is required");
}

/* A mistyped member must not be taken for an absent one. */
static MUST rc_t only(const json_t *obj, const char *const *known, err_t *e)
{
  json_iter_t it = {0};
  slice_t key;
  const json_t *value;
  while (json_next(obj, &it, &key, &value)) {
    const char *const *k = known;
    while (*k && !slice_is(key, *k)) k++;
    if (*k) continue;
    return err_quote(e, RC_INVALID, "ceiling_member", NULL, "is not a member of a ceiling", key);
  }
  return rc(RC_OK);
}

static bool is_any(slice_t pattern)
{
  return slice_is(pattern, "*");
}

/* "*.host" or "host": what is left must be a DNS name in its normal form. */
static MUST bool host_pattern_ok(arena_t *a, slice_t p)
{
  name_t n;
  slice_t host = slice_starts(p, S("*.")) ? slice_sub(p, 2, p.n) : p;
  return rc_ok(names_parse(a, host, &n, NULL)) && n.kind == NAME_DNS && slice_eq(n.bytes, host);
}

static MUST bool dns_pattern_ok(arena_t *a, slice_t p)
{
  return host_pattern_ok(a, p);
}

static MUST bool ip_pattern_ok(arena_t *a, slice_t p)
{
  cidr_t c;
  ip_t ip;
  return rc_ok(cidr_parse(p, &c)) || rc_ok(ip_parse(p, &ip));
}

static MUST bool email_pattern_ok(arena_t *a, slice_t p)
{
  name_t n;
  if (slice_find(p, '@') == p.n) return host_pattern_ok(a, p);
  return rc_ok(names_parse(a, p, &n, NULL)) && n.kind == NAME_EMAIL && slice_eq(n.bytes, p);
}

static const struct pattern_kind {
  const char *member;
  size_t offset;
  bool (*ok)(arena_t *a, slice_t p);
} pattern_kinds[] = {
    {"dns", offsetof(ceiling_t, dns), dns_pattern_ok},
    {"ip", offsetof(ceiling_t, ip), ip_pattern_ok},
    {"email", offsetof(ceiling_t, email), email_pattern_ok},
    {"uri", offsetof(ceiling_t, uri), host_pattern_ok},
};

static MUST rc_t read_names(arena_t *a, const json_t *root, ceiling_t *c, err_t *e)
{
  static const char *const members[] = {"dns", "ip", "email", "uri", NULL};
  const json_t *names = NULL;
  TRY(required(root, "names", e));
  TRY(json_get_object(root, "names", &names, e));
  TRY(only(names, members, e));
  for (size_t k = 0; k < COUNT_OF(pattern_kinds); k++) {
    const struct pattern_kind *kind = &pattern_kinds[k];
    texts_t *list = (texts_t *)(void *)((uint8_t *)c + kind->offset);
    TRY(required(names, kind->member, e));
    TRY(json_get_texts(names, kind->member, CEILING_PATTERNS, a, list, e));
    for (size_t i = 0; i < list->n; i++) {
      if (is_any(list->v[i]) || kind->ok(a, list->v[i])) continue;
      return err_quote(e, RC_INVALID, "ceiling_pattern", kind->member, "is no pattern of this kind", list->v[i]);
    }
  }
  return rc(RC_OK);
}

static MUST bool algorithm_known(slice_t *s)
{
  static const char *const known[] = {"RSA", "ECDSA", "Ed25519"};
  for (size_t i = 0; i < COUNT_OF(known); i++) {
    if (!slice_ieq(*s, slice_str(known[i]))) continue;
    *s = slice_str(known[i]);
    return true;
  }
  return false;
}

static MUST rc_t read_keys(const json_t *root, ceiling_t *c, err_t *e)
{
  static const char *const members[] = {"algorithm", "min_size", "max_size", NULL};
  const json_t *keys = NULL;
  TRY(required(root, "keys", e));
  TRY(json_get_array(root, "keys", &keys, e));
  if (json_len(keys) > CEILING_KEYS)
    return err_limit(e, RC_FULL, "ceiling_keys", "keys", "must have at most {limit} entries", CEILING_KEYS);
  for (size_t i = 0; i < json_len(keys); i++) {
    const json_t *k = json_at(keys, i);
    ceiling_key_t *key = &c->keys[i];
    if (json_len(k) == 0) return err_set(e, RC_INVALID, "ceiling_keys", "keys", "must hold objects");
    TRY(only(k, members, e));
    TRY(required(k, "algorithm", e));
    TRY(required(k, "min_size", e));
    TRY(json_get_text(k, "algorithm", &key->algorithm, e));
    if (!algorithm_known(&key->algorithm))
      return err_set(e, RC_INVALID, "ceiling_keys", "algorithm", "must be RSA, ECDSA or Ed25519");
    key->max_size = SIZE_MAX_BITS;
    TRY(json_get_i64(k, "min_size", 0, SIZE_MAX_BITS, &key->min_size, e));
    TRY(json_get_i64(k, "max_size", 0, SIZE_MAX_BITS, &key->max_size, e));
  }
  c->nkeys = json_len(keys);
  return rc(RC_OK);
}

rc_t ceiling_parse(arena_t *a, slice_t json, ceiling_t *ret, err_t *e)
{
  static const char *const members[] = {"names", "max_lifetime_s", "keys", "usages", "path_len", NULL};
  ceiling_t c = {0};
  json_doc_t doc;
  if (json.n > LIM_CEILING_FILE)
    return err_limit(e, RC_FULL, "ceiling_size", NULL, "is longer than {limit} bytes", LIM_CEILING_FILE);
  c.text = arena_dup(a, json);
  if (!c.text.p) return err_set(e, RC_NOMEM, "ceiling_memory", NULL, "out of memory");
  TRY(json_parse_object(a, c.text, &doc, e));
  TRY(only(doc.root, members, e));
  TRY(read_names(a, doc.root, &c, e));
  TRY(required(doc.root, "max_lifetime_s", e));
  TRY(json_get_i64(doc.root, "max_lifetime_s", 1, LIFETIME_MAX_S, &c.max_lifetime_s, e));
  TRY(read_keys(doc.root, &c, e));
  TRY(required(doc.root, "usages", e));
  TRY(json_get_texts(doc.root, "usages", CEILING_USAGES, a, &c.usages, e));
  TRY(required(doc.root, "path_len", e));
  TRY(json_get_i64(doc.root, "path_len", 0, PATH_LEN_MAX, &c.path_len, e));
  *ret = c;
  return rc(RC_OK);
}

/* --- checking --- */

static bool host_allowed(slice_t pattern, slice_t host)
{
  if (!slice_starts(pattern, S("*."))) return slice_eq(pattern, host);
  slice_t suffix = slice_sub(pattern, 1, pattern.n); /* ".example.com" */
  return host.n > suffix.n && slice_ends(host, suffix);
}

static slice_t after(slice_t s, uint8_t c)
{
  size_t i = slice_find(s, c);
  return i == s.n ? s : slice_sub(s, i + 1, s.n);
}

/* Host of a URI in its normal form, without port and brackets; empty when it has none (RFC 3986 3.2). */
static slice_t uri_host(slice_t uri)
{
  slice_t rest = after(uri, ':');
  if (!slice_starts(rest, S("//"))) return (slice_t){NULL, 0};
  rest = slice_sub(rest, 2, rest.n);
  size_t end = 0;
  while (end < rest.n && !memchr("/?#", rest.p[end], 3)) end++;
  slice_t authority = slice_sub(rest, 0, end);
  if (authority.n > 0 && authority.p[0] == '[') return slice_sub(authority, 1, slice_find(authority, ']') - 1);
  return slice_sub(authority, 0, slice_find(authority, ':'));
}

static bool ip_allowed(slice_t pattern, slice_t bytes)
{
  cidr_t c;
  ip_t one, ip;
  if (!rc_ok(ip_from_bytes(bytes, &ip))) return false;
  if (rc_ok(cidr_parse(pattern, &c))) return cidr_contains(&c, &ip);
  return rc_ok(ip_parse(pattern, &one)) && ip_eq(&one, &ip);
}

static bool pattern_allows(slice_t p, const name_t *n)
{
  if (is_any(p)) return true;
  switch (n->kind) {
  case NAME_DNS: return host_allowed(p, n->bytes);
  case NAME_IP: return ip_allowed(p, n->bytes);
  case NAME_URI: return host_allowed(p, uri_host(n->bytes));
  case NAME_EMAIL: return slice_find(p, '@') < p.n ? slice_eq(p, n->bytes) : host_allowed(p, after(n->bytes, '@'));
  default: return false;
  }
}

static texts_t patterns_of(const ceiling_t *c, name_kind_t kind)
{
  switch (kind) {
  case NAME_DNS: return c->dns;
  case NAME_IP: return c->ip;
  case NAME_EMAIL: return c->email;
  case NAME_URI: return c->uri;
  default: return (texts_t){NULL, 0};
  }
}

rc_t ceiling_check_names(const ceiling_t *c, names_t names, err_t *e)
{
  for (size_t i = 0; i < names.n; i++) {
    texts_t patterns = patterns_of(c, names.v[i].kind);
    size_t k = 0;
    while (k < patterns.n && !pattern_allows(patterns.v[k], &names.v[i])) k++;
    if (k == patterns.n)
      return err_quote(e, RC_DENIED, "ceiling_names", "names", "must lie within the CA's ceiling", names.v[i].text);
  }
  return rc(RC_OK);
}

rc_t ceiling_check_lifetime(const ceiling_t *c, int64_t lifetime_s, int64_t profile_max_s, err_t *e)
{
  if (lifetime_s <= 0) return err_set(e, RC_INVALID, "lifetime", "lifetime", "must be positive");
  if (lifetime_s > c->max_lifetime_s)
    return err_limit(e, RC_DENIED, "ceiling_lifetime", "lifetime", "is above the CA's ceiling of {limit} seconds",
                     c->max_lifetime_s);
  if (profile_max_s < 0)
    return err_set(e, RC_INVALID, "profile_lifetime", "lifetime", "has a negative limit in its profile");
  if (profile_max_s > 0 && lifetime_s > profile_max_s)
    return err_limit(e, RC_DENIED, "profile_lifetime", "lifetime", "is above the profile's maximum of {limit} seconds",
                     profile_max_s);
  return rc(RC_OK);
}

static bool key_allowed(const ceiling_key_t *k, slice_t algorithm, int64_t size)
{
  return slice_eq(k->algorithm, algorithm) && size >= k->min_size && size <= k->max_size;
}

rc_t ceiling_check_key(const ceiling_t *c, slice_t algorithm, int64_t size, texts_t profile_keys, err_t *e)
{
  size_t i = 0;
  while (i < c->nkeys && !key_allowed(&c->keys[i], algorithm, size)) i++;
  if (i == c->nkeys)
    return err_limit(e, RC_DENIED, "ceiling_key", "key",
                     "must have an algorithm and size (here {limit} bits) within the CA's ceiling", size);

  bool allowed = profile_keys.n == 0;
  for (size_t k = 0; k < profile_keys.n; k++) {
    slice_t rest = profile_keys.v[k], name = {NULL, 0};
    int64_t least;
    if (!slice_split(&rest, ':', &name) || !algorithm_known(&name) || !rest.p || !rc_ok(slice_i64(rest, &least)))
      return err_quote(e, RC_INVALID, "profile_key_form", "profile_keys", "must be ALGORITHM:SIZE", profile_keys.v[k]);
    allowed = allowed || (slice_eq(name, algorithm) && size >= least);
  }
  if (allowed) return rc(RC_OK);
  return err_limit(e, RC_DENIED, "profile_key", "key", "has an algorithm or size ({limit} bits) outside the profile",
                   size);
}

rc_t ceiling_check_usages(const ceiling_t *c, texts_t usages, err_t *e)
{
  for (size_t i = 0; i < usages.n; i++) {
    size_t k = 0;
    while (k < c->usages.n && !slice_eq(c->usages.v[k], usages.v[i])) k++;
    if (k == c->usages.n)
      return err_quote(e, RC_DENIED, "ceiling_usages", "ekus", "must lie within the CA's ceiling", usages.v[i]);
  }
  return rc(RC_OK);
}
