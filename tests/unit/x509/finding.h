/* Looking findings up by their rule. */
#ifndef TESTS_X509_FINDING_H
#define TESTS_X509_FINDING_H

#include "x509/cert.h"

/* Finding of that rule, or NULL. */
static inline const finding_t *cert_finding(const cert_t *c, const char *rule)
{
  for (size_t i = 0; i < c->nfindings; i++)
    if (strcmp(c->findings[i].rule, rule) == 0) return &c->findings[i];
  return NULL;
}

#endif
