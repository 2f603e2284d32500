# The Docker engine: used where one answers, started where none does, ended only if set-up started it. Sourced by
# setup.sh and with-setup.sh.
# shellcheck shell=sh

# Only root ever starts an engine, and only root writes /run, so nobody else can put a process id here.
engine_directory=/run/mao-engine
engine_pid_file=$engine_directory/dockerd.pid
engine_log=$engine_directory/dockerd.log
# One empty file per process that relies on the engine, named after its id.
engine_users=$engine_directory/users

engine_start_seconds=90
engine_stop_seconds=40

engine_answers() {
  has docker && within 15 docker version --format '{{.Server.Version}}' >/dev/null 2>&1 </dev/null
}

start_engine_unless_one_answers() {
  engine_answers && return 0
  # Where an init system runs, installing the package has started the service, which may need a moment.
  if [ -d /run/systemd/system ] && wait_for_engine 15; then return 0; fi
  say "starting a Docker engine (dockerd; its log is $engine_log)"
  mkdir -p "$engine_directory"
  forget_dead_containerd
  # Its own session, so that Ctrl-C in the terminal reaches the program and not the engine under it.
  rm -f "$engine_directory/docker.pid"
  nohup setsid dockerd --pidfile "$engine_directory/docker.pid" >"$engine_log" 2>&1 </dev/null &
  start_pid=$!
  printf '%s\n' "$start_pid" >"$engine_pid_file"
  if wait_for_engine "$engine_start_seconds" "$start_pid"; then return 0; fi
  tail -n 20 "$engine_log" >&2
  end_recorded_engine
  stop "The Docker engine did not start; the lines above end its log, $engine_log. Where this machine lets no engine run, set DOCKER_HOST to one that does."
}

# wait_for_engine SECONDS [PID]: gives up early when the process PID has ended.
wait_for_engine() {
  wait_left=$1
  while ! engine_answers; do
    wait_left=$((wait_left - 1))
    [ "$wait_left" -gt 0 ] || return 1
    if [ -n "${2:-}" ] && ! runs "$2"; then return 1; fi
    sleep 1
  done
}

# A machine that was switched off under a running engine keeps containerd's process id in a file. If another process has
# that id now, dockerd takes it for containerd and waits for ever.
forget_dead_containerd() {
  forget_file=/run/docker/containerd/containerd.pid
  if [ -e "$forget_file" ] && ! is_program "$(cat "$forget_file")" containerd; then rm -f "$forget_file"; fi
}

# runs PID: a process that has ended and was not yet collected by its parent does not count.
runs() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

# is_program PID NAME
is_program() {
  [ -n "$1" ] && [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] && runs "$1"
}

# end_recorded_engine: by the process id that set-up recorded, after making sure that it still is an engine.
end_recorded_engine() {
  stop_pid=$(cat "$engine_pid_file")
  if is_program "$stop_pid" dockerd; then
    say "stopping the Docker engine that set-up started"
    kill -TERM "$stop_pid"
    stop_left=$engine_stop_seconds
    while is_program "$stop_pid" dockerd; do
      stop_left=$((stop_left - 1))
      [ "$stop_left" -gt 0 ] || stop "The Docker engine (process $stop_pid) has not ended within $engine_stop_seconds seconds; its log is $engine_log."
      sleep 1
    done
  fi
  rm -f "$engine_pid_file"
}

# stop_engine: ends the engine that set-up started, if there is one, and leaves nothing of it in /run.
stop_engine() {
  [ -e "$engine_pid_file" ] || return 0
  end_recorded_engine
  rm -rf "$engine_directory"
}

# use_engine PID: says that process PID relies on the engine from now on.
use_engine() {
  [ "$(id -u)" -eq 0 ] || return 0
  mkdir -p "$engine_users"
  : >"$engine_users/$1"
}

# leave_engine PID: takes that back, and ends the engine if set-up started it and nobody relies on it any more.
leave_engine() {
  [ "$(id -u)" -eq 0 ] || return 0
  rm -f "$engine_users/$1"
  for leave_user in "$engine_users"/*; do
    [ -e "$leave_user" ] || continue
    runs "${leave_user##*/}" && return 0
    rm -f "$leave_user"
  done
  stop_engine
  [ ! -d "$engine_users" ] || rmdir "$engine_users" "$engine_directory" 2>/dev/null || :
}
