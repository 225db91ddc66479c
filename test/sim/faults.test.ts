import { describe, expect, it } from "vitest";
import { runSeed } from "./runner.ts";

// The checkers bite: with each of the mistakes of assembly/faults.ts planted in the engines, a seed of CI's range
// fails, and says why. The seeds are the first that do; SIM_FAULTS=search looks for them again.

const FAULTS: { fault: number; name: string; seed: number; found: RegExp }[] = [
  { fault: 1, name: "mapping", seed: 3, found: /wrong octets at/ },
  { fault: 2, name: "SAN", seed: 3, found: /acknowledges .* have arrived/ },
  { fault: 3, name: "TAN", seed: 2, found: /is shown an acknowledgement of/ },
  { fault: 4, name: "window for the host", seed: 11, found: /is shown a window up to/ },
  { fault: 5, name: "FIN", seed: 1645, found: /FIN at/ },
  { fault: 6, name: "wrap", seed: 2, found: /does not come to its end/ },
  { fault: 7, name: "join", seed: 13, found: /was reset/ },
  { fault: 8, name: "re-injection", seed: 139, found: /does not come to its end/ },
  { fault: 9, name: "trim", seed: 2, found: /unreachable|come to its end/ },
  { fault: 10, name: "split", seed: 608, found: /mapped by/ },
  { fault: 11, name: "SACK projection", seed: 2, found: /SACK block/ },
  { fault: 12, name: "checksum", seed: 2, found: /wrong checksum/ },
  { fault: 13, name: "DATA_ACK", seed: 3, found: /DATA_ACK|come to its end/ },
  { fault: 14, name: "window for the peer", seed: 2, found: /window up to/ },
  { fault: 15, name: "mapping's checksum", seed: 2, found: /checksum .* ought to be/ },
  { fault: 16, name: "checksum of odd parts", seed: 14, found: /was reset/ },
];

const LAST = 2000;
const play = (seed: number, fault: number) => runSeed(seed, { build: "test", fault }).failure;

/** The first seed that is right without the fault and wrong with it. */
function search(fault: number): { seed: number; failure: string } {
  for (let seed = 1; seed <= LAST; seed++) {
    const failure = play(seed, fault);
    if (failure !== "" && play(seed, 0) === "") return { seed, failure };
  }
  throw new Error(`no seed up to ${LAST} notices fault ${fault}`);
}

describe("the simulator notices a planted fault", () => {
  it.skipIf(process.env.SIM_FAULTS !== "search")("(search)", { timeout: 3_600_000 }, () => {
    for (const { fault, name } of FAULTS) {
      const { seed, failure } = search(fault);
      console.log(`${name}: seed ${seed}, ${failure}`);
    }
  });

  it.each(FAULTS)("in $name", ({ fault, seed, found }) => {
    expect(play(seed, fault)).toMatch(found);
    expect(play(seed, 0)).toBe("");
  });
});
