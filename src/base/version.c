#include "base/version.h"

#ifndef CERTCTL_VERSION
#error "the build names the version"
#endif

const char *version_text(void) { return CERTCTL_VERSION; }

const char *version_commit(void) { return CERTCTL_COMMIT; }

const char *version_toolchain(void)
{
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}
