// `shunt policy replay`: a recording from a file, played in the real sandbox.
import { readFileSync } from "node:fs";
import { loadConfig } from "../config/load.ts";
import { compilePolicy, PolicyInstance } from "../engine/index.ts";
import { Catalog } from "./catalog.ts";
import { checkPolicies } from "./check.ts";
import { PolicyStore } from "./instance.ts";
import { Replay, type ReplayResult, readRecording, type Substitute } from "./replay.ts";

const SANDBOX = { compile: compilePolicy, load: PolicyInstance.load };

/**
 * Plays a recording: with its own modules, or with another one (the name of a policy, or a .wasm file) in their place.
 * Rejects with one line if it cannot be played.
 */
export async function replayFile(file: string, other: string | null, config: string | null): Promise<ReplayResult> {
  const lines = readRecording(file);
  const substitute = other === null ? null : await substituteOf(other, config);
  return new Replay(SANDBOX, substitute).play(lines);
}

async function substituteOf(other: string, config: string | null): Promise<Substitute> {
  const store = new PolicyStore(SANDBOX);
  if (other.endsWith(".wasm")) {
    const { code } = await store.compileModule(readFileSync(other));
    return { name: other, manifest: null, code };
  }
  const directory = config === null ? null : loadConfig(config, checkPolicies).policy.directory;
  const catalog = Catalog.in(directory);
  const entry = catalog.find(other);
  if (entry === undefined || entry.manifest === null) {
    const names = catalog.entries.filter(({ manifest }) => manifest !== null).map(({ name }) => `"${name}"`);
    throw new Error(`no loadable policy is named "${other}"; there are ${names.join(", ")}, or name a .wasm file`);
  }
  return store.compile(entry);
}

const DIFFERENCES_SHOWN = 20;

/** The result for people. */
export function replayText({ decisions, instances, skipped, differences }: ReplayResult): string {
  const lines = differences
    .slice(0, DIFFERENCES_SHOWN)
    .map(
      ({ line, class: name, atS, cause, detail }) => `line ${line}: ${atS.toFixed(3)} s, ${name}, ${cause}: ${detail}`,
    );
  if (differences.length > DIFFERENCES_SHOWN) lines.push(`and ${differences.length - DIFFERENCES_SHOWN} more`);
  const skip = skipped === 0 ? "" : `, ${skipped} that ran out of time left out`;
  const same = decisions - differences.length;
  lines.push(`${same} of ${decisions} decisions of ${instances} instances came out the same${skip}`);
  return lines.join("\n");
}
