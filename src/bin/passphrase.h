/*
 * The passphrase of the signer's sealed files as the settings give it:
 * CA_PASSPHRASE, else CA_PASSPHRASE_FILE, else CONFIG_ENCRYPTION_KEY.
 */
#ifndef BIN_PASSPHRASE_H
#define BIN_PASSPHRASE_H

#include "conf/conf.h"

enum { PASSPHRASE_MAX = 4096 };

/*
 * A copy in locked memory, empty (n = 0) when no setting gives one. Reasons of file_read_path; RC_INVALID or RC_FULL
 * "passphrase".
 */
MUST rc_t passphrase_read(const conf_t *c, secret_t *ret, err_t *e);

#endif
