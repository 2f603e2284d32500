#!/bin/sh
# Three nodes on this machine agree on what was measured, twice. Somebody without a node clones the dataset, the nodes are
# ended, and the clone alone proves both truths; a clone that was tampered with is found out.
#
#   sh examples/verify-truth/verify.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/nodes.sh
open_work

for who in alice bob carol; do start_node "$who"; done
federation alice lab bob carol
mkdir "$work/measured"
echo 'station,celsius' >"$work/measured/stations.csv"
maoctl alice --quiet dataset import "$work/measured" --name stations >/dev/null

# Each member hands in what it has measured, and a round decides.
agree_on() {
  for who in alice bob carol; do
    mkdir -p "$work/$1-$who"
    printf 'station,celsius\nnorth,%s\n' "$2" >"$work/$1-$who/stations.csv"
    until_done "The copy of $who" maoctl "$who" dataset import "$work/$1-$who" --into stations --step measure
  done
  say alice round open stations --step measure --wait
}
agree_on first 4.1
agree_on second 4.3

# The node checks the whole chain; whoever has a clone needs no node for it.
whole() { maoctl alice --json dataset truth stations --verify | grep -q '"checked": *2'; }
until_done 'The chain of two truths' whole
say alice dataset truth stations --verify
federation=$(maoctl alice --json federation show | field .federation.id)
truth=$(maoctl alice --json dataset truth stations | field .commit)
maoctl alice --quiet dataset clone stations "$work/clone" >/dev/null 2>&1
for pid in $started; do kill "$pid"; done
for pid in $started; do wait "$pid" 2>/dev/null || true; done
started=''

echo "reader\$ node verify-truth.mjs stations --federation $federation --expect $truth"
node examples/verify-truth/verify-truth.mjs "$work/clone" --federation "$federation" --expect "$truth"

# Somebody hands a copy on that shows the older truth as the present one.
cp -R "$work/clone" "$work/copy"
older=$(git -C "$work/copy" rev-parse refs/remotes/origin/ground-truth^)
git -C "$work/copy" update-ref refs/remotes/origin/ground-truth "$older"
echo "reader\$ node verify-truth.mjs copy-of-somebody --federation $federation"
node examples/verify-truth/verify-truth.mjs "$work/copy" --federation "$federation" || echo "(exit code $?)"
