# How set-up speaks, waits and gives up. Sourced by setup.sh.
# shellcheck shell=sh

say() {
  printf 'setup: %s\n' "$*" >&2
}

stop() {
  say "$*"
  exit 1
}

# within SECONDS COMMAND…: the command with a deadline, where the machine has a program for that.
within() {
  within_seconds=$1
  shift
  if command -v timeout >/dev/null 2>&1; then
    timeout "$within_seconds" "$@"
  else
    "$@"
  fi
}

# quietly WHAT COMMAND…: shows the command's output only when it fails, and then stops with one sentence.
quietly() {
  quietly_what=$1
  shift
  quietly_log=$(mktemp)
  if "$@" >"$quietly_log" 2>&1 </dev/null; then
    rm -f "$quietly_log"
    return 0
  fi
  tail -n 40 "$quietly_log" >&2
  rm -f "$quietly_log"
  stop "$quietly_what failed; the lines above are its own words."
}
