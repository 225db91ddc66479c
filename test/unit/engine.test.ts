// The door of the engine: what init() accepts, what happens to descriptors that are none of our business or
// wrong, and how its fixed memory runs out.

import { describe, expect, it } from "vitest";
import * as abi from "../../host/engine/abi.ts";
import { joined, listening, opener, opening } from "../established.ts";
import * as p from "../packet.ts";
import { Scene } from "../scene.ts";
import { instantiate, loadEngine } from "../wasm.ts";

const C = { src: "10.0.1.1", dst: "10.0.1.2", sport: 40000, dport: 80 };
const SYN = { ...C, flags: "S", seq: 100, options: [p.mss(1460), p.sackOk] };

describe("init()", () => {
  const start = (config: Partial<Record<keyof typeof abi.EngineConfig, number>>, length: number = abi.CONFIG_SIZE) => {
    const { exports, memory } = instantiate("test", abi.SLABS_START + 2_000_000);
    const view = new DataView(memory.buffer);
    const all = { ABI_VERSION: abi.ABI_VERSION, CONNECTIONS: 4, SUBFLOWS: 8, RUNS: 16, ...config };
    for (const [name, value] of Object.entries(all)) {
      view.setUint32(abi.CONFIG + abi.EngineConfig[name as keyof typeof abi.EngineConfig], value, true);
    }
    view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, abi.ENTROPY_SIZE, true);
    return exports.init?.(length);
  };
  const { OK, BAD_ABI, BAD_CONFIG, NO_MEMORY, NOT_BUILT } = abi.Status;

  it.each([
    ["takes its defaults", {}, OK],
    ["refuses another ABI", { ABI_VERSION: abi.ABI_VERSION + 1 }, BAD_ABI],
    ["refuses the anchor's role, which is to come", { ROLE: 1 }, NOT_BUILT],
    ["refuses a capacity of nothing", { CONNECTIONS: 0 }, BAD_CONFIG],
    ["refuses fewer subflows than connections", { SUBFLOWS: 3 }, BAD_CONFIG],
    ["refuses fewer runs than connections", { RUNS: 3 }, BAD_CONFIG],
    ["refuses ports above 65535", { PORT_LAST: 65536 }, BAD_CONFIG],
    ["refuses an empty range of ports", { PORT_FIRST: 5000, PORT_LAST: 4999 }, BAD_CONFIG],
    ["refuses fewer ports than shards", { PORT_FIRST: 5000, PORT_LAST: 5001, SHARD_COUNT: 3 }, BAD_CONFIG],
    ["takes as many ports as shards", { PORT_FIRST: 5000, PORT_LAST: 5001, SHARD_COUNT: 2, SHARD: 1 }, OK],
    ["refuses a shard beyond the last", { SHARD_COUNT: 2, SHARD: 2 }, BAD_CONFIG],
    ["refuses what its memory does not hold", { CONNECTIONS: 100_000, SUBFLOWS: 100_000, RUNS: 100_000 }, NO_MEMORY],
  ])("%s", (_, config, status) => {
    expect(start(config)).toBe(status);
  });

  it("refuses a config that is cut short", () => {
    expect(start({}, abi.EngineConfig.SHARD_COUNT)).toBe(BAD_CONFIG);
    expect(start({}, abi.EngineConfig.SHARD_COUNT + 4)).toBe(OK);
  });

  it("leaves the slabs within what the embedder was told to reserve", () => {
    const [connections, subflows, runs] = [100, 300, 900];
    const { header } = loadEngine("test", { connections, subflows, runs });
    const cost = connections * abi.CONNECTION_COST + subflows * abi.SUBFLOW_COST + runs * abi.RUN_COST;
    expect(header(abi.EngineHeader.SLABS_END)).toBeLessThanOrEqual(abi.SLABS_START + abi.SLABS_FIXED_COST + cost);
  });
});

describe("process()", () => {
  /** Hands one descriptor in as it is; returns [verdict, reason]. */
  function raw(fields: { offset?: number; length?: number; hook?: number }, octets = p.packet(SYN)): [number, number] {
    const scene = new Scene({ paths: [{ address4: C.src }] });
    const { view, octets: memory, exports } = scene.engine;
    const offset = abi.BATCH + abi.SLOT_HEADROOM;
    memory.set(octets, offset);
    const at = abi.DESCRIPTORS;
    view.setUint32(at + abi.Descriptor.OFFSET, fields.offset ?? offset, true);
    view.setUint32(at + abi.Descriptor.LENGTH, fields.length ?? octets.length, true);
    view.setUint32(at + abi.Descriptor.HOOK, fields.hook ?? abi.Hook.LOCAL_OUT, true);
    view.setUint32(at + abi.Descriptor.VERDICT, 0xff, true);
    expect(exports.process?.(1)).toBe(abi.Status.OK);
    return [view.getUint32(at + abi.Descriptor.VERDICT, true), view.getUint32(at + abi.Descriptor.DROP_REASON, true)];
  }

  const end = abi.BATCH + abi.BATCH_MAX * abi.SLOT_SIZE;
  it.each([
    ["at address 0", { offset: 0 }],
    ["in front of the batch", { offset: abi.BATCH - 100 }],
    ["without headroom", { offset: abi.BATCH + 63 }],
    ["behind the batch", { offset: end }],
    ["over its end", { offset: end - 10, length: 60 }],
    ["longer than a slot", { length: abi.SLOT_SIZE + 1 }],
    ["at an address that wraps", { offset: 0xfffffff0, length: 60 }],
  ])("drops a descriptor %s", (_, fields) => {
    expect(raw(fields)).toEqual([abi.Verdict.DROP, abi.DropReason.BAD_DESCRIPTOR]);
  });

  it("drops what is malformed, each with its reason", () => {
    const octets = p.packet(SYN);
    expect(raw({ length: 10 })).toEqual([abi.Verdict.DROP, abi.DropReason.IP_MALFORMED]);
    const short = octets.slice();
    short[32] = 0x40; // data offset 4
    expect(raw({}, short)).toEqual([abi.Verdict.DROP, abi.DropReason.TCP_MALFORMED]);
  });

  it("passes other protocols and other hooks untouched", () => {
    const udp = p.packet(SYN);
    udp[9] = 17;
    udp.set(p.be16(~p.naiveSum([...udp.subarray(0, 10), 0, 0, ...udp.subarray(12, 20)]) & 0xffff), 10);
    expect(raw({}, udp)[0]).toBe(abi.Verdict.ACCEPT);
    for (const hook of [abi.Hook.PREROUTING, abi.Hook.FORWARD, abi.Hook.POSTROUTING]) {
      expect(raw({ hook })[0]).toBe(abi.Verdict.ACCEPT);
    }
  });

  it("refuses counts above its regions", () => {
    const { exports } = loadEngine("test");
    expect(exports.process?.(abi.BATCH_MAX + 1)).toBe(abi.Status.BAD_COUNT);
    expect(exports.command?.(abi.COMMAND_MAX + 1)).toBe(abi.Status.BAD_COUNT);
    expect(exports.process?.(0)).toBe(abi.Status.OK);
  });

  it("drops a truncated packet of a converted connection, whichever side it comes from", () => {
    const e = opener();
    const flags = abi.PacketFlag.TRUNCATED;
    expect(e.hostData(0, 10, {}, { flags })).toMatchObject({ verdict: "drop", reason: "TRUNCATED" });
    expect(e.scene.wire(e.peerPacket({}, [e.dataAck()]), { flags })).toMatchObject({ reason: "TRUNCATED" });
  });

  it("drops a packet with a wrong TCP checksum that nobody has verified", () => {
    const e = opener();
    const out = e.scene.wire({ ...e.peerPacket({ payload: 10 }, [e.dssData(0, 10)]), checksum: "bad" });
    expect(out).toMatchObject({ verdict: "drop", reason: "TCP_CHECKSUM" });
  });
});

describe("capacity", () => {
  const ports = (scene: Scene, count: number, options = SYN.options) =>
    Array.from({ length: count }, (_, i) => scene.host({ ...SYN, sport: 1000 + i, options }));

  it("the connections' slab is full: further SYNs pass as plain TCP", () => {
    const scene = new Scene({ paths: [{ address4: C.src }], connections: 3, config: { HALF_OPEN_MAX: 100 } });
    const verdicts = ports(scene, 5).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(["rewritten", "rewritten", "rewritten", "accept", "accept"]);
    expect(scene.dropped(abi.DropReason.CONNECTIONS_FULL)).toBe(2);
  });

  it("N-101 half-open connections: the oldest makes room, whatever comes", () => {
    const scene = new Scene({ paths: [{ address4: C.src }], connections: 64, config: { HALF_OPEN_MAX: 16 } });
    for (let i = 0; i < 3_000; i++) {
      const out = scene.wire({
        ...SYN,
        src: `10.9.${i >> 8}.${i & 255}`,
        dst: C.src,
        dport: 80,
        sport: 5,
        options: [p.capableSyn()],
      });
      expect(out.verdict).toBe("rewritten");
    }
    expect(scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(16);
    expect(scene.counter(abi.Counter.HALF_OPEN_EVICTED)).toBe(3_000 - 16);
    for (let i = 0; i < 80; i++) scene.advance(1_000_000);
    expect(scene.engine.header(abi.EngineHeader.CONNECTIONS)).toBe(0);
    expect(scene.nextUs).toBe(Infinity);
  });

  it("N-101 an established connection outlives a flood of SYNs", () => {
    const e = joined("responder", { config: { HALF_OPEN_MAX: 4 } });
    for (let i = 0; i < 500; i++) {
      e.scene.wire({ ...SYN, src: `10.9.${i >> 8}.${i & 255}`, dst: C.src, sport: 5, options: [p.capableSyn()] });
    }
    expect(e.hostData(0, 10).verdict).toBe("rewritten");
  });

  it("the subflows' slab is full: a join is refused, the connection goes on", () => {
    const e = opener({ connections: 1, subflows: 1, runs: 64 });
    expect(e.scene.handover(2).events).toContainEqual(
      expect.objectContaining({ kind: "HANDOVER_FAILED", reason: "LIMIT" }),
    );
    expect(e.hostData(0, 10).verdict).toBe("rewritten");
  });

  it("without entropy a SYN passes as plain TCP, from either side", () => {
    for (const octets of [0, 8, 63]) {
      const e = opening();
      const { engine } = e.scene;
      engine.fillEntropy = () => engine.view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, octets, true);
      expect(e.hostSyn().verdict).toBe("accept");
      const peer = listening();
      peer.scene.engine.fillEntropy = () =>
        peer.scene.engine.view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, octets, true);
      expect(peer.peerSyn().verdict).toBe("accept");
    }
  });

  it("without entropy nothing is joined", () => {
    const e = opener();
    e.scene.engine.fillEntropy = () =>
      e.scene.engine.view.setUint32(abi.HEADER + abi.EngineHeader.ENTROPY_COUNT, 15, true);
    expect(e.scene.handover(2).toWire).toEqual([]);
  });
});
