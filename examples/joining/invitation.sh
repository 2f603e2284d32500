#!/bin/sh
# A new federation, and a member by invitation: a token that admits one node, once.
#
#   sh examples/joining/invitation.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

say alice federation create --name observatory --description "artefacts over time" --contact alice@lab.example
token=$(maoctl alice --quiet federation invite --note "bob" --until 365d)
echo "alice\$ maoctl federation invite --note bob --until 365d"
echo "bob\$ maoctl federation join ${token%"${token#mao1-??????}"}…"
maoctl bob federation join "$token"
say alice federation invitations
leave bob alice
