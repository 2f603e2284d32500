#!/bin/sh
# Two nodes on this machine form a federation. Alice founds a dataset from a folder; bob clones it with stock git, mends
# a value and pushes it to his own branch; alice sees which rows differ; bob takes it back.
#
#   sh examples/datasets/share-and-compare.sh
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/node_modules/.bin:$PATH"
root=$PWD
work=$(mktemp -d)
started=''

finish() {
  # What was started last ends first.
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  for pid in $started; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

maoctl() {
  who=$1
  shift
  node "$root/src/cli/main.ts" --data "$work/$who" "$@"
}

# say WHO WORDS…: shows a command of maoctl as WHO types it, and runs it.
say() {
  echo "$1\$ maoctl $(shift; echo "$*")"
  maoctl "$@"
}

# until_done WHAT COMMAND…: tries for half a minute.
until_done() {
  what=$1
  shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
      echo "$what did not come about; the nodes said:" >&2
      cat "$work"/*.log >&2
      exit 1
    fi
    sleep 0.2
  done
}

start_node() {
  mkdir -p "$work/$1"
  MAO_ETCD_SERVE=never node src/cli/main.ts --data "$work/$1" instance start --name "$1" --port 0 --no-mdns >"$work/$1.log" 2>&1 &
  started="$! $started"
}

# git finds its helper for mao:// on PATH; "npm link" puts it there for good.
mkdir "$work/bin"
printf '#!/bin/sh\nexec node "%s/src/cli/git-remote-mao.ts" "$@"\n' "$root" >"$work/bin/git-remote-mao"
chmod +x "$work/bin/git-remote-mao"
PATH="$work/bin:$PATH"

start_node alice
start_node bob
until_done "The start of alice's node" maoctl alice federation create --name lab
token=$(maoctl alice --json federation invite | node -p 'JSON.parse(require("fs").readFileSync(0)).token')
until_done "Bob's joining" maoctl bob federation join "$token"

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
truth=$(maoctl bob --json dataset show stations | node -p 'JSON.parse(require("fs").readFileSync(0)).truth')
say bob --yes dataset reset stations --step fix --to "$truth" --reason 'the station is on fire'
