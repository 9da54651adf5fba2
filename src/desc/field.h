/*
 * Row types of the tables that describe what users see. A resource is an array
 * of field_t; JSON in and out, SQL columns, filters, sparse fields, partial
 * update and the OpenAPI schema are all derived from it.
 */
#ifndef DESC_FIELD_H
#define DESC_FIELD_H

#include "base/clock.h"

/* Type of a field; the member it points at must have the C type named here. */
typedef enum field_type {
  FT_TEXT,  /* slice_t */
  FT_ENUM,  /* slice_t; one of field.values, any case in, TitleCase out */
  FT_INT,   /* int64_t */
  FT_BOOL,  /* bool */
  FT_TIME,  /* us_t; US_NEVER is "never" */
  FT_TEXTS, /* texts_t; JSON array of strings */
  FT_JSON   /* slice_t holding canonical JSON (object or array), checked on the way in */
} field_type_t;

typedef struct texts {
  const slice_t *v;
  size_t n;
} texts_t;

enum field_flag {
  FF_REQUIRED = 1 << 0,  /* POST must carry it, not empty */
  FF_READONLY = 1 << 1,  /* ignored in request bodies */
  FF_SECRET = 1 << 2,    /* never leaves in clear */
  FF_OMITEMPTY = 1 << 3, /* left out of replies when empty, zero, false or never */
  FF_NULLABLE = 1 << 4,  /* column may be NULL; stored NULL when empty */
  FF_FILTER = 1 << 5,    /* ?name=value filters lists */
  FF_SORT = 1 << 6,      /* ?sort=name */
  FF_IMMUTABLE = 1 << 7, /* set on create, kept on update */
  FF_HIDDEN = 1 << 8,    /* a column that is not on the wire */
  FF_VIRTUAL = 1 << 9    /* on the wire, not a column (filled by the resource's own code) */
};

typedef struct field {
  const char *name;    /* wire name */
  const char *column;  /* NULL: same as name */
  field_type_t type;
  uint32_t flags;
  uint32_t offset;     /* of the member in the row struct */
  int64_t min, max;    /* FT_INT: range; FT_TEXT: max = most code points, 0 = none; FT_JSON/FT_TEXTS: max = most bytes/items */
  const char *const *values; /* FT_ENUM: NULL-terminated, in TitleCase */
  const char *ref;     /* FT_TEXT: table whose id this value names, or NULL */
  const char *def;     /* default on create: text form ("30", "true", JSON); NULL = empty */
  const char *help;    /* one line for the reference */
} field_t;

/* C type of the member must match the field's type. */
#define FIELD_TYPE_OK(type, member_expr)                                                   \
  _Generic((member_expr),                                                                  \
      slice_t: (type) == FT_TEXT || (type) == FT_ENUM || (type) == FT_JSON,                \
      int64_t: (type) == FT_INT,                                                           \
      bool: (type) == FT_BOOL,                                                             \
      us_t: (type) == FT_TIME,                                                             \
      texts_t: (type) == FT_TEXTS,                                                         \
      default: 0)

/*
 * One row of a field table:
 *   FIELD(team_t, name, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .help = "…")
 * A member whose type does not fit is a negative array size.
 */
#define FIELD(row, member, ftype, fflags, ...)                                             \
  {.name = #member,                                                                        \
   .type = (ftype),                                                                        \
   .flags = (fflags),                                                                      \
   .offset = offsetof(row, member) +                                                       \
             0 * sizeof(char[FIELD_TYPE_OK(ftype, ((row *)0)->member) ? 1 : -1]),          \
   __VA_ARGS__}

typedef struct resource {
  const char *name;        /* "team": audit resource_type and error texts */
  const char *table;       /* SQL table */
  const char *id_prefix;   /* generated ids "<prefix>-N" */
  const field_t *fields;
  uint32_t nfields;
  uint32_t row_size;
  const char *order;       /* column of the default list order */
  bool order_desc;
  const char *where;       /* fixed condition on every list ("retired_at is null"), or NULL */
  const char *audit_create, *audit_update, *audit_delete;
  const char *category;    /* audit event_category */
} resource_t;

/* Index of the field with that wire name, or -1. */
int resource_field(const resource_t *r, slice_t name);

static inline void *field_at(const field_t *f, const void *row)
{
  return (uint8_t *)(uintptr_t)row + f->offset;
}

/* Column name of a field. */
static inline const char *field_column(const field_t *f) { return f->column ? f->column : f->name; }

#endif
