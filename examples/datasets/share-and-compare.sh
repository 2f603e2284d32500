#!/bin/sh
# Two nodes on this machine form a federation. Alice founds a dataset from a folder; bob clones it with stock git, mends
# a value and pushes it to his own branch; alice sees which rows differ; bob takes it back.
#
#   sh examples/datasets/share-and-compare.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/nodes.sh
open_work

# git finds its helper for mao:// on PATH; "npm link" puts it there for good.
mkdir "$work/bin"
printf '#!/bin/sh\nexec node "%s/src/cli/git-remote-mao.ts" "$@"\n' "$root" >"$work/bin/git-remote-mao"
chmod +x "$work/bin/git-remote-mao"
PATH="$work/bin:$PATH"

start_node alice
start_node bob
federation alice lab bob

# A folder becomes a dataset, and every member's node copies it.
mkdir "$work/measured"
printf 'station,celsius\nnorth,4.1\nsouth,91.0\nwest,7.7\n' >"$work/measured/stations.csv"
say alice dataset import "$work/measured" --name stations

# Stock git works on bob's copy; MAO_DATA says which of the two nodes here is his.
until_done "Bob's copy" maoctl bob dataset verify stations
export MAO_DATA="$work/bob"
echo 'bob$ git clone mao://lab/stations'
git clone --quiet mao://lab/stations "$work/stations"
sed -i.before 's/^south,91.0$/south,9.1/' "$work/stations/stations.csv"
git -C "$work/stations" -c user.name=bob -c user.email=bob@lab.invalid commit --quiet -am 'A decimal point was lost'
echo 'bob$ git push origin HEAD:fix-bob'
git -C "$work/stations" push --quiet origin HEAD:fix-bob

# Rows are compared by their station, not line by line.
has_branch() { maoctl alice dataset log stations --branch fix-bob; }
until_done "Bob's branch at alice's node" has_branch
say alice dataset diff stations bob
say alice dataset cat stations stations.csv --at bob

# What was pushed can be taken back, for everybody, with a reason that everybody is shown.
truth=$(maoctl bob --json dataset show stations | field .truth)
say bob --yes dataset reset stations --step fix --to "$truth" --reason 'the station is on fire'
