#include "bin/passphrase.h"

#include "io/file.h"

static MUST rc_t copy(slice_t from, secret_t *ret, err_t *e)
{
  secret_t s = {0};
  if (from.n > PASSPHRASE_MAX)
    return err_limit(e, RC_FULL, "passphrase", "CERTCTL_CA_PASSPHRASE", "is longer than {limit} bytes", PASSPHRASE_MAX);
  if (from.n > 0) {
    if (!rc_ok(secret_alloc(&s, from.n))) return err_set(e, RC_NOMEM, "passphrase", NULL, "out of memory");
    memcpy(s.p, from.p, from.n);
  }
  *ret = s;
  return rc(RC_OK);
}

/* One line ends as an editor ends it. */
static MUST rc_t from_file(const char *path, secret_t *ret, err_t *e)
{
  buf_t file = buf_heap(PASSPHRASE_MAX);
  if (!buf_grow(&file, PASSPHRASE_MAX)) return err_set(e, RC_NOMEM, "passphrase", NULL, "out of memory");
  file.n = 0; /* room for all of it at once: growing would leave copies behind */
  rc_t r = file_read_path(path, PASSPHRASE_MAX, &file, e);
  if (!rc_ok(r) && e) e->field = "CERTCTL_CA_PASSPHRASE_FILE";
  slice_t s = buf_slice(&file);
  while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r')) s.n--;
  if (rc_ok(r) && s.n == 0) r = err_set(e, RC_INVALID, "passphrase", "CERTCTL_CA_PASSPHRASE_FILE", "is empty");
  if (rc_ok(r)) r = copy(s, ret, e);
  secret_wipe(file.p, file.size);
  buf_fini(&file);
  return r;
}

rc_t passphrase_read(const conf_t *c, secret_t *ret, err_t *e)
{
  if (c->ca_passphrase.n > 0) return copy(slice_of(c->ca_passphrase.p, c->ca_passphrase.n), ret, e);
  if (c->ca_passphrase_file.n > 0) return from_file((const char *)c->ca_passphrase_file.p, ret, e);
  return copy(slice_of(c->config_encryption_key.p, c->config_encryption_key.n), ret, e);
}
