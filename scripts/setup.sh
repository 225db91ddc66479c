#!/bin/sh
# Installs what a fresh Debian machine lacks. Each part does nothing when there is nothing to do.
#
#   scripts/setup.sh modules     npm libraries, among them a Node that runs TypeScript
#   scripts/setup.sh packages    Debian packages (without root: prints the one line that installs them)
#   scripts/setup.sh applications    the same, and those that only the lab's tests with real applications need
#   scripts/setup.sh compilers   what builds the policies that are written in C and Rust, as far as this machine can
#                                have it: without them these two are skipped, so this part never fails
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

compilers() {
  packages compilers || echo "setup: the policy in C will be skipped" >&2
  command -v rustc >/dev/null 2>&1 || PATH=$HOME/.cargo/bin:$PATH
  [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ] && return
  echo "installing Rust's library for WebAssembly"
  rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || echo "setup: the policy in Rust will be skipped" >&2
}

case ${1:-} in
  modules) modules ;;
  packages) packages ;;
  applications) packages applications ;;
  compilers) compilers ;;
  cargo) need_cargo ;;
  *)
    echo "usage: scripts/setup.sh modules|packages|applications|compilers|cargo" >&2
    exit 2
    ;;
esac
