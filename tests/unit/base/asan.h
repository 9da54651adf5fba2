/* UNDER_ASAN: 1 when compiled with the address sanitizer, which also makes mlock(2) a no-op. */
#ifndef TEST_BASE_ASAN_H
#define TEST_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#endif
