#!/bin/sh
# A private federation: its network asks for a key, which only invitations carry; whoever lacks it reaches nobody.
#
#   sh examples/joining/private.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

maoctl alice federation create --name ward --private
token=$(maoctl alice --quiet federation invite)
maoctl bob federation join "$token"
say bob federation show
leave bob alice
