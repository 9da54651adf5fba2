/*
 * The route and resource tables as an OpenAPI 3.1 document.
 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "base/buf.h"

/* Appends the whole document as JSON. */
void openapi_emit(buf_t *b);

#endif
