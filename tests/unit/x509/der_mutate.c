#include "der_mutate.h"

#include "wire/der.h"

enum { NODES_MAX = 2048, MUTATE_DEPTH = 24 };

typedef struct node {
  size_t start, body, end; /* offsets of tag, content and what follows */
  size_t parent;           /* index; the node itself at the top */
} node_t;

typedef struct tree {
  slice_t der;
  node_t v[NODES_MAX];
  size_t n;
} tree_t;

/* Header of the value at `at`, which must end by `limit`. */
static bool read_node(slice_t der, size_t at, size_t limit, node_t *ret)
{
  if (limit - at < 2) return false;
  size_t n = der.p[at + 1], body = at + 2;
  if (n >= 0x80) {
    size_t octets = n & 0x7f;
    if (octets == 0 || octets > 3 || limit - body < octets) return false;
    for (n = 0; octets > 0; octets--) n = n << 8 | der.p[body++];
  }
  if (n > limit - body) return false;
  *ret = (node_t){at, body, body + n, 0};
  return true;
}

/* True if at..limit is nothing but whole values. */
static bool all_values(slice_t der, size_t at, size_t limit)
{
  node_t one;
  if (at == limit) return false;
  while (at < limit) {
    if ((der.p[at] & 0x1f) == 0x1f || der.p[at] == 0 || !read_node(der, at, limit, &one)) return false;
    at = one.end;
  }
  return true;
}

static void walk(tree_t *t, size_t at, size_t limit, size_t parent, unsigned depth)
{
  while (at < limit && t->n < NODES_MAX) {
    node_t one;
    if (!read_node(t->der, at, limit, &one)) return;
    size_t index = t->n++, inside = one.body;
    one.parent = depth ? parent : index;
    t->v[index] = one;
    uint8_t tag = t->der.p[at];
    if (tag == DER_BITS && one.end > one.body && t->der.p[one.body] == 0) inside++;
    bool wraps = (tag == DER_BITS || tag == DER_OCTETS) && all_values(t->der, inside, one.end);
    if (depth < MUTATE_DEPTH && ((tag & 0x20) || wraps)) walk(t, inside, one.end, index, depth + 1);
    at = one.end;
  }
}

static size_t below(const rng_t *rng, size_t bound) { return bound ? (size_t)rng_below(rng, bound) : 0; }

static void put_length(buf_t *b, size_t n, unsigned padding)
{
  unsigned octets = n > 0xffff ? 3 : n > 0xff ? 2 : n > 0x7f ? 1 : 0;
  if (padding) octets = (octets ? octets : 1) + padding - 1;
  if (octets == 0) {
    buf_byte(b, (uint8_t)n);
    return;
  }
  buf_byte(b, (uint8_t)(0x80 | octets));
  for (unsigned i = octets; i-- > 0;) buf_byte(b, (uint8_t)(n >> (8 * i)));
}

/* Puts `fresh` in the place of from..to inside node `in` (or the top), lengths put right all the way up. */
static void rebuild(const tree_t *t, size_t in, size_t from, size_t to, slice_t fresh, unsigned padding, buf_t *ret)
{
  buf_t a = buf_heap(1 << 20), b = buf_heap(1 << 20);
  buf_put(&a, fresh);
  for (bool top = in == NODES_MAX; !top;) {
    const node_t *n = &t->v[in];
    size_t inner = (from - n->body) + a.n + (n->end - to);
    buf_reset(&b);
    buf_byte(&b, t->der.p[n->start]);
    put_length(&b, inner, padding);
    padding = 0;
    buf_put(&b, slice_sub(t->der, n->body, from - n->body));
    buf_put(&b, buf_slice(&a));
    buf_put(&b, slice_sub(t->der, to, n->end - to));
    buf_t swap = a;
    a = b;
    b = swap;
    from = n->start;
    to = n->end;
    top = n->parent == in;
    in = n->parent;
  }
  buf_reset(ret);
  buf_put(ret, slice_sub(t->der, 0, from));
  buf_put(ret, buf_slice(&a));
  buf_put(ret, slice_sub(t->der, to, t->der.n - to));
  buf_fini(&a);
  buf_fini(&b);
}

static slice_t node_slice(const tree_t *t, const node_t *n) { return slice_sub(t->der, n->start, n->end - n->start); }

/* A value of the kind that readers disagree about. */
static void put_odd_value(const rng_t *rng, buf_t *b)
{
  static const struct {
    uint8_t tag;
    const char *content;
    size_t n;
  } odd[] = {
    {DER_UTC_TIME, "260229000000Z", 13},   {DER_UTC_TIME, "2601010000Z", 11},        {DER_UTC_TIME, "260101000060Z", 13},
    {DER_UTC_TIME, "500101000000Z", 13},   {DER_UTC_TIME, "491231235959Z", 13},      {DER_UTC_TIME, "260101000000+0100", 17},
    {DER_GENERALIZED_TIME, "20500101000000Z", 15}, {DER_GENERALIZED_TIME, "20260101000000Z", 15},
    {DER_GENERALIZED_TIME, "20260101000000.5Z", 17}, {DER_GENERALIZED_TIME, "00010101000000Z", 15},
    {DER_GENERALIZED_TIME, "99991231235959Z", 15}, {DER_GENERALIZED_TIME, "21000229000000Z", 15},
    {DER_INTEGER, "", 0},                  {DER_INTEGER, "\x00", 1},                 {DER_INTEGER, "\x00\x01", 2},
    {DER_INTEGER, "\xff\x80", 2},          {DER_INTEGER, "\x80", 1},                 {DER_INTEGER, "\x00\x80", 2},
    {DER_BOOLEAN, "\x01", 1},              {DER_BOOLEAN, "\x00", 1},                 {DER_BOOLEAN, "\xff", 1},
    {DER_BOOLEAN, "", 0},                  {DER_NULL, "", 0},                        {DER_NULL, "\x00", 1},
    {DER_OID, "", 0},                      {DER_OID, "\x80\x01", 2},                 {DER_OID, "\x55\x04\x03", 3},
    {DER_OID, "\x55\x1d\x11", 3},          {DER_OID, "\x55\x1d\x80", 3},             {DER_BITS, "", 0},
    {DER_BITS, "\x00", 1},                 {DER_BITS, "\x08\x00", 2},                {DER_BITS, "\x07\x80", 2},
    {DER_BITS, "\x07\x81", 2},             {DER_BITS, "\x01", 1},                    {DER_BITS, "\x05\xa0", 2},
    {DER_UTF8, "\xc3\xa9", 2},             {DER_UTF8, "\xc3", 1},                    {DER_UTF8, "\xed\xa0\x80", 3},
    {DER_UTF8, "\xf4\x90\x80\x80", 4},     {DER_UTF8, "", 0},                        {DER_UTF8, "a\0b", 3},
    {DER_BMP, "\x00\xe9", 2},              {DER_BMP, "\x00", 1},                     {DER_BMP, "\xd8\x00\xdc\x00", 4},
    {DER_UNIVERSAL, "\x00\x01\xf6\x00", 4}, {DER_UNIVERSAL, "\x00\x11\x00\x00", 4},  {DER_PRINTABLE, "a*b", 3},
    {DER_T61, "\xe9", 1},                  {DER_IA5, "\xe9", 1},                     {0x1a /* VisibleString */, "a", 1},
    {0x12, "12", 2},                       {DER_SEQUENCE, "", 0},                    {DER_SET, "", 0},
    {DER_CTX(2), "*.example.test", 14},    {DER_CTX(2), "", 0},                      {DER_CTX(7), "\x7f\0\0\1", 4},
    {DER_CTX(7), "\x7f\0\0", 3},           {DER_CTX(1), "a@example.test", 14},       {DER_CTX(6), "urn:x:y", 7},
    {DER_CTX(8), "\x2a\x03", 2},           {DER_CTX(8), "\x2a\x83", 2},              {DER_CTX_CONS(4), "\x30\x00", 2},
    {DER_CTX_CONS(0), "\x06\x02\x2a\x03\xa0\x02\x05\x00", 8}, {DER_CTX_CONS(5), "\xa1\x03\x0c\x01\x61", 5},
    {DER_CTX_CONS(3), "\x30\x00", 2},      {DER_CTX(0), "\x01\x02", 2},              {0x1f, "\x21\x00", 2},
  };
  size_t i = below(rng, COUNT_OF(odd));
  der_put(b, odd[i].tag, slice_of(odd[i].content, odd[i].n));
}

static void put_changed_content(const rng_t *rng, slice_t content, buf_t *b)
{
  static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 'A', '*', '.', 0x30};
  size_t at = below(rng, content.n), how = below(rng, 5);
  buf_put(b, content);
  if (content.n == 0) {
    if (how == 1) buf_byte(b, bytes[below(rng, COUNT_OF(bytes))]);
    return;
  }
  switch (how) {
  case 0: b->p[b->n - content.n + at] ^= (uint8_t)(1u << below(rng, 8)); break;
  case 1: b->p[b->n - content.n + at] = bytes[below(rng, COUNT_OF(bytes))]; break;
  case 2: b->p[b->n - content.n + at] = (uint8_t)below(rng, 256); break;
  case 3: buf_byte(b, bytes[below(rng, COUNT_OF(bytes))]); break;
  default: b->n--; break;
  }
}

/* Nothing is put right here: what a broken or hostile sender makes. */
static void mutate_raw(const rng_t *rng, slice_t in, buf_t *ret)
{
  buf_reset(ret);
  buf_put(ret, in);
  size_t at = below(rng, in.n);
  switch (below(rng, 4)) {
  case 0: ret->p[at] ^= (uint8_t)(1u << below(rng, 8)); break;
  case 1: ret->p[at] = (uint8_t)below(rng, 256); break;
  case 2: ret->n = at; break;
  default: buf_byte(ret, (uint8_t)below(rng, 256)); break;
  }
}

static size_t pick_leaf(const rng_t *rng, const tree_t *t)
{
  for (unsigned tries = 0;; tries++) {
    size_t i = below(rng, t->n);
    bool leaf = i + 1 == t->n || t->v[i + 1].parent != i;
    if (leaf || tries == 20) return i;
  }
}

void der_mutate(const rng_t *rng, slice_t in, slice_t donor, buf_t *ret)
{
  static _Thread_local tree_t t, other;
  t.der = in;
  t.n = 0;
  walk(&t, 0, in.n, 0, 0);
  size_t how = below(rng, 20);
  if (t.n == 0 || how == 0) {
    mutate_raw(rng, in, ret);
    return;
  }
  BUF_SCOPED buf_t fresh = buf_heap(1 << 20);
  size_t i = how < 12 ? pick_leaf(rng, &t) : below(rng, t.n);
  const node_t *n = &t.v[i];
  size_t parent = n->parent == i ? NODES_MAX : n->parent;
  slice_t content = slice_sub(in, n->body, n->end - n->body);
  unsigned padding = 0;
  switch (how) {
  default: /* 1 to 11: the content of one primitive value */
    put_changed_content(rng, content, &fresh);
    rebuild(&t, i, n->body, n->end, buf_slice(&fresh), 0, ret);
    return;
  case 12: break; /* the value goes */
  case 13:        /* the value twice */
    buf_put(&fresh, node_slice(&t, n));
    buf_put(&fresh, node_slice(&t, n));
    break;
  case 14: /* another tag */
    buf_put(&fresh, node_slice(&t, n));
    fresh.p[0] = (uint8_t)(below(rng, 3) ? (uint8_t[]){DER_UTF8, DER_PRINTABLE, DER_T61, DER_IA5, DER_BMP, DER_OCTETS}[below(rng, 6)]
                                         : below(rng, 256));
    break;
  case 15: /* a length that is not minimal */
    padding = 1 + (unsigned)below(rng, 3);
    rebuild(&t, i, n->body, n->end, content, padding, ret);
    return;
  case 16: /* an indefinite length */
    buf_byte(&fresh, in.p[n->start]);
    buf_byte(&fresh, 0x80);
    buf_put(&fresh, content);
    buf_put(&fresh, S("\0\0"));
    break;
  case 17:
  case 18: put_odd_value(rng, &fresh); break;
  case 19: /* a value from elsewhere */
    other.der = donor;
    other.n = 0;
    walk(&other, 0, donor.n, 0, 0);
    if (other.n) buf_put(&fresh, node_slice(&other, &other.v[below(rng, other.n)]));
    break;
  }
  rebuild(&t, parent, n->start, n->end, buf_slice(&fresh), 0, ret);
}
