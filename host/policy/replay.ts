// Plays a recording again: every instance is made anew from the recorded module, settings and state, sees the
// recorded tables, and must give the same intents for the same fuel, bit for bit. With another policy in its place
// the difference between the two is told.
import { readFileSync } from "node:fs";
import { Guard, type Plan } from "./guard.ts";
import { type CompiledPolicy, decideOnce, type GoodDecision, instanceFault } from "./instance.ts";
import type { DecisionLine, HeadLine, InstanceLine, ModuleLine, RecordingLine } from "./recorder.ts";
import { readIntent, readTable, type TableRecord } from "./records.ts";
import type { PolicyInstancePort, SandboxPort } from "./sandbox-port.ts";
import { encodeSettings } from "./settings.ts";
import { differenceOf } from "./shadow.ts";
import { eventWord, reasonWord } from "./words.ts";

/** One decision that came out otherwise. */
export interface ReplayDifference {
  /** Line of the recording, from 1. */
  line: number;
  class: string;
  /** Seconds since the first decision. */
  atS: number;
  cause: string;
  detail: string;
}

export interface ReplayResult {
  decisions: number;
  instances: number;
  /** Decisions that depend on the clock (a fault for time) and cannot be played again. */
  skipped: number;
  differences: ReplayDifference[];
}

/**
 * A module that takes the place of the recorded ones. It gets the recorded settings if it is another build of the same
 * policy, its own defaults otherwise.
 */
export type Substitute = Pick<CompiledPolicy, "name" | "manifest" | "code">;

/** Lines of a recording. Throws an Error of one line if it is none. */
export function readRecording(file: string): RecordingLine[] {
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const parsed = lines.map((line, index) => {
    try {
      return JSON.parse(line) as RecordingLine;
    } catch {
      throw new Error(`${file}:${index + 1}: not JSON; is it a recording of shunt policy record?`);
    }
  });
  const head = parsed[0] as HeadLine | undefined;
  if (head?.recording !== 1) throw new Error(`${file} is no recording of shunt policy record, or of a later version`);
  return parsed;
}

/** One instance of the recording while it is played. */
interface Player {
  line: InstanceLine["instance"];
  reasons: string[];
  /** null = it has ended with a fault, as recorded. */
  instance: PolicyInstancePort | null;
  /** What ended it although the recording says otherwise. */
  lost: string | null;
}

export class Replay {
  #sandbox: SandboxPort;
  #substitute: Substitute | null;
  #modules = new Map<string, ModuleLine["module"]>();
  #players = new Map<number, Player>();
  #names: Record<string, string> = {};
  #firstUs: number | null = null;
  #result: ReplayResult = { decisions: 0, instances: 0, skipped: 0, differences: [] };

  constructor(sandbox: SandboxPort, substitute: Substitute | null) {
    this.#sandbox = sandbox;
    this.#substitute = substitute;
  }

  /** Plays all lines. Rejects if the recording cannot be played at all. */
  async play(lines: readonly RecordingLine[]): Promise<ReplayResult> {
    for (const [index, line] of lines.entries()) {
      if ("recording" in line) this.#names = line.paths;
      else if ("module" in line) this.#modules.set(line.module.sha256, line.module);
      else if ("instance" in line) await this.#begin(line.instance);
      else if ("decision" in line) await this.#decide(index + 1, line.decision);
    }
    for (const { instance } of this.#players.values()) instance?.close();
    return this.#result;
  }

  async #begin(line: InstanceLine["instance"]): Promise<void> {
    this.#result.instances++;
    const module = this.#modules.get(line.sha256);
    if (module === undefined) throw new Error(`the recording lacks the module ${line.sha256}`);
    const settings = this.#settings(line);
    const state = line.state === null || this.#substitute !== null ? null : Buffer.from(line.state, "base64");
    const player: Player = { line, reasons: module.reasons, instance: null, lost: null };
    this.#players.set(line.id, player);
    try {
      const code = this.#substitute?.code ?? (await this.#sandbox.compile(Buffer.from(module.wasm, "base64")));
      player.instance = await this.#sandbox.load(code, settings, state);
    } catch (error) {
      player.lost = (error as Error).message;
    }
  }

  #settings(line: InstanceLine["instance"]): Uint8Array {
    const manifest = this.#substitute?.manifest ?? null;
    if (manifest === null || manifest.name === line.policy) return Buffer.from(line.settings, "base64");
    return encodeSettings(manifest, {}, () => undefined);
  }

  async #decide(number: number, line: DecisionLine["decision"]): Promise<void> {
    const player = this.#players.get(line.instance);
    if (player === undefined) throw new Error(`line ${number}: a decision of an instance that never began`);
    const octets = Buffer.from(line.table, "base64");
    const table = readTable(new DataView(octets.buffer, octets.byteOffset, octets.length));
    this.#firstUs ??= table.nowUs;
    if (line.fault === "time") {
      this.#result.skipped++;
      return;
    }
    this.#result.decisions++;
    const detail = await this.#compare(player, line, octets, table);
    if (detail === "") return;
    const atS = (table.nowUs - this.#firstUs) / 1e6;
    const cause = eventWord(table.event);
    this.#result.differences.push({ line: number, class: player.line.class, atS, cause, detail });
  }

  /** What is different, "" = nothing. */
  async #compare(player: Player, line: DecisionLine["decision"], octets: Uint8Array, table: TableRecord) {
    if (player.instance === null) return `no decision: ${player.lost ?? "the instance has ended"}`;
    let good: GoodDecision;
    try {
      good = await decideOnce(player.instance, octets);
    } catch (error) {
      const fault = instanceFault(error);
      player.instance = null;
      if (this.#substitute !== null || fault.kind !== line.fault) return `fault ${fault.kind}: ${fault.message}`;
      return fault.fuel === line.fuel ? "" : `fuel ${fault.fuel} instead of ${line.fuel}`;
    }
    const before = line.intent === undefined ? null : Buffer.from(line.intent, "base64");
    if (this.#substitute !== null) return this.#difference(before, good, table, player);
    if (before === null) return `an intent instead of the fault ${line.fault}`;
    if (!before.equals(good.decision.intent)) {
      return this.#difference(before, good, table, player) || "octets of the intent that decide nothing differ";
    }
    return good.decision.fuel === line.fuel ? "" : `fuel ${good.decision.fuel} instead of ${line.fuel}`;
  }

  #difference(before: Uint8Array | null, good: GoodDecision, table: TableRecord, player: Player): string {
    if (before === null) return "an intent instead of a fault";
    const recorded = readIntent(new DataView(before.buffer, before.byteOffset, before.length));
    const judged = (intent: typeof recorded): Plan | null => new Guard().judge(intent, table).plan;
    const nameOf = (id: number) => this.#names[id] ?? `#${id}`;
    const difference = differenceOf(judged(recorded), judged(good.intent), nameOf);
    if (difference === "") return "";
    const was = reasonWord(recorded.reason, player);
    const is = reasonWord(good.intent.reason, this.#substitute?.manifest ?? player);
    return `${difference} (${is} instead of ${was})`;
  }
}
