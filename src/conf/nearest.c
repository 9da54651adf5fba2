#include "conf/nearest.h"

#include "conf/conf.h"

enum { NAME_MOST = 64 }; /* no setting is longer; a longer name resembles none */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Levenshtein distance, one row at a time; b has at most NAME_MOST bytes. */
static size_t distance(slice_t a, slice_t b)
{
  size_t row[NAME_MOST + 1];
  for (size_t j = 0; j <= b.n; j++) row[j] = j;
  for (size_t i = 1; i <= a.n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.n; j++) {
      size_t replace = diagonal + (a.p[i - 1] != b.p[j - 1]);
      diagonal = row[j];
      row[j] = least(replace, least(row[j], row[j - 1]) + 1);
    }
  }
  return row[b.n];
}

const char *nearest_find(slice_t name)
{
  size_t n, best = SIZE_MAX;
  const setting_t *rows = conf_settings(&n);
  const char *found = NULL;
  if (name.n > NAME_MOST) return NULL;
  for (size_t i = 0; i < n; i++) {
    slice_t known = slice_str(rows[i].env);
    size_t d = distance(name, known);
    if (d < best && d * 4 <= known.n - sizeof "CERTCTL") {
      best = d;
      found = rows[i].env;
    }
  }
  return found;
}
