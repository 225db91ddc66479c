#!/bin/sh
# Installs what a fresh Debian machine lacks. Each part does nothing when there is nothing to do.
#
#   scripts/setup.sh modules     npm libraries, among them a Node that runs TypeScript
#   scripts/setup.sh packages    Debian packages (without root: prints the one line that installs them)
#   scripts/setup.sh applications    the same, and those that only the lab's tests with real applications need
#   scripts/setup.sh cargo       checks that a Rust compiler is there
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

modules() {
  if ! command -v npm >/dev/null 2>&1; then
    echo "setup: npm is missing; run as root: apt-get install -y npm" >&2
    exit 1
  fi
  echo "installing the npm libraries"
  # Not "npm ci": it refuses a lock file without the binaries of other platforms, which not every registry mirror has
  # (docs/decisions/0107-npm-install.md). Versions come from the lock file all the same, and nothing is written to it.
  npm install --no-save --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
}

packages() {
  if [ -x scripts/install-deps.sh ]; then scripts/install-deps.sh "$@"; fi
}

need_cargo() {
  if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is missing; install Rust 1.95 or newer, see https://rustup.rs" >&2
    exit 1
  fi
}

case ${1:-} in
  modules) modules ;;
  packages) packages ;;
  applications) packages applications ;;
  cargo) need_cargo ;;
  *)
    echo "usage: scripts/setup.sh modules|packages|applications|cargo" >&2
    exit 2
    ;;
esac
