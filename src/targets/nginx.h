/*
 * nginx: certificate, chain and key as files, `nginx -t`, reload, handshake
 * (spec/agent.md 4.4 and 5.1).
 */
#ifndef TARGETS_NGINX_H
#define TARGETS_NGINX_H

#include "targets/target.h"

extern const target_kind_t target_nginx;

#endif
