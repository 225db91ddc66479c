import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import {
  delivered,
  type Established,
  FAMILIES,
  listening,
  low32,
  opener,
  opening,
  responder,
  sent,
} from "../../established.ts";
import * as p from "../../packet.ts";
import type { Outcome } from "../../scene.ts";

const MSS = { 4: 1460, 6: 1440 };
const kinds = (packet: p.Packet | undefined) => (packet ? p.realOptions(packet).map(({ kind }) => kind) : undefined);
const connections = (e: Established) => e.scene.engine.header(abi.EngineHeader.CONNECTIONS);
const capable = (outcome: Outcome) => outcome.packet && p.option(outcome.packet, "mpCapable");

/** From here on the flow is plain TCP: what either end sends leaves as it came. */
function expectPlainTcp(e: Established): void {
  expect(connections(e)).toBe(0);
  const bypassed = e.hostData(0, 100);
  expect(bypassed).toMatchObject({ verdict: "accept", toWire: [], toHost: [] });
  expect(kinds(bypassed.packet)).toEqual([]);
  const answer = e.fromPeer({ acks: 100, payload: 10 }, []);
  expect(answer).toMatchObject({ verdict: "accept", toWire: [], toHost: [] });
}

describe.each(FAMILIES)("MP_CAPABLE when the host opens, IPv%d", (family) => {
  it("N-1 a host's SYN leaves with one MP_CAPABLE v1 of 4 octets, flags 0x01, its own ISN, no timestamps, no TFO", () => {
    const e = opening({ family });
    const options = [...e.hostSynOptions(), p.tfo(Uint8Array.of(1, 2, 3, 4))];
    const syn = e.hostSyn({ flags: "SEC", options, payload: 20 });
    expect(kinds(syn.packet)).toEqual(["mss", "sackOk", "ws", "mpCapable"]);
    expect(capable(syn)).toEqual({ kind: "mpCapable", version: 1, flags: 1 });
    expect(syn.packet).toMatchObject({ flags: "S", seq: e.host.iss, checksumValid: true, ipChecksumValid: true });
    expect(syn.packet?.payload).toHaveLength(0); // the host sends it again behind the SYN/ACK
    expect(syn.packet && p.option(syn.packet, "mss")).toMatchObject({ mss: MSS[family] });
  });

  it("N-2 a host's SYN that has MPTCP of its own is forwarded untouched and nothing is kept of it", () => {
    const e = opening({ family });
    const syn = e.hostSyn({ options: [p.mss(1460), p.capableSyn()] });
    expect(syn.verdict).toBe("accept");
    expect(connections(e)).toBe(0);
    expect(syn.sets).toMatchObject([{ kind: abi.SetOperationKind.ADD_BYPASS, port: 40000 }]);
    expect(e.peerSynAck()).toMatchObject({ verdict: "accept", toWire: [] });
  });

  it("N-3 the host sees the SYN/ACK without MPTCP, without timestamps and with an MSS that leaves room for a DSS", () => {
    const e = opening({ family });
    e.hostSyn();
    const synAck = e.fromPeer({ flags: "SA", at: -1 }, [...e.peerSynOptions(), p.capableSynAck(e.peer.key)]);
    expect(kinds(synAck.packet)).toEqual(["mss", "sackOk", "ws"]);
    expect(synAck.packet && p.option(synAck.packet, "mss")).toEqual({ kind: "mss", mss: MSS[family] - 24 });
    expect(synAck.packet).toMatchObject({ flags: "SA", seq: e.host.irs, ack: e.tsn(0), checksumValid: true });
  });

  it("N-3 the MSS is clamped to the smallest path, too", () => {
    const e = opening({ family });
    const flags = abi.PathFlag.UP;
    e.scene.setPath(2, { address4: e.addresses.host2, flags, mtu: 1300 });
    if (family === 6) e.scene.setPath(2, { address6: e.addresses.host2, flags, mtu: 1300 });
    e.hostSyn();
    const { packet } = e.peerSynAck();
    expect(packet && p.option(packet, "mss")).toEqual({ kind: "mss", mss: 1300 - (family === 4 ? 40 : 60) - 24 });
  });

  it("N-4 after a SYN/ACK without MP_CAPABLE no packet carries an MPTCP option", () => {
    const e = opening({ family });
    e.hostSyn();
    const synAck = e.peerSynAck({}, []);
    expect(synAck.verdict).toBe("accept");
    expect(synAck.events).toMatchObject([{ kind: "CONNECTION_FALLBACK", reason: "NO_MPTCP_IN_SYNACK" }]);
    expect(e.fromHost()).toMatchObject({ verdict: "accept", toWire: [] });
    expectPlainTcp(e);
  });

  const refused: [string, p.Option][] = [
    ["version 0", { ...p.capableSynAck(7n), version: 0 }],
    ["version 2", { ...p.capableSynAck(7n), version: 2 }],
    ["B set", p.capableSynAck(7n, 0x41)],
    ["H clear", p.capableSynAck(7n, 0x00)],
    ["another algorithm", p.capableSynAck(7n, 0x03)],
    ["the length of a SYN", p.capableSyn()],
    ["the length of an ACK", p.capableAck(7n, 8n)],
    ["key 0", p.capableSynAck(0n)],
  ];
  it.each(refused)("N-5 a SYN/ACK whose MP_CAPABLE has %s is treated as if it had none", (_, option) => {
    const e = opening({ family });
    e.hostSyn();
    const synAck = e.peerSynAck({}, [option]);
    expect(synAck.verdict).toBe("accept");
    expect(synAck.events).toMatchObject([{ kind: "CONNECTION_FALLBACK" }]);
    expectPlainTcp(e);
  });

  it("N-6 the host's third ACK carries MP_CAPABLE with our key, then the peer's", () => {
    const e = opening({ family });
    e.hostSyn();
    e.peerSynAck();
    const third = e.fromHost();
    expect(kinds(third.packet)).toEqual(["mpCapable"]);
    expect(capable(third)).toMatchObject({ version: 1, flags: 1, receiverKey: e.peer.key });
    expect(capable(third)).not.toHaveProperty("dataLength");
    expect(capable(third)?.senderKey).not.toBe(0n);
    expect(third.packet).toMatchObject({ flags: "A", seq: e.tsn(0), ack: e.tan(0), checksumValid: true });
  });

  it("N-6 a third ACK that says nothing new but that it is one leaves, too", () => {
    const e = opening({ family, hostScale: undefined });
    e.hostSyn({ win: 64000 });
    e.peerSynAck();
    expect(kinds(e.fromHost({ win: 64000 }).packet)).toEqual(["mpCapable"]);
  });

  it.each([
    ["behind", true],
    ["instead of", false],
  ] as const)(
    "N-7 the first data %s the bare third ACK carries MP_CAPABLE with both keys and its length",
    (_, third) => {
      const e = opening({ family });
      e.hostSyn();
      e.peerSynAck();
      if (third) e.fromHost();
      const data = e.hostData(0, 700);
      expect(capable(data)).toMatchObject({ receiverKey: e.peer.key, dataLength: 700 });
      expect(kinds(data.packet)).toEqual(["mpCapable"]);
      expect(data.packet).toMatchObject({ seq: e.tsn(0), payload: p.payloadPattern(700), checksumValid: true });
    },
  );

  it("N-7 data behind the first segment carries a DSS, confirmed or not", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    const { packet } = e.hostData(700, 300);
    expect(packet && p.option(packet, "dss")).toMatchObject({ dsn: low32(e.dsn(700)), ssn: 701, length: 300 });
  });

  it("N-8 the first data sent again carries MP_CAPABLE again, and a DSS once the peer has shown one", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    expect(capable(e.hostData(0, 700))).toMatchObject({ dataLength: 700 });
    e.fromPeer(); // DATA_ACK of nothing
    const { packet } = e.hostData(0, 700);
    expect(kinds(packet)).toEqual(["dss"]);
    expect(packet && p.option(packet, "dss")).toMatchObject({ dsn: low32(e.dsn(0)), ssn: 1, length: 700 });
  });

  it("N-8 not once it has moved to a fresh SSN: MP_CAPABLE would map it to the front", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    e.hostData(700, 700);
    e.fromPeer({ acks: 700 }, [p.addAddr({ id: 0, address: e.addresses.peer })]); // the DATA_ACK is lost
    const { packet } = e.hostData(0, 700);
    expect(kinds(packet)).toEqual(["dss"]);
    expect(packet && p.option(packet, "dss")).toMatchObject({ dsn: low32(e.dsn(0)), ssn: 1401, length: 700 });
  });

  it("N-7 a silent peer is asked nothing that it could take for a third ACK without MP_CAPABLE", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    const later = Array.from({ length: 40 }, () => e.scene.advance(100_000)).flatMap(({ toWire }) => toWire);
    expect(e.on(e.initial, later).filter((packet) => !p.option(packet, "mpCapable"))).toEqual([]);
  });

  it("a keep-alive or a question of the peer, which has no option, is no sign that it speaks plain TCP", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    expect(e.fromPeer({ at: -1, acks: 700, payload: 1 }, []).events).toEqual([]);
    const plain = e.fromPeer({ acks: 700 }, []);
    expect(plain.events).toContainEqual(expect.objectContaining({ kind: "CONNECTION_FALLBACK" }));
  });

  it("N-9 after a repeated SYN/ACK the host's answer carries MP_CAPABLE with both keys again", () => {
    const e = opener({ family, confirmed: false });
    const again = e.peerSynAck();
    expect(kinds(again.packet)).toEqual(["mss", "sackOk", "ws"]); // the host answers it itself
    const answer = e.fromHost();
    expect(capable(answer)).toMatchObject({ senderKey: e.ourKey, receiverKey: e.peer.key });
    expect(again.packet).toMatchObject({ flags: "SA", seq: e.host.irs });
  });

  it("N-9 the same when the host has sent data meanwhile", () => {
    const e = opener({ family, confirmed: false });
    e.hostData(0, 700);
    e.peerSynAck();
    expect(capable(e.fromHost({ at: 700 }))).toMatchObject({ senderKey: e.ourKey, receiverKey: e.peer.key });
    expect(capable(e.hostData(0, 700))).toMatchObject({ dataLength: 700 });
  });

  it("N-9 a SYN of the host that has crossed the SYN/ACK opens nothing new", () => {
    const e = opening({ family });
    const key = e.hostSyn().events[0]?.token;
    e.peerSynAck();
    expect(kinds(e.hostSyn().packet)).toEqual(["mss", "sackOk", "ws", "mpCapable"]);
    const senderKey = capable(e.fromHost())?.senderKey;
    expect(senderKey !== undefined && p.keyDigest(senderKey).token).toBe(key);
  });

  it("N-10 the silent host's acknowledgement of data that the peer sends first carries a DATA_ACK", () => {
    const e = opener({ family, confirmed: false });
    expect(delivered(e.peerData(0, 500))).toMatchObject([{ seq: e.tan(0), payload: p.payloadPattern(500) }]);
    const { packet } = e.fromHost({ acks: 500 });
    expect(kinds(packet)).toEqual(["dss"]);
    expect(packet && p.option(packet, "dss")).toMatchObject({ dan: low32(e.peerDsn(500)) });
    expect(packet?.ack).toBe(e.tan(500));
  });

  it("N-15 the SYN and its first two repetitions carry MP_CAPABLE, later ones do not", () => {
    const e = opening({ family });
    const key = [e.hostSyn(), e.hostSyn(), e.hostSyn()].map((syn) => kinds(syn.packet)?.includes("mpCapable"));
    expect(key).toEqual([true, true, true]);
    const fourth = e.hostSyn();
    expect(fourth.verdict).toBe("accept");
    expect(fourth.events).toMatchObject([{ kind: "CONNECTION_FALLBACK", reason: "SYN_RETRIES" }]);
    expect(e.peerSynAck({}, []).verdict).toBe("accept");
    expectPlainTcp(e);
  });
});

describe.each(FAMILIES)("MP_CAPABLE when the peer opens, IPv%d", (family) => {
  it("N-11 the host sees a plain SYN, and its SYN/ACK leaves with a fresh key, the same at every repetition", () => {
    const e = listening({ family });
    // The port's first SYN still carries MP_CAPABLE: what listens there may speak it itself.
    expect(kinds(e.peerSyn({ sport: 39999, flow: e.initial }).packet)).toContain("mpCapable");
    const first = e.fromHost({ flags: "SA", at: -1, dport: 39999, options: e.hostSynOptions() });

    const syn = e.peerSyn({ flags: "SEC", payload: 20 });
    expect(kinds(syn.packet)).toEqual(["mss", "sackOk", "ws"]);
    expect(syn.packet).toMatchObject({ flags: "S", seq: e.host.irs, checksumValid: true });
    expect(syn.packet?.payload).toHaveLength(0);
    expect(syn.packet && p.option(syn.packet, "mss")).toMatchObject({ mss: MSS[family] - 20 });

    const synAck = e.hostSynAck();
    expect(kinds(synAck.packet)).toEqual(["mss", "sackOk", "ws", "mpCapable"]);
    expect(synAck.packet).toMatchObject({ flags: "SA", seq: e.host.iss, ack: e.tan(0), checksumValid: true });
    expect(capable(synAck)).toEqual({ kind: "mpCapable", version: 1, flags: 1, senderKey: e.ourKey });
    expect(e.ourKey).not.toBe(0n);
    expect(e.ourKey).not.toBe(capable(first)?.senderKey);
    expect(capable(e.hostSynAck())?.senderKey).toBe(e.ourKey);
    expect(kinds(e.peerSyn().packet)).toEqual(["mss", "sackOk", "ws"]);
    expect(capable(e.hostSynAck())?.senderKey).toBe(e.ourKey);
  });

  it("N-11 a SYN without MP_CAPABLE, or with one that we cannot speak, is passed untouched", () => {
    const offers: p.Option[][] = [[], [p.capableSyn(0x41)], [p.capableSyn(0x00)]];
    for (const offer of offers) {
      const e = listening({ family });
      expect(e.peerSyn({}, offer)).toMatchObject({ verdict: "accept" });
      expect(e.hostSynAck()).toMatchObject({ verdict: "accept" });
      expect(connections(e)).toBe(0);
    }
  });

  const wrong: [string, string, (e: Established) => p.Option[]][] = [
    ["N-12", "with a wrong key of the receiver", (e) => [p.capableAck(e.peer.key, e.ourKey ^ 1n)]],
    ["N-12", "with key 0 of the sender", (e) => [p.capableAck(0n, e.ourKey)]],
    ["N-12", "of the length with data", (e) => [p.capableData(e.peer.key, e.ourKey, 10)]],
    ["N-12", "with a checksum and no data", (e) => [{ ...p.capableData(e.peer.key, e.ourKey, 10, 0x81), checksum: 1 }]],
    ["N-13", "without MP_CAPABLE", () => []],
    ["N-13", "with a DSS instead", (e) => [e.dataAck(0)]],
  ];
  it.each(wrong)("%s a third ACK %s makes it plain TCP", (_, __, options) => {
    const e = listening({ family });
    e.peerSyn();
    e.hostSynAck();
    const third = e.peerThirdAck({}, options(e));
    expect(third).toMatchObject({ verdict: "accept", toWire: [], toHost: [] });
    expect(third.events).toMatchObject([{ kind: "CONNECTION_FALLBACK", reason: "NO_MPTCP_IN_ACK" }]);
    expectPlainTcp(e);
  });

  it("N-14 the first packet behind the SYN/ACK carries a DATA_ACK, before the host says anything", () => {
    const e = listening({ family });
    e.peerSyn();
    e.hostSynAck();
    const third = e.peerThirdAck();
    const [first, ...more] = sent({ ...third, packet: undefined });
    expect(more).toEqual([]);
    expect(first).toMatchObject({ flags: "A", seq: e.tsn(0), ack: e.tan(0), checksumValid: true });
    expect(first && p.option(first, "dss")).toMatchObject({ dan: low32(e.peerDsn(0)) });
    expect(delivered(third)).toMatchObject([{ flags: "A", seq: e.tan(0), ack: e.tsn(0), options: [] }]);
  });

  it("N-14 a host that had no room when the third ACK came gets it again when it asks", () => {
    const e = responder({ family });
    const again = e.fromHost({ flags: "SA", at: -1, options: e.hostSynOptions() });
    expect(again).toMatchObject({ verdict: "drop", toWire: [] });
    expect(again.toHost).toMatchObject([{ flags: "A", seq: e.tan(0), ack: e.tsn(0), options: [] }]);
    const repeated = e.peerThirdAck(); // until the peer has our DATA_ACK
    expect(repeated.packet).toMatchObject({ flags: "A", seq: e.tan(0), ack: e.tsn(0), options: [] });
  });

  it("N-14 where the third ACK was lost, data with MP_CAPABLE takes its place", () => {
    const e = listening({ family });
    e.peerSyn();
    e.hostSynAck();
    const data = e.peerThirdAck({ payload: 300, flags: "PA" }, [p.capableData(e.peer.key, e.ourKey, 300)]);
    expect(data.packet).toMatchObject({ seq: e.tan(0), payload: p.payloadPattern(300), options: [] });
    expect(data.toWire).toMatchObject([{ flags: "A", seq: e.tsn(0) }]);
    const { packet } = e.hostData(0, 100, { acks: 300 });
    const dss = { dan: low32(e.peerDsn(300)), dsn: low32(e.dsn(0)), ssn: 1, length: 100 };
    expect(packet && p.option(packet, "dss")).toMatchObject(dss);
  });
});
