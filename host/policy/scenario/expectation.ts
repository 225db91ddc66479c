// What is expected of a policy, in sentences:
//
//   on wifi at 3 s                              no data by another path then
//   never on lte while battery < 20 %           … for more than 2 s: so long it may take
//   lte joined from 5 s                         not joined: neither
//   at most 3 moves                             exactly, at least; until 30 s
//   moves to lte because signal_falling from 10 s to 12 s
//   stalls at most 500 ms                       at one stretch, since what it was on does not carry
//   reason holding at 12 s                      that of the last decision
//   no refusals                                 of the guard
import type { Scenario } from "./scenario.ts";
import { activeAt, isJoinedAt, quotaAt, type Span, type Timeline } from "./timeline.ts";
import { valueAt } from "./track.ts";

/** A sentence that was understood. */
export interface Expectation {
  text: string;
  /** null = it holds; else what was instead. */
  judge(timeline: Timeline): string | null;
}

/** A sentence that was not. */
export class NoExpectation extends Error {
  override readonly name = "NoExpectation";
}

/** What an expectation may be about. */
export interface Vocabulary {
  paths: readonly string[];
  durationS: number;
}

type Condition = (timeline: Timeline, atS: number) => boolean;

/** When a sentence holds. A moment is a window of no length. */
interface When extends Span {
  text: string;
  condition: Condition | null;
  /** Seconds that the condition may be missed at one stretch. */
  graceS: number;
}

/** How closely a window is looked at. */
const STEP_S = 0.05;
const FORMS = [
  "on PATH",
  "never on PATH",
  "PATH joined",
  "PATH not joined",
  "at most N moves",
  "moves to PATH because REASON",
  "stalls at most TIME",
  "reason REASON",
  "no refusals",
].map((form) => `"${form}"`);

/** Understands a sentence. Throws NoExpectation. */
export function expectation(text: string, vocabulary: Vocabulary): Expectation {
  const words = text.trim().replaceAll(/\s+/g, " ");
  const { head, when } = splitWhen(words, vocabulary);
  for (const [pattern, form] of SENTENCES) {
    const match = pattern.exec(head);
    if (match !== null) return { text: words, judge: form(match.slice(1) as string[], when, vocabulary) };
  }
  throw new NoExpectation(`not understood: ${JSON.stringify(head)}; expected one of ${FORMS.join(", ")}`);
}

type Judge = Expectation["judge"];
type Form = (words: string[], when: When, vocabulary: Vocabulary) => Judge;

const NUMBER = "(\\d+(?:\\.\\d+)?)";
const TIME = `${NUMBER} ?(ms|s|min)`;

const SENTENCES: [RegExp, Form][] = [
  [/^(never |not )?on (\S+)$/, onPath],
  [/^(\S+) (not |never )?joined$/, joined],
  [/^(at most|at least|exactly) (\d+) moves?$/, moves],
  [/^(no) moves$/, moves],
  [/^moves to (\S+) because (\S+)$/, movesBecause],
  [new RegExp(`^stalls at most ${TIME}$`), stalls],
  [/^reason (\S+)$/, reason],
  [/^no refusals$/, noRefusals],
];

function seconds(number: string, unit: string): number {
  return Number(number) * ({ ms: 0.001, s: 1, min: 60 }[unit] ?? 1);
}

/** Takes "… at 3 s", "… from 3 s to 5 s", "… while CONDITION for more than 2 s" off a sentence. */
function splitWhen(words: string, vocabulary: Vocabulary): { head: string; when: When } {
  let rest = words;
  const take = (pattern: string): string[] | null => {
    const match = new RegExp(` ${pattern}$`).exec(rest);
    if (match === null) return null;
    rest = rest.slice(0, match.index);
    return match.slice(1) as string[];
  };
  const grace = take(`for more than ${TIME}`);
  const when: When = { fromS: 0, toS: vocabulary.durationS, text: "", condition: null, graceS: 0 };
  if (grace !== null) when.graceS = seconds(grace[0] as string, grace[1] as string);
  const both = take(`from ${TIME} to ${TIME}`);
  const [first, last, moment] =
    both !== null ? [null, null, null] : [take(`from ${TIME}`), take(`until ${TIME}`), take(`at ${TIME}`)];
  const time = (part: string[] | null, index = 0) => seconds(part?.[index] ?? "0", part?.[index + 1] ?? "s");
  if (both !== null) [when.fromS, when.toS] = [time(both), time(both, 2)];
  if (first !== null) when.fromS = time(first);
  if (last !== null) when.toS = time(last);
  if (moment !== null) {
    // At its very end a scenario is over already.
    const atS = time(moment) === vocabulary.durationS ? vocabulary.durationS - 0.001 : time(moment);
    [when.fromS, when.toS] = [atS, atS];
  }
  const condition = / while (.+)$/.exec(rest);
  if (condition !== null) {
    when.condition = conditionOf(condition[1] as string, vocabulary);
    rest = rest.slice(0, condition.index);
  }
  if (when.fromS > when.toS || when.toS > vocabulary.durationS) {
    throw new NoExpectation(`a time outside of the scenario's 0 … ${vocabulary.durationS} s`);
  }
  return { head: rest, when };
}

function known(path: string, { paths }: Vocabulary): string {
  if (paths.includes(path)) return path;
  throw new NoExpectation(`no path is named "${path}"; expected one of ${paths.map((name) => `"${name}"`).join(", ")}`);
}

const UNITS: Record<string, number> = { "%": 0.01, dBm: 1, ms: 1, kB: 1e3, MB: 1e6, GB: 1e9, "": 1 };
/** What a condition may look at besides flags. */
const LEVELS = "battery, PATH.signal, PATH.rtt or PATH.quota";
const FLAGS = "PATH.up, down, silent, captive or draining";

function conditionOf(text: string, vocabulary: Vocabulary): Condition {
  const level = /^(\S+) ([<>]) (-?\d+(?:\.\d+)?) ?(%|dBm|ms|kB|MB|GB)?$/.exec(text);
  if (level !== null) {
    const [, name = "", sign, number, unit = ""] = level;
    const limit = Number(number) * (UNITS[unit] ?? 1);
    const measure = levelOf(name, vocabulary);
    return (timeline, atS) => {
      const value = measure(timeline, atS);
      return value !== null && (sign === "<" ? value < limit : value > limit);
    };
  }
  const [, name = "", flag = ""] = /^(\S+)\.(\w+)$/.exec(text) ?? [];
  const path = (scenario: Scenario) => scenario.paths.find(({ config }) => config.name === name);
  if (name !== "" && ["up", "down", "silent", "captive", "draining"].includes(flag)) {
    known(name, vocabulary);
    return ({ scenario }, atS) => {
      const track = path(scenario);
      if (track === undefined) return false;
      if (flag === "down") return valueAt(track.up, atS) === false;
      const source = flag === "captive" ? track.told.captive : track[flag as "up" | "silent" | "draining"];
      return valueAt(source, atS) === true;
    };
  }
  throw new NoExpectation(
    `not understood: ${JSON.stringify(text)}; expected ${LEVELS} with < or > and a number, or ${FLAGS}`,
  );
}

function levelOf(name: string, vocabulary: Vocabulary): (timeline: Timeline, atS: number) => number | null {
  if (name === "battery") return ({ scenario }, atS) => valueAt(scenario.battery, atS);
  const [, path = "", level] = /^(\S+)\.(signal|rtt|quota)$/.exec(name) ?? [];
  if (path === "") throw new NoExpectation(`nothing to measure is named ${JSON.stringify(name)}; expected ${LEVELS}`);
  known(path, vocabulary);
  if (level === "quota") return (timeline, atS) => quotaAt(timeline, path, atS);
  return ({ scenario }, atS) => {
    const found = scenario.paths.find(({ config }) => config.name === path);
    return found === undefined ? null : valueAt(level === "rtt" ? found.rttMs : found.told.signalDbm, atS);
  };
}

/** Holds if `isSo` does at every time at which the sentence looks, but for its grace. */
function always(when: When, isSo: (timeline: Timeline, atS: number) => string | null): Judge {
  return (timeline) => {
    let missedS: number | null = null;
    let looked = false;
    for (let step = 0; ; step++) {
      const atS = Math.round((when.fromS + step * STEP_S) * 1000) / 1000;
      if (atS > when.toS || (atS >= when.toS && step > 0)) break;
      const counts = when.condition === null || when.condition(timeline, atS);
      looked ||= counts;
      const instead = counts ? isSo(timeline, atS) : null;
      if (instead === null) missedS = null;
      else {
        missedS ??= atS;
        if (atS - missedS >= when.graceS) return `${instead} at ${shown(missedS)}`;
      }
    }
    // A sentence about a time that never comes would hold whatever the policy does.
    return looked ? null : "the condition never came true";
  };
}

function shown(atS: number): string {
  return `${Number(atS.toFixed(2))} s`;
}

function onPath([never, path = ""]: string[], when: When, vocabulary: Vocabulary): Judge {
  known(path, vocabulary);
  return always(when, (timeline, atS) => {
    const active = activeAt(timeline, atS);
    return (active === path) === (never === undefined) ? null : `on ${active ?? "no path"}`;
  });
}

function joined([path = "", not]: string[], when: When, vocabulary: Vocabulary): Judge {
  known(path, vocabulary);
  return always(when, (timeline, atS) => {
    const is = isJoinedAt(timeline, path, atS);
    return is === (not === undefined) ? null : `${is ? "" : "not "}joined`;
  });
}

function within({ fromS, toS }: When, atS: number): boolean {
  return fromS <= atS && atS <= toS;
}

function moves([how = "", number = "0"]: string[], when: When): Judge {
  return (timeline) => {
    const found = timeline.moves.filter(({ atS }) => within(when, atS));
    const wanted = how === "no" ? 0 : Number(number);
    const holds =
      how === "at most"
        ? found.length <= wanted
        : how === "at least"
          ? found.length >= wanted
          : found.length === wanted;
    return holds ? null : movesText(found);
  };
}

function movesText(found: Timeline["moves"]): string {
  const list = found.map(({ atS, to, reason: why }) => `to ${to} at ${shown(atS)} (${why ?? "the engine's own"})`);
  return list.length === 0 ? "no moves" : `${list.length} moves: ${list.join(", ")}`;
}

function movesBecause([path = "", why = ""]: string[], when: When, vocabulary: Vocabulary): Judge {
  known(path, vocabulary);
  return (timeline) => {
    const found = timeline.moves.filter(({ atS }) => within(when, atS));
    return found.some(({ to, reason: is }) => to === path && is === why) ? null : movesText(found);
  };
}

function stalls([number = "", unit = ""]: string[], when: When): Judge {
  return (timeline) => {
    const limitS = seconds(number, unit);
    const found = timeline.stalls.filter(({ fromS, toS }) => fromS <= when.toS && toS >= when.fromS);
    const longest = found.reduce((most, { fromS, toS }) => Math.max(most, toS - fromS), 0);
    return longest <= limitS + 1e-9 ? null : `${Math.round(longest * 1000)} ms`;
  };
}

function reason([why = ""]: string[], when: When): Judge {
  return always(when, (timeline, atS) => {
    const is = timeline.decisions.findLast((decision) => decision.atS <= atS)?.reason ?? "none";
    return is === why ? null : `reason ${is}`;
  });
}

function noRefusals(_: string[], when: When): Judge {
  return (timeline) => {
    const found = timeline.decisions.filter(({ atS, refusal }) => refusal !== "none" && within(when, atS));
    const [first] = found;
    return first === undefined ? null : `${found.length}, the first at ${shown(first.atS)}: ${first.refusal}`;
  };
}
