/*
 * The confinement of the network process: which files it keeps, and that it can do nothing else with
 * the machine. Its file rules name single files, never the state folder, so that neither the signer's files nor a
 * name beside its own can be reached.
 */
#ifndef BIN_CONFINE_H
#define BIN_CONFINE_H

#include "conf/conf.h"

/*
 * What the network process needs in the state folder, made where it is missing: the folder itself, <state>/tls and the
 * store's files. Errors of io/file.h.
 */
MUST rc_t confine_make(const conf_t *conf, err_t *e);

/*
 * For the network process while it has one thread, and before it opens the store for good. Makes <state>/tls and the three files of the embedded
 * store where they are missing; as root gives them to SANDBOX_UID_NET and
 * becomes it; then Landlock and seccomp (not with CERTCTL_SANDBOX=off). Afterwards it can
 *  - read and write those three files in place (the log is never removed: SQLITE_FCNTL_PERSIST_WAL; a fresh store needs
 *    "journal_mode=memory" before "journal_mode=wal", since a rollback journal cannot be made),
 *  - make, rename and remove files in <state>/tls,
 *  - read what name resolution and the system's trust store need,
 *  - use IPv4, IPv6 and local sockets and start threads.
 * Errors: those of io/sandbox.h and io/file.h.
 */
MUST rc_t confine_net(const conf_t *conf, err_t *e);

#endif
