#!/bin/sh
# Two nodes set up wholly by flags, as a script or a configuration management would: alice founds a federation, bob comes
# by an invitation. Every file goes into a home of its own that is removed at the end.
#
#   sh examples/joining/install-by-flags.sh
set -eu
cd "$(dirname "$0")/../.."
. examples/nodes.sh
open_work

# Two free ports for each node, since both are on one machine here.
free_ports() {
  node -e "const net = require('node:net'); const all = [1, 2, 3].map(() => net.createServer().listen(0, '127.0.0.1')); setTimeout(() => { console.log(all.map((each) => each.address().port).join(' ')); all.forEach((each) => each.close()) }, 100)"
}

# install WHO WAY…: what is typed on a machine of WHO's.
install() {
  who=$1
  shift
  set -- "$@" $(free_ports | sed 's/\(.*\) \(.*\) \(.*\)/--listen-port \1 --api-port \2 --etcd-port \3/')
  echo "$who\$ maoctl instance install $*"
  HOME="$work/$who" XDG_CONFIG_HOME="$work/$who/.config" node src/cli/main.ts --yes instance install --name "$who" --no-ssh-key --run-with hand "$@"
}

# The service of systemd, where it runs; loopback alone, since this is an example.
start() {
  HOME="$work/$1" MAO_LISTEN=/ip4/127.0.0.1/tcp/0 MAO_MDNS=false MAO_ETCD_SERVE=never \
    node src/cli/main.ts instance start >"$work/$1.log" 2>&1 &
  started="$! $started"
  until_done "The start of $1's node" test -f "$work/$1/.mao/api.json"
}

mkdir "$work/alice" "$work/bob"
install alice --create lab --description 'By flags alone'
ls "$work/alice/.mao" "$work/alice/.config/systemd/user"
start alice
# Once more: the files are as they would be, and the node that runs comes into its federation.
HOME="$work/alice" node src/cli/main.ts --yes instance install --create lab --description 'By flags alone' --no-ssh-key --start
HOME="$work/alice" node src/cli/main.ts federation invite >"$work/invitation"

install bob --later
start bob
echo "bob\$ maoctl instance install --join - --start < invitation"
HOME="$work/bob" node src/cli/main.ts --yes instance install --join - --no-ssh-key --start <"$work/invitation"
HOME="$work/bob" node src/cli/main.ts federation members
