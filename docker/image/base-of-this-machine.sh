#!/bin/sh
# base-of-this-machine.sh IMAGE [NODE]: where no image registry answers, an image made of the programs of this very
# machine: its shell, git, ssh and certificates. That is one to run on; with the program NODE, and npm, it is one to build on.
#
#   sh docker/image/base-of-this-machine.sh mao-machine/build:1 node_modules/node/bin/node
#   sh docker/image/base-of-this-machine.sh mao-machine/base:1
#   docker build -f docker/Dockerfile --build-arg NODE_IMAGE=mao-machine/build:1 --build-arg BASE_IMAGE=mao-machine/base:1 -t mao-node .
set -eu

[ $# -ge 1 ] || { echo "usage: sh base-of-this-machine.sh IMAGE [NODE]" >&2 && exit 2; }
image=$1
node=${2:-}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM HUP

# with_libraries PROGRAM…: each with what it is linked to, at the places where they stand here.
with_libraries() {
  for with_program in "$@"; do
    realpath "$with_program"
    { ldd "$with_program" 2>/dev/null || :; } | sed -n 's/.*=> *\(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'
  done | sort -u | while read -r with_file; do
    mkdir -p "$root$(dirname "$with_file")"
    cp -L "$with_file" "$root$with_file"
  done
}

mkdir -p "$root/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/usr/bin" "$root/usr/local/bin" "$root/usr/lib/git-core" "$root/root" "$root/lib64"
chmod 1777 "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
"$root/bin/busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -L /etc/nsswitch.conf "$root/etc/" 2>/dev/null || :
core=$(git --exec-path)
for program in git ssh ssh-keygen ssh-keyscan; do
  with_libraries "$(command -v "$program")"
  [ -e "$root/usr/bin/$program" ] || ln -s "$(realpath "$(command -v "$program")")" "$root/usr/bin/$program"
done
for program in git-remote-http git-http-fetch git-http-backend; do
  [ -e "$core/$program" ] && with_libraries "$core/$program"
done
mkdir -p "$root/usr/share"
cp -R /usr/share/git-core "$root/usr/share/"
for link in git git-upload-pack git-receive-pack git-upload-archive; do
  ln -sf "$(realpath "$(command -v git)")" "$root$core/$link"
done
ln -sf git-remote-http "$root$core/git-remote-https"
# Names are looked up by parts of the C library that no program names.
for library in libnss_dns libnss_files libresolv; do
  for file in /lib/*-linux-gnu/"$library".so.2; do
    [ -e "$file" ] && mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"
  done
done
# What the program itself is linked to, also where it comes from a stage of its own.
with_libraries "${node:-$(command -v node)}"
rm -f "$root$(realpath "${node:-$(command -v node)}")"
if [ -n "$node" ]; then
  cp -L "$node" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  npm_program=$(realpath "$(command -v npm)")
  cp -R "${npm_program%/bin/npm-cli.js}" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
fi
ln -s /bin/env "$root/usr/bin/env"
tar -C "$root" --owner=0 --group=0 -c . |
  docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' --change 'CMD ["/bin/sh"]' - "$image" >/dev/null
