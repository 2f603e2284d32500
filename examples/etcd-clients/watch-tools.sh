#!/bin/sh
# Two nodes on this machine form a federation; a stock etcdctl watches the tools at bob's, and alice registers one.
#
#   sh examples/etcd-clients/watch-tools.sh [PORT]     PORT of bob's etcd surface; 2379 without a word
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/node_modules/.bin:$PATH"
port=${1:-2379}
endpoint=127.0.0.1:$port
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
  node src/cli/main.ts --data "$work/$who" "$@"
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
    sleep 0.5
  done
}

start_node() {
  mkdir -p "$work/$1"
  MAO_ETCD_SERVE=$2 MAO_ETCD_PORT=$port \
    node src/cli/main.ts --data "$work/$1" instance start --name "$1" --port 0 --no-mdns >"$work/$1.log" 2>&1 &
  started="$! $started"
}

command -v etcdctl >/dev/null || {
  echo 'This needs etcdctl (on Debian: apt-get install etcd-client)' >&2
  exit 1
}
export ETCDCTL_API=3

start_node alice never
start_node bob always
until_done "The start of alice's node" maoctl alice federation create --name etcd-clients
token=$(maoctl alice --json federation invite | node -p 'JSON.parse(require("fs").readFileSync(0)).token')
until_done "Bob's joining" maoctl bob federation join "$token"
until_done "Bob's etcd surface" etcdctl --endpoints "$endpoint" endpoint health

echo "$ etcdctl --endpoints $endpoint watch --prefix /tools/"
etcdctl --endpoints "$endpoint" watch --prefix /tools/ >"$work/watched" &
started="$! $started"
# etcdctl does not say when its watch stands: a second is plenty on one machine, and a tool that came before is shown below.
sleep 1
echo '$ maoctl tool add collect --image mao/collect:1     # at the other node'
maoctl alice tool add collect --image mao/collect:1 >"$work/added" 2>&1 || { cat "$work/added" >&2; exit 1; }
until_done 'The event of the new tool' grep -q '^/tools/collect$' "$work/watched"
cat "$work/watched"

echo "$ etcdctl --endpoints $endpoint get --prefix /tools/ --keys-only"
etcdctl --endpoints "$endpoint" get --prefix /tools/ --keys-only
echo "$ etcdctl --endpoints $endpoint lock /local/nightly date"
etcdctl --endpoints "$endpoint" lock /local/nightly date +%Y >"$work/locked"
cat "$work/locked"
