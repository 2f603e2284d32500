#!/bin/sh
# Every way to join, one after another, with the same two nodes.
#
#   sh examples/joining/all.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

export JOINING_NODES="$work"
for way in alone invitation request open private marketplace; do
  echo "== $way"
  sh "examples/joining/$way.sh"
done
