#!/bin/bash
# Everything CI runs, in the order in which a failure is cheapest. Later parts run even when an earlier one failed; the
# last line sums up: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
mkdir -p out

parts_failed=()
part() {
  local name=$1
  shift
  echo "== $name"
  local started=$SECONDS
  "$@" || parts_failed+=("$name")
  echo "== $name: $((SECONDS - started)) s"
}

vitest_project() {
  rm -f "out/vitest-$1.json"
  vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="out/vitest-$1.json"
}

part lint scripts/lint.sh
part "unit tests" vitest_project unit
for crate in host/native test/lab/emulator; do
  part "tests of $crate" cargo test --quiet --release --manifest-path "$crate/Cargo.toml" --locked
done
part "lab tests" vitest_project lab

if [ "${#parts_failed[@]}" -gt 0 ]; then printf 'FAILED: %s\n' "${parts_failed[@]}"; fi
# A part that failed without a failed test (lint, a file that does not load) counts as one.
node scripts/test-summary.ts "${#parts_failed[@]}" out/vitest-unit.json out/vitest-lab.json
