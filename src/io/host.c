#include "io/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/utsname.h>

/* The kernel's names of machines, and those the API uses. */
static const struct {
  const char *machine, *name;
} architectures[] = {
  {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}, {"i386", "386"}, {"armv7l", "arm"}, {"armv6l", "arm"}};

static void lower_into(char *out, size_t cap, const char *s)
{
  size_t n = 0;
  for (; s[n] && n + 1 < cap; n++) out[n] = (char)ascii_lower((uint8_t)s[n]);
  out[n] = '\0';
}

static bool usable(const struct ifaddrs *i)
{
  if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK)) return false;
  if (i->ifa_addr->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)i->ifa_addr;
    return (ntohl(in->sin_addr.s_addr) >> 16) != 0xa9fe; /* 169.254/16 */
  }
  if (i->ifa_addr->sa_family != AF_INET6) return false;
  const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;
  return !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
}

static bool address_of(const struct ifaddrs *list, int family, char out[46])
{
  for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
    if (!usable(i) || i->ifa_addr->sa_family != family) continue;
    const struct sockaddr_in *v4 = (const void *)i->ifa_addr;
    const struct sockaddr_in6 *v6 = (const void *)i->ifa_addr;
    const void *bytes = family == AF_INET ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr;
    if (inet_ntop(family, bytes, out, 46)) return true;
  }
  return false;
}

void host_read(host_t *ret)
{
  struct utsname u;
  struct ifaddrs *list = NULL;
  *ret = (host_t){0};
  if (uname(&u) == 0) {
    snprintf(ret->hostname, sizeof ret->hostname, "%s", u.nodename);
    lower_into(ret->os, sizeof ret->os, u.sysname);
    snprintf(ret->architecture, sizeof ret->architecture, "%.31s", u.machine);
    for (size_t i = 0; i < COUNT_OF(architectures); i++) {
      if (strcmp(u.machine, architectures[i].machine) == 0)
        snprintf(ret->architecture, sizeof ret->architecture, "%s", architectures[i].name);
    }
  }
  if (getifaddrs(&list) != 0) return;
  if (!address_of(list, AF_INET, ret->address) && !address_of(list, AF_INET6, ret->address)) ret->address[0] = '\0';
  freeifaddrs(list);
}
