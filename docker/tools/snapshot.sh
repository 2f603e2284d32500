# Names for the new files of a run. Sourced by the tools.
# shellcheck shell=sh

# snapshot_stamp DIRECTORY PREFIX: what stands between "PREFIX-" and ".csv" in this run's files. It is the slot of the
# schedule where the node names one (MAO_SLOT), so that all members write the same names in the same slot and their
# results can be compared byte for byte; otherwise the next free number.
snapshot_stamp() {
  if [ -n "${MAO_SLOT:-}" ]; then
    case $MAO_SLOT in
      *[!0-9]*)
        echo "MAO_SLOT is not a number: $MAO_SLOT" >&2
        return 1
        ;;
    esac
    printf '%s' "$MAO_SLOT"
    return 0
  fi
  stamp_last=0000
  for stamp_file in "$1/$2"-[0-9][0-9][0-9][0-9].csv; do
    [ -e "$stamp_file" ] || continue
    stamp_last=${stamp_file##*-}
    stamp_last=${stamp_last%.csv}
  done
  # A leading 1 keeps the shell from reading 0010 as an octal number, and is taken off again.
  printf '%04d' "$((1$stamp_last - 10000 + 1))"
}

# keep_new FILE TARGET: moves FILE to its final name, never over a file that is there.
keep_new() {
  if [ -e "$2" ]; then
    echo "${2##*/} exists already and is not overwritten" >&2
    return 1
  fi
  mv "$1" "$2"
}
