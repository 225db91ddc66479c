// Every number space ends once within a transfer, each at a place of its own, and nothing stalls.

import { describe, expect, it } from "vitest";
import * as abi from "../../../host/engine/abi.ts";
import { delivered, Established, type Role, sent } from "../../established.ts";
import * as p from "../../packet.ts";
import { data, sacked } from "./cases.ts";

/** Keys whose IDSN (RFC 8684 §3.1) ends soon: the low half of our DSNs wraps at octet 4897, of the peer's at 6454. */
const OUR_KEY = 0x5100_0000_002f_cc47n;
const PEER_KEY = 0x5100_0000_0032_47een;
const LENGTH = 12_000;
const SEGMENT = 400;

/** The 32-bit words that the engine draws next. */
function draw(e: Established, ...words: number[]): void {
  const { engine } = e.scene;
  const at = abi.ENTROPY + engine.header(abi.EngineHeader.ENTROPY_COUNT) - 4;
  words.forEach((word, i) => {
    engine.view.setUint32(at - 4 * i, word, true);
  });
}

/** Connection with the keys above; TSNs wrap at 600 and 9100, SSNs of the second subflow at its octets 1000 and 1100. */
function wrapping(role: Role, sack: boolean): Established {
  const numbers = { hostIss: 2 ** 32 - 601, peerIss: 2 ** 32 - 9101, joinIrs: 2 ** 32 - 1101 };
  const e = new Established(role, { ...numbers, peerKey: PEER_KEY, sack });
  const { engine } = e.scene;
  const fill = engine.fillEntropy;
  engine.fillEntropy = () => {
    fill();
    draw(e, Number(OUR_KEY >> 32n), Number(OUR_KEY & 0xffff_ffffn));
  };
  e.establish();
  engine.fillEntropy = () => {
    fill();
    draw(e, 2 ** 32 - 1001);
  };
  return e.join();
}

describe.each(["opener", "responder"] as const)("numbers that wrap, we are the %s", (role) => {
  it.each([true, false])("N-58 the host's octets arrive and are acknowledged, SACK %s", (sack) => {
    const e = wrapping(role, sack);
    expect([e.dsn(4897) & 0xffff_ffffn, e.tsn(600), e.flow2.iss + 1001]).toEqual([0n, 0, 2 ** 32]);
    const placeOf = new Map<string, number>();
    let onSecond = 0;
    for (let at = 0; at < LENGTH; at += SEGMENT) {
      const second = (at / (3 * SEGMENT)) % 2 >= 1;
      if (at % (3 * SEGMENT) === 0) e.scene.handover(second ? 2 : 1);
      const flow = second ? e.flow2 : e.initial;
      const place = second ? onSecond : at - onSecond;
      if (second) onSecond += SEGMENT;
      const [packet, ...others] = data(sent(e.hostData(at, SEGMENT))) as [p.Packet];
      expect(others).toEqual([]);
      expect(e.on(flow, [packet])).toHaveLength(1);
      expect(packet).toMatchObject({ seq: (flow.iss + 1 + place) >>> 0, payload: p.payloadPattern(SEGMENT, at) });
      const dsn = BigInt.asUintN(32, e.dsn(at));
      expect(p.option(packet, "dss")).toMatchObject({ dsn, ssn: place + 1, length: SEGMENT });
      placeOf.set(`${second}`, place + SEGMENT);
      if (sack && (at / SEGMENT) % 2 === 1) {
        const edges = [flow.iss + 1 + place + 100, flow.iss + 1 + place + 300].map((n) => n >>> 0) as [number, number];
        const out = delivered(e.fromPeer({ flow, acks: place }, [e.dataAck(at), p.sack(edges)]));
        expect(out).toMatchObject([{ ack: e.tsn(at) }]);
        e.scene.advance(200_000); // behind a switch blocks of the new subflow are held back for a while
        const again = delivered(e.fromPeer({ flow, acks: place }, [e.dataAck(at), p.sack(edges)]));
        expect(sacked(e, again)).toEqual([[at + 100, at + 300]]);
      }
      const ack = delivered(e.fromPeer({ flow, acks: place + SEGMENT }, [e.dataAck(at + SEGMENT)]));
      expect(ack).toMatchObject([{ ack: e.tsn(at + SEGMENT), options: [] }]);
    }
    expect(placeOf.get("true")).toBeGreaterThan(1001);
    expect(e.on(e.flow2, e.scene.advance(100_000).toWire).filter(({ flags }) => flags !== "A")).toEqual([]);
  });

  it.each([4, 8] as const)("N-58 the peer's octets arrive and are acknowledged, DSNs of %i octets", (dsnOctets) => {
    const e = wrapping(role, true);
    expect([e.peerDsn(6454) & 0xffff_ffffn, e.tan(9100), e.flow2.irs + 1101]).toEqual([0n, 0, 2 ** 32]);
    const places = { first: 0, second: 0 };
    const free = e.scene.engine.header(abi.EngineHeader.RUNS_FREE);
    for (let at = 0; at < LENGTH; at += SEGMENT) {
      const which = (at / (2 * SEGMENT)) % 2 >= 1 ? "second" : "first";
      const flow = which === "second" ? e.flow2 : e.initial;
      const place = places[which];
      places[which] += SEGMENT;
      const half = SEGMENT / 2;
      for (const behind of [half, 0]) {
        const map = { dsnOctets, danOctets: dsnOctets };
        const out = data(delivered(e.peerData(at + behind, half, { flow, at: place + behind }, map)));
        const payload = p.payloadPattern(half, at + behind);
        expect(out).toMatchObject([{ seq: e.tan(at + behind), payload, ack: e.tsn(0) }]);
      }
      const acks = sent(e.fromHost({ acks: at + SEGMENT }));
      expect(e.on(flow, acks)).toMatchObject([{ ack: (flow.irs + 1 + place + SEGMENT) >>> 0 }]);
      const dan = BigInt.asUintN(32, e.peerDsn(at + SEGMENT));
      expect(acks.map((packet) => p.option(packet, "dss")?.dan)).toEqual([dan]);
    }
    expect(places.second).toBeGreaterThan(1101);
    expect(e.scene.engine.header(abi.EngineHeader.RUNS_FREE)).toBe(free);
  });
});
