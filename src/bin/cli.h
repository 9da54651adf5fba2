/*
 * Private to certctl-cli: the command table and what its rows mean, one run's
 * state, and the pieces of a run (arguments, requests, output). Commands are
 * data: most need no code of their own. Memory is the run's arena; exit codes
 * are those of enum cli_exit.
 */
#ifndef BIN_CLI_H
#define BIN_CLI_H

#include "base/buf.h"
#include "conf/conf.h"
#include "net/http_client.h"
#include "wire/json_in.h"

enum cli_exit {
  CLI_DONE = 0,
  CLI_FAILED = 1,  /* an error, or a job that failed */
  CLI_USAGE = 2,   /* the command line makes no sense */
  CLI_WAITING = 3  /* --wait ran out; the work goes on */
};

enum {
  CLI_ARGS_MAX = 64,
  CLI_GIVEN_MAX = 256,
  CLI_FLAGS_MAX = 16,
  CLI_COLUMNS_MAX = 16,
  CLI_MEMORY = 256 << 20 /* most bytes of one arena: an answer of LIM_RESPONSE with its nodes */
};

/* A name has one kind in every command that has it, so that flags may stand before the command. */
typedef enum cli_flag_kind {
  CF_TEXT, /* --name VALUE */
  CF_LIST, /* the same, repeatable; a value may be a comma-separated list */
  CF_BOOL, /* --name */
  CF_SPAN  /* --name or --name=5m; never takes the next word */
} cli_flag_kind_t;

typedef struct cli_flag {
  const char *name;     /* without dashes; NULL ends a list */
  cli_flag_kind_t kind;
  const char *param;    /* query parameter or member of the body; NULL: the command's own code reads it */
  const char *value;    /* placeholder in help */
  bool required;
  const char *help;
} cli_flag_t;

typedef enum cli_cell { CELL_ANY, CELL_DATE, CELL_TIME } cli_cell_t;

typedef struct cli_column {
  const char *title; /* NULL ends a list */
  const char *key;   /* member of the object */
  cli_cell_t cell;
  bool optional;     /* left out of an object's lines when empty */
} cli_column_t;

typedef enum cli_shape {
  CLI_LIST,   /* {"data":[…],"total":n}: a table */
  CLI_OBJECT, /* one object: lines */
  CLI_SAY,    /* a sentence in which {} is the argument */
  CLI_OWN     /* the command's own code prints */
} cli_shape_t;

typedef struct cli cli_t;

typedef struct cli_command {
  const char *words;       /* "certs list" */
  const char *args;        /* "ID" for help; NULL: none */
  uint8_t min_args, max_args;
  http1_method_t method;   /* HTTP1_NONE is GET */
  const char *path;        /* {} is the first argument, encoded */
  cli_flag_t flags[CLI_FLAGS_MAX];
  cli_shape_t shape;
  cli_column_t columns[CLI_COLUMNS_MAX];
  const char *say;
  int (*run)(cli_t *c);    /* NULL: request and output by the table */
  bool offline;            /* needs no server */
  const char *help;
} cli_command_t;

extern const cli_command_t cli_commands[];
extern const size_t cli_ncommands;

/* One run. */
struct cli {
  const cli_command_t *command;
  slice_t args[CLI_ARGS_MAX];
  size_t nargs;
  struct {
    const char *name; /* the table's, so that pointers to its text compare */
    slice_t value;
  } given[CLI_GIVEN_MAX];
  size_t ngiven;
  bool json;
  arena_t *arena;
  const conf_t *conf;
  http_client_t *http;
};

/* --- cli_args.c --- */

/* Splits what conf_load left of argv into c; CLI_DONE, or CLI_USAGE after saying why. */
int cli_args_parse(cli_t *c, int argc, char **argv);

/* True if the line asks for help; *ret_words is "" or the words before it ("certs create"). */
bool cli_args_help(arena_t *a, int argc, char **argv, slice_t *ret_words);

/* Help from the table on stdout: all commands, a group, or one. CLI_USAGE for words that are none. */
int cli_help(slice_t words);

/* Value of a flag; p == NULL when it was not given. Last one wins. */
slice_t cli_flag(const cli_t *c, const char *name);

/* Every value of a CF_LIST flag, commas split, blanks trimmed, empty ones dropped. */
MUST rc_t cli_flag_list(const cli_t *c, const char *name, texts_t *ret);

/* Says "error: …" on stderr, printable; returns code. */
int cli_fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same for the detail of a failed call. */
int cli_fail_err(int code, const err_t *e);

/* --- cli_request.c --- */

/* Opens the client from the settings; CLI_DONE or CLI_FAILED after saying why. */
int cli_connect(cli_t *c);

typedef struct cli_request {
  http1_method_t method;
  const char *path;     /* with query, encoded */
  const char *accept;   /* NULL: application/json */
  const char *headers;  /* complete lines beyond the fixed ones, or NULL */
  slice_t body;         /* JSON, or p == NULL */
  int64_t timeout_ms;   /* 0: 30 s */
} cli_request_t;

/* One request, with key and Accept added; any status is RC_OK. */
MUST rc_t cli_send(cli_t *c, const cli_request_t *rq, http_answer_t *ret, err_t *e);

/* A failed exchange, or a status from 400 on, is said on stderr and is false. */
bool cli_judge(const cli_t *c, rc_t r, const err_t *e, const http_answer_t *answer);

/* The answer as JSON ({"status":"deleted"} for 204); says when it is none and returns false. */
bool cli_judge_json(const cli_t *c, const http_answer_t *answer, const json_t **ret);

/* cli_send and cli_judge. */
bool cli_ask(cli_t *c, const cli_request_t *rq, http_answer_t *ret);

/* cli_ask and cli_judge_json. */
bool cli_ask_json(cli_t *c, const cli_request_t *rq, const json_t **ret);

/* Path of the run's command with its arguments and query flags filled in; NULL out of memory. */
const char *cli_path(cli_t *c);

/* Runs a command that has no code of its own. */
int cli_run_table(cli_t *c);

/* --- cli_print.c --- */

/* JSON indented by two spaces, and a newline; `json` is compact and valid. */
void cli_print_compact(slice_t json);
void cli_print_json(const json_t *node);

/* By the command's shape and columns, as JSON or as text. */
void cli_print(const cli_t *c, const json_t *node);

/* Text with control characters (also of Unicode's C1 set) replaced, so that nobody else writes to the terminal. */
slice_t cli_printable(arena_t *a, slice_t s);

/* --- commands with code of their own --- */

int cli_certs_create(cli_t *c);
int cli_certs_renew(cli_t *c);
int cli_ca_root(cli_t *c);
int cli_inspect(cli_t *c);
int cli_status(cli_t *c);
int cli_version(cli_t *c);

#endif
