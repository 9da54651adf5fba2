#!/bin/sh
# The front door, tried by a newcomer: a bare Debian 12 in a folder of its own, `apt-get install -y git make`, a clone of
# what is committed here, `make run ONCE=1` twice. Both must end in "served certificate verified sha256=…" with exit 0,
# with the same CA and another leaf. Needs root. $1 = build: only `make build`, twice.
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}

say() { printf 'newcomer: %s\n' "$*"; }
die() { say "FAILED: $*"; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root, for mmdebstrap, chroot and namespaces"

# Second half, in its own mount and process namespaces: the system inside "$2" gets its own /proc, /dev and /tmp.
if [ "$what" = --inside ]; then
  root=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for d in null zero full random urandom tty; do
    : >"$root/dev/$d"
    mount --bind "/dev/$d" "$root/dev/$d"
  done
  mkdir "$root/dev/shm"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  ln -s /proc/self/fd "$root/dev/fd"
  exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" API_PORT="${API_PORT:-8443}" WEB_PORT="${WEB_PORT:-9443}" "$@"
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work"
root=$work/root

inside() { unshare --mount --pid --fork --kill-child sh tools/newcomer.sh --inside "$root" "$@"; }

# The sources and the proxy that this machine uses for Debian itself.
sources=/etc/apt/sources.list
[ -s "$sources" ] || sources=$(grep -ls '^URIs:.*debian' /etc/apt/sources.list.d/*.sources | head -n 1)
say "installing a bare Debian 12 (mmdebstrap)"
mmdebstrap --quiet --variant=minbase --format=directory bookworm "$root" "$sources" >"$work/log" 2>&1 || {
  tail -n 15 "$work/log"
  die "mmdebstrap"
}
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
apt-config dump | grep -E '^Acquire::https?::[Pp]roxy ' >"$root/etc/apt/apt.conf.d/90proxy" || rm -f "$root/etc/apt/apt.conf.d/90proxy"

say "apt-get install -y git make"
inside sh -c 'apt-get update -q=2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 git make' >"$work/log" 2>&1 || {
  tail -n 15 "$work/log"
  die "apt-get install -y git make"
}
git bundle create -q "$root/certctl.bundle" HEAD
inside git -c advice.detachedHead=false clone --quiet /certctl.bundle /certctl || die "git clone"

if [ "$what" = build ]; then
  for n in 1 2; do
    say "make build, run $n"
    inside make -C /certctl build || die "make build, run $n"
  done
  say "built twice: $(cd "$root/certctl/build/bin" && echo *)"
  exit 0
fi

once() {
  say "make run ONCE=1, run $1"
  began=$(date +%s)
  rc=0
  inside sh -c 'make -C /certctl run ONCE=1; rc=$?
    grep -lsE "^(certctl|nginx)" /proc/[0-9]*/comm | sed "s/^/left running: /"
    exit $rc' >"$work/run$1" 2>&1 || rc=$?
  sed 's/^/  /' "$work/run$1"
  [ "$rc" = 0 ] || die "run $1 ended with exit $rc"
  leaf=$(sed -n 's/^.*served certificate verified sha256=\([0-9a-f]\{64\}\).*$/\1/p' "$work/run$1" | tail -n 1)
  ca=$(sed -n 's/^.*CA sha256=\([0-9a-f]\{64\}\).*$/\1/p' "$work/run$1" | tail -n 1)
  [ -n "$leaf" ] || die "run $1 printed no 'served certificate verified sha256='"
  [ -n "$ca" ] || die "run $1 printed no 'CA sha256='"
  ! grep -q '^left running: ' "$work/run$1" || die "run $1 left processes behind"
  say "run $1: $(($(date +%s) - began)) s"
}

once 1
leaf1=$leaf ca1=$ca
once 2
[ "$ca" = "$ca1" ] || die "the second run has another CA: $ca1, then $ca"
[ "$leaf" != "$leaf1" ] || die "both runs served the same certificate: $leaf"
say "same CA sha256=$ca"
say "passed: served certificate verified sha256=$leaf1, then sha256=$leaf"
