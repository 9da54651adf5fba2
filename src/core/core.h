/*
 * What every use case needs, in one value: store, signer, time, randomness,
 * settings. Set once at start and never changed.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "base/random.h"
#include "conf/conf.h"
#include "db/db.h"
#include "signer/client.h"

typedef struct core {
  db_t *db;
  signer_client_t *signer;
  const timesrc_t *time;
  const rng_t *rng;
  const conf_t *conf;
} core_t;

#endif
