// The kick: after a break the host is made to send again at once (docs/CONFORMANCE.md N-111).

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, FAMILIES, joined, opener, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";
import { data } from "../forward/cases.ts";

const FLAGS = abi.PathFlag.UP | abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6;
const path = (e: Established, id: number, flags: number, mtu?: number): Outcome => {
  const address = e.family === 4 ? { address4: `10.0.${id}.1` } : { address6: `fd00:${id}::1` };
  return e.scene.setPath(id, { ...address, flags, ...(mtu && { mtu }) });
};
const down = (e: Established, id: number): Outcome => path(e, id, 0);
const kinds = (out: Outcome) => out.icmpToHost.map(({ error, mtu }) => (error === "too big" ? mtu : error));

/** SUBFLOW_ADD. */
const addSubflow = (e: Established, id: number): Outcome =>
  e.scene.command(abi.CommandKind.SUBFLOW_ADD, (view, at) => {
    view.setUint32(at + abi.Command.TOKEN, e.ourToken, true);
    view.setUint32(at + abi.Command.PATH, id, true);
  });

/** Octets 0 … 2999 are in flight on the subflow in use, the first 1000 acknowledged. */
function inFlight(e: Established): Established {
  for (const at of [0, 1000, 2000]) e.hostData(at, 1000);
  e.fromPeer({ acks: 1000 }, [e.dataAck(1000)]);
  return e;
}

describe.each(FAMILIES)("the kick (IPv%i)", (family) => {
  /** What the host knows of the path: its clamped MSS and the headers. */
  const known = family === 4 ? 1436 + 40 : 1416 + 60;

  it("N-111 leaves in the moment of the break where a standby is joined: one error about an octet in flight", () => {
    const e = inFlight(joined("opener", { family }));
    const out = down(e, 1);
    expect(kinds(out)).toEqual([known - 1]);
    expect(out.icmpToHost).toMatchObject([
      {
        src: e.addresses.peer,
        dst: e.addresses.host,
        quoted: {
          ...{ src: e.host.local, dst: e.host.remote, sport: e.host.localPort, dport: e.host.remotePort },
          seq: e.tsn(2999), // the last one: in the window whatever ACK comes first
        },
        checksumValid: true,
      },
    ]);
    expect(out.toHost).toEqual([]); // no segment: nothing is acknowledged, nothing SACKed
    const again = e.on(e.flow2, data(sent(e.hostData(1000, 1000))));
    expect(again.map((packet) => p.option(packet, "dss"))).toMatchObject([{ ssn: 1, length: 1000 }]);
  });

  it("N-111 leaves with the fourth ACK where the other path is joined only then, no sooner", () => {
    const e = inFlight(opener({ family }));
    const lost = [down(e, 1), e.scene.advance(64)];
    const before = [...lost, e.answerJoin(lost.flatMap(sent))];
    expect(before.flatMap(kinds)).toEqual([]);
    const fourth = e.fromPeer({ flow: e.flow2 }, [e.dataAck(1000)]);
    expect(kinds(fourth)).toEqual([known - 1]);
    expect(fourth.icmpToHost[0]?.quoted.seq).toBe(e.tsn(2999));
    const again = e.on(e.flow2, data(sent(e.hostData(1000, 1000))));
    expect(again.map((packet) => p.option(packet, "dss"))).toMatchObject([{ ssn: 1, length: 1000 }]);
  });

  it("N-111 shows the new path's MTU less the DSS where that is smaller", () => {
    const e = inFlight(joined("opener", { family }));
    path(e, 2, FLAGS, 1400);
    expect(kinds(down(e, 1))).toEqual([1400 - 20]);
  });
});

describe("the kick", () => {
  it("N-111 leaves once per break, not for a switch, and not where nothing is in flight", () => {
    const e = inFlight(joined());
    expect(kinds(e.scene.handover(2))).toEqual([]);
    e.hostData(3000, 100);
    e.scene.handover(1);
    e.scene.advance(100_000);
    expect(kinds(down(e, 1))).toHaveLength(1);
    for (const at of [1000, 2000]) expect(kinds(e.hostData(at, 1000))).toEqual([]);
    for (let i = 0; i < 4; i++) expect(kinds(e.scene.advance(20_000))).toEqual([]);
    path(e, 1, FLAGS);
    e.answerJoin(addSubflow(e, 1).toWire);
    const fourth = e.fromPeer({ flow: e.flow2 }, [e.dataAck(1000)]);
    expect([fourth, e.scene.handover(1)].flatMap(kinds)).toEqual([]); // the next switch is no break
    expect(e.on(e.flow2, sent(e.hostData(3100, 100)))).toHaveLength(1);
    const quiet = joined();
    quiet.hostData(0, 1000);
    quiet.fromPeer({ acks: 1000 }, [quiet.dataAck(1000)]);
    expect(kinds(down(quiet, 1))).toEqual([]);
  });

  it("N-111 shows an MTU on the host's own route as well, unless that is on no path of ours", () => {
    const e = inFlight(joined());
    expect(kinds(down(e, 1))).toEqual([1475]);
    e.fromPeer({ flow: e.flow2 }, [e.dataAck(3000)]);
    path(e, 1, FLAGS);
    e.hostData(3000, 1000);
    const lost = down(e, 2);
    e.answerJoin([lost, e.scene.advance(64)].flatMap(sent)); // by the host's own addresses
    expect(kinds(e.fromPeer({ flow: e.flow2 }, [e.dataAck(3000)]))).toEqual([1475]);
  });

  it("N-111 asks that the host forget the MTU", () => {
    const kicked = (out: Outcome) => out.events.filter(({ kind }) => kind === "HOST_KICKED");
    expect(kicked(down(inFlight(joined()), 1))).toMatchObject([{ local: "::ffff:a00:101", remote: "::ffff:a00:102" }]);
    const small = inFlight(joined());
    path(small, 2, FLAGS, 1400);
    expect(kicked(down(small, 1))).toEqual([]); // that one is needed
  });

  it("N-111 takes a step of the host's back-off back where it has sent its first octet again in vain", () => {
    const e = inFlight(joined());
    e.scene.advance(300_000);
    e.hostData(1000, 1000);
    expect(kinds(down(e, 1))).toEqual([1475, "unreachable"]);
  });
});
