#!/bin/bash
# What CI has no time for: the simulator and the random tests with fresh seeds (a million tables in each direction of
# projection per round), and the lab's handovers and a minute of policy swaps, over and over.
#
#     SOAK_MINUTES=60 make soak
#
# What has begun when the time is over is finished. A failure prints SEED and CASE of what it found, the simulator its
# seed; the soak ends there. The last line is the verdict.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
unset CI

minutes=${SOAK_MINUTES:-60}
tables=$((minutes < 20 ? 50000 : 1000000))
round=0
played=0
seed=$(($(date +%s) % 200000 * 20000 + 100000)) # of the simulator: never those of CI, and others each time

# step WHAT COMMAND...: runs it unless the time is over.
step() {
  [ $SECONDS -lt $((minutes * 60)) ] || return 0
  echo "== round $round, minute $((SECONDS / 60)) of $minutes: $1"
  "${@:2}" && return
  echo "soak: FAILED in round $round after $((SECONDS / 60)) minutes: $1"
  exit 1
}

simulate() {
  SIM_SEEDS=$seed-$((seed + 3999)) vitest run --project unit test/sim/sim.test.ts || return
  seed=$((seed + 4000))
  played=$((played + 4000))
}

random_tests() {
  CASES=300 PROPERTY_TABLES=$tables vitest run --project unit test/fuzz test/property
}

lab() {
  POLICY_SWAP_SECONDS=60 vitest run --project lab test/lab/handover.test.ts test/lab/native.test.ts \
    test/lab/lifecycle.test.ts test/lab/policy-swap.test.ts
}

while [ $SECONDS -lt $((minutes * 60)) ]; do
  round=$((round + 1))
  step "simulator, seeds from $seed" simulate
  step "random tests, $tables tables" random_tests
  step "lab" lab
done
echo "soak: PASSED, $round rounds in $((SECONDS / 60)) minutes, $played seeds of the simulator"
