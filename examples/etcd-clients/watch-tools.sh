#!/bin/sh
# Two nodes on this machine form a federation; a stock etcdctl watches the tools at bob's, and alice registers one.
#
#   sh examples/etcd-clients/watch-tools.sh [PORT]     PORT of bob's etcd surface; 2379 without a word
set -eu
cd "$(dirname "$0")/../.."
. examples/nodes.sh
port=${1:-2379}
endpoint=127.0.0.1:$port
command -v etcdctl >/dev/null || {
  echo 'This needs etcdctl (on Debian: apt-get install etcd-client)' >&2
  exit 1
}
export ETCDCTL_API=3

open_work
start_node alice
start_node bob MAO_ETCD_SERVE=always "MAO_ETCD_PORT=$port"
federation alice etcd-clients bob
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
