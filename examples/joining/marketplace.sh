#!/bin/sh
# Choosing from the marketplace: alice lists her federation, bob finds the listing and asks by its name.
#
#   sh examples/joining/marketplace.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

maoctl alice federation create --name observatory --join open
say alice market publish federation observatory
# Nodes hear of listings from whoever they are connected with; this connects the two.
maoctl bob federation request --address "$(address_of alice)" --id nobody-knows-this-one >/dev/null
maoctl bob federation request --withdraw >/dev/null
until_done "the listing at bob" maoctl bob market show federation observatory
say bob federation request --listing observatory --wait
leave bob alice
