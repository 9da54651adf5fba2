#!/bin/sh
# Builds the programs named after the folder $1 in that Meson tree and puts them into its bin/.
set -eu
dir=$1
shift
targets=
for p in "$@"; do targets="$targets src/bin/$p"; done
# shellcheck disable=SC2086
ninja -C "$dir" $targets
mkdir -p "$dir/bin"
for p in "$@"; do ln -f "$dir/src/bin/$p" "$dir/bin/$p"; done
