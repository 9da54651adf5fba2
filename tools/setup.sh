#!/bin/sh
# Installs the missing packages of tools/packages.txt up to the step named ($1: build, run, test, newcomer), by name
# and without starting any service they bring. Nothing missing: says nothing, asks nothing, needs no network.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

# Root part: install by name, with a policy that forbids every service start for as long as it takes.
install_as_root() {
  policy=/usr/sbin/policy-rc.d
  kept=
  restore() {
    rm -f "$policy" "$log"
    if [ -n "$kept" ]; then mv -f "$kept" "$policy"; fi
  }
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  if [ -e "$policy" ]; then
    kept=$policy.certctl-kept
    mv -f "$policy" "$kept"
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  export DEBIAN_FRONTEND=noninteractive
  say "refreshing the package lists"
  apt-get update -q=2 || say "the lists could not all be refreshed, going on with those at hand"
  say "installing: $*"
  apt-get install -y -q=2 --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    say "apt-get could not install them; the lines above say why" >&2
    exit 1
  }
}

log=${TMPDIR:-/tmp}/certctl-setup.$$.log
trap 'rm -f "$log"' EXIT

if [ "${1:-}" = --install ]; then
  shift
  install_as_root "$@"
  exit 0
fi

steps="build run test newcomer"
case " $steps " in *" ${1:-test} "*) ;; *) say "unknown step '$1': one of $steps" >&2; exit 2 ;; esac
upto="${steps%%"${1:-test}"*}${1:-test}"
wanted=$(awk -v upto="$upto" '!/^#/ && NF == 2 && index(" " upto " ", " " $2 " ") { print $1 }' tools/packages.txt)
if ! command -v dpkg-query >/dev/null; then
  say "this is no Debian; the build needs what these packages hold:" $wanted >&2
  exit 0
fi
missing=
for p in $wanted; do
  case $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null || true) in
  ii*) ;;
  *) missing="$missing $p" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  sh tools/setup.sh --install $missing
elif command -v sudo >/dev/null; then
  say "these packages are missing:$missing"
  say "sudo is asked for 'apt-get install' of them, and for nothing else"
  sudo sh tools/setup.sh --install $missing
else
  say "these packages are missing, and there is no sudo to install them with. As root: apt-get install$missing" >&2
  exit 1
fi
say "done"
