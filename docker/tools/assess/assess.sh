#!/bin/sh
# Reads the newest input/packages-*.csv and writes, new in every run,
#   data/assessment-<stamp>.csv   measure,value,packages: how many packages have that licence, that many dependencies,
#                                 that many maintainers
#   data/control-<stamp>.csv      the control metric: how many packages have a permissive licence
# and, anew each time, data/insights.json, the few figures that the federation is told.

set -eu
export LC_ALL=C

here=$(dirname -- "$0")
# shellcheck source=docker/tools/snapshot.sh
. "$here/snapshot.sh"

input=/usr/src/app/input
data=/usr/src/app/data

newest=
for snapshot in "$input"/packages-*.csv; do
  [ ! -e "$snapshot" ] || newest=$snapshot
done
if [ -z "$newest" ]; then
  # A federation that has not agreed on its first snapshot yet has nothing to assess, and that is no failure.
  echo "the input has no packages-*.csv yet: nothing to assess"
  exit 0
fi

stamp=$(snapshot_stamp "$data" assessment)
part=$data/.assess.part
trap 'rm -f "$part" "$part.control" "$part.insights" "$part.measures"' EXIT

awk -v snapshot="${newest##*/}" -v control="$part.control" -v insights="$part.insights" -f "$here/assess.awk" \
  "$newest" >"$part.measures"
{
  echo 'measure,value,packages'
  sort "$part.measures" | cut -f4-
} >"$part"

keep_new "$part" "$data/assessment-$stamp.csv"
keep_new "$part.control" "$data/control-$stamp.csv"
mv "$part.insights" "$data/insights.json"
echo "assessment-$stamp.csv: of ${newest##*/}, $(cat "$data/control-$stamp.csv") packages with a permissive licence"
