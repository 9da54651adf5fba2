/*
 * The signer's own loop: frames in, one frame out for each, until the server's end of
 * the socket closes. One thread. A table says which message is legal in which state;
 * whatever breaks the protocol ends the signer, and with it (bin/supervisor.h) the process that sent it.
 */
#ifndef SIGNER_MAIN_LOOP_H
#define SIGNER_MAIN_LOOP_H

#include "signer/message.h"
#include "signer/store.h"

typedef struct signer signer_t;

/* Everything is read once, at the start; nothing is kept but what is needed to sign. */
typedef struct signer_setup {
  const dir_t *dir;        /* the signer's folder */
  slice_t passphrase;      /* empty: the one kept in the folder */
  slice_t issuer;          /* "iss-local" */
  slice_t common_name;     /* of a CA made now */
  slice_t import_cert_pem, import_key_pem; /* both empty: make a CA */
  slice_t ceiling;         /* JSON for a CA made now; empty: ceiling_default */
  const timesrc_t *time;
  const rng_t *rng;
} signer_setup_t;

/*
 * Opens the record and the CA, makes what is missing. A CA that is missing beside a record with signatures
 * is refused, "ca_missing": a new one in its place would be a different CA.
 */
MUST rc_t signer_open(const signer_setup_t *setup, signer_t **ret, err_t *e);
void signer_free(signer_t *s);

/*
 * Answers until the other side closes (RC_OK), the protocol is broken (RC_SYNTAX, RC_FULL), or the socket fails
 * (RC_IO).
 */
MUST rc_t signer_serve(signer_t *s, int fd, err_t *e);

/* One frame, whole, to one reply appended to out. RC_SYNTAX or RC_FULL when the frame is none that may be sent now. */
MUST rc_t signer_answer(signer_t *s, const msg_frame_t *frame, buf_t *out, err_t *e);

#endif
