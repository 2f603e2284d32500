# Nodes for the examples of this folder, which read it. Each example starts alice and bob on this machine and ends them
# again; all.sh starts them once for all, since an example leaves them in no federation, as it found them.
PATH="$PWD/node_modules/.bin:$PATH"
root=$PWD

maoctl() {
  who=$1
  shift
  node "$root/src/cli/main.ts" --data "$work/$who" "$@"
}

# say WHO WORDS…: shows a command of maoctl as WHO types it, and runs it.
say() {
  echo "$1\$ maoctl $(shift; echo "$*")"
  maoctl "$@"
}

# until_done WHAT COMMAND…: tries for half a minute.
until_done() {
  what=$1
  shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
      echo "$what did not come about; the nodes said:" >&2
      cat "$work"/*.log >&2
      exit 1
    fi
    sleep 0.2
  done
}

start_node() {
  mkdir -p "$work/$1"
  MAO_ETCD_SERVE=never node src/cli/main.ts --data "$work/$1" instance start --name "$1" --port 0 --no-mdns >"$work/$1.log" 2>&1 &
  started="$! $started"
}

finish() {
  # What was started last ends first.
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  for pid in $started; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}

# address_of WHO: where others reach the node.
address_of() {
  test -f "$work/$1.address" || maoctl "$1" federation show --json | sed -n 's/^ *"\(\/ip4[^"]*\)".*/\1/p' | head -n 1 >"$work/$1.address"
  cat "$work/$1.address"
}

leave() {
  for one in "$@"; do maoctl "$one" --yes federation leave >/dev/null; done
}

if [ -z "${JOINING_NODES:-}" ]; then
  work=$(mktemp -d)
  export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$work/compiled}"
  started=''
  trap finish EXIT
  trap 'exit 130' INT TERM
  start_node alice
  start_node bob
  until_done "the start of alice" test -f "$work/alice/api.json"
  until_done "the start of bob" test -f "$work/bob/api.json"
else
  work=$JOINING_NODES
fi
