# The nodes of this folder's examples, alice and bob; all.sh starts them once for all, since an example leaves them in no
# federation, as it found them.
. examples/nodes.sh

# address_of WHO: where others reach the node.
address_of() {
  test -f "$work/$1.address" || maoctl "$1" federation show --json | sed -n 's/^ *"\(\/ip4[^"]*\)".*/\1/p' | head -n 1 >"$work/$1.address"
  cat "$work/$1.address"
}

leave() {
  for one in "$@"; do maoctl "$one" --yes federation leave >/dev/null; done
}

if [ -z "${JOINING_NODES:-}" ]; then
  open_work
  start_node alice
  start_node bob
  until_done "The start of alice's node" test -f "$work/alice/api.json"
  until_done "The start of bob's node" test -f "$work/bob/api.json"
else
  work=$JOINING_NODES
fi
