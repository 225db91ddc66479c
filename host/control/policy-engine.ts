// The data path as the policy runtime wants it: classes, rules and intents become commands, answers become outcomes.
import type { ClassMatch } from "../config/config.ts";
import type { ClassifierRule, ClassTerms, IntentOutcome, PolicyEngine, Statistics } from "../policy/engine-port.ts";
import type { Plan } from "../policy/guard.ts";
import { ask } from "./commands.ts";
import type { EngineCommand, EnginePort } from "./engine-port.ts";

/** An intent is carried out in bounded steps: with very many connections it takes a while until all have heard of it. */
const INTENT_MS = 10_000;

type EngineRule = Extract<EngineCommand, { kind: "class_rules" }>["rules"][number];

export class CommandedEngine implements PolicyEngine {
  #engine: EnginePort;
  /** Sends a command whose answer is news only if something went wrong; returns its id. */
  #command: (command: EngineCommand) => number;

  constructor(engine: EnginePort, command: (command: EngineCommand) => number) {
    this.#engine = engine;
    this.#command = command;
  }

  statistics(): Promise<Statistics> {
    return this.#engine.statistics();
  }

  setClass(classId: number, { prefer, paths, probeMs }: ClassTerms): void {
    const terms = { prefer, probeMs, ...(paths === null ? {} : { paths }) };
    this.#command({ kind: "class_set", class: classId, ...terms });
  }

  async setIntent(classId: number, plan: Plan): Promise<IntentOutcome> {
    const { active, standby, open, close } = plan;
    const intent = { active: active === 0 ? null : active, standby, open, close };
    const command = { kind: "class_intent", class: classId, ...intent } as const;
    const answer = await ask(this.#quietly(), command, INTENT_MS, 0);
    return { concerned: answer.concerned, refused: answer.failed, reason: answer.reason };
  }

  #quietly(): Pick<EnginePort, "command" | "on" | "off"> {
    const engine = this.#engine;
    return { command: this.#command, on: engine.on.bind(engine), off: engine.off.bind(engine) };
  }

  setRules(rules: ClassifierRule[]): void {
    this.#command({ kind: "class_rules", rules: rules.flatMap(({ class: id, match }) => engineRules(id, match)) });
  }
}

/** One rule of the engine for each combination of what a match lists: an engine's rule names one of each. */
export function engineRules(classId: number, match: ClassMatch): EngineRule[] {
  const ports = match.ports?.map((range) => ({ ports: range })) ?? [{}];
  const prefixes = match.prefixes?.map(({ address, length }) => ({ prefix: `${address}/${length}` })) ?? [{}];
  const uids = match.uids?.map((uid) => ({ uids: { first: uid, last: uid } })) ?? [{}];
  return ports.flatMap((port) =>
    prefixes.flatMap((prefix) => uids.map((uid) => ({ class: classId, ...port, ...prefix, ...uid }))),
  );
}
