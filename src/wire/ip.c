#include "wire/ip.h"

#include "base/check.h"

#include <stdio.h>

/* "a.b.c.d", each 0 to 255 without leading zeros. */
static bool parse_v4(slice_t s, uint8_t out[4])
{
  slice_t part;
  for (int k = 0; k < 4; k++) {
    int64_t v;
    if (!slice_split(&s, '.', &part) || !rc_ok(slice_i64(part, &v))) return false;
    if (v > 255 || (part.n > 1 && part.p[0] == '0')) return false;
    out[k] = (uint8_t)v;
  }
  return !s.p; /* nothing left to split */
}

/* One to four hex digits, all of s. */
static bool parse_group(slice_t s, uint8_t out[2])
{
  unsigned v = 0;
  if (s.n < 1 || s.n > 4) return false;
  for (size_t i = 0; i < s.n; i++) {
    int d = hex_digit(s.p[i]);
    if (d < 0) return false;
    v = v << 4 | (unsigned)d;
  }
  out[0] = (uint8_t)(v >> 8);
  out[1] = (uint8_t)v;
  return true;
}

/*
 * Colon-separated groups (RFC 4291 2.2), the last of which may be a dotted quad
 * when `quad`. Returns the bytes written to out, at most 16, or -1; "" is none.
 */
static int parse_groups(slice_t s, bool quad, uint8_t out[16])
{
  int n = 0;
  slice_t rest = s, part;
  while (s.n && slice_split(&rest, ':', &part)) {
    if (n > 14) return -1;
    if (quad && !rest.p && slice_find(part, '.') < part.n) {
      if (n > 12 || !parse_v4(part, out + n)) return -1;
      n += 4;
    } else {
      if (!parse_group(part, out + n)) return -1;
      n += 2;
    }
  }
  return n;
}

/* Index of "::" in s, or s.n. */
static size_t find_gap(slice_t s)
{
  for (size_t i = 0; i + 1 < s.n; i++)
    if (s.p[i] == ':' && s.p[i + 1] == ':') return i;
  return s.n;
}

static bool parse_v6(slice_t s, uint8_t out[16])
{
  uint8_t head[16] = {0}, tail[16] = {0};
  size_t gap = find_gap(s);
  if (gap == s.n) return parse_groups(s, true, out) == 16;
  int h = parse_groups(slice_sub(s, 0, gap), false, head);
  int t = parse_groups(slice_sub(s, gap + 2, s.n), true, tail);
  if (h < 0 || t < 0 || h + t > 14) return false; /* the gap stands for one group at least */
  memset(out, 0, 16);
  memcpy(out, head, (size_t)h);
  memcpy(out + 16 - t, tail, (size_t)t);
  return true;
}

rc_t ip_parse(slice_t s, ip_t *ret)
{
  ip_t out = {.n = slice_find(s, ':') < s.n ? 16 : 4};
  if (!(out.n == 16 ? parse_v6(s, out.b) : parse_v4(s, out.b))) return rc(RC_SYNTAX);
  *ret = out;
  return rc(RC_OK);
}

rc_t ip_from_bytes(slice_t bytes, ip_t *ret)
{
  if (bytes.n != 4 && bytes.n != 16) return rc(RC_SYNTAX);
  *ret = (ip_t){.n = (uint8_t)bytes.n};
  memcpy(ret->b, bytes.p, bytes.n);
  return rc(RC_OK);
}

/* Longest run of at least two zero groups, the first of equals (RFC 5952 4.2). */
static void longest_zeros(const uint16_t g[8], int *ret_at, int *ret_n)
{
  *ret_at = -1;
  *ret_n = 1;
  for (int i = 0; i < 8;) {
    int k = i;
    while (k < 8 && g[k] == 0) k++;
    if (k - i > *ret_n) {
      *ret_at = i;
      *ret_n = k - i;
    }
    i = k > i ? k : i + 1;
  }
}

static size_t format_v4(const uint8_t b[4], char *out, size_t cap)
{
  return (size_t)snprintf(out, cap, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

static size_t format_v6(const uint8_t b[16], char out[IP_TEXT_MAX])
{
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  uint16_t g[8];
  int at, zeros;
  size_t n = 0;
  if (memcmp(b, mapped, 12) == 0) { /* RFC 5952 5 */
    n = (size_t)snprintf(out, IP_TEXT_MAX, "::ffff:");
    return n + format_v4(b + 12, out + n, IP_TEXT_MAX - n);
  }
  for (int i = 0; i < 8; i++) g[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
  longest_zeros(g, &at, &zeros);
  for (int i = 0; i < 8; i++) {
    if (i == at) {
      n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "::");
      i += zeros - 1;
      continue;
    }
    bool colon = i > 0 && i != at + zeros;
    if (at < 0) colon = i > 0;
    n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "%s%x", colon ? ":" : "", g[i]);
  }
  return n;
}

size_t ip_format(const ip_t *ip, char out[IP_TEXT_MAX])
{
  CHECK(ip->n == 4 || ip->n == 16);
  return ip->n == 4 ? format_v4(ip->b, out, IP_TEXT_MAX) : format_v6(ip->b, out);
}

/* Mask of the bits of byte i that belong to a prefix of `bits`. */
static uint8_t prefix_mask(unsigned bits, unsigned i)
{
  unsigned own = bits > 8 * i ? bits - 8 * i : 0;
  if (own > 8) own = 8;
  return (uint8_t)(0xff00 >> own);
}

rc_t cidr_parse(slice_t s, cidr_t *ret)
{
  cidr_t out;
  int64_t bits;
  size_t slash = slice_find(s, '/');
  slice_t tail = slice_sub(s, slash + 1, s.n);
  TRY(ip_parse(slice_sub(s, 0, slash), &out.ip));
  if (tail.n == 0 || tail.n > 3 || (tail.n > 1 && tail.p[0] == '0')) return rc(RC_SYNTAX);
  TRY(slice_i64(tail, &bits));
  if (bits > 8 * out.ip.n) return rc(RC_SYNTAX);
  out.bits = (uint8_t)bits;
  for (unsigned i = 0; i < out.ip.n; i++)
    if (out.ip.b[i] & ~prefix_mask(out.bits, i)) return rc(RC_INVALID);
  *ret = out;
  return rc(RC_OK);
}

bool cidr_contains(const cidr_t *c, const ip_t *ip)
{
  if (c->ip.n != ip->n) return false;
  for (unsigned i = 0; i < ip->n; i++)
    if ((c->ip.b[i] ^ ip->b[i]) & prefix_mask(c->bits, i)) return false;
  return true;
}

bool ip_eq(const ip_t *a, const ip_t *b)
{
  return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}
