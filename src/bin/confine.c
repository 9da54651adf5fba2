#include "bin/confine.h"

#include "io/file.h"
#include "io/sandbox.h"

#include <stdio.h>
#include <unistd.h>

/* Read by getaddrinfo, by the crypto library for the system's roots, and by the process about itself. */
static const char *const readable[] = {
    "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/services",
    "/etc/ssl",         "/usr/lib/ssl",       "/usr/share/ca-certificates", "/etc/localtime", "/proc/self",
    "/sys/devices/system/cpu",
};

static const char *const store_suffixes[] = {"", "-wal", "-shm"};

enum { OWN_STORE, OWN_STORE_LAST = OWN_STORE + COUNT_OF(store_suffixes) - 1, OWN_TLS, OWN_COUNT };

/* What the network process owns; an empty text is not there. */
typedef struct own {
  char path[OWN_COUNT][LIM_PATH];
} own_t;

static MUST rc_t put_path(char out[LIM_PATH], slice_t base, const char *rest, err_t *e)
{
  int n = snprintf(out, LIM_PATH, "%.*s%s", SLICE_ARG(base), rest);
  if (n > 0 && n < LIM_PATH) return rc(RC_OK);
  return err_limit(e, RC_FULL, "path", "CERTCTL_STATE_DIR", "is longer than {limit} bytes", LIM_PATH);
}

/* An empty private file where there is none, then its owner. */
static MUST rc_t make_file(const char *path, err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  char folder[LIM_PATH];
  file_info_t info;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
  TRY(dir_open(folder, &d, e));
  rc_t r = file_info(&d, name, &info, e);
  if (rc_is(r, RC_NOTFOUND)) {
    if (e) *e = (err_t){0};
    r = file_create(&d, name, (slice_t){NULL, 0}, FILE_PRIVATE, e);
    if (rc_ok(r)) r = dir_sync(&d, e);
  }
  return rc_ok(r) ? sandbox_give(path, SANDBOX_UID_NET, e) : r;
}

static rc_t give_entry(void *self, const char *name)
{
  char path[LIM_PATH + LIM_NAME];
  (void)snprintf(path, sizeof path, "%s/%s", (const char *)self, name);
  return sandbox_give(path, SANDBOX_UID_NET, NULL);
}

/* As root the folder is taken back first, since a private folder must be its maker's. */
static MUST rc_t make_folder(char *path, err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  rc_t r = sandbox_give(path, 0, e);
  if (!rc_ok(r) && !rc_is(r, RC_NOTFOUND)) return r;
  TRY(dir_private(path, &d, e));
  TRY(dir_each(&d, give_entry, path, e));
  return sandbox_give(path, SANDBOX_UID_NET, e);
}

static MUST rc_t make_own(const conf_t *c, own_t *own, err_t *e)
{
  TRY(put_path(own->path[OWN_TLS], c->state_dir, "/tls", e));
  TRY(make_folder(own->path[OWN_TLS], e)); /* first: makes the state folder */
  for (size_t i = 0; i < COUNT_OF(store_suffixes); i++) {
    TRY(put_path(own->path[OWN_STORE + i], c->database_path, store_suffixes[i], e));
    TRY(make_file(own->path[OWN_STORE + i], e));
  }
  return rc(RC_OK);
}

static MUST rc_t confine_files(const own_t *own, err_t *e)
{
  sandbox_path_t v[OWN_COUNT + COUNT_OF(readable)];
  size_t n = 0;
  for (size_t i = 0; i < OWN_COUNT; i++)
    if (own->path[i][0]) v[n++] = (sandbox_path_t){own->path[i], i == OWN_TLS ? SANDBOX_DIR_RW : SANDBOX_FILE_RW, false};
  for (size_t i = 0; i < COUNT_OF(readable); i++) v[n++] = (sandbox_path_t){readable[i], SANDBOX_READ, true};
  return sandbox_files(v, n, e);
}

rc_t confine_make(const conf_t *conf, err_t *e)
{
  own_t own = {0};
  return make_own(conf, &own, e);
}

rc_t confine_net(const conf_t *conf, err_t *e)
{
  own_t own = {0};
  TRY(sandbox_harden(getppid(), e));
  TRY(make_own(conf, &own, e));
  TRY(sandbox_drop_root(SANDBOX_UID_NET, e));
  if (slice_is(conf->sandbox, "off")) return rc(RC_OK);
  rc_t r = confine_files(&own, e);
  if (rc_is(r, RC_DENIED)) {
    r = err_set(e, RC_DENIED, "state_closed", "CERTCTL_STATE_DIR", "lies below a folder that is closed to other users, so the server cannot give up "
                "root; choose another folder, or open that one (chmod o+x)");
    err_value(e, conf->state_dir.p, conf->state_dir.n);
  }
  TRY(r);
  return sandbox_calls(SANDBOX_CALLS_NET, e);
}
