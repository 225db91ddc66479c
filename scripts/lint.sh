#!/bin/bash
# All that can be said about the sources without running them. Says what failed at the end, so that one mistake does
# not hide another.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

failed=()
step() {
  local name=$1
  shift
  echo "lint: $name"
  "$@" || failed+=("$name")
}

step "biome (format and lint)" biome ci --colors=off --error-on-warnings .
step "tsc (types)" tsc -p .
step "asc (pedantic)" asc --config asconfig.json --target release --noEmit assembly/index.ts
if [ -f scripts/abi-generate.ts ]; then step "abi (generated files are current)" node scripts/abi-generate.ts --check; fi
step "policy abi (generated files are current)" node scripts/policy-abi-generate.ts --check
for crate in host/native test/lab/emulator test/sim/hosts/smoltcp; do
  manifest=$crate/Cargo.toml
  step "cargo fmt ($crate)" cargo fmt --manifest-path "$manifest" --check
  step "clippy ($crate)" cargo clippy --quiet --release --manifest-path "$manifest" --locked --all-targets -- -D warnings
done
for crate in plugins/sdk/rust plugins/quietest-rust; do
  step "cargo fmt ($crate)" cargo fmt --manifest-path $crate/Cargo.toml --check
done
# Policies are for another machine than this one, whose library may not be here.
wasm=wasm32-unknown-unknown
if [ -d "$(rustc --print target-libdir --target $wasm)" ]; then
  step "clippy (policies)" cargo clippy --quiet --release --manifest-path plugins/quietest-rust/Cargo.toml --locked \
    --offline --target $wasm --target-dir build/policies/target -- -D warnings
fi

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'lint: FAILED: %s\n' "${failed[@]}" >&2
  exit 1
fi
