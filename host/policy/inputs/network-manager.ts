// NetworkManager's opinion of its devices: metered or not, and whether a captive portal stands before them. Asked
// with nmcli, in the terse form that is made for scripts: `NAME:value` lines, an empty one between devices. Values, in
// its source: metered in src/libnmc-base/nm-client-utils.c, connectivity ("2 (portal)") in src/nmcli/devices.c.
import type { Clock } from "../clock.ts";
import type { Finding, FoundInput, InputSink, InterfaceFacts } from "./input.ts";
import { Poll } from "./poll.ts";
import { type Run, runProgram } from "./program.ts";

/** Neither changes often, and both do when a link does. */
const EVERY_MS = 30_000;
const ABSENT_MS = 300_000;
/** After a link has changed, before it is asked what it makes of that. */
const LINK_MS = 1000;
const FIELDS = ["DEVICE", "IP-IFACE", "METERED", "IP4-CONNECTIVITY", "IP6-CONNECTIVITY"].map(
  (field) => `GENERAL.${field}`,
);
const QUESTION = ["-t", "-m", "multiline", "-f", FIELDS.join(","), "device", "show"];
/** NM_CONNECTIVITY_PORTAL. */
const PORTAL = 2;

const NOTHING: InterfaceFacts = { metered: null, captive: null };

export class NetworkManagerInput implements FoundInput {
  readonly name = "networkmanager";
  #run: Run;
  #poll: Poll;
  #known: string[] = [];
  isThere = false;

  constructor(run: Run = runProgram, clock?: Clock) {
    this.#run = run;
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
    this.#poll.soon(LINK_MS);
  }

  async look(): Promise<Finding> {
    const answer = await this.#run("nmcli", QUESTION);
    if (answer.kind === "absent")
      return { isThere: false, detail: "nmcli is not installed: NetworkManager tells what is metered" };
    if (answer.kind === "failed") return { isThere: false, detail: answer.line };
    const metered = [...deviceFacts(answer.output)].filter(([, facts]) => facts.metered === true);
    const names = metered.map(([name]) => name).join(", ");
    return { isThere: true, detail: names === "" ? "no device is metered" : `metered: ${names}` };
  }

  async #ask(sink: InputSink): Promise<number> {
    const answer = await this.#run("nmcli", QUESTION);
    // Not running is as good as not there.
    this.isThere = answer.kind === "done";
    const devices = answer.kind === "done" ? deviceFacts(answer.output) : new Map<string, InterfaceFacts>();
    for (const name of this.#known) if (!devices.has(name)) sink.interface(name, NOTHING);
    for (const [name, facts] of devices) sink.interface(name, facts);
    this.#known = [...devices.keys()];
    return answer.kind === "absent" ? ABSENT_MS : EVERY_MS;
  }
}

/** Facts by interface. A modem's device is its control port; the interface is what carries its IP. */
export function deviceFacts(output: string): Map<string, InterfaceFacts> {
  const devices = new Map<string, InterfaceFacts>();
  for (const block of output.split(/\n\s*\n/)) {
    const fields = new Map(
      block.split("\n").flatMap((line): [string, string][] => {
        const [, key, value = ""] = /^GENERAL\.([A-Z0-9-]+):(.*)$/.exec(line.trim()) ?? [];
        return key === undefined ? [] : [[key, value]];
      }),
    );
    const name = fields.get("IP-IFACE") || fields.get("DEVICE");
    if (name === undefined || name === "") continue;
    const states = [fields.get("IP4-CONNECTIVITY"), fields.get("IP6-CONNECTIVITY")]
      .map((text) => Number.parseInt(text ?? "", 10))
      .filter((state) => state > 0);
    const captive = states.length === 0 ? null : states.includes(PORTAL);
    devices.set(name, { metered: meteredOf(fields.get("METERED") ?? ""), captive });
  }
  return devices;
}

/** "yes", "no", "yes (guessed)", "no (guessed)"; "unknown" and everything else is null. */
function meteredOf(text: string): boolean | null {
  if (/^yes\b/.test(text)) return true;
  return /^no\b/.test(text) ? false : null;
}
