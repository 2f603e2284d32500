# Nodes on this machine for the examples' scripts, which read this from the repository's top. Each node keeps what it has
# in a directory of its name below $work, and all are ended and removed when the script ends.
PATH="$PWD/node_modules/.bin:$PATH"
root=$PWD

# A place for all that a script makes.
open_work() {
  work=$(mktemp -d)
  export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$work/compiled}"
  started=''
  trap finish EXIT
  trap 'exit 130' INT TERM
}

# A script that leaves more behind than its nodes says what else is to go, in a function of this name.
finish_more() { :; }

finish() {
  # What was started last ends first.
  for pid in $started; do kill "$pid" 2>/dev/null || true; done
  for pid in $started; do wait "$pid" 2>/dev/null || true; done
  finish_more
  rm -rf "$work"
}

# start_node NAME [VARIABLE=VALUE…]
start_node() {
  who=$1
  shift
  mkdir -p "$work/$who"
  env MAO_ETCD_SERVE=never "$@" \
    node "$root/src/cli/main.ts" --data "$work/$who" instance start --name "$who" --port 0 --no-mdns >"$work/$who.log" 2>&1 &
  started="$! $started"
}

# maoctl WHO WORDS…: maoctl with the node of WHO.
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

# field .NAME: of the JSON that is read.
field() {
  node -p "JSON.parse(require('fs').readFileSync(0))$1"
}

# until_done WHAT COMMAND…: tries for a minute.
until_done() {
  what=$1
  shift
  deadline=$(($(date +%s) + 60))
  until "$@" >/dev/null 2>&1; do
    if [ "$(date +%s)" -gt "$deadline" ]; then
      echo "$what did not come about; the nodes said:" >&2
      cat "$work"/*.log >&2
      exit 1
    fi
    sleep 0.2
  done
}

# federation FOUNDER NAME MEMBER…: of nodes that were started.
federation() {
  founder=$1
  until_done "The start of $founder's node" maoctl "$founder" federation create --name "$2"
  shift 2
  for member in "$@"; do
    token=$(maoctl "$founder" --quiet federation invite)
    until_done "The joining of $member" maoctl "$member" federation join "$token"
  done
}
