#!/bin/sh
# The address of an npm registry as it may stand in the history of an image: without the name and password, the query and
# the fragment that a URL can carry.
#
#   sh docker/image/plain-registry.sh URL
set -eu

printf '%s\n' "$1" | sed -e 's#[?\#].*$##' -e 's#^\([A-Za-z][A-Za-z0-9+.-]*://\)[^/]*@#\1#'
