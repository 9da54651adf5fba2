#!/bin/sh
# Makes a Meson tree in the folder $1 with the options that follow; prints Meson's log only when it fails.
set -eu
dir=$1
shift
printf '%s: configuring\n' "$dir"
mkdir -p "$dir"
if [ -e "$dir/build.ninja" ]; then set -- --reconfigure "$@"; fi
if ! meson setup "$dir" "$@" >"$dir/setup.log" 2>&1; then
  tail -n 20 "$dir/setup.log" >&2
  printf '%s: meson refused; the lines above say why\n' "$dir" >&2
  exit 1
fi
