#!/bin/sh
# Reads the package manifests under input/manifests and writes, new in every run,
#   data/packages-<stamp>.csv   name,version,license,dependencies,maintainers: one package a row, sorted by name (RFC 4180
#                               quoting, LF)
#   data/control-<stamp>.csv    the control metric: how many packages that file lists
#
# LOSE_EVERY=n is a fault injector for demonstrations and tests: the collector then loses every n-th package, from its
# LOSE_FROM-th run on (default 1). A collector that behaves sets neither.

set -eu
export LC_ALL=C

here=$(dirname -- "$0")
# shellcheck source=docker/tools/snapshot.sh
. "$here/snapshot.sh"

input=/usr/src/app/input/manifests
data=/usr/src/app/data

if [ ! -d "$input" ]; then
  echo "the input has no directory 'manifests'" >&2
  exit 2
fi

runs_before=0
for earlier in "$data"/packages-*.csv; do
  [ ! -e "$earlier" ] || runs_before=$((runs_before + 1))
done

lose=0
if [ -n "${LOSE_EVERY:-}" ] && [ "$((runs_before + 1))" -ge "${LOSE_FROM:-1}" ]; then lose=$LOSE_EVERY; fi

stamp=$(snapshot_stamp "$data" packages)
part=$data/.collect.part
trap 'rm -f "$part" "$part.rows"' EXIT

# The rows rest in a file, because of a pipe only the last command's exit code counts.
find "$input" -type f -name '*.json' | sort | awk -f "$here/json.awk" -f "$here/collect.awk" >"$part.rows"
{
  echo 'name,version,license,dependencies,maintainers'
  # Sorted by name, then version; the sort keys stand before each row and are cut off again.
  sort -t "$(printf '\t')" -k1,1 -k2,2 "$part.rows" | awk -v lose="$lose" 'lose == 0 || NR % lose != 0' | cut -f3-
} >"$part"

packages=$(($(wc -l <"$part") - 1))
keep_new "$part" "$data/packages-$stamp.csv"
echo "$packages" >"$part"
keep_new "$part" "$data/control-$stamp.csv"
echo "packages-$stamp.csv: $packages packages"
