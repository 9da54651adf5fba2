/* What a piece of the CLI writes to stdout or stderr. Nothing may be asserted in between: cmocka writes there too. */
#ifndef TEST_BIN_CAPTURE_H
#define TEST_BIN_CAPTURE_H

#include <stdio.h>
#include <unistd.h>

typedef struct capture {
  FILE *stream, *into;
  int kept;
  char text[32 * 1024];
} capture_t;

static inline void capture_begin(capture_t *c, FILE *stream)
{
  fflush(stream);
  c->stream = stream;
  c->into = tmpfile();
  c->kept = dup(fileno(stream));
  if (!c->into || c->kept < 0 || dup2(fileno(c->into), fileno(stream)) < 0) _exit(99);
}

/* The text written since, valid until the next one. */
static inline const char *capture_end(capture_t *c)
{
  fflush(c->stream);
  dup2(c->kept, fileno(c->stream));
  close(c->kept);
  ssize_t n = pread(fileno(c->into), c->text, sizeof c->text - 1, 0);
  c->text[n > 0 ? n : 0] = '\0';
  fclose(c->into);
  return c->text;
}

#endif
