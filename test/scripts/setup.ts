// The lines of a script without a time, which say how things stand before it begins, and its commands.

import * as abi from "../../host/engine/abi.ts";
import type { Outcome, Scene, SceneOptions } from "../scene.ts";
import { type Line, ScriptError } from "./notation.ts";
import type { End, Numbers, Place } from "./numbers.ts";

type PathFields = NonNullable<SceneOptions["paths"]>[number];

const PATH_WORDS: Record<string, number> = {
  backup: abi.PathFlag.BACKUP,
  gateway: abi.PathFlag.GATEWAY4 | abi.PathFlag.GATEWAY6,
  "no-join": abi.PathFlag.NO_JOIN,
};

export class Setup {
  readonly places: Place[] = [];
  readonly paths = new Map<number, PathFields>();
  readonly config: Partial<Record<keyof typeof abi.EngineConfig, number>> = {};
  prefer: number[] = [];
  flags: number = abi.ConfigFlag.SET_OPERATIONS;
  /** µs; undefined: the player's own. */
  toleranceUs: number | undefined;
  /** Statements of docs/CONFORMANCE.md that the script shows. */
  readonly shows: number[] = [];
  private readonly isns = new Map<string, number>();

  /** Initial number that a place begins with where the script chooses it: the host's own and those of the peer. */
  isn(place: string, end: End): number {
    const given = this.isns.get(place);
    if (given !== undefined) return given;
    if (place === "host") return 1000;
    const index = this.places.findIndex(({ name }) => name === place);
    return end === "theirs" ? 5_000_000 + 1_000_000 * index : 1000;
  }

  /** `path 2 10.0.2.1 gateway mtu 1400`, `path 2 down`, `path 2 up`, `path 2 remove`. What is not said stays. */
  private path(words: string[], fail: (message: string) => never): [number, PathFields] {
    const id = count(words.shift(), "the number of a path", fail);
    const fields: PathFields = { flags: abi.PathFlag.UP, ...this.paths.get(id) };
    for (let word = words.shift(); word !== undefined; word = words.shift()) {
      const bit = PATH_WORDS[word];
      if (word === "mtu") fields.mtu = count(words.shift(), "an MTU", fail);
      else if (word === "down") fields.flags = (fields.flags ?? 0) & ~abi.PathFlag.UP;
      else if (word === "up") fields.flags = (fields.flags ?? 0) | abi.PathFlag.UP;
      else if (bit !== undefined) fields.flags = (fields.flags ?? 0) | bit;
      else if (/^[\d.]+$/.test(word)) fields.address4 = word;
      else if (word.includes(":")) fields.address6 = word;
      else fail(`expected an address, mtu, up, down, ${Object.keys(PATH_WORDS).join(", ")}, found "${word}"`);
    }
    this.paths.set(id, fields);
    return [id, fields];
  }

  /** One line without a time. */
  line(words: string[], fail: (message: string) => never): void {
    const [word, ...rest] = words;
    if (word === "shows") this.shows.push(...rest.map((number) => count(number.replace(/^N-/, ""), "N-…", fail)));
    else if (word === "config") for (const item of rest) this.configure(item, fail);
    else if (word === "flow") this.flow(rest, fail);
    else if (word === "isn") this.isns.set(rest[0] ?? "", count(rest[1], "an initial sequence number", fail));
    else if (word === "tolerance") this.toleranceUs = count(rest[0], "microseconds", fail);
    else if (word === "path") this.path(rest, fail);
    else if (word === "prefer") this.prefer = rest.map((id) => count(id, "the number of a path", fail));
  }

  /** ADVERTISE, STANDBY, or a field of EngineConfig: SUBFLOWS_PER_CONNECTION_MAX=1. */
  private configure(item: string, fail: (message: string) => never): void {
    const [name = "", value] = item.split("=");
    const flag = abi.ConfigFlag[name as keyof typeof abi.ConfigFlag];
    const field = name as keyof typeof abi.EngineConfig;
    if (flag !== undefined) this.flags |= flag;
    else if (abi.EngineConfig[field] === undefined)
      fail(`"${name}" is neither a ConfigFlag nor a field of EngineConfig`);
    else this.config[field] = count(value, "a number", fail);
  }

  /** `flow wire2 10.0.2.1:* 10.0.2.2:80`: ours, then theirs. */
  private flow([name, ...ends]: string[], fail: (message: string) => never): void {
    const [local, remote] = ends.map((end) => /^(?:\[(.*)\]|([\d.]+)):(\d+|\*)$/.exec(end));
    if (!name || !local || !remote || ends.length !== 2) fail(`expected "flow NAME ADDRESS:PORT ADDRESS:PORT"`);
    const again = this.places.findIndex((place) => place.name === name);
    if (again !== -1) return; // the script itself has said it before what it uses
    this.places.push({
      name: name as string,
      local: local?.[1] ?? local?.[2] ?? "",
      remote: remote?.[1] ?? remote?.[2] ?? "",
      localPort: Number(local?.[3]) || 0,
      remotePort: Number(remote?.[3]) || 0,
      isn: {},
      maps: { ours: [], theirs: [] },
      join: undefined,
      proof: "",
    });
  }

  /** A command, in the middle of a script. */
  command(scene: Scene, words: string[], numbers: Numbers, fail: (message: string) => never): Outcome {
    const [word, ...rest] = words;
    const kinds = abi.CommandKind;
    if (word === "prefer") return scene.prefer(rest.map((id) => count(id, "the number of a path", fail)));
    if (word === "shutdown") return scene.command(kinds.SHUTDOWN);
    if (word === "path") {
      const [id, fields] = this.path(rest, fail);
      return scene.setPath(id, fields);
    }
    if (word === "handover") {
      if (rest[0] === "auto") return scene.command(kinds.HANDOVER_AUTO);
      const modes: Record<string, number> = { "make-before-break": 0, "break-before-make": 1 };
      const mode = modes[rest[1] ?? "make-before-break"] ?? fail(`expected one of ${Object.keys(modes).join(", ")}`);
      return scene.handover(count(rest[0], "the number of a path", fail), mode);
    }
    const kind = { add: kinds.SUBFLOW_ADD, remove: kinds.SUBFLOW_REMOVE }[rest[0] ?? ""];
    if (kind === undefined) return fail(`expected "subflow add PATH" or "subflow remove PATH"`);
    const path = count(rest[1], "the number of a path", fail);
    return scene.command(kind, (view, at) => {
      view.setUint32(at + abi.Command.TOKEN, Number(numbers.token(numbers.key("ours"))), true);
      view.setUint32(at + abi.Command.PATH, path, true);
    });
  }
}

function count(word: string | undefined, what: string, fail: (message: string) => never): number {
  return word !== undefined && /^\d+$/.test(word) ? Number(word) : fail(`expected ${what}, found "${word ?? ""}"`);
}

/** What the lines without a time say. */
export function setupOf(lines: Line[]): Setup {
  const setup = new Setup();
  for (const { deed, file, line, text } of lines) {
    const fail = (message: string): never => {
      throw new ScriptError(`${file}:${line}: ${message}\n    ${text}`);
    };
    if (deed.kind === "words") setup.line([...deed.words], fail);
  }
  for (const name of ["host", "wire"]) {
    if (!setup.places.some((place) => place.name === name))
      throw new ScriptError(`${lines[0]?.file}: no flow "${name}"`);
  }
  return setup;
}
