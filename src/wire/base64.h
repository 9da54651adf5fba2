/*
 * Base64 (RFC 4648): the standard alphabet with padding, the URL alphabet without, and
 * the standard alphabet broken by white space as PEM has it. Decoding is strict: padding
 * where the form has it, nowhere else, and no set bits behind the last octet.
 */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "base/buf.h"

typedef enum base64_form {
  BASE64_STD, /* RFC 4648 4, padded */
  BASE64_URL, /* RFC 4648 5, not padded (RFC 7515) */
  BASE64_WS   /* BASE64_STD with blanks, tabs and line ends anywhere (RFC 7468 2) */
} base64_form_t;

/* Most octets that n characters can hold. */
static inline size_t base64_decoded_max(size_t n) { return n / 4 * 3 + 3; }

/* Appends s; BASE64_WS is written as BASE64_STD. */
void base64_encode(buf_t *b, base64_form_t form, slice_t s);

/*
 * Decodes s into out[cap]. RC_SYNTAX on anything outside the form, RC_FULL above cap;
 * *ret_n is set on success only, out may have been written to.
 */
MUST rc_t base64_decode(base64_form_t form, slice_t s, uint8_t *out, size_t cap, size_t *ret_n);

#endif
