/*
 * Public keys that prove nothing although they are well formed.
 */
#include <openssl/bn.h>

#include "crypto/lib_int.h"

/* Odd primes below 752: BR 6.1.6 and SP 800-89 5.3.3 ask for no smaller factor. */
static const uint16_t primes[] = {
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241,
  251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311, 313, 317, 331, 337, 347, 349, 353, 359, 367, 373, 379, 383,
  389, 397, 401, 409, 419, 421, 431, 433, 439, 443, 449, 457, 461, 463, 467, 479, 487, 491, 499, 503, 509, 521, 523,
  541, 547, 557, 563, 569, 571, 577, 587, 593, 599, 601, 607, 613, 617, 619, 631, 641, 643, 647, 653, 659, 661, 673,
  677, 683, 691, 701, 709, 719, 727, 733, 739, 743, 751
};

enum { ROCA_PRIMES = 38, /* 3 to 167: they divide the generator's modulus at every key size */ FERMAT_ROUNDS = 100 };

static rc_t weak(err_t *e, const char *reason, const char *text) { return err_set(e, RC_INVALID, reason, NULL, text); }

static slice_t skip_zeros(slice_t s)
{
  while (s.n && s.p[0] == 0) s = slice_sub(s, 1, s.n);
  return s;
}

/* Big-endian number modulo m, 32 bits at a time. */
static uint32_t mod32(slice_t n, uint32_t m)
{
  uint64_t r = 0;
  size_t i = 0;
  for (; i < n.n % 4; i++) r = (r << 8 | n.p[i]) % m;
  for (; i < n.n; i += 4) {
    uint32_t w = (uint32_t)n.p[i] << 24 | (uint32_t)n.p[i + 1] << 16 | (uint32_t)n.p[i + 2] << 8 | n.p[i + 3];
    r = (r << 32 | w) % m;
  }
  return (uint32_t)r;
}

/* n modulo each of `primes`: one long division for as many primes as fit 32 bits. */
static void residues(slice_t n, uint16_t out[COUNT_OF(primes)])
{
  for (size_t from = 0, to; from < COUNT_OF(primes); from = to) {
    uint64_t product = 1;
    for (to = from; to < COUNT_OF(primes) && !(product * primes[to] >> 32); to++) product *= primes[to];
    uint32_t r = mod32(n, (uint32_t)product);
    for (size_t i = from; i < to; i++) out[i] = (uint16_t)(r % primes[i]);
  }
}

/* True if r is a power of 65537 modulo p. */
static bool is_power_of_f4(uint32_t r, uint32_t p)
{
  uint32_t x = 1;
  do {
    if (x == r) return true;
    x = x * (65537 % p) % p;
  } while (x != 1);
  return false;
}

/* Primes of the faulty generator are k * M + (65537^a mod M), so their product is a power of 65537 modulo M too. */
static bool roca(const uint16_t residue[COUNT_OF(primes)])
{
  for (size_t i = 0; i < ROCA_PRIMES; i++)
    if (!is_power_of_f4(residue[i], primes[i])) return false;
  return true;
}

/* Floor of the square root by Newton's method, from above. */
static bool square_root(BIGNUM *ret, const BIGNUM *v, BN_CTX *ctx)
{
  bool ok = true;
  BN_CTX_start(ctx);
  BIGNUM *next = BN_CTX_get(ctx);
  ok = next && BN_set_word(ret, 0) == 1 && BN_set_bit(ret, (BN_num_bits(v) + 1) / 2) == 1;
  while (ok) {
    ok = BN_div(next, NULL, v, ret, ctx) == 1 && BN_add(next, next, ret) == 1 && BN_rshift1(next, next) == 1;
    if (!ok || BN_cmp(next, ret) >= 0) break;
    ok = BN_copy(ret, next) != NULL;
  }
  BN_CTX_end(ctx);
  return ok;
}

/* Rules out most non-squares by their residue modulo 64, 63, 65 and 11. */
static bool maybe_square(const BIGNUM *v)
{
  static const uint8_t moduli[] = {64, 63, 65, 11};
  for (size_t i = 0; i < sizeof moduli; i++) {
    uint32_t m = moduli[i], r = (uint32_t)BN_mod_word(v, m), x = 0;
    while (x < m && x * x % m != r) x++;
    if (x == m) return false;
  }
  return true;
}

/* Fermat: n = a^2 - b^2 with a just above the root, when the primes are close. False too when the library fails. */
static bool close_primes(slice_t modulus, bool *ret_failed)
{
  BN_CTX *ctx = BN_CTX_new();
  BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL), *a = BN_new(), *b2 = BN_new(), *root = BN_new();
  bool ok = ctx && n && a && b2 && root && square_root(a, n, ctx) && BN_sqr(b2, a, ctx) == 1;
  bool found = ok && BN_cmp(b2, n) == 0;
  ok = ok && BN_add_word(a, 1) == 1 && BN_sqr(b2, a, ctx) == 1 && BN_sub(b2, b2, n) == 1;
  for (int i = 0; ok && !found && i < FERMAT_ROUNDS; i++) {
    if (maybe_square(b2)) {
      ok = square_root(root, b2, ctx) && BN_sqr(root, root, ctx) == 1;
      found = ok && BN_cmp(root, b2) == 0;
    }
    ok = ok && BN_add(b2, b2, a) == 1 && BN_add(b2, b2, a) == 1 && BN_add_word(b2, 1) == 1 && BN_add_word(a, 1) == 1;
  }
  BN_free(n);
  BN_free(a);
  BN_free(b2);
  BN_free(root);
  BN_CTX_free(ctx);
  *ret_failed = !ok;
  return found;
}

static rc_t check_rsa(const key_parts_t *k, err_t *e)
{
  slice_t n = skip_zeros(k->n), x = skip_zeros(k->e);
  int64_t bits = key_bits(k);
  if (bits < KEY_RSA_MIN_BITS)
    return err_limit(e, RC_INVALID, "rsa_modulus_small", NULL, "RSA key has under {limit} bits", KEY_RSA_MIN_BITS);
  if (bits > KEY_RSA_MAX_BITS)
    return err_limit(e, RC_INVALID, "rsa_modulus_large", NULL, "RSA key has over {limit} bits", KEY_RSA_MAX_BITS);
  if (!(n.p[n.n - 1] & 1)) return weak(e, "rsa_modulus_even", "RSA modulus is even");
  if (x.n < 3 || x.n > 8 || !(x.p[x.n - 1] & 1))
    return weak(e, "rsa_exponent", "RSA public exponent is not an odd number from 65537 to 64 bits");
  uint16_t residue[COUNT_OF(primes)];
  residues(n, residue);
  for (size_t i = 0; i < COUNT_OF(primes); i++)
    if (residue[i] == 0) return weak(e, "rsa_small_factor", "RSA modulus has a prime factor below 752");
  if (roca(residue)) return weak(e, "rsa_roca", "RSA key has guessable primes (CVE-2017-15361)");
  bool failed = false;
  if (close_primes(n, &failed)) return weak(e, "rsa_close_primes", "RSA primes are too close to each other");
  return failed ? lib_failed(e) : rc(RC_OK);
}

/* y of the points of order 1, 2, 4 and 8 (RFC 8032 5.1), and the largest canonical y + 1. */
static const uint8_t ed25519_small[][32] = {
  {0},
  {1},
  {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
   0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
  {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
   0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
  {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
};

/* True if little-endian y is 2^255 - 19 or more (RFC 8032 5.1.3). */
static bool ed25519_not_canonical(const uint8_t y[32])
{
  if (y[0] < 0xed || y[31] != 0x7f) return false;
  for (size_t i = 1; i < 31; i++)
    if (y[i] != 0xff) return false;
  return true;
}

static rc_t check_ed25519(slice_t point, err_t *e)
{
  static const char text[] = "Ed25519 key is not a point of the main group";
  uint8_t y[32];
  if (point.n != sizeof y) return weak(e, "ed25519_point", text);
  memcpy(y, point.p, sizeof y);
  y[31] &= 0x7f; /* sign of x */
  if (ed25519_not_canonical(y)) return weak(e, "ed25519_point", text);
  for (size_t i = 0; i < COUNT_OF(ed25519_small); i++)
    if (memcmp(y, ed25519_small[i], sizeof y) == 0) return weak(e, "ed25519_point", text);
  return rc(RC_OK);
}

rc_t key_check(const key_parts_t *parts, err_t *e)
{
  switch (parts->kind) {
    case KEY_RSA: return check_rsa(parts, e);
    case KEY_ED25519: return check_ed25519(parts->point, e);
    case KEY_P256:
    case KEY_P384: break;
  }
  return lib_ec_load(parts) ? rc(RC_OK) : lib_point_refused(e);
}
