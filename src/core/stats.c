#include "core/stats.h"

#include "db/sql_stmts.h"

enum { SOON_S = 30 * 86400, ALIVE_S = 300 };

rc_t stats_read(db_read_t *r, arena_t *a, us_t now, stats_t *ret, err_t *e)
{
  const struct sql_stats_summary p = {
      .at = now, .soon = us_add_s(now, SOON_S), .never = US_NEVER, .alive = us_add_s(now, -ALIVE_S)};
  TRY(db_one(r, sql_stats_summary(a, &p), e));
  *ret = (stats_t){db_col_int(r, 0), db_col_int(r, 1), db_col_int(r, 2), db_col_int(r, 3), db_col_int(r, 4),
                   db_col_int(r, 5), db_col_int(r, 6), db_col_int(r, 7), db_col_int(r, 8)};
  return rc(RC_OK);
}
