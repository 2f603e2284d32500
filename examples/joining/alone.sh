#!/bin/sh
# A node by itself: a federation of one, which others may join later.
#
#   sh examples/joining/alone.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

say alice federation create --name alone
say alice federation show
leave alice
