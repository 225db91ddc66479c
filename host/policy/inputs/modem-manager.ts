// Modems as ModemManager tells of them, asked with `mmcli -J`: level, roaming, and that it is cellular at all.
import { type Clock, systemClock } from "../clock.ts";
import type { Finding, FoundInput, InputSink, InterfaceFacts } from "./input.ts";
import { bearerInterface, type ModemReport, modemLevel, modemList, modemReport } from "./modem-report.ts";
import { Poll } from "./poll.ts";
import { type Answer, type Run, runProgram } from "./program.ts";

/** Levels: often enough for a trend over the last four seconds. */
const LEVEL_MS = 2000;
/** Everything else, and levels from the quality in percent. */
const MODEM_MS = 10_000;
/** Without a modem: one that is plugged in is a link that changes, too. */
const IDLE_MS = 30_000;
const ABSENT_MS = 300_000;
/** After a link has changed, before it is asked what it makes of that. */
const LINK_MS = 1000;

const NOTHING: InterfaceFacts = { kind: null, expensive: null, signalDbm: null };

interface Modem extends ModemReport {
  path: string;
}

export class ModemManagerInput implements FoundInput {
  readonly name = "modemmanager";
  #run: Run;
  #clock: Clock;
  #poll: Poll;
  #modems: Modem[] = [];
  #listedUs = Number.NEGATIVE_INFINITY;
  isThere = false;

  constructor(run: Run = runProgram, clock: Clock = systemClock) {
    this.#run = run;
    this.#clock = clock;
    this.#poll = new Poll(this.name, (sink) => this.#ask(sink), clock);
  }

  async start(sink: InputSink): Promise<void> {
    // A program that asks a service is not waited for.
    void this.#poll.start(sink);
  }

  stop(): void {
    this.#poll.stop();
  }

  linksChanged(): void {
    this.#listedUs = Number.NEGATIVE_INFINITY;
    this.#poll.soon(LINK_MS);
  }

  async look(): Promise<Finding> {
    const answer = await this.#mmcli(["-L"]);
    if (answer.kind === "absent")
      return { isThere: false, detail: "mmcli is not installed: ModemManager tells of modems" };
    if (answer.kind === "failed") return { isThere: false, detail: answer.line };
    const modems = await this.#read(answer.output, () => {});
    if (modems.length === 0) return { isThere: false, detail: "ModemManager knows of no modem" };
    const levels = await Promise.all(modems.map((modem) => this.#level(modem, () => {})));
    const words = modems.map(({ interfaces, roughDbm }, i) => {
      const level = levels[i] ?? null;
      const roughly = `about ${roughDbm ?? "?"} dBm; for exact levels: mmcli -m any --signal-setup=2`;
      return `${interfaces.join(" ") || "not connected"} ${level === null ? roughly : `${level} dBm`}`;
    });
    return { isThere: true, detail: words.join(", ") };
  }

  async #ask(sink: InputSink): Promise<number> {
    const problem = (line: string) => sink.problem(`input ${this.name}: ${line}`);
    if (this.#clock.nowUs() - this.#listedUs >= MODEM_MS * 1000) {
      this.#listedUs = this.#clock.nowUs();
      const answer = await this.#mmcli(["-L"]);
      // Not running is as good as not there.
      this.isThere = answer.kind === "done";
      const modems = answer.kind === "done" ? await this.#read(answer.output, problem) : [];
      const gone = interfacesOf(this.#modems).filter((name) => !interfacesOf(modems).includes(name));
      for (const name of gone) sink.interface(name, NOTHING);
      this.#modems = modems;
      if (answer.kind === "absent") return ABSENT_MS;
      if (modems.length === 0) return IDLE_MS;
    }
    let isExact = false;
    for (const modem of this.#modems) {
      const level = await this.#level(modem, problem);
      isExact ||= level !== null;
      const facts = { ...modem.facts, signalDbm: level ?? modem.roughDbm };
      for (const name of modem.interfaces) sink.interface(name, facts);
    }
    return isExact ? LEVEL_MS : MODEM_MS;
  }

  /** The modems of a list, with those interfaces that only their bearers name (multiplexed ones). */
  async #read(list: string, problem: (line: string) => void): Promise<Modem[]> {
    const modems: Modem[] = [];
    for (const path of parsed(modemList, list, problem) ?? []) {
      const report = parsed(modemReport, await this.#output(["-m", path]), problem);
      if (report === null) continue;
      const names = [...report.interfaces];
      for (const bearer of report.bearers) {
        const name = parsed(bearerInterface, await this.#output(["-b", bearer]), problem);
        if (name !== null) names.push(name);
      }
      modems.push({ ...report, path, interfaces: [...new Set(names)] });
    }
    return modems;
  }

  async #level({ path, technologies }: Modem, problem: (line: string) => void): Promise<number | null> {
    const output = await this.#output(["-m", path, "--signal-get"]);
    return parsed((text) => modemLevel(text, technologies), output, problem);
  }

  /** null: the modem is gone, or cannot do that. */
  async #output(args: string[]): Promise<string | null> {
    const answer = await this.#mmcli(args);
    return answer.kind === "done" ? answer.output : null;
  }

  #mmcli(args: string[]): Promise<Answer> {
    return this.#run("mmcli", [...args, "-J"]);
  }
}

function interfacesOf(modems: readonly Modem[]): string[] {
  return modems.flatMap(({ interfaces }) => interfaces);
}

function parsed<T>(parse: (text: string) => T, output: string | null, problem: (line: string) => void): T | null {
  if (output === null) return null;
  try {
    return parse(output);
  } catch {
    problem("mmcli answers what is no JSON");
    return null;
  }
}
