/*
 * Nanoseconds of CPU to parse one request of 351 bytes with 8 header fields, median of
 * 7 runs; prints one line of JSON.
 */
#include "wire/http1.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 7, TURNS = 400000 };

static const char text[] =
  "GET /api/v1/certificates?page=1&per_page=50&status=Active HTTP/1.1\r\n"
  "Host: certctl.example.test:8443\r\n"
  "User-Agent: certctl-cli/0.1.0 (linux; amd64)\r\n"
  "Accept: application/json\r\n"
  "Accept-Encoding: identity\r\n"
  "Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
  "If-None-Match: \"0123456789abcdef\"\r\n"
  "X-Request-ID: 8b0f6a52\r\n"
  "Connection: keep-alive\r\n\r\n";

static double run(void)
{
  static http1_head_t head;
  struct timespec a, b;
  slice_t in = slice_of(text, sizeof text - 1);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (int i = 0; i < TURNS; i++) {
    size_t scan = 0;
    if (!rc_ok(http1_request(in, &scan, &head, NULL)) || head.nfields != 8) exit(1);
    __asm__ volatile("" : : "r"(&head) : "memory");
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / TURNS;
}

static int by_size(const void *x, const void *y) { return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y); }

int main(void)
{
  double ns[RUNS];
  for (int i = 0; i < RUNS; i++) ns[i] = run();
  qsort(ns, RUNS, sizeof *ns, by_size);
  printf("{\"bytes\":%zu,\"parse_ns\":%.0f,\"least_ns\":%.0f}\n", sizeof text - 1, ns[RUNS / 2], ns[0]);
  return 0;
}
