/*
 * The supervisor of certctl-server: starts the signer and the network process, hands them what each may
 * have, and starts both anew when either dies. One thread; it listens nowhere and reads no byte that a
 * stranger wrote.
 *
 * Who has what: the signer alone gets the passphrase, by pipe; its environment has no secret. The network process
 * gets the server's settings without the CA's, and the operator's TLS files as descriptors, at the start, on SIGHUP
 * and when they change. Both end with the supervisor, whatever ends it.
 */
#ifndef BIN_SUPERVISOR_H
#define BIN_SUPERVISOR_H

#include "conf/conf.h"

/*
 * Runs until SIGTERM or SIGINT and returns the exit code: 0 after an orderly stop, 1 when a child refused to start
 * (it has said why) or the confinement that CERTCTL_SANDBOX asks for is missing. argv are the operator's arguments
 * without argv[0]; the network process is this program with LINK_NET_ARGUMENT (bin/link.h) in front of them.
 */
int supervisor_run(const conf_t *conf, int argc, char **argv);

#endif
