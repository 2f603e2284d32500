#!/bin/sh
# Puts into the image what a node calls, where the base has it not yet.
set -eu

missing=
command -v git >/dev/null || missing="$missing git"
command -v ssh >/dev/null || missing="$missing openssh-client"
[ -s /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "The base image lacks$missing, and has no apt-get to bring it; choose a Debian with --build-arg BASE_IMAGE=…" >&2
  exit 1
fi
apt-get update
# shellcheck disable=SC2086 # one word for each package
apt-get install -y --no-install-recommends $missing
rm -rf /var/lib/apt/lists/*
