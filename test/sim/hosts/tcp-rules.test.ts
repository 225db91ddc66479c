// One TCP host of ours and a peer that is made of single packets: which segments it takes, what it answers, what it
// learns from ICMP, how a connection ends, and which faults of a peer end the run.

import { describe, expect, it } from "vitest";
import { Random } from "../../model/random.ts";
import * as p from "../../packet.ts";
import type { Socket } from "../stack.ts";
import { type TcpSocket, TcpStack, type TcpStackOptions } from "./tcp.ts";

const HERE = { 4: "10.0.0.1", 6: "fd00::1" };
const THERE = { 4: "10.0.0.2", 6: "fd00::2" };
const IRS = 5_000_000;
const NONE = new Uint8Array(0);

/** The host opened, or was opened; `at` and `acks` below count octets of either stream. */
class Bench {
  readonly stack: TcpStack;
  nowUs = 0;
  socket!: TcpSocket;
  iss = 0;
  readonly family: 4 | 6;

  constructor(options: Partial<TcpStackOptions> = {}, family: 4 | 6 = 4) {
    this.family = family;
    this.stack = new TcpStack({ random: new Random(1), addresses: [HERE[family]], repacketise: 0, ...options });
  }

  /** What the host sends now. */
  sends(): p.Packet[] {
    this.stack.advance(this.nowUs);
    return this.stack.take().map(({ octets }) => p.decode(octets));
  }

  /** Lets `us` pass, timer by timer. */
  wait(us: number): p.Packet[] {
    const end = this.nowUs + us;
    const sent: p.Packet[] = [];
    while (this.stack.nextUs <= end) {
      this.nowUs = Math.max(this.nowUs, this.stack.nextUs);
      sent.push(...this.sends());
    }
    this.nowUs = end;
    return sent;
  }

  /** A packet of the peer; what the host answers at once. */
  gets(fields: Partial<p.PacketFields> & { at?: number; acks?: number } = {}): p.Packet[] {
    const { at = 0, acks = 0, ...rest } = fields;
    const tuple = { src: THERE[this.family], dst: HERE[this.family], sport: 80, dport: 4000 };
    const numbers = { seq: (IRS + 1 + at) >>> 0, ack: (this.iss + 1 + acks) >>> 0, flags: "A", win: 60_000 };
    this.stack.input(p.packet({ ...tuple, ...numbers, ...rest }), this.nowUs);
    return this.sends();
  }

  icmp(octets: number[]): p.Packet[] {
    this.stack.input(Uint8Array.from(octets), this.nowUs);
    return this.sends();
  }

  /** SACK blocks over octets of the host's stream. */
  blocks(...blocks: [number, number][]): p.Option[] {
    return [p.nop, p.nop, p.sack(...blocks.map(([l, r]) => [this.seq(l), this.seq(r)] as [number, number]))];
  }

  seq(octet: number): number {
    return (this.iss + 1 + octet) >>> 0;
  }

  open(options: p.Option[] = [p.mss(1460), p.sackOk]): this {
    const [here, there] = [HERE[this.family], THERE[this.family]];
    this.socket = this.stack.connect(
      { address: here, port: 4000 },
      { address: there, port: 80 },
      this.nowUs,
    ) as TcpSocket;
    this.iss = this.sends()[0]?.seq ?? 0;
    this.nowUs += 20_000;
    this.gets({ flags: "SA", at: -1, options });
    return this;
  }

  /** Octets written and sent, all of them if the window allows. */
  writes(octets: number): p.Packet[] {
    this.socket.write(p.payloadPattern(octets));
    return this.sends();
  }
}

const open = (options?: Partial<TcpStackOptions>, family?: 4 | 6) => new Bench(options, family).open();
/** `octet(length)` of payload for each packet. */
const places = (of: Bench, packets: p.Packet[]) =>
  packets.map(({ seq, payload }) => [(seq - of.iss - 1) | 0, payload.length]);

describe("segments that a TCP host does not take", () => {
  it("answers what lies outside the window with an ACK, twice a second at most if it is empty", () => {
    const of = open();
    expect(of.gets({ at: -1 })).toMatchObject([{ flags: "A" }]);
    expect(of.gets({ at: -1 })).toEqual([]);
    of.nowUs += 500_000;
    expect(of.gets({ at: -1 })).toHaveLength(1);
  });

  it("reports one octet again and again below the window, as a D-SACK", () => {
    const of = open();
    of.gets({ payload: p.payloadPattern(100) });
    for (let i = 0; i < 3; i++) {
      const [answer] = of.gets({ at: 99, payload: Uint8Array.of(1) });
      expect(answer && p.option(answer, "sack")?.blocks).toEqual([[IRS + 100, IRS + 101]]);
    }
    expect(Buffer.from(of.socket.read()).equals(p.payloadPattern(100))).toBe(true);
  });

  it("takes an RST at its exact number, and asks back for others in the window (RFC 5961)", () => {
    const of = open();
    expect(of.gets({ flags: "R", at: 10 })).toMatchObject([{ flags: "A" }]);
    expect(of.gets({ flags: "R", at: -5 })).toEqual([]);
    expect(of.socket.state).toBe("open");
    of.gets({ flags: "R", at: 0 });
    expect(of.socket.state).toBe("reset");
  });

  it("takes an RST behind what it has out of order", () => {
    const of = open();
    of.gets({ at: 100, payload: p.payloadPattern(50) });
    of.gets({ flags: "R", at: 150 });
    expect(of.socket.state).toBe("reset");
  });

  it("answers a SYN inside a connection with an ACK", () => {
    const of = open();
    expect(of.gets({ flags: "S", at: 10 })).toMatchObject([{ flags: "A", ack: IRS + 1 }]);
  });

  it("opens together with the other end", () => {
    const of = new Bench();
    const ends = [
      { address: HERE[4], port: 4000 },
      { address: THERE[4], port: 80 },
    ] as const;
    of.socket = of.stack.connect(...ends, 0) as TcpSocket;
    of.iss = of.sends()[0]?.seq ?? 0;
    expect(of.gets({ flags: "S", at: -1, options: [p.mss(1460)] })).toMatchObject([{ flags: "SA", ack: IRS + 1 }]);
    of.gets({ flags: "SA", at: -1, options: [p.mss(1460)] });
    expect(of.socket.state).toBe("open");
    expect(places(of, of.writes(100))).toEqual([[0, 100]]);
  });

  it("refuses what belongs to no connection", () => {
    const of = new Bench();
    expect(of.gets({ flags: "S" })).toMatchObject([{ flags: "RA", seq: 0, ack: IRS + 2 }]);
    expect(of.gets({ flags: "A", ack: 77 })).toMatchObject([{ flags: "R", seq: 77 }]);
    expect(of.gets({ flags: "R" })).toEqual([]);
  });
});

describe("what a TCP host reports", () => {
  it("SACKs what arrived last first, and a duplicate before it, once", () => {
    const of = open();
    const sack = (at: number, length: number) => {
      const [answer] = of.gets({ at, payload: p.payloadPattern(length) });
      return answer && p.option(answer, "sack")?.blocks.map(([l, r]) => [l - IRS - 1, r - IRS - 1]);
    };
    expect(sack(100, 10)).toEqual([[100, 110]]);
    expect(sack(200, 10)).toEqual([
      [200, 210],
      [100, 110],
    ]);
    expect(sack(110, 10)).toEqual([
      [100, 120],
      [200, 210],
    ]);
    expect(sack(200, 5)).toEqual([
      [200, 205],
      [200, 210],
      [100, 120],
    ]);
    expect(sack(0, 100)).toEqual([[200, 210]]);
    expect(sack(120, 80)).toBeUndefined();
  });

  it("keeps the right edge of its window where it was", () => {
    const of = open({ receiveBuffer: 10_000, windowScale: 0 }); // nobody reads
    let edge = 0;
    for (let at = 0; at < 10_000; at += 1000) {
      for (const answer of of.gets({ at, payload: p.payloadPattern(1000) })) {
        expect(answer.ack + answer.win).toBeGreaterThanOrEqual(edge);
        edge = answer.ack + answer.win;
      }
    }
    expect(edge).toBe(IRS + 1 + 10_000);
    of.socket.read(500);
    const [answer] = of.gets({ at: 9999, payload: Uint8Array.of(1) });
    expect(answer?.win).toBe(0); // less than a segment is not worth telling
  });
});

describe("losses", () => {
  it("repeats what three SACKed segments stand above, and it only", () => {
    const of = open();
    of.writes(6 * 1460);
    of.gets({ options: of.blocks([1460, 2920]) });
    of.gets({ options: of.blocks([1460, 4380]) });
    expect(places(of, of.gets({ options: of.blocks([1460, 5840]) }))).toEqual([[0, 1460]]);
  });

  it("repeats the first segment at the third duplicate without SACK, the next at a partial ACK", () => {
    const of = open({ sack: false });
    of.writes(10 * 1460);
    expect([of.gets(), of.gets()].flat()).toEqual([]);
    expect(places(of, of.gets())).toEqual([[0, 1460]]);
    of.nowUs += 20_000;
    expect(places(of, of.gets({ acks: 2920 }))).toEqual([[2920, 1460]]);
  });

  it("backs off: 1, 2, 4 … times the time-out, and begins with one segment", () => {
    const of = open();
    of.writes(3 * 1460);
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      of.nowUs = of.stack.nextUs;
      const sent = of.sends();
      if (i > 0) expect(places(of, sent)).toEqual([[0, 1460]]); // the first was a tail loss probe
      times.push(of.nowUs);
    }
    const [probe = 0, first = 0, second = 0, third = 0] = times;
    expect(probe).toBeLessThan(100_000);
    expect(third - second).toBe(2 * (second - first));
  });

  it("takes a SACKed segment at the head of its queue for reneging and repeats all soon", () => {
    const of = open();
    of.writes(4 * 1460);
    of.gets({ options: of.blocks([2920, 4380]) });
    of.gets({ acks: 2920, options: of.blocks([4380, 5840]) });
    expect(of.socket.stats.reneged).toBe(1);
    expect(places(of, of.wait(20_000))).toEqual([[2920, 1460]]);
    of.gets({ acks: 4380 });
    expect(of.socket.stats.timeouts).toBe(1);
  });

  it("cuts the same octets otherwise when it repeats them", () => {
    const of = open({ repacketise: 1, tailLossProbe: false });
    of.writes(300);
    of.writes(300);
    const seen = new Set<number>();
    for (let i = 0; i < 8; i++) for (const { payload } of of.wait(60_000_000)) seen.add(payload.length);
    expect(seen.size).toBeGreaterThan(2);
  });
});

describe("ICMP", () => {
  /** As a router answers `quoted`; the checksum is not looked at. */
  const error = (type: number, code: number, mtu: number, quoted: Uint8Array) => {
    const v6 = (quoted[0] ?? 0) >> 4 === 6;
    const body = [type, code, 0, 0, ...p.be32(mtu), ...quoted];
    if (!v6) return [0x45, 0, ...p.be16(body.length + 20), 0, 0, 0, 0, 64, 1, 0, 0, 10, 9, 9, 9, 10, 0, 0, 1, ...body];
    const from = p.addressOctets("fd00::9");
    return [0x60, 0, 0, 0, ...p.be16(body.length), 58, 64, ...from, ...p.addressOctets(HERE[6]), ...body];
  };
  const quote = (of: Bench, octet: number) => {
    const [src, dst] = [HERE[of.family], THERE[of.family]];
    return p.packet({ src, dst, sport: 4000, dport: 80, seq: of.seq(octet) }).subarray(0, of.family === 4 ? 28 : 60);
  };

  it.each([
    [4, 3, 4, 1300, 1260],
    [6, 2, 0, 1300, 1240],
  ] as const)(
    "too big: IPv%i segments that are longer leave again at once, shorter",
    (family, type, code, mtu, mss) => {
      const of = open({}, family);
      const size = family === 4 ? 1460 : 1440;
      of.writes(3 * size);
      of.gets({ options: of.blocks([size, 2 * size]) });
      const sent = of.icmp(error(type, code, mtu, quote(of, 0)));
      const rest = size - mss;
      expect(places(of, sent)).toEqual([
        [0, mss],
        [mss, rest],
        [2 * size, mss],
        [2 * size + mss, rest],
      ]);
      expect(of.socket.stats.lostToMtu).toBe(2);
      expect(of.icmp(error(type, code, mtu, quote(of, 0)))).toEqual([]); // no lower than before
    },
  );

  it("too big about octets that were never sent, or of somebody else, is ignored", () => {
    const of = open();
    of.writes(3 * 1460);
    expect(of.icmp(error(3, 4, 1300, quote(of, 5000)))).toEqual([]);
    const other = p.packet({ src: HERE[4], dst: THERE[4], sport: 4001, dport: 80, seq: of.seq(0) });
    expect(of.icmp(error(3, 4, 1300, other))).toEqual([]);
  });

  it("unreachable takes one step of the back-off back (RFC 6069)", () => {
    const of = open({ tailLossProbe: false });
    of.writes(1460);
    of.wait(3_000_000);
    expect(of.icmp(error(3, 1, 0, quote(of, 1)))).toEqual([]); // not SND.UNA
    expect(places(of, of.icmp(error(3, 1, 0, quote(of, 0))))).toEqual([[0, 1460]]);
    of.nowUs += 1000;
    expect(of.icmp(error(3, 1, 0, quote(of, 0)))).toEqual([]); // it was sent just now: half the wait is left
  });
});

describe("the end of a connection", () => {
  it("half closed, it goes on receiving", () => {
    const of = open();
    of.socket.close();
    expect(of.sends()).toMatchObject([{ flags: "FA" }]);
    of.gets({ acks: 1 });
    expect(of.socket.drained).toBe(true);
    of.gets({ acks: 1, payload: p.payloadPattern(1000) });
    of.gets({ acks: 1, at: 1000, flags: "FA" });
    expect(of.socket.read().length).toBe(1000);
    expect(of.socket).toMatchObject({ finished: true, state: "closed" });
  });

  it("the end that closed first acknowledges the FIN again for a while, the other does not know it any more", () => {
    const first = open();
    first.socket.close();
    first.sends();
    expect(first.gets({ acks: 1, flags: "FA" })).toMatchObject([{ flags: "A", ack: IRS + 2 }]);
    first.nowUs += 1_000_000;
    expect(first.gets({ acks: 1, flags: "FA" })).toMatchObject([{ flags: "A", ack: IRS + 2 }]);
    const second = open();
    second.gets({ flags: "FA" });
    second.socket.close();
    second.sends();
    second.gets({ at: 1, acks: 1 });
    expect(second.socket.state).toBe("closed");
    expect(second.gets({ at: 1, acks: 1 })).toMatchObject([{ flags: "R" }]);
  });

  it("both close at once", () => {
    const of = open();
    of.socket.close();
    of.sends();
    expect(of.gets({ flags: "FA", acks: 0 })).toMatchObject([{ flags: "A", ack: IRS + 2 }]);
    expect(of.socket.state).toBe("open");
    of.gets({ at: 1, acks: 1 });
    expect(of.socket.state).toBe("closed");
  });

  it("puts the FIN behind all data, with it or after it", () => {
    for (let seed = 1; seed <= 4; seed++) {
      const of = open({ random: new Random(seed) });
      of.socket.write(p.payloadPattern(2000));
      of.socket.close();
      const last = of.sends().at(-1);
      expect(last && [last.flags.includes("F"), (last.seq + last.payload.length - of.seq(2000)) | 0]).toEqual([
        true,
        0,
      ]);
    }
  });

  it("aborts with RST", () => {
    const of = open();
    of.socket.abort();
    expect(of.sends()).toMatchObject([{ flags: "RA", seq: of.seq(0) }]);
    expect(of.socket.state).toBe("reset");
  });

  it("gives up after so many time-outs", () => {
    const of = open({ retries: 3, rtoMaxUs: 1_000_000 });
    of.writes(10);
    of.wait(10_000_000);
    expect(of.socket.state).toBe("reset");
  });

  it("takes a new SYN on a tuple in TIME_WAIT", () => {
    const of = new Bench();
    const accepted: Socket[] = [];
    of.stack.listen({ address: HERE[4], port: 4000 }, (socket) => accepted.push(socket));
    const options = [p.mss(1460)];
    for (const generation of [0, 1]) {
      const seq = IRS + generation * 1000;
      const [synAck] = of.gets({ flags: "S", seq, ack: 0, options });
      of.iss = synAck?.seq ?? 0;
      of.gets({ seq: seq + 1 });
      expect(accepted).toHaveLength(generation + 1);
      accepted.at(-1)?.close();
      of.sends();
      of.gets({ seq: seq + 1, acks: 1, flags: "FA" });
      expect(accepted.at(-1)?.state).toBe("closed");
    }
  });

  it("keeps a quiet connection alive", () => {
    const of = open({ keepAliveUs: 5_000_000 });
    const sent = of.wait(11_000_000);
    expect(places(of, sent)).toEqual([
      [-1, 0],
      [-1, 0],
    ]);
  });
});

describe("faults of a peer that end the run", () => {
  it("acknowledges what was never sent", () => {
    const of = open();
    of.writes(100);
    expect(() => of.gets({ acks: 101 })).toThrow("acknowledges 102, sent were 101");
  });

  it("SACKs what was never sent, or without agreement", () => {
    const of = open();
    of.writes(100);
    expect(() => of.gets({ options: of.blocks([50, 101]) })).toThrow("SACK block 51 to 102");
    const without = open({ sack: false });
    without.writes(100);
    expect(() => without.gets({ options: without.blocks([50, 60]) })).toThrow("without agreement");
  });

  it("sends beyond the window; one octet is a probe", () => {
    const of = open({ receiveBuffer: 5000, windowScale: 0 });
    expect(() => of.gets({ at: 4000, payload: p.payloadPattern(1001) })).toThrow("the window ends at 5001");
    expect(of.gets({ at: 5000, payload: Uint8Array.of(1) })).toHaveLength(1);
  });

  it("sends behind its FIN, or moves it", () => {
    const of = open();
    of.gets({ at: 100, flags: "FA", payload: NONE });
    expect(() => of.gets({ at: 90, payload: p.payloadPattern(20) })).toThrow("behind the FIN");
    expect(() => of.gets({ at: 90, flags: "FA" })).toThrow("FIN at 91, before at 101");
  });

  it("lets MPTCP options through to a TCP host", () => {
    const of = open();
    expect(() => of.gets({ options: [p.dss({ dan: 1n })] })).toThrow("reached a TCP host");
  });
});
