#include "wire/base64.h"

static const char alphabet_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64_encode(buf_t *b, base64_form_t form, slice_t s)
{
  const char *alphabet = form == BASE64_URL ? alphabet_url : alphabet_std;
  size_t tail = s.n % 3, n = (s.n + 2) / 3 * 4;
  if (form == BASE64_URL && tail) n -= 3 - tail;
  uint8_t *o = n ? buf_grow(b, n) : NULL;
  if (!o) return;
  const uint8_t *p = s.p, *whole = s.p + (s.n - tail);
  for (; p < whole; p += 3) {
    uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    *o++ = (uint8_t)alphabet[v >> 18];
    *o++ = (uint8_t)alphabet[v >> 12 & 63];
    *o++ = (uint8_t)alphabet[v >> 6 & 63];
    *o++ = (uint8_t)alphabet[v & 63];
  }
  if (tail == 0) return;
  uint32_t v = (uint32_t)p[0] << 16 | (tail == 2 ? (uint32_t)p[1] << 8 : 0);
  *o++ = (uint8_t)alphabet[v >> 18];
  *o++ = (uint8_t)alphabet[v >> 12 & 63];
  if (tail == 2) *o++ = (uint8_t)alphabet[v >> 6 & 63];
  if (form == BASE64_URL) return;
  if (tail == 1) *o++ = '=';
  *o = '=';
}

enum { CLASS_BAD = 0xff, CLASS_PAD = 0xfe, CLASS_WS = 0xfd };

static uint8_t classify(base64_form_t form, uint8_t c)
{
  if (c >= 'A' && c <= 'Z') return (uint8_t)(c - 'A');
  if (c >= 'a' && c <= 'z') return (uint8_t)(c - 'a' + 26);
  if (c >= '0' && c <= '9') return (uint8_t)(c - '0' + 52);
  if (form == BASE64_URL) return c == '-' ? 62 : c == '_' ? 63 : CLASS_BAD;
  if (c == '+') return 62;
  if (c == '/') return 63;
  if (c == '=') return CLASS_PAD;
  if (form == BASE64_WS && (c == ' ' || (c >= '\t' && c <= '\r'))) return CLASS_WS;
  return CLASS_BAD;
}

rc_t base64_decode(base64_form_t form, slice_t s, uint8_t *out, size_t cap, size_t *ret_n)
{
  uint32_t acc = 0;
  unsigned have = 0, pad = 0; /* sextets in acc; padding seen */
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = classify(form, s.p[i]);
    if (c == CLASS_WS) continue;
    if (c == CLASS_PAD) {
      pad++;
      continue;
    }
    if (c == CLASS_BAD || pad) return rc(RC_SYNTAX);
    acc = acc << 6 | c;
    if (++have < 4) continue;
    if (cap - n < 3) return rc(RC_FULL);
    out[n++] = (uint8_t)(acc >> 16);
    out[n++] = (uint8_t)(acc >> 8);
    out[n++] = (uint8_t)acc;
    acc = have = 0;
  }
  unsigned want_pad = form == BASE64_URL || have == 0 ? 0 : 4 - have;
  if (have == 1 || pad != want_pad) return rc(RC_SYNTAX);
  if (have) {
    unsigned spare = have == 2 ? 4 : 2; /* bits behind the last octet: RFC 4648 3.5 */
    if (acc & ((1u << spare) - 1)) return rc(RC_SYNTAX);
    if (cap - n < have - 1) return rc(RC_FULL);
    if (have == 3) out[n++] = (uint8_t)(acc >> 10);
    out[n++] = (uint8_t)(acc >> (have == 3 ? 2 : 4));
  }
  *ret_n = n;
  return rc(RC_OK);
}
