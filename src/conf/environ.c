#include "conf/environ.h"

#include "base/check.h"
#include "base/secret.h"
#include "conf/conf.h"

#include <stdlib.h>
#include <unistd.h>

static const char prefix[] = "CERTCTL_";
enum { PREFIX_LEN = sizeof prefix - 1 };

char *environ_get(const char *name)
{
  char *v = getenv(name);
  return v && v[0] ? v : NULL;
}

void environ_wipe(const char *name)
{
  char *v = getenv(name);
  if (v) secret_wipe(v, strlen(v));
  unsetenv(name);
}

static bool is_ours(const char *entry) { return strncmp(entry, prefix, PREFIX_LEN) == 0; }

slice_t environ_name(size_t i)
{
  for (char **p = environ; p && *p; p++)
    if (is_ours(*p) && i-- == 0) return slice_of(*p, strcspn(*p, "="));
  return (slice_t){NULL, 0};
}

static bool withheld(const char *name, const char *const *list)
{
  for (; list && *list; list++)
    if (strcmp(*list, name) == 0) return true;
  return false;
}

/* Where the pieces go: first a dry run counts, then the same walk writes. */
typedef struct pack {
  char **v;   /* NULL while counting */
  char *text;
  size_t count, bytes;
} pack_t;

static void pack_add(pack_t *k, const char *name, slice_t value)
{
  size_t name_len = strlen(name), n = name_len + (value.p ? 1 + value.n : 0) + 1;
  if (k->v) {
    char *t = k->text + k->bytes;
    memcpy(t, name, name_len);
    if (value.p) {
      t[name_len] = '=';
      memcpy(t + name_len + 1, value.p, value.n);
    }
    t[n - 1] = 0;
    k->v[k->count] = t;
  }
  k->count++;
  k->bytes += n;
}

static void pack_all(pack_t *k, const conf_t *c, uint32_t program, const char *const *withhold)
{
  size_t n;
  const setting_t *rows = conf_settings(&n);
  for (char **p = environ; p && *p; p++)
    if (!is_ours(*p)) pack_add(k, *p, (slice_t){NULL, 0});
  for (size_t i = 0; i < n; i++)
    if (c->raw[i].p && (rows[i].programs & program) && !withheld(rows[i].name, withhold))
      pack_add(k, rows[i].env, c->raw[i]);
}

rc_t conf_env_new(const conf_t *c, uint32_t program, const char *const *withhold, conf_env_t *ret)
{
  pack_t k = {0};
  pack_all(&k, c, program, withhold);
  size_t head, total;
  CHECK(size_mul(k.count + 1, sizeof(char *), &head) && size_add(head, k.bytes, &total));
  secret_t block;
  TRY(secret_alloc(&block, total));
  k = (pack_t){.v = (char **)(void *)block.p, .text = (char *)block.p + head};
  pack_all(&k, c, program, withhold);
  k.v[k.count] = NULL;
  *ret = (conf_env_t){k.v, block};
  return rc(RC_OK);
}

void conf_env_fini(conf_env_t *env)
{
  secret_fini(&env->block);
  *env = (conf_env_t){0};
}
