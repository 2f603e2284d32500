#!/bin/sh
# Four nodes on this machine measure the same stations and agree on what they found. Bob misreads one thermometer; carol's
# rows are wrong, and her node is a changed one that votes for them all the same (liar.ts). Each row of the truth is what
# more than half found; everybody sees who differed where, and a third party can check it with nothing but a clone.
#
#   sh examples/consensus/one-liar.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/nodes.sh
open_work

for honest in alice bob dave; do start_node "$honest"; done
start_node carol "NODE_OPTIONS=--import $root/examples/consensus/liar.ts"
federation alice lab bob carol dave

# A dataset, and by what rule the members' results become its truth: row by row, as the station says which is which.
mkdir "$work/empty"
echo 'What the stations measured' >"$work/empty/README.md"
say alice dataset import "$work/empty" --name stations
say alice dataset rule stations --method rows --key station

# measured WHO ROWS: WHO puts what was measured on a branch of WHO's own.
measured() {
  until_done "The dataset at the node of $1" maoctl "$1" dataset verify stations
  maoctl "$1" dataset clone stations "$work/$1-clone" >/dev/null 2>&1
  printf "station,celsius\n$2" >"$work/$1-clone/stations.csv"
  git -C "$work/$1-clone" add stations.csv
  git -C "$work/$1-clone" -c user.name="$1" -c user.email="$1@lab.invalid" commit --quiet -m 'Measured'
  echo "$1\$ maoctl dataset push --step measure"
  maoctl "$1" dataset push "$work/$1-clone" --step measure >/dev/null
}
measured alice 'north,4.1\nsouth,9.1\nwest,7.7\neast,5.0\n'
measured bob   'north,4.1\nsouth,9.1\nwest,1.1\neast,5.0\n'
measured carol 'north,4.1\nsouth,19.1\nwest,7.7\n'
measured dave  'north,4.1\nsouth,9.1\nwest,7.7\neast,5.0\n'

# Everybody's result is a ballot; more than two thirds have to come to the same.
say alice round open stations --step measure --window 2m --wait
has_truth() { maoctl dave --json dataset truth stations | grep -q '"height": 1'; }
until_done "The truth at dave's node" has_truth
has_certificate() { maoctl dave dataset log stations --branch certificates; }
until_done "The certificate in dave's copy" has_certificate
say dave dataset cat stations stations.csv
say dave dataset truth stations
say dave vote show stations/measure

# Nobody has to be believed: from the genesis of the federation on, by the certificates; and without any node, in a clone.
say dave dataset truth stations --verify
maoctl dave dataset clone stations "$work/third-party" >/dev/null 2>&1
echo '$ node verify-truth.mjs stations'
node examples/verify-truth/verify-truth.mjs "$work/third-party"
