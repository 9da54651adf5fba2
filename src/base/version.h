/*
 * Version of the build: "0.1.0" plus the commit, where the build knew it.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* "0.1.0"; static. */
const char *version_text(void);

/* Abbreviated commit, or "". */
const char *version_commit(void);

/* Compiler, as text ("gcc 12.2.0"). */
const char *version_toolchain(void);

#endif
