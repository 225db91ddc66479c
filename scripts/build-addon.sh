#!/bin/sh
# Builds the native addon into host/native/ as shunt.<platform>-<arch>.node.
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
cargo build --quiet --locked --manifest-path "$native/Cargo.toml" --profile "$profile" --lib

case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac
built=${CARGO_TARGET_DIR:-$native/target}/$profile/libshunt_native.so
addon=$native/shunt.linux-$arch.node

# A copy beside and a rename: a process that runs the old one keeps its file.
if ! cmp -s "$built" "$addon"; then
  cp "$built" "$addon.new"
  mv -f "$addon.new" "$addon"
fi
