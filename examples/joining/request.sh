#!/bin/sh
# Joining by request: bob knows an address, alice sees who asks and approves; bob's node hears it by itself.
#
#   sh examples/joining/request.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/joining/nodes.sh

maoctl alice federation create --name observatory --join request --contact alice@lab.example
say bob federation request --address "$(address_of alice)" --message "we collect too" --contact bob@lab.example
say alice federation requests
say alice federation approve bob --role observer
until_done "the admission of bob" sh -c "node src/cli/main.ts --data $work/bob federation request --status | grep 'of observatory'"
say bob federation request --status
leave bob alice
