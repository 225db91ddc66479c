// Two engines, a host behind each: both move the connection, by turns and at once (docs/CONFORMANCE.md N-87).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { addressOf, Duo, type Side } from "../../duo.ts";
import { Random } from "../../model/random.ts";

const { BREAK_BEFORE_MAKE, MAKE_BEFORE_BREAK } = abi.HandoverMode;
const OCTETS = 900_000;

/** A connection under load in both directions, with a standby subflow. */
function loaded(sack: boolean) {
  const build = "test-release" as const; // the debug build's tables hold too little for a load
  const duo = new Duo(new Random(7), { a: { build, runs: 4096 }, b: { build, runs: 4096 } });
  const [client, server] = duo.connect(40_000, { octets: OCTETS, sack }, { octets: OCTETS, sack });
  duo.run(150_000);
  const data: Record<string, number> = {}; // octets by side and path
  duo.onWire = (side, { src, payload }) => {
    const key = `${side}${src.split(".")[2]}`;
    data[key] = (data[key] ?? 0) + payload.length;
  };
  const handover = (side: Side, path: number, mode: number) => duo.after(side, duo.at(side).handover(path, mode));
  const link = (side: Side, path: number, flags: number) =>
    duo.after(side, duo.at(side).setPath(path, { address4: addressOf(side, path), flags }));
  return { duo, client, server, data, handover, link };
}

describe.each([true, false])("both ends are proxied, SACK %s", (sack) => {
  it("N-87 each end in turn moves the connection, both follow: complete", () => {
    const { duo, client, server, data, handover } = loaded(sack);
    for (const [side, path] of [
      ["a", 2],
      ["b", 1],
      ["a", 2],
    ] as const) {
      handover(side, path, MAKE_BEFORE_BREAK);
      duo.run(40_000);
      Object.assign(data, { a1: 0, a2: 0, b1: 0, b2: 0 });
      duo.run(20_000);
      expect([data[`a${3 - path}`], data[`b${3 - path}`]]).toEqual([0, 0]);
      expect([data[`a${path}`], data[`b${path}`]]).not.toContain(0);
    }
    duo.run(30_000_000);
    expect([client.received, server.received]).toEqual([OCTETS, OCTETS]);
    expect([client.reset, server.reset]).toEqual([false, false]);
  });

  it.each([
    ["make-before-break", MAKE_BEFORE_BREAK],
    ["break-before-make", BREAK_BEFORE_MAKE],
  ] as const)("N-87 both ends command at once, %s, to different paths: complete", (_, mode) => {
    const { duo, client, server, handover } = loaded(sack);
    handover("a", 2, mode);
    handover("b", 1, MAKE_BEFORE_BREAK);
    duo.run(30_000_000);
    expect([client.received, server.received]).toEqual([OCTETS, OCTETS]);
    expect([client.reset, server.reset]).toEqual([false, false]);
  });

  it("N-87 both links go at once, each end's own: complete", () => {
    const { duo, client, server, link } = loaded(sack);
    duo.network.cut.add(1);
    link("a", 1, 0);
    link("b", 1, 0);
    duo.run(30_000_000);
    expect([client.received, server.received]).toEqual([OCTETS, OCTETS]);
    expect([client.reset, server.reset]).toEqual([false, false]);
  });
});
