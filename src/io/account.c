#include "io/account.h"

#include "base/mem.h"

#include <grp.h>
#include <pwd.h>

enum { ACCOUNT_NAME = 64, ACCOUNT_BUFFER = 16 * 1024 };

/* A decimal id in range; the largest would mean "leave it" to the system. */
static bool numeric_id(slice_t name, uint32_t *ret)
{
  int64_t v;
  if (!rc_ok(slice_i64(name, &v)) || v > (int64_t)UINT32_MAX - 1) return false;
  *ret = (uint32_t)v;
  return true;
}

static bool user_id(const char *name, char *room, uint32_t *ret)
{
  struct passwd pw, *found = NULL;
  if (getpwnam_r(name, &pw, room, ACCOUNT_BUFFER, &found) != 0 || !found) return false;
  *ret = pw.pw_uid;
  return true;
}

static bool group_id(const char *name, char *room, uint32_t *ret)
{
  struct group gr, *found = NULL;
  if (getgrnam_r(name, &gr, room, ACCOUNT_BUFFER, &found) != 0 || !found) return false;
  *ret = gr.gr_gid;
  return true;
}

typedef bool (*find_id_t)(const char *name, char *room, uint32_t *ret);

static rc_t find(slice_t name, find_id_t id, const char *unknown, uint32_t *ret, err_t *e)
{
  char text[ACCOUNT_NAME];
  if (numeric_id(name, ret)) return rc(RC_OK);
  MEM_SCOPED char *room = mem_alloc(ACCOUNT_BUFFER);
  if (!room) return err_set(e, RC_NOMEM, "account_unknown", NULL, "out of memory");
  if (name.n > 0 && name.n < sizeof text) {
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    if (id(text, room, ret)) return rc(RC_OK);
  }
  return err_quote(e, RC_NOTFOUND, "account_unknown", NULL, unknown, name);
}

rc_t user_find(slice_t name, uint32_t *ret, err_t *e) { return find(name, user_id, "no such user", ret, e); }
rc_t group_find(slice_t name, uint32_t *ret, err_t *e) { return find(name, group_id, "no such group", ret, e); }
