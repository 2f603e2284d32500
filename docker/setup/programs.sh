# Programs that come from the distribution. Sourced by setup.sh.
# shellcheck shell=sh

has() {
  command -v "$1" >/dev/null 2>&1
}

has_static_busybox() {
  [ -x /bin/busybox ] && ! dynamically_linked /bin/busybox
}

# A program that asks for a loader carries its path, and no static one does.
dynamically_linked() {
  grep -q -a '/ld-\(linux\|musl\)' "$1"
}

# Debian keeps it where only root's path leads.
has_ssh_server() {
  [ -x /usr/sbin/sshd ]
}

# Modules of the distribution's own Python; no program of that name is needed.
has_swift() {
  [ -e /usr/lib/python3/dist-packages/swift/__init__.py ]
}

# Only here does set-up install anything: root, on Debian or a descendant of it.
can_install() {
  [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && has apt-get
}

# missing_packages PURPOSE: Debian's names of what is not here.
missing_packages() {
  has git || printf 'git '
  if ! engine_answers; then
    # An engine that is installed and merely not running needs no package.
    if ! has dockerd || ! has docker; then printf 'docker.io '; fi
  fi
  if [ "$1" = test ]; then
    has etcd || printf 'etcd-server '
    has etcdctl || printf 'etcd-client '
    # The tests make images of their own from it.
    has_static_busybox || printf 'busybox-static '
    # The tests start an ssh server and a registry of images of their own, on loopback.
    has_ssh_server || printf 'openssh-server '
    has docker-registry || printf 'docker-registry '
    has htpasswd || printf 'apache2-utils '
    # The tests ask a node as the predecessor's clients do, in Python.
    has python3 || printf 'python3 '
    # And an S3 server, OpenStack Swift.
    has_swift || printf 'python3-swift '
    # Networks and certificates of the tests' own: neighbours of a step, and an engine on another machine.
    has ip || printf 'iproute2 '
    # And networks with routers between nodes, and cuts through them.
    has iptables || printf 'iptables '
    has openssl || printf 'openssl '
    # Shells whose completion is tested as they run it.
    has zsh || printf 'zsh '
    has fish || printf 'fish '
    # The model of voting is checked by spin, which makes a program of it.
    has spin || printf 'spin '
    has gcc || printf 'gcc libc6-dev '
    # The node as an image, three of them by the compose file.
    has docker-compose || printf 'docker-compose '
  fi
}

refuse_where_nothing_can_be_installed() {
  if ! engine_answers && [ -n "${DOCKER_HOST:-}" ]; then
    stop "No Docker engine answers at DOCKER_HOST=$DOCKER_HOST. Start it, or unset DOCKER_HOST. Nothing was changed."
  fi
  can_install && return 0
  refuse_missing=$(missing_packages "$1")
  if [ -z "$refuse_missing" ] && engine_answers; then return 0; fi
  stop "This machine needs a running Docker engine$(engine_answers && printf ' (it has one)'), git$(
    has git && printf ' (it has it)'
  )$([ "$1" = test ] && printf ', etcd, etcdctl, docker-registry, htpasswd, python3, OpenStack Swift (python3-swift), ip, iptables, openssl, docker-compose, zsh, fish, spin, gcc, an ssh server (/usr/sbin/sshd) and a statically linked /bin/busybox'). Install and start what is missing${refuse_missing:+ (Debian calls it: ${refuse_missing% })}, let your user reach the engine (docker info), and run this again. Nothing was changed."
}

install_programs() {
  install_missing=$(missing_packages "$1")
  [ -n "$install_missing" ] || return 0
  say "installing ${install_missing% } from the distribution"
  quietly 'apt-get update' apt-get update -q
  # shellcheck disable=SC2086 # the names are separate words
  for install_package in $install_missing; do
    case $install_package in
      openssh-server | docker-registry) install_servers="${install_servers:-} $install_package" ;;
      *) install_others="${install_others:-} $install_package" ;;
    esac
  done
  # shellcheck disable=SC2086 # the names are separate words
  [ -z "${install_others:-}" ] || quietly 'apt-get install' apt_install $install_others
  # shellcheck disable=SC2086 # the names are separate words
  [ -z "${install_servers:-}" ] || install_without_service $install_servers
  # Later Debians package the client apart from the engine.
  has docker || quietly 'apt-get install' apt_install docker-cli
}

# These packages would start servers that let people in from everywhere, now and after each start of the machine; the tests
# need the programs alone.
install_without_service() {
  service_policy=/usr/sbin/policy-rc.d
  service_policy_made=
  if [ ! -e "$service_policy" ]; then
    service_policy_made=1
    printf '#!/bin/sh\nexit 101\n' >"$service_policy"
    chmod 755 "$service_policy"
  fi
  service_code=0
  (quietly 'apt-get install' apt_install "$@") || service_code=$?
  [ -z "$service_policy_made" ] || rm -f "$service_policy"
  [ "$service_code" -eq 0 ] || exit "$service_code"
  [ -d /run/systemd/system ] || return 0
  for service_package in "$@"; do
    case $service_package in
      openssh-server) systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || : ;;
      *) systemctl disable --quiet "$service_package.service" 2>/dev/null || : ;;
    esac
  done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}
