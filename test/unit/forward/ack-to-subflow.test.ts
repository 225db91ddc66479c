import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { type Established, FAMILIES, joined, low32, opener, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { CASES, danOf, san, single } from "./cases.ts";

// Acknowledgements of the host, towards the peer.

const optionOctets = (packet: p.Packet) => packet.tcpHeaderLength - 20;

/** The peer sends [from, from + length) of its stream as the next octets of the second subflow. */
const onSecond = (e: Established, from: number, length: number, at: number, map = {}) =>
  e.peerData(from, length, { flow: e.flow2, at }, map);

describe.each(CASES)("the host's acknowledgements, $name", ({ role, options }) => {
  it("N-61 a new ACK makes one ACK on each subflow that brought what it covers, none on others", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    const one = sent(e.fromHost({ acks: 100 }));
    expect(one).toHaveLength(1);
    expect(e.on(e.initial, one)).toMatchObject([{ flags: "A", ack: san(e.initial, 100), checksumValid: true }]);

    e.peerData(100, 50);
    onSecond(e, 150, 70, 0);
    const both = sent(e.fromHost({ acks: 220 }));
    expect(both).toHaveLength(2);
    expect(e.on(e.initial, both)).toMatchObject([{ ack: san(e.initial, 150) }]);
    expect(e.on(e.flow2, both)).toMatchObject([{ ack: san(e.flow2, 70) }]);

    onSecond(e, 220, 30, 70);
    const second = sent(e.fromHost({ acks: 250 }));
    expect(second).toHaveLength(1);
    expect(e.on(e.flow2, second)).toMatchObject([{ ack: san(e.flow2, 100) }]);
  });

  it("N-61 nor on one that waits for octets of its own", () => {
    const e = joined(role, options);
    onSecond(e, 200, 50, 100); // [100, 200) was to come before it
    e.fromHost({ options: [p.sack([e.tan(200), e.tan(250)])] });
    e.peerData(0, 100);
    const acks = sent(e.fromHost({ acks: 100, options: [p.sack([e.tan(200), e.tan(250)])] }));
    expect(acks).toHaveLength(1);
    expect(e.on(e.initial, acks)).toMatchObject([{ ack: san(e.initial, 100) }]);
  });

  it("N-89 but on one of which its SACK block says something new: a host that compresses its ACKs says it once", () => {
    const e = joined(role, options);
    onSecond(e, 200, 50, 100); // [100, 200) was to come before it
    e.peerData(0, 100);
    const acks = sent(e.fromHost({ acks: 100, options: [p.sack([e.tan(200), e.tan(250)])] }));
    expect(acks).toHaveLength(2);
    const [told] = e.on(e.flow2, acks);
    expect(told).toMatchObject({ ack: san(e.flow2, 0) });
    expect(told && p.option(told, "sack")?.blocks).toEqual([[san(e.flow2, 100), san(e.flow2, 150)]]);
    const again = sent(e.fromHost({ acks: 100, options: [p.sack([e.tan(200), e.tan(250)])] }));
    expect(e.on(e.flow2, again)).toHaveLength(1); // a duplicate, and only one of them
  });

  it("N-89 a SAN passes what a SACK block has reported once, though there is no room for it any more", () => {
    const e = joined(role, options);
    const sack = (...blocks: [number, number][]) =>
      p.sack(...blocks.map(([left, right]): [number, number] => [e.tan(left), e.tan(right)]));
    e.peerData(200, 100, { at: 100 }); // on the initial subflow its first hundred octets are missing
    e.fromHost({ options: [sack([200, 300])] });
    onSecond(e, 400, 100, 0); // what lies between is on its way elsewhere
    onSecond(e, 600, 100, 100);
    onSecond(e, 800, 100, 200);
    e.fromHost({ options: [sack([800, 900], [600, 700], [400, 500])] });
    e.peerData(0, 100);
    const acks = sent(e.fromHost({ acks: 100, options: [sack([800, 900], [600, 700], [400, 500])] }));
    expect(e.on(e.initial, acks)).toMatchObject([{ ack: san(e.initial, 200) }]);
    expect(danOf(e.on(e.initial, acks)[0])).toBe(low32(e.peerDsn(100)));
  });

  it("N-61 an ACK of a part moves each subflow as far as the part goes", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    onSecond(e, 100, 100, 0);
    const part = sent(e.fromHost({ acks: 130 }));
    expect(e.on(e.initial, part)).toMatchObject([{ ack: san(e.initial, 100) }]);
    expect(e.on(e.flow2, part)).toMatchObject([{ ack: san(e.flow2, 30) }]);
  });

  it("N-62 each of these ACKs carries the host's ACK as DATA_ACK", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    onSecond(e, 100, 70, 0);
    const both = sent(e.fromHost({ acks: 170 }));
    expect(both.map(danOf)).toEqual([low32(e.peerDsn(170)), low32(e.peerDsn(170))]);
    e.peerData(170, 10, { at: 100 });
    const data = e.hostData(0, 10, { acks: 180 });
    expect(danOf(data.packet)).toBe(low32(e.peerDsn(180)));
  });

  it("N-63 an octet that was mapped on a subflow but did not come there is not acknowledged there", () => {
    const e = joined(role, options);
    // One mapping for two packets; the second one is lost and comes on the other subflow.
    e.fromPeer({ payload: 100 }, [e.dssData(0, 200)]);
    onSecond(e, 100, 100, 0);
    const acks = sent(e.fromHost({ acks: 200 }));
    expect(e.on(e.initial, acks)).toMatchObject([{ ack: san(e.initial, 100) }]);
    expect(e.on(e.flow2, acks)).toMatchObject([{ ack: san(e.flow2, 100) }]);
  });

  it("N-63 nor what came there behind a gap, though the host has it all", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    e.peerData(200, 100); // on the initial subflow [100, 200) is missing
    onSecond(e, 100, 100, 0);
    const acks = sent(e.fromHost({ acks: 300 }));
    expect(e.on(e.initial, acks)).toMatchObject([{ ack: san(e.initial, 100) }]);
    const filled = e.peerData(100, 100); // the peer repeats it there
    expect(e.on(e.initial, sent({ ...filled, packet: undefined })).at(-1)?.ack).toBe(san(e.initial, 300));
  });

  it("N-63 an ACK of the host beyond all that came is not believed", () => {
    const e = single[role](options);
    e.peerData(0, 100);
    const ack = sent(e.fromHost({ acks: 5_000 }));
    for (const packet of ack) {
      expect(packet.ack).toBe(san(e.initial, 0));
      expect(danOf(packet)).toBe(low32(e.peerDsn(0)));
    }
  });

  it("N-64 a duplicate ACK goes only to subflows with octets unacknowledged", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    onSecond(e, 100, 50, 0);
    e.fromHost({ acks: 150 });
    e.peerData(250, 60, { at: 200 }); // [150, 250) is missing, on the initial subflow
    const duplicate = sent(e.fromHost({ acks: 150, options: [p.sack([e.tan(250), e.tan(310)])] }));
    expect(duplicate).toHaveLength(1);
    expect(e.on(e.initial, duplicate)).toMatchObject([{ ack: san(e.initial, 100) }]);
    const sack = p.option(duplicate[0] ?? { options: [] }, "sack");
    expect(sack?.blocks).toEqual([[san(e.initial, 200), san(e.initial, 260)]]);
  });

  it("N-64 or that have just seen a retransmission; and to none where there is neither", () => {
    const e = joined(role, options);
    e.peerData(0, 100);
    onSecond(e, 100, 50, 0);
    e.fromHost({ acks: 150 });
    expect(sent(e.fromHost({ acks: 150 }))).toEqual([]);
    onSecond(e, 100, 50, 0); // again
    const answer = sent(e.fromHost({ acks: 150 }));
    expect(answer).toHaveLength(1);
    expect(e.on(e.flow2, answer)).toMatchObject([{ ack: san(e.flow2, 50) }]);
    expect(sent(e.fromHost({ acks: 150 }))).toEqual([]);
  });

  it("N-65 payload leaves on the active subflow, the SAN for what came on the other one there", () => {
    const e = joined(role, options);
    onSecond(e, 0, 80, 0);
    const outcome = e.hostData(0, 200, { acks: 80 });
    expect(e.on(e.initial, [outcome.packet as p.Packet])).toMatchObject([{ seq: e.tsn(0), ack: san(e.initial, 0) }]);
    expect(outcome.packet?.payload).toEqual(p.payloadPattern(200));
    expect(e.on(e.flow2, outcome.toWire)).toMatchObject([{ flags: "A", ack: san(e.flow2, 80), seq: e.flow2.iss + 1 }]);
    expect(e.on(e.flow2, outcome.toWire)[0]?.payload).toHaveLength(0);
    expect(sent(outcome).map(danOf)).toEqual([low32(e.peerDsn(80)), low32(e.peerDsn(80))]);
  });

  it("N-65 the same when the host's segment is split over both subflows", () => {
    const e = joined(role, options);
    e.hostData(0, 100);
    e.scene.handover(2);
    e.hostData(100, 100);
    onSecond(e, 0, 80, 0);
    const split = e.hostData(0, 200, { acks: 80 });
    expect(split.verdict).toBe("drop");
    const [first, second] = [e.on(e.initial, split.toWire), e.on(e.flow2, split.toWire)];
    expect(first).toMatchObject([{ seq: e.tsn(0), payload: p.payloadPattern(100) }]);
    expect(second.at(-1)).toMatchObject({ ack: san(e.flow2, 80), payload: p.payloadPattern(100, 100) });
  });

  it("N-71 of the host's SACK blocks a pure ACK keeps three, data two; options never exceed 40 octets", () => {
    const e = single[role](options);
    const blocks = [100, 300, 500, 700].map((offset): [number, number] => {
      e.peerData(offset, 50);
      return [e.tan(offset), e.tan(offset + 50)];
    });
    const recent = blocks.toReversed(); // most recent first, as a host sends them
    const pure = e.fromHost({ options: [p.sack(...recent)] }).packet as p.Packet;
    expect(p.option(pure, "sack")?.blocks).toEqual(recent.slice(0, 3));
    expect(p.option(pure, "dss")).toBeDefined();
    expect(optionOctets(pure)).toBeLessThanOrEqual(40);
    const data = e.hostData(0, 10, { options: [p.sack(...recent)] }).packet as p.Packet;
    expect(p.option(data, "sack")?.blocks).toEqual(recent.slice(0, 2));
    expect(p.option(data, "dss")).toMatchObject({ length: 10 });
    expect(optionOctets(data)).toBeLessThanOrEqual(40);
    expect([pure, data].map(({ optionsMalformed }) => optionsMalformed)).toEqual([false, false]);
  });

  it("N-71 nor with MP_CAPABLE, which leaves no room for them", () => {
    const e = single[role]({ ...options, confirmed: false });
    const blocks = [100, 300, 500, 700].map((offset): [number, number] => {
      // A DATA_ACK would confirm: map without one.
      e.fromPeer({ at: offset, payload: 50 }, [p.dss({ dsn: e.peerDsn(offset), ssn: offset + 1, length: 50 })]);
      return [e.tan(offset), e.tan(offset + 50)];
    });
    for (const outcome of [
      e.fromHost({ options: [p.sack(...blocks)] }),
      e.hostData(0, 100, { options: [p.sack(...blocks)] }),
      e.hostData(100, 100, { options: [p.sack(...blocks)], flags: "FPA" }),
    ]) {
      expect(outcome.packet?.optionsMalformed).toBe(false);
      expect(outcome.packet && optionOctets(outcome.packet)).toBeLessThanOrEqual(40);
      expect(
        outcome.packet && p.realOptions(outcome.packet).some(({ kind }) => kind === "mpCapable" || kind === "dss"),
      ).toBe(true);
    }
  });
});

describe.each(FAMILIES)("checksums towards the peer, IPv%d", (family) => {
  const lengths = [0, 1, 2, 3, 7, 8, 31, 32, 33, 535, 1435, 1436];
  it("N-59 every rewritten segment of the host has valid sums, whatever the kernel had filled in", () => {
    const e = opener({ family });
    let at = 0;
    let win = 400;
    for (const length of lengths) {
      for (const checksum of ["good", "pseudo"] as const) {
        const flags = checksum === "pseudo" ? abi.PacketFlag.CHECKSUM_NOT_READY : 0;
        const payload = p.payloadPattern(length, at);
        const { packet } = e.fromHost({ at, flags: "PA", payload, checksum, win: ++win }, { flags });
        expect(packet).toMatchObject({ checksumValid: true, ipChecksumValid: true, payload });
        at += length;
      }
    }
  });

  it("N-59 with GSO the IP header's sum is right, and the kernel is left to compute TCP's", () => {
    const e = opener({ family });
    const flags = abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY;
    const { packet } = e.hostData(0, 20_000, { checksum: "pseudo" }, { flags });
    expect(packet).toMatchObject({
      ipChecksumValid: true,
      totalLength: 20_000 + 20 + (family === 4 ? 20 : 40) + 24 - 4,
    });
    expect(packet?.payload).toEqual(p.payloadPattern(20_000));
  });

  it("N-59 forged packets, too", () => {
    const e = joined("opener", { family });
    onSecond(e, 0, 81, 0);
    const made = [
      ...e.hostData(0, 33, { acks: 81 }).toWire,
      ...e.scene.handover(2).toWire,
      ...e.hostData(0, 77, { acks: 81 }).toWire, // split over both
      ...e.fromHost({ flags: "R" }).toWire,
    ];
    expect(made.length).toBeGreaterThan(3);
    expect(made.filter(({ checksumValid, ipChecksumValid }) => !checksumValid || !ipChecksumValid).map(p.show)).toEqual(
      [],
    );
  });
});
