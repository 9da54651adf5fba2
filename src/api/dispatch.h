/*
 * From a parsed head to a handler and back: authentication, permission, ETag,
 * error replies (spec/api.md 1.2 to 1.4, 1.15).
 */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/request.h"

/*
 * Authenticates and checks one permission; for handlers of open routes that authenticate
 * themselves. True when the reply is already made (401, 403, …): *ret is what to return.
 */
bool request_authorise(request_t *rq, reply_t *rp, const char *permission, rc_t *ret);

/* 401 or 403 with {"error": text}, and its audit row, one a minute per actor and reason. */
rc_t reply_denied(request_t *rq, reply_t *rp, int status, const char *reason, const char *text);

/* Waits for (kind, key), at most ms; the handler runs again then. */
rc_t reply_park(reply_t *rp, char kind, slice_t key, int64_t ms);

#endif
