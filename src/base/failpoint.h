/*
 * Points at which a test can kill the process (built with -Dfailpoints=true
 * only). CERTCTL_FAILPOINT=name[:nth] raises SIGKILL at the nth passage,
 * counted per process. The list is here and nowhere else.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include <stdbool.h>

#define FAILPOINTS(X)     \
  X(command_before_commit) \
  X(command_after_commit) \
  X(issue_before_sign)    \
  X(signer_before_record) \
  X(signer_after_record)  \
  X(signer_before_reply)  \
  X(issue_before_command) \
  X(csr_reply)            \
  X(pickup_reply)         \
  X(key_written)          \
  X(csr_sent)             \
  X(files_staged)         \
  X(files_renamed)        \
  X(reloaded)             \
  X(verified)             \
  X(report_sent)          \
  X(supervisor_restart)

enum failpoint {
#define FP_ENUM(name) FP_##name,
  FAILPOINTS(FP_ENUM)
#undef FP_ENUM
  FP_COUNT
};

/* Arms one point from the text "name[:nth]"; NULL or empty disarms. False if unknown. */
bool failpoint_arm(const char *spec);

/* Name of point i. */
const char *failpoint_name(enum failpoint i);

/* Prints the names, one a line, as the programs' --list-failpoints does; returns 0, the exit status. */
int failpoint_list(void);

void failpoint_pass(enum failpoint i);

#ifdef CERTCTL_FAILPOINTS
#define FAILPOINT(name) failpoint_pass(FP_##name)
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
