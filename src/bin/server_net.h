/*
 * The network process: everything that meets strangers. Started by the
 * supervisor, confined before it serves (design D4).
 */
#ifndef BIN_SERVER_NET_H
#define BIN_SERVER_NET_H

#include "conf/conf.h"

/* Runs until the supervisor ends it; the exit code: 0 after a drain, 1 when it could not start (the reason is logged). */
int server_net_run(const conf_t *conf);

#endif
