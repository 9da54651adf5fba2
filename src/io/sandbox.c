#include "io/sandbox.h"

#include "io/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Landlock --- */

/*
 * Flags newer than the headers of Debian 12, by the ABI that brought them (kernel documentation,
 * userspace-api/landlock).
 */
enum {
  LL_FS_REFER = 1 << 13,         /* 2 */
  LL_FS_TRUNCATE = 1 << 14,      /* 3 */
  LL_FS_IOCTL_DEV = 1 << 15,     /* 5 */
  LL_SCOPE_ABSTRACT_UNIX = 1 << 0, /* 6 */
  LL_SCOPE_SIGNAL = 1 << 1       /* 6 */
};

enum {
  LL_READ = LANDLOCK_ACCESS_FS_READ_FILE,
  LL_READ_TREE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
  LL_FILE_RW = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LL_FS_TRUNCATE,
  LL_DIR_RW = LL_READ_TREE | LL_FILE_RW | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM |
              LANDLOCK_ACCESS_FS_REMOVE_FILE | LL_FS_REFER,
  LL_ABI1 = (1 << 13) - 1
};

/* struct landlock_ruleset_attr of ABI 6; older kernels take a shorter one. */
typedef struct ll_ruleset {
  uint64_t fs, net, scoped;
} ll_ruleset_t;

static MUST rc_t ll_abi(int *ret, err_t *e)
{
  *ret = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (*ret >= 1) return rc(RC_OK);
  return err_set(e, RC_INVALID, "sandbox_landlock", "CERTCTL_SANDBOX", "must be off: this kernel has no Landlock");
}

static uint64_t ll_known_fs(int abi)
{
  uint64_t known = LL_ABI1;
  if (abi >= 2) known |= LL_FS_REFER;
  if (abi >= 3) known |= LL_FS_TRUNCATE;
  if (abi >= 5) known |= LL_FS_IOCTL_DEV;
  return known;
}

static MUST rc_t ll_add(int ruleset, const sandbox_path_t *p, uint64_t known, err_t *e)
{
  static const uint64_t wanted[] = {
      [SANDBOX_READ] = LL_READ_TREE, [SANDBOX_FILE_RW] = LL_FILE_RW, [SANDBOX_DIR_RW] = LL_DIR_RW};
  struct stat st;
  int fd = open(p->path, O_PATH | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT && p->optional) return rc(RC_OK);
  if (fd < 0) return sys_fail(e, errno, "sandbox_path", p->path);
  uint64_t access = wanted[p->access];
  /* Rights of directories are refused on files. */
  if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) access &= LL_FILE_RW;
  struct landlock_path_beneath_attr rule = {.allowed_access = access & known, .parent_fd = fd};
  long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  rc_t code = r == 0 ? rc(RC_OK) : sys_fail(e, errno, "sandbox_path", p->path);
  close(fd);
  return code;
}

rc_t sandbox_files(const sandbox_path_t *paths, size_t n, err_t *e)
{
  int abi;
  TRY(ll_abi(&abi, e));
  ll_ruleset_t attr = {.fs = ll_known_fs(abi)};
  size_t size = offsetof(ll_ruleset_t, net);
  if (abi >= 6) {
    attr.scoped = LL_SCOPE_SIGNAL;
    size = sizeof attr;
  }
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
  if (ruleset < 0) return sys_fail(e, errno, "sandbox_landlock", NULL);
  rc_t code = rc(RC_OK);
  for (size_t i = 0; i < n && rc_ok(code); i++) code = ll_add(ruleset, &paths[i], attr.fs, e);
  if (rc_ok(code) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) code = sys_fail(e, errno, "sandbox_privileges", NULL);
  if (rc_ok(code) && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
    code = sys_fail(e, errno, "sandbox_landlock", NULL);
  close(ruleset);
  return code;
}

/* --- process attributes --- */

rc_t sandbox_supported(err_t *e)
{
  int abi;
  TRY(ll_abi(&abi, e));
  if (seccomp_api_get() < 2)
    return err_set(e, RC_INVALID, "sandbox_seccomp", "CERTCTL_SANDBOX",
                   "must be off: this kernel has no seccomp filter");
  return rc(RC_OK);
}

rc_t sandbox_harden(pid_t parent, err_t *e)
{
  const struct rlimit none = {0, 0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys_fail(e, errno, "sandbox_privileges", NULL);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return sys_fail(e, errno, "sandbox_dumpable", NULL);
  if (setrlimit(RLIMIT_CORE, &none) != 0) return sys_fail(e, errno, "sandbox_core", NULL);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return sys_fail(e, errno, "sandbox_parent", NULL);
  if (getppid() != parent) return err_set(e, RC_CLOSED, "sandbox_parent", NULL, "the supervisor is gone");
  return rc(RC_OK);
}

rc_t sandbox_drop_root(uid_t uid, err_t *e)
{
  pid_t parent = getppid();
  if (geteuid() != 0) return rc(RC_OK);
  if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
    return sys_fail(e, errno, "sandbox_user", NULL);
  if (setuid(0) == 0) return err_set(e, RC_IO, "sandbox_user", NULL, "root came back");
  return sandbox_harden(parent, e); /* a change of user resets the death signal and the dumpable flag */
}

rc_t sandbox_give(const char *path, uid_t uid, err_t *e)
{
  if (geteuid() != 0) return rc(RC_OK);
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return sys_fail(e, errno, "sandbox_owner", path);
  rc_t code = fchownat(fd, "", uid, uid, AT_EMPTY_PATH) == 0 ? rc(RC_OK) : sys_fail(e, errno, "sandbox_owner", path);
  close(fd);
  return code;
}

/* --- seccomp --- */

/* What the signer needs once it has started; its stack of libraries (allocator, crypto) included. */
static const int signer_calls[] = {
    SCMP_SYS(read),        SCMP_SYS(write),        SCMP_SYS(readv),         SCMP_SYS(writev),        SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),    SCMP_SYS(lseek),        SCMP_SYS(recvfrom),      SCMP_SYS(sendto),        SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),     SCMP_SYS(poll),         SCMP_SYS(ppoll),         SCMP_SYS(close),         SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),  SCMP_SYS(fdatasync),    SCMP_SYS(fsync),         SCMP_SYS(ftruncate),     SCMP_SYS(shutdown),
    SCMP_SYS(brk),         SCMP_SYS(munmap),       SCMP_SYS(mremap),        SCMP_SYS(madvise),       SCMP_SYS(mlock),
    SCMP_SYS(munlock),     SCMP_SYS(futex),        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),  SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom), SCMP_SYS(getpid),       SCMP_SYS(gettid),        SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group),  SCMP_SYS(rseq),         SCMP_SYS(sched_yield),   SCMP_SYS(membarrier),
};

/* What the network process has no business with, whoever it has become. */
static const int net_denied[] = {
    SCMP_SYS(ptrace),            SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),       SCMP_SYS(pidfd_send_signal), SCMP_SYS(rt_sigqueueinfo),  SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(kcmp),              SCMP_SYS(process_madvise),  SCMP_SYS(execve),            SCMP_SYS(execveat),
    SCMP_SYS(fork),              SCMP_SYS(vfork),            SCMP_SYS(unshare),           SCMP_SYS(setns),
    SCMP_SYS(mount),             SCMP_SYS(umount2),          SCMP_SYS(move_mount),        SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),            SCMP_SYS(fsconfig),         SCMP_SYS(fsmount),           SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),     SCMP_SYS(pivot_root),       SCMP_SYS(chroot),            SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),   SCMP_SYS(userfaultfd),      SCMP_SYS(io_uring_setup),    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(add_key),          SCMP_SYS(request_key),       SCMP_SYS(keyctl),
    SCMP_SYS(init_module),       SCMP_SYS(finit_module),     SCMP_SYS(delete_module),     SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),   SCMP_SYS(reboot),           SCMP_SYS(swapon),            SCMP_SYS(swapoff),
    SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(fanotify_init),    SCMP_SYS(quotactl),
    SCMP_SYS(acct),              SCMP_SYS(syslog),           SCMP_SYS(settimeofday),      SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),     SCMP_SYS(adjtimex),         SCMP_SYS(sethostname),       SCMP_SYS(setdomainname),
    SCMP_SYS(iopl),              SCMP_SYS(ioperm),           SCMP_SYS(personality),       SCMP_SYS(vhangup),
    SCMP_SYS(lookup_dcookie),    SCMP_SYS(mknod),            SCMP_SYS(mknodat),           SCMP_SYS(modify_ldt),
    SCMP_SYS(prlimit64),         SCMP_SYS(setpriority),      SCMP_SYS(migrate_pages),     SCMP_SYS(move_pages),
};

/* Families beside local, IPv4, IPv6 and the netlink that name resolution asks. */
static const int net_denied_families[] = {AF_PACKET, AF_VSOCK, AF_ALG, AF_KEY,  AF_BLUETOOTH, AF_CAN,
                                          AF_XDP,    AF_RDS,   AF_TIPC, AF_NFC, AF_KCM};

/* Keeps the first failure of many. */
static void first(int *r, int got)
{
  if (*r == 0) *r = got;
}

static int add_signer(scmp_filter_ctx ctx)
{
  const uint32_t allow = SCMP_ACT_ALLOW;
  const scmp_datum_t self = (scmp_datum_t)getpid();
  int r = 0;
  for (size_t i = 0; i < COUNT_OF(signer_calls); i++) first(&r, seccomp_rule_add(ctx, allow, signer_calls[i], 0));
  /* Memory never becomes code, and mappings are never of files. */
  first(&r, seccomp_rule_add(ctx, allow, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A4(SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX)));
  first(&r, seccomp_rule_add(ctx, allow, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
  /* abort() and failpoints: signals to itself only. */
  first(&r, seccomp_rule_add(ctx, allow, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_EQ, self)));
  first(&r, seccomp_rule_add(ctx, allow, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self)));
  return r;
}

static int add_net(scmp_filter_ctx ctx)
{
  const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  const scmp_datum_t self = (scmp_datum_t)getpid();
  int r = 0;
  for (size_t i = 0; i < COUNT_OF(net_denied); i++) {
    int got = seccomp_rule_add(ctx, refuse, net_denied[i], 0);
    if (got != -EDOM) first(&r, got); /* a call that this machine's architecture does not have */
  }
  for (size_t i = 0; i < COUNT_OF(net_denied_families); i++)
    first(&r, seccomp_rule_add(ctx, refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)net_denied_families[i])));
  /* Threads, not processes. clone3 hides its flags in memory; without it the C library falls back to clone. */
  first(&r, seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
  first(&r, seccomp_rule_add(ctx, refuse, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)));
  /* Signals to itself only. */
  first(&r, seccomp_rule_add(ctx, refuse, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, self)));
  first(&r, seccomp_rule_add(ctx, refuse, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self)));
  first(&r, seccomp_rule_add(ctx, refuse, SCMP_SYS(tkill), 0));
  return r;
}

rc_t sandbox_calls(sandbox_calls_set_t set, err_t *e)
{
  bool signer = set == SANDBOX_CALLS_SIGNER;
  scmp_filter_ctx ctx = seccomp_init(signer ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW);
  if (!ctx) return err_set(e, RC_NOMEM, "sandbox_seccomp", NULL, "out of memory");
  int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
  /* A binary tree: the cost of a call does not grow with the list. */
  (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  first(&r, signer ? add_signer(ctx) : add_net(ctx));
  if (r == 0) r = seccomp_load(ctx);
  seccomp_release(ctx);
  if (r == 0) return rc(RC_OK);
  return err_set(e, RC_IO, "sandbox_seccomp", NULL, strerrordesc_np(-r));
}
