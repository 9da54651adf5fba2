/*
 * Facts about this host, for an agent's heartbeat.
 */
#ifndef IO_HOST_H
#define IO_HOST_H

#include "base/slice.h"

typedef struct host {
  char hostname[256];
  char os[32];           /* "linux" */
  char architecture[32]; /* "amd64", "arm64", "386", "arm"; else what the kernel says */
  char address[46];      /* first address that is neither loopback nor link-local, IPv4 before IPv6; may be empty */
} host_t;

/* What cannot be found out is left empty. */
void host_read(host_t *ret);

#endif
