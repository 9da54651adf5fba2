/* What this host says about itself, against what the system says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

/* Whether some interface that is up, and not the loopback, has an IPv4 address in words; ret says if it is `address`. */
static bool has_ipv4(const char *address, bool *ret_same)
{
  struct ifaddrs *list;
  bool any = false;
  assert_int_equal(getifaddrs(&list), 0);
  for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
    char text[INET_ADDRSTRLEN];
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) != IFF_UP) continue;
    const struct sockaddr_in *a = (const void *)i->ifa_addr;
    assert_non_null(inet_ntop(AF_INET, &a->sin_addr, text, sizeof text));
    if (strncmp(text, "169.254.", 8) == 0) continue;
    any = true;
    *ret_same |= strcmp(text, address) == 0;
  }
  freeifaddrs(list);
  return any;
}

static void test_host(void **state)
{
  host_t h;
  char name[256];
  memset(&h, 'x', sizeof h);
  host_read(&h);
  assert_int_equal(gethostname(name, sizeof name), 0);
  assert_string_equal(h.hostname, name);
  assert_string_equal(h.os, "linux");
#if defined(__x86_64__)
  assert_string_equal(h.architecture, "amd64");
#elif defined(__aarch64__)
  assert_string_equal(h.architecture, "arm64");
#endif
  bool same = false;
  if (has_ipv4(h.address, &same)) {
    assert_true(same);
  } else if (h.address[0]) {
    uint8_t v6[16];
    assert_int_equal(inet_pton(AF_INET6, h.address, v6), 1);
    assert_true(v6[0] != 0xfe && strcmp(h.address, "::1") != 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_host)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
