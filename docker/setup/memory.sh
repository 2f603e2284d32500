# Temporary files in memory: tests make sure of the disk thousands of times, and what they prove is the order of the
# calls, not the disk. Sourced by with-setup.sh.
# shellcheck shell=sh

memory_root=/dev/shm
# Room for what the largest tests write side by side, and memory for them and the engine beside it.
memory_free_kib_min=4194304
memory_available_kib_min=8388608

memory_directory=

# use_memory: TMPDIR is in memory from now on, where the machine has such a place with room; else it stays as it is.
use_memory() {
  if [ ! -w "$memory_root" ] || ! runs_programs_from "$memory_root"; then return 0; fi
  # shellcheck disable=SC2046 # the columns are separate words
  set -- $(df -Pk "$memory_root" | tail -n 1)
  [ "${4:-0}" -ge "$memory_free_kib_min" ] || return 0
  [ "$(available_kib)" -ge "$memory_available_kib_min" ] || return 0
  memory_directory=$(mktemp -d "$memory_root/mao.XXXXXX")
  # As the usual place is: tests also run programs as somebody else.
  chmod 1777 "$memory_directory"
  TMPDIR=$memory_directory
  export TMPDIR
}

leave_memory() {
  [ -n "$memory_directory" ] || return 0
  rm -rf "$memory_directory" || say "something is left in $memory_directory"
}

# runs_programs_from DIRECTORY: a file system in memory is mounted there, and a program in it may be started.
runs_programs_from() {
  while read -r _ memory_place memory_kind memory_options _; do
    case $memory_place,$memory_kind,$memory_options, in
      *,noexec,*) ;;
      "$1",tmpfs,*) return 0 ;;
    esac
  done </proc/mounts
  return 1
}

available_kib() {
  while read -r memory_name memory_kib _; do
    if [ "$memory_name" = MemAvailable: ]; then
      printf '%s\n' "$memory_kib"
      return
    fi
  done </proc/meminfo
  printf '0\n'
}
