# The images of the example tools, and the base they stand on. Sourced by setup.sh.
# shellcheck shell=sh

base_image=mao/base:1
pulled_base=busybox:1.36
pull_seconds=20

# The base comes from a registry where one answers, else from Debian's statically linked busybox.
make_base_image() {
  docker image inspect "$base_image" >/dev/null 2>&1 && return 0
  if docker image inspect "$pulled_base" >/dev/null 2>&1 ||
    within "$pull_seconds" docker pull -q "$pulled_base" >/dev/null 2>&1 </dev/null; then
    docker tag "$pulled_base" "$base_image"
    say "made the base image $base_image from $pulled_base"
    return 0
  fi
  base_directory=$(mktemp -d)
  if import_base "$base_directory" >"$base_directory/log" 2>&1 </dev/null; then
    rm -rf "$base_directory"
    say "made the base image $base_image from Debian's busybox-static (no image registry answered)"
    return 0
  fi
  tail -n 20 "$base_directory/log" >&2
  rm -rf "$base_directory"
  stop "The base image $base_image could not be made: no registry gave $pulled_base, and making it from Debian's busybox-static failed as the lines above say. Where another machine has $pulled_base, 'docker save' there and 'docker load' here will do."
}

# import_base DIRECTORY: an image of one static program, its applets by name, and the user that tools run as.
import_base() {
  import_root=$1/root
  mkdir -p "$import_root/bin" "$import_root/etc" "$import_root/tmp" "$import_root/usr/src/app" || return 1
  chmod 1777 "$import_root/tmp"
  fetch_busybox "$1" "$import_root/bin/busybox" || return 1
  "$import_root/bin/busybox" --list >"$1/applets" || return 1
  while read -r import_applet; do
    [ "$import_applet" = busybox ] || ln -s busybox "$import_root/bin/$import_applet" || return 1
  done <"$1/applets"
  printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$import_root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$import_root/etc/group"
  tar -C "$import_root" --owner=0 --group=0 -cf "$1/base.tar" . || return 1
  docker import --change 'ENV PATH=/bin' --change 'WORKDIR /usr/src/app' --change 'CMD ["/bin/sh"]' \
    --change 'LABEL org.opencontainers.image.title=mao-base' "$1/base.tar" "$base_image" >/dev/null
}

# fetch_busybox DIRECTORY TARGET: unpacks the package and installs nothing; a static busybox that is here already will do.
fetch_busybox() {
  if has_static_busybox; then
    cp /bin/busybox "$2"
    return
  fi
  has apt-get && has dpkg-deb || return 1
  (
    cd "$1" || exit 1
    apt-get download -q busybox-static || { apt-get update -q && apt-get download -q busybox-static; } || exit 1
    dpkg-deb -x busybox-static_*.deb package
  ) || return 1
  for fetch_place in "$1/package/bin/busybox" "$1/package/usr/bin/busybox"; do
    if [ -x "$fetch_place" ]; then
      cp "$fetch_place" "$2"
      return
    fi
  done
  return 1
}

# build_tool_images DOCKER_DIRECTORY: docker/tools/NAME/Dockerfile becomes mao/NAME:1. Nothing is downloaded; the engine's
# cache makes a repetition quick, and a changed tool is noticed.
build_tool_images() {
  for build_file in "$1"/tools/*/Dockerfile; do
    build_tool=${build_file%/Dockerfile}
    build_tool=${build_tool##*/}
    # The classic builder sees the images of this engine; a buildx builder of its own would ask a registry for them.
    quietly "docker build of mao/$build_tool:1" env DOCKER_BUILDKIT=0 \
      docker build --network none -t "mao/$build_tool:1" -f "$build_file" "$1/tools"
  done
}
