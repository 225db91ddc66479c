// Plays a packet script against one engine: puts in what the script says, holds what leaves against it. Everything that
// leaves must be expected: before the next thing happens, and at the end, nothing may be left over.

import { readFileSync } from "node:fs";
import path from "node:path";
import * as abi from "../../host/engine/abi.ts";
import { type Option, type Packet, packet, payloadPattern } from "../packet.ts";
import type { IcmpPacket } from "../packet-icmp.ts";
import { type Outcome, Scene, type SceneEvent } from "../scene.ts";
import { compareIcmp, compareSegment, type Left, type Row, table, write } from "./compare.ts";
import { type Deed, type Line, parseScript, ScriptError, type SegmentSpec } from "./notation.ts";
import { type End, Numbers, other, type Place } from "./numbers.ts";
import { build } from "./options.ts";
import { type Setup, setupOf } from "./setup.ts";

const COMMON = path.join(import.meta.dirname, "common");
/** A packet may leave this much later or earlier than its line says, µs: the wheel's ticks. */
const TOLERANCE_US = 1000;
const START_US = 1_000_000n;
const WINDOW = 500;

/** A script and what it begins with: `use NAME` takes in common/NAME.pkt. */
export function readScript(file: string, text = readFileSync(file, "utf8")): Line[] {
  const name = path.relative(path.join(import.meta.dirname, "../.."), file);
  return parseScript(text, name).flatMap((line) => {
    if (line.at !== undefined || line.deed.kind !== "words" || line.deed.words[0] !== "use") return [line];
    return readScript(path.join(COMMON, `${line.deed.words[1]}.pkt`));
  });
}

/** Plays it; throws a ScriptError at the first line that does not come true. */
export function play(lines: Line[]): void {
  const player = new Player(setupOf(lines.filter(({ at }) => at === undefined)));
  for (const line of lines) if (line.at !== undefined) player.line(line);
  player.end(lines.at(-1));
}

class Player {
  private readonly scene: Scene;
  private readonly numbers = new Numbers();
  private readonly setup: Setup;
  private left: Left[] = [];
  private errors: { atUs: number; icmp: IcmpPacket }[] = [];
  private events: SceneEvent[] = [];
  private current: Line | undefined;
  /** Time of the line before, µs: what a packet is late by does not add up. */
  private lineUs = 0;

  constructor(setup: Setup) {
    this.setup = setup;
    for (const place of setup.places) this.numbers.places.set(place.name, place);
    this.scene = new Scene({ flags: setup.flags, config: setup.config });
    for (const [id, fields] of setup.paths) this.scene.setPath(id, fields);
    this.scene.prefer(setup.prefer);
  }

  private get nowUs(): number {
    return Number(this.scene.nowUs - START_US);
  }

  private fail = (message: string): never => {
    const at = this.current;
    throw new ScriptError(at ? `${at.file}:${at.line}: ${message}\n    ${at.text}` : message);
  };

  line(line: Line): void {
    this.current = line;
    const { at, deed } = line;
    const us = at?.relative ? this.lineUs + at.us : (at?.us ?? 0);
    if (us < this.lineUs) this.fail(`this is ${seconds(this.lineUs)} s already`);
    const happens = deed.kind === "words" || (deed.kind === "segment" && deed.inbound);
    this.lineUs = us;
    this.wait(us);
    if (happens) this.settled();
    if (deed.kind === "words") this.take(this.setup.command(this.scene, deed.words, this.numbers, this.fail));
    else if (deed.kind === "event") this.event(deed);
    else if (deed.kind === "nothing") this.nothing(deed.place);
    else if (deed.kind === "icmp") this.icmp(deed);
    else if (deed.inbound) this.inject(this.place(deed.place), deed.segment);
    else this.expect(this.place(deed.place), deed.segment);
  }

  end(last: Line | undefined): void {
    this.current = last;
    this.settled("the script ends");
  }

  private place(name: string): Place {
    const known = [...this.numbers.places.keys()];
    return this.numbers.places.get(name) ?? this.fail(`"${name}" is none of ${known.join(", ")}`);
  }

  /** Lets the time come, firing what is due on the way, unless `there` is true before. */
  private wait(us: number, there = () => false): void {
    while (this.nowUs < us && !there()) {
      const step = Math.min(us - this.nowUs, Math.max(1, this.scene.nextUs));
      this.take(this.scene.advance(step));
    }
  }

  /** Nothing that left is left over. */
  private settled(before = "this happens"): void {
    const left = [
      ...this.left.map((one) => `${seconds(one.atUs)}  ${write(one, this.numbers)}`),
      ...this.errors.map(({ atUs, icmp }) => `${seconds(atUs)}  host > icmp ${icmp.error} mtu ${icmp.mtu}`),
    ];
    if (left.length > 0) this.fail(`before ${before}, no line has expected\n      ${left.join("\n      ")}`);
  }

  // --- into the engine ----------------------------------------------------------------------------------

  private inject(place: Place, spec: SegmentSpec): void {
    const { numbers } = this;
    const end = Numbers.sender(place, true);
    const opens = spec.flags.includes("S") && spec.seq === 0;
    if (opens) place.isn[end] = this.setup.isn(place.name, end);
    const seq = numbers.absolute(place, end, spec.seq);
    const around = { numbers, place, inbound: true, fail: this.fail };
    const specs = spec.options === "any" ? [] : spec.options;
    // The payload depends on the mapping, and a DSS checksum on the payload.
    let payload: Uint8Array = new Uint8Array(spec.length);
    let options: Option[] = [];
    for (let pass = 0; pass < 2; pass++) {
      options = specs.map((option) => build(option, { ...around, payload }));
      numbers.learn(place, true, { seq, options }, opens);
      if (!spec.words.has("probe")) payload = this.octets(place, end, spec);
    }
    const [from, to] = place.name === "host" ? [place.local, place.remote] : [place.remote, place.local];
    const ports = [place.localPort, place.remotePort];
    const [sport = 0, dport = 0] = place.name === "host" ? ports : ports.toReversed();
    const made = packet({
      ...{ src: from, dst: to, sport, dport, flags: spec.flags, seq, options, payload },
      ack: spec.ack === undefined ? 0 : numbers.absolute(place, other(end), spec.ack),
      win: spec.win ?? WINDOW,
      urgent: spec.urgent ?? 0,
      checksum: spec.words.has("corrupt") ? "bad" : "good",
    });
    const gso = spec.words.has("gso") ? abi.PacketFlag.GSO | abi.PacketFlag.CHECKSUM_NOT_READY : 0;
    if (place.name === "host") this.take(this.scene.host(made, { flags: gso }), "wire", gso !== 0);
    else this.take(this.scene.wire(made), "host");
  }

  private octets(place: Place, end: End, spec: SegmentSpec): Uint8Array {
    const octet = (_: unknown, i: number) => payloadPattern(1, this.numbers.offset(place, end, spec.seq + i))[0] ?? 0;
    return Uint8Array.from({ length: spec.length }, octet);
  }

  // --- out of it ----------------------------------------------------------------------------------------

  /** Notes all that left. `side`: where the packet that came in goes on to. */
  private take(outcome: Outcome, side: "host" | "wire" = "wire", gso = false): void {
    if (outcome.packet) this.add(outcome.packet, side, gso);
    for (const made of outcome.toWire) this.add(made, "wire");
    for (const made of outcome.toHost) this.add(made, "host");
    for (const icmp of outcome.icmpToHost) this.errors.push({ atUs: this.nowUs, icmp });
    this.events.push(...outcome.events);
  }

  private add(made: Packet, side: "host" | "wire", gso = false): void {
    const place = side === "host" ? this.hostPlace(made) : this.wirePlace(made);
    // A SYN with MP_JOIN goes on to the host with a checksum that its TCP refuses: only conntrack sees it.
    if (place === undefined && !made.checksumValid) return;
    if (place === undefined) this.fail(`a packet to nobody: ${made.src}:${made.sport} > ${made.dst}:${made.dport}`);
    this.left.push({ place: place as Place, atUs: this.nowUs, packet: made, gso });
  }

  private hostPlace({ src, dst, sport, dport }: Packet): Place | undefined {
    const host = this.place("host");
    const fits = src === host.remote && dst === host.local && sport === host.remotePort && dport === host.localPort;
    return fits ? host : undefined;
  }

  private wirePlace({ src, dst, sport, dport }: Packet): Place | undefined {
    const place = [...this.numbers.places.values()].find(
      ({ name, local, remote, localPort, remotePort }) =>
        name !== "host" && local === src && remote === dst && remotePort === dport && (localPort || sport) === sport,
    );
    if (place) place.localPort = sport;
    return place;
  }

  private get toleranceUs(): number {
    return this.setup.toleranceUs ?? TOLERANCE_US;
  }

  private expect(place: Place, spec: SegmentSpec): void {
    const here = () => this.left.findIndex((one) => one.place === place);
    this.wait(this.lineUs + this.toleranceUs, () => here() !== -1);
    const at = here();
    const [one] = at === -1 ? [] : this.left.splice(at, 1);
    if (one === undefined) {
      const elsewhere = this.left.map((other) => `\n      ${seconds(other.atUs)}  ${write(other, this.numbers)}`);
      this.fail(
        `no packet has left on "${place.name}"${elsewhere.length > 0 ? `; there is${elsewhere.join("")}` : ""}`,
      );
      return;
    }
    this.judge(one.atUs, compareSegment(spec, one, this.numbers, this.fail));
  }

  private icmp(spec: Extract<Deed, { kind: "icmp" }>): void {
    this.wait(this.lineUs + this.toleranceUs, () => this.errors.length > 0);
    const one = this.errors.shift();
    if (one === undefined) this.fail("the host has been shown no ICMP error");
    else this.judge(one.atUs, compareIcmp(spec, one.icmp, this.place("host"), this.numbers));
  }

  /** Fails with the table unless every row fits, and the time. */
  private judge(atUs: number, rows: Row[]): void {
    const same = Math.abs(atUs - this.lineUs) <= this.toleranceUs;
    const all = [{ field: "time", expected: seconds(this.lineUs), got: seconds(atUs), same }, ...rows];
    if (all.some(({ same }) => !same)) this.fail(`the packet is not what is expected\n${table(all)}`);
  }

  private nothing(name: string): void {
    const place = this.place(name);
    const left = this.left.filter((one) => one.place === place).map((one) => write(one, this.numbers));
    if (left.length > 0) this.fail(`expected nothing, there is\n      ${left.join("\n      ")}`);
  }

  /** An event of the engine since the last one that was asked for. */
  private event(spec: Extract<Deed, { kind: "event" }>): void {
    const find = () =>
      this.events.findIndex(
        ({ kind, reason }) => kind === spec.name && (spec.reason === undefined || reason === spec.reason),
      );
    this.wait(this.lineUs + this.toleranceUs, () => find() !== -1);
    const at = find();
    if (at === -1) {
      const seen = this.events.map(({ kind, reason }) => `${kind} ${reason}`).join(", ");
      this.fail(`no such event; there were: ${seen === "" ? "none" : seen}`);
    }
    this.events.splice(0, at + 1);
  }
}

const seconds = (us: number): string => (us / 1e6).toFixed(6);
