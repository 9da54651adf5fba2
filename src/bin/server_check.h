/*
 * certctl-server --check: looks at everything a start needs and changes nothing.
 */
#ifndef BIN_SERVER_CHECK_H
#define BIN_SERVER_CHECK_H

#include "conf/conf.h"

/* Prints one line a subject; 0 when all are well. */
int server_check(const conf_t *conf);

#endif
