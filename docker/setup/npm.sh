# The project's own dependencies. Sourced by setup.sh.
# shellcheck shell=sh

# install_npm_dependencies PROJECT
install_npm_dependencies() {
  # npm writes this file last, so it is missing after an install that was cut short.
  npm_installed=$1/node_modules/.package-lock.json
  if [ -e "$npm_installed" ] && [ -z "$(find "$1/package-lock.json" -newer "$npm_installed")" ]; then
    return 0
  fi
  has npm || stop "npm is not on this machine. Install Node.js with npm and run this again."
  say "npm ci: installing the project's dependencies"
  # The project's .npmrc silences npm so that standard output stays clean; here its errors are wanted.
  if ! (cd "$1" && npm ci --loglevel error --no-audit --no-fund >&2 </dev/null); then
    stop "npm ci failed; the lines above are its own words. Is the npm registry reachable?"
  fi
  # Packages unpacked within the same second as the lockfile was written would otherwise look older than it.
  touch "$npm_installed"
}
