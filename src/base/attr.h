/*
 * Compiler extensions the project allows itself, each behind one name.
 */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
