#!/bin/bash
# What CI has no time for: the random tests with fresh seeds (a million tables in each direction of projection), and the
# lab's handovers, over and over.
#
#     SOAK_MINUTES=60 make soak
#
# A failure prints SEED and CASE of what it found, the simulator its seed; the loop ends there.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
unset CI

minutes=${SOAK_MINUTES:-60}
round=0
seed=$(($(date +%s) * 10)) # of the simulator: never those of CI, and others each time
while [ $SECONDS -lt $((minutes * 60)) ]; do
  round=$((round + 1))
  echo "== round $round, $((SECONDS / 60)) of $minutes minutes"
  CASES=300 PROPERTY_TABLES=1000000 vitest run --project unit test/fuzz test/property
  SIM_SEEDS=$seed-$((seed + 19999)) vitest run --project unit test/sim/sim.test.ts
  seed=$((seed + 20000))
  vitest run --project lab test/lab/handover.test.ts test/lab/native.test.ts test/lab/lifecycle.test.ts
done
echo "soak: $round rounds without a failure"
