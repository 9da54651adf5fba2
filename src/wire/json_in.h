/*
 * JSON in: one strict parse of a whole text into nodes that live in an arena,
 * typed getters by key, and whole rows by field table. Strict means RFC 8259
 * with UTF-8 checked, duplicate keys, U+0000, trailing bytes and a byte order
 * mark refused, and depth and tokens capped before anything is allocated.
 *
 * Nodes, and every slice a getter returns, live as long as the arena. A node is
 * read-only; several threads may read it.
 */
#ifndef WIRE_JSON_IN_H
#define WIRE_JSON_IN_H

#include "base/arena.h"
#include "base/buf.h"
#include "desc/field.h"

typedef struct json_t json_t; /* the library's node; never touched directly outside json_in.c */

typedef struct json_doc {
  const json_t *root; /* object, array or scalar */
} json_doc_t;

/*
 * Parses exactly one value. RC_SYNTAX (reasons json_syntax, json_utf8,
 * json_trailing, json_duplicate_key, json_number), RC_FULL (json_depth over
 * LIM_JSON_DEPTH, json_tokens over LIM_JSON_TOKENS), RC_NOMEM (arena over its
 * budget: 413); e->offset is the byte at fault.
 */
MUST rc_t json_parse(arena_t *a, slice_t text, json_doc_t *ret, err_t *e);

/* As json_parse, and the value must be an object: else RC_INVALID, "must be a JSON object". */
MUST rc_t json_parse_object(arena_t *a, slice_t text, json_doc_t *ret, err_t *e);

/*
 * Getters of an object's member. An absent member and null are the same: RC_OK
 * and *ret untouched, so the caller presets the default. A member of another
 * type is RC_INVALID with field = key ("name must be a string"). `key` is kept
 * in *e, so it must be static text. A NULL or non-object `obj` has no members.
 */
bool json_has(const json_t *obj, const char *key); /* present and not null */
MUST rc_t json_get_text(const json_t *obj, const char *key, slice_t *ret, err_t *e);
MUST rc_t json_get_bool(const json_t *obj, const char *key, bool *ret, err_t *e);
/* Whole numbers only ("3.0" is refused); outside min..max: "must be at least {limit}", "must be {limit} or less". */
MUST rc_t json_get_i64(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret, err_t *e);
/* RFC 3339 text. */
MUST rc_t json_get_time(const json_t *obj, const char *key, us_t *ret, err_t *e);
MUST rc_t json_get_object(const json_t *obj, const char *key, const json_t **ret, err_t *e);
MUST rc_t json_get_array(const json_t *obj, const char *key, const json_t **ret, err_t *e);
/* Array of strings, at most max_items (0: as many as came). */
MUST rc_t json_get_texts(const json_t *obj, const char *key, size_t max_items, arena_t *a, texts_t *ret, err_t *e);

/* Walking: elements of an array, members of an object in the order sent. */
size_t json_len(const json_t *node); /* elements or members; 0 for anything else */
const json_t *json_at(const json_t *array, size_t i); /* NULL behind the end */
typedef struct json_iter {
  void *it;
} json_iter_t;
/* Start with (json_iter_t){0}; false at the end. */
bool json_next(const json_t *obj, json_iter_t *it, slice_t *ret_key, const json_t **ret_value);

/* What a node is, for values without a key; a NULL node is null. */
typedef enum json_kind { JK_NULL, JK_OBJECT, JK_ARRAY, JK_TEXT, JK_INT, JK_REAL, JK_BOOL } json_kind_t;
json_kind_t json_kind(const json_t *node);
bool json_as_text(const json_t *node, slice_t *ret); /* *ret set when true */

/* Writes a node compactly: no blanks, keys in their order, texts escaped as json_out does. */
void json_emit(const json_t *node, buf_t *b);

/*
 * Reads a request body into *row by the resource's field table. Members that
 * the table lacks, and fields READONLY, HIDDEN or VIRTUAL, are ignored. Texts
 * may hold tab and newline but no other control character and at most `max`
 * code points; enumerations come in any case and are stored as the table spells
 * them, and "" for one counts as absent; FT_JSON is stored compact. Bit i of *ret_present: field i was there and
 * not null; other members of *row are untouched. First fault in table order:
 * RC_INVALID with the field's name. e->text may live in `a`.
 */
MUST rc_t json_row_read(const resource_t *res, arena_t *a, const json_t *obj, void *row, uint64_t *ret_present,
                        err_t *e);

/* Sets the table's default in every field that has one and whose bit in `present` is clear. RC_INTERNAL: bad table. */
MUST rc_t json_row_defaults(const resource_t *res, arena_t *a, uint64_t present, void *row, err_t *e);

/* "<field> is required" (RC_INVALID) for the first REQUIRED field of *row that is empty or blank. */
MUST rc_t json_row_required(const resource_t *res, const void *row, err_t *e);

#endif
