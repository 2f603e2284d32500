#!/bin/sh
# shellcheck source-path=SCRIPTDIR
# Runs a command with everything set up for it, and afterwards ends what set-up started, however the command ended.
#
#   sh docker/with-setup.sh demo|test COMMAND [ARGUMENT…]
#
# With FILES_IN_MEMORY=1 in the environment the command's temporary files are in memory, where the machine has room there.
#
# The command's standard input, output and exit code are its own. npm runs `post` scripts only after success, so a pair
# of pre and post scripts could not promise this.

set -eu

docker_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

. "$docker_directory/setup/say.sh"
. "$docker_directory/setup/programs.sh"
. "$docker_directory/setup/engine.sh"
. "$docker_directory/setup/memory.sh"

[ $# -ge 2 ] || stop "usage: sh docker/with-setup.sh demo|test COMMAND [ARGUMENT…]"
purpose=$1
shift

command_pid=

# shellcheck disable=SC2317 # called by a trap
finish() {
  finish_code=$?
  trap - EXIT
  # A second Ctrl-C must not cut the clearing up short.
  trap '' INT TERM HUP
  leave_memory
  leave_engine $$ || finish_code=1
  exit "$finish_code"
}

# pass_on SIGNAL NUMBER: to the command if it runs; the shell itself then waits for it.
# shellcheck disable=SC2317 # called by traps
pass_on() {
  if [ -n "$command_pid" ]; then
    interrupted=1
    kill -s "$1" "$command_pid" 2>/dev/null || :
  else
    exit $((128 + $2))
  fi
}

trap finish EXIT
trap 'pass_on INT 2' INT
trap 'pass_on TERM 15' TERM
trap 'pass_on TERM 1' HUP

use_engine $$
sh "$docker_directory/setup.sh" "$purpose"

# The pinned Node comes first, also where npm is not what called this script.
PATH=$(dirname -- "$docker_directory")/node_modules/.bin:$PATH
export PATH
# Hundreds of short processes load the same modules: what one has compiled, the others take. It is the command's own to
# pass on, and goes with node_modules.
NODE_COMPILE_CACHE=$(dirname -- "$docker_directory")/node_modules/.cache/compiled
export NODE_COMPILE_CACHE
# Kept programs name themselves there, so that the engine under them is not ended.
ENGINE_USERS_DIRECTORY=$engine_users
export ENGINE_USERS_DIRECTORY

# Where this was started with no standard input at all, the command gets an empty one.
if ! true <&0; then exec </dev/null; fi 2>/dev/null
if [ -n "${FILES_IN_MEMORY:-}" ]; then
  # Not handed on: what the command sets up for itself is its own matter.
  unset FILES_IN_MEMORY
  use_memory
fi
# In the background, so that this shell hears signals at once; its standard input is handed on by hand, because the shell
# would replace it.
exec 3<&0
"$@" <&3 3<&- &
command_pid=$!
exec 3<&-
while :; do
  interrupted=
  code=0
  wait "$command_pid" || code=$?
  # A wait that a signal cut short says nothing about the command yet.
  [ -n "$interrupted" ] || break
done
exit "$code"
