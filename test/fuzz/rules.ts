// What must hold on the wire and towards the host as long as nobody sends nonsense:
//
//   R1 a SAN covers only what came on that subflow    R2 and does not move back from one call to the next
//   R3 payload lies inside of the mapping that goes with it
//   R4 a TAN covers only what the host has sent       R5 and does not move back from one call to the next
//
// (Within one call rewritten packets are looked at before forged ones, whatever the order of their making.)

import { Direction, Hook } from "../../host/engine/abi.ts";
import * as p from "../packet.ts";
import { isIcmp } from "../packet-icmp.ts";
import type { Input, Sent } from "./driver.ts";

/** One tuple, seen from the engine: a subflow or a connection of the host. */
interface Track {
  /** Initial number and end of what the engine's side (or the host) sent here. */
  iss: number | undefined;
  sentEnd: number;
  /** End of what came in from the other side. */
  peerIss: number | undefined;
  peerEnd: number;
  /** Highest acknowledgement that went out until the call before, and with this one. */
  before: number | undefined;
  acknowledged: number | undefined;
}

const after = (a: number, b: number): boolean => ((a - b) | 0) > 0;
const add = (a: number, b: number): number => (a + b) >>> 0;
const endOf = (packet: p.Packet): number =>
  add(packet.seq, packet.payload.length + (packet.flags.includes("S") ? 1 : 0) + (packet.flags.includes("F") ? 1 : 0));

export class Rules {
  private readonly wire = new Map<string, Track>();
  private readonly host = new Map<string, Track>();

  /** Notes what is about to be fed. */
  fed(inputs: Input[]): void {
    for (const { octets, hook } of inputs) {
      if (isIcmp(octets)) continue;
      const packet = p.decode(octets);
      if (hook === Hook.LOCAL_OUT) this.hostSent(packet);
      else this.peerSent(packet);
    }
  }

  /** Checks what left; throws an Error that names the rule. */
  left(sent: Sent[]): void {
    for (const { direction, packet, rewritten } of sent) {
      if (!rewritten) continue;
      if (direction === Direction.WIRE) this.toWire(packet);
      else this.toHost(packet);
    }
    for (const track of [...this.wire.values(), ...this.host.values()]) track.before = track.acknowledged;
  }

  private hostSent(packet: p.Packet): void {
    const track = trackOf(this.host, packet.src, packet.sport, packet.dst, packet.dport);
    if (packet.flags.includes("S") && track.iss !== packet.seq) {
      Object.assign(track, fresh(), { iss: packet.seq, sentEnd: packet.seq });
    }
    if (after(endOf(packet), track.sentEnd)) track.sentEnd = endOf(packet);
  }

  private peerSent(packet: p.Packet): void {
    const track = trackOf(this.wire, packet.dst, packet.dport, packet.src, packet.sport);
    if (packet.flags.includes("S") && track.peerIss !== packet.seq) {
      Object.assign(track, { peerIss: packet.seq, peerEnd: packet.seq, ...UNACKNOWLEDGED });
    }
    if (after(endOf(packet), track.peerEnd)) track.peerEnd = endOf(packet);
  }

  private toWire(packet: p.Packet): void {
    const track = trackOf(this.wire, packet.src, packet.sport, packet.dst, packet.dport);
    if (packet.flags.includes("S")) {
      // A SYN like the one before may begin a new connection: the fuzzer's hosts have one ISN per tuple.
      Object.assign(track, { iss: packet.seq, sentEnd: packet.seq, ...UNACKNOWLEDGED });
      return;
    }
    if (packet.flags.includes("R") || track.iss === undefined) return;
    const fail = (rule: string): never => {
      throw new Error(`${rule}: ${p.show(packet)}; ${JSON.stringify(track)}`);
    };
    if (after(packet.ack, track.peerEnd)) fail("R1");
    if (!acknowledge(track, packet.ack)) fail("R2");
    if (packet.payload.length === 0 || p.option(packet, "mpCapable")) return;
    const map = p.option(packet, "dss");
    if (packet.payload.length === 1 && map?.dsn === undefined) return; // a DAN pull's octet is below SND.NXT
    const ssnRel = (packet.seq - track.iss) >>> 0;
    const from = map?.ssn ?? 0;
    const to = from + (map?.length ?? 0) - (map?.fin ? 1 : 0);
    if (map?.dsn === undefined || ssnRel < from || ssnRel + packet.payload.length > to) fail("R3");
  }

  private toHost(packet: p.Packet): void {
    const track = trackOf(this.host, packet.dst, packet.dport, packet.src, packet.sport);
    if (packet.flags.includes("S")) Object.assign(track, { peerIss: packet.seq, ...UNACKNOWLEDGED });
    if (!packet.flags.includes("A") || packet.flags.includes("R") || track.iss === undefined) return;
    const fail = (rule: string): never => {
      throw new Error(`${rule}: ${p.show(packet)}; ${JSON.stringify(track)}`);
    };
    if (after(packet.ack, track.sentEnd)) fail("R4");
    if (!packet.flags.includes("S") && !acknowledge(track, packet.ack)) fail("R5");
  }
}

/** Notes an acknowledgement; false if it lies before what an earlier call sent. */
function acknowledge(track: Track, ack: number): boolean {
  if (track.acknowledged === undefined || after(ack, track.acknowledged)) track.acknowledged = ack;
  return track.before === undefined || !after(track.before, ack);
}

const UNACKNOWLEDGED = { before: undefined, acknowledged: undefined };
const fresh = (): Track => ({ iss: undefined, sentEnd: 0, peerIss: undefined, peerEnd: 0, ...UNACKNOWLEDGED });

function trackOf(tracks: Map<string, Track>, near: string, nearPort: number, far: string, farPort: number): Track {
  const key = `${near} ${nearPort} ${far} ${farPort}`;
  let track = tracks.get(key);
  if (track === undefined) {
    track = fresh();
    tracks.set(key, track);
  }
  return track;
}
