#!/bin/sh
# shellcheck source-path=SCRIPTDIR
# Makes a machine ready for `npm run demo` and `npm test`, and can be repeated: what is there already is left as it is.
#
#   sh docker/setup.sh [demo|test]    npm dependencies, git, a Docker engine, the images; for test also etcd, sshd
#   sh docker/setup.sh stop-engine    ends the Docker engine that set-up started; any other is left alone
#
# It runs before node_modules exists, so it is plain POSIX sh. All its words go to standard error, because standard
# output belongs to the program that follows.

set -eu

docker_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
project=$(dirname -- "$docker_directory")

. "$docker_directory/setup/say.sh"
. "$docker_directory/setup/programs.sh"
. "$docker_directory/setup/npm.sh"
. "$docker_directory/setup/engine.sh"
. "$docker_directory/setup/images.sh"

purpose=${1:-demo}
case $purpose in
  demo | test) ;;
  stop-engine)
    stop_engine
    exit 0
    ;;
  *) stop "usage: sh docker/setup.sh [demo|test|stop-engine]" ;;
esac

# Nothing is changed before it is known that everything can be had, so that a refusal leaves the machine as it was.
refuse_where_nothing_can_be_installed "$purpose"

install_npm_dependencies "$project"
install_programs "$purpose"
start_engine_unless_one_answers
make_base_image
build_tool_images "$docker_directory"
