#!/bin/sh
# The node as an image, whichever builder the engine has, and sending it only what the image is made of.
#
#   sh docker/build.sh [TAG]             on the images that docker/Dockerfile names; TAG is mao-node without a word
#   sh docker/build.sh --machine [TAG]   on images made of this very machine's programs, where no registry answers; needs
#                                        a Debian with git, ssh and busybox-static, and the project's npm dependencies
set -eu

docker_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
project=$(dirname -- "$docker_directory")

machine=
if [ "${1:-}" = --machine ]; then
  machine=1
  shift
fi
tag=${1:-mao-node}

set -- --tag "$tag" --file docker/Dockerfile
if [ -n "$machine" ]; then
  node=$project/node_modules/node/bin/node
  [ -x "$node" ] || { echo "There is no $node; run npm ci first" >&2 && exit 1; }
  PATH=$(dirname -- "$node"):$PATH sh "$docker_directory/image/base-of-this-machine.sh" mao-machine/base:1
  sh "$docker_directory/image/base-of-this-machine.sh" mao-machine/build:1 "$node"
  # Arguments stay in the history of the stage that is built, which whoever may use this engine can read.
  registry=$(sh "$docker_directory/image/plain-registry.sh" "$(npm config get registry 2>/dev/null)")
  # Packages come from where this machine's npm has them from, by this machine's network.
  set -- "$@" --network host --build-arg NODE_IMAGE=mao-machine/build:1 --build-arg BASE_IMAGE=mao-machine/base:1 \
    --build-arg "NPM_CONFIG_REGISTRY=$registry" \
    --build-arg NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
fi

cd "$project"
tar -c package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json LICENSE src protocols \
  docker/Dockerfile docker/image | DOCKER_BUILDKIT=0 docker build --force-rm "$@" -
