// A trace as a download over two networks with two handovers would leave it: 4 MB/s, first over wifi (10 ms one way),
// then ethernet (30 ms), then wifi again.
import { writeFileSync } from "node:fs";

const RECORD_SIZE = 64;
const START_US = 5_000_000_000;
const WIFI = 1;
const ETHERNET = 2;
const DELAY_US: Record<number, number> = { [WIFI]: 10_000, [ETHERNET]: 30_000 };

interface Packet {
  timeUs: number;
  position: number;
  length: number;
  path: number;
  side: number;
  flags: number;
}

function record(packet: Packet, token: number): Buffer {
  const buffer = Buffer.alloc(RECORD_SIZE);
  buffer.writeBigUInt64LE(BigInt(Math.round(packet.timeUs)), 0);
  buffer.writeBigUInt64LE(BigInt(packet.position), packet.side === 1 ? 8 : 16);
  buffer.writeUInt32LE(token, 24);
  buffer.writeUInt32LE(packet.length, 28);
  buffer.writeUInt16LE(packet.path, 52);
  buffer.writeUInt16LE(packet.path - 1, 54);
  buffer.writeUInt8(packet.side, 56);
  buffer.writeUInt8(packet.flags, 57);
  return buffer;
}

/** Writes FILE and FILE.events.jsonl. */
export function writeSyntheticTrace(file: string, token: number, seconds = 24): void {
  const handovers = [
    { timeUs: (seconds / 3) * 1e6, from: "wifi", to: "ethernet", path: ETHERNET },
    { timeUs: ((2 * seconds) / 3) * 1e6, from: "ethernet", to: "wifi", path: WIFI },
  ];
  const pathAt = (sentUs: number) => {
    const last = handovers.findLast((handover) => sentUs >= handover.timeUs);
    return last?.path ?? WIFI;
  };
  const packets: Packet[] = [];
  const size = 11_520;
  for (let index = 0; index * size < seconds * 4e6; index++) {
    const sentUs = ((index * size) / 4e6) * 1e6;
    const path = pathAt(sentUs);
    const timeUs = sentUs + (DELAY_US[path] ?? 0) + ((index * 7919) % 13) * 90;
    packets.push({ timeUs, position: index * size, length: size, path, side: 1, flags: 1 });
  }
  packets.sort((a, b) => a.timeUs - b.timeUs);
  const received = new Set<number>();
  let edge = 0;
  const acknowledgements: Packet[] = [];
  for (const packet of packets) {
    received.add(packet.position);
    while (received.has(edge)) edge += size;
    acknowledgements.push({ ...packet, timeUs: packet.timeUs + 150, position: edge, length: 0, side: 0, flags: 2 });
  }
  const header = Buffer.alloc(64);
  header.write("SHUNTTRC");
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(RECORD_SIZE, 12);
  header.writeUInt32LE(1, 16);
  header.writeBigUInt64LE(BigInt(START_US), 24);
  const all = [...packets, ...acknowledgements].sort((a, b) => a.timeUs - b.timeUs);
  const records = all.map((packet) => record({ ...packet, timeUs: packet.timeUs + START_US }, token));
  writeFileSync(file, Buffer.concat([header, ...records]));
  const id = token.toString(16).padStart(8, "0");
  const events = handovers.flatMap(({ timeUs, from, to }) => [
    { timeUs: START_US + timeUs, event: "handover_started", connection: id, from, path: to },
    { timeUs: START_US + timeUs + 35_000, event: "handover_done", connection: id, path: to },
  ]);
  const head = { version: 1, paths: { [WIFI]: "wifi", [ETHERNET]: "ethernet" } };
  writeFileSync(`${file}.events.jsonl`, `${[head, ...events].map((line) => JSON.stringify(line)).join("\n")}\n`);
}
