#!/bin/sh
# Builds the native addon into host/native/ as shunt.<platform>-<arch>.node, and beside it the program that compiles
# policies, shunt-policy-compile.<platform>-<arch>.
#
#   scripts/build-addon.sh [release|dist]
#
# Needs cargo and the crates.io registry, nothing else. cargo itself skips what has not changed.
set -eu

profile=${1:-release}
case $profile in
  release | dist) ;;
  *)
    echo "build-addon.sh: unknown profile \"$profile\"; use release or dist" >&2
    exit 2
    ;;
esac

if ! command -v cargo >/dev/null 2>&1; then
  echo "build-addon.sh: cargo is missing; install Rust 1.95 or newer (https://rustup.rs)" >&2
  exit 1
fi

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
native=$root/host/native
cargo build --quiet --locked --manifest-path "$native/Cargo.toml" --profile "$profile" --lib --bins

case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac
built=${CARGO_TARGET_DIR:-$native/target}/$profile

# A copy beside and a rename: a process that runs the old one keeps its file.
install_as() {
  if ! cmp -s "$built/$1" "$native/$2"; then
    cp "$built/$1" "$native/$2.new.$$"
    mv -f "$native/$2.new.$$" "$native/$2"
  fi
}
install_as shunt-policy-compile "shunt-policy-compile.linux-$arch"
install_as libshunt_native.so "shunt.linux-$arch.node"
