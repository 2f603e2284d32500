#!/bin/sh
# An open federation: whoever asks is admitted.
#
#   sh examples/joining/open.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

maoctl alice federation create --name market-square --join open --newcomers observer
say bob federation request --address "$(address_of alice)"
leave bob alice
