#include "crypto/lib_int.h"

#include <openssl/err.h>
#include <pthread.h>

static pthread_once_t lib_once = PTHREAD_ONCE_INIT;
static pthread_key_t lib_key;
static lib_t lib;
static _Thread_local lib_thread_t lib_mine; /* not on the heap: making it must not fail */

static void thread_free(void *p)
{
  lib_thread_t *t = p;
  EVP_MD_CTX_free(t->md);
  for (size_t i = 0; i < COUNT_OF(t->ec); i++) {
    EVP_PKEY_CTX_free(t->ec[i].verify);
    EVP_PKEY_free(t->ec[i].pkey);
  }
  *t = (lib_thread_t){0};
}

static void lib_init(void)
{
  lib.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  lib.sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
  lib.sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
  lib.aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  CHECK(lib.sha256 && lib.sha384 && lib.sha512 && lib.aes256gcm);
  CHECK(pthread_key_create(&lib_key, thread_free) == 0);
}

const lib_t *lib_get(void)
{
  pthread_once(&lib_once, lib_init);
  return &lib;
}

lib_thread_t *lib_thread(void)
{
  lib_thread_t *t = &lib_mine;
  if (t->md) return t;
  (void)lib_get(); /* makes lib_key */
  t->md = EVP_MD_CTX_new();
  CHECK(t->md && pthread_setspecific(lib_key, t) == 0);
  return t;
}

size_t lib_digest(EVP_MD *md, slice_t s, uint8_t out[EVP_MAX_MD_SIZE])
{
  EVP_MD_CTX *c = lib_thread()->md;
  unsigned n = 0;
  if (EVP_DigestInit_ex2(c, md, NULL) != 1 || EVP_DigestUpdate(c, s.p, s.n) != 1 || EVP_DigestFinal_ex(c, out, &n) != 1)
    return 0;
  return n;
}

rc_t lib_failed(err_t *e)
{
  ERR_clear_error();
  return err_set(e, RC_CRYPTO, "library", NULL, "the crypto library failed");
}
