// Classes and policies in the words of the outside: names for path ids, and what an operator may ask of them.
import type { ClassConfig, PortRange, Prefix, SettingValue } from "../config/config.ts";
import type { PolicyEntry } from "../policy/catalog.ts";
import type { DecisionReport, PolicyNews } from "../policy/news.ts";
import { type ClassStatus, type Policies, PolicyError } from "../policy/policies.ts";
import type { ShadowStatus } from "../policy/shadow.ts";
import { kindWord, powerWord, refusalText } from "../policy/words.ts";
import { ApiError } from "./api-error.ts";
import type { EventLine } from "./events.ts";

/** A decision with names for paths. */
export interface DecisionView {
  /** ISO 8601. */
  time: string;
  cause: string;
  /** null = left as it was. */
  active: string | null;
  standby: string[];
  open: string[];
  close: string[];
  reason: string;
  /** null = in force. */
  refused: string | null;
  fuel: number;
  microseconds: number;
}

export interface ClassView {
  class: string;
  /** "native", "running", or "fallback": the loaded policy broke and the engine's own serves. */
  state: string;
  policy: string;
  prefer: string[];
  /** null = all. */
  paths: string[] | null;
  /** In words; null = the default class. */
  match: string | null;
  settings: Record<string, SettingValue>;
  pinnedPath: string | null;
  /** Why it fell back. */
  fault: string | null;
  decision: DecisionView | null;
  shadow: ShadowStatus | null;
  memoryBytes: number | null;
}

export interface PolicyView {
  name: string;
  kind: PolicyEntry["kind"];
  description: string;
  settings: object[];
}

/** Answer of GET /v1/policy. */
export interface PolicyAnswer {
  policies: PolicyView[];
  /** Folders that hold no usable policy. */
  problems: { folder: string; message: string }[];
  classes: ClassView[];
  /** Sources of the outside that are there. */
  inputs: string[];
  /** What they say, of paths by name. */
  known: { machine: object; paths: Record<string, object> };
  recording: { file: string; decisions: number } | null;
}

type NameOf = (path: number) => string;

export function policyAnswer(policies: Policies, nameOf: NameOf): PolicyAnswer {
  const { entries, problems } = policies.catalog;
  return {
    policies: entries.map(({ name, kind, description, manifest }) => {
      return { name, kind, description, settings: manifest?.settings ?? [] };
    }),
    problems: [...problems],
    classes: classViews(policies.classes, nameOf),
    inputs: policies.sources,
    known: knownView(policies),
    recording: policies.recording,
  };
}

/** Facts as a file would give them. */
function knownView({ known: { machine, paths } }: Policies): PolicyAnswer["known"] {
  const { power, ...host } = machine;
  const views = Object.entries(paths).map(([name, { kind, ...facts }]) => {
    return [name, kind === undefined ? facts : { kind: kindWord(kind), ...facts }] as const;
  });
  return {
    machine: typeof power === "number" ? { power: powerWord(power), ...host } : host,
    paths: Object.fromEntries(views),
  };
}

export function classViews(classes: ClassStatus[], nameOf: NameOf): ClassView[] {
  return classes.map(({ config, state, policy, pinned, fault, decision, shadow, memoryBytes }) => ({
    class: config.name,
    state,
    policy,
    prefer: config.prefer,
    paths: config.paths,
    match: matchText(config),
    settings: config.settings,
    pinnedPath: pinned === 0 ? null : nameOf(pinned),
    fault,
    decision: decision === null ? null : decisionView(decision, nameOf),
    shadow,
    memoryBytes,
  }));
}

function decisionView(report: DecisionReport, nameOf: NameOf): DecisionView {
  return {
    time: new Date(report.atMs).toISOString(),
    cause: report.cause,
    active: report.active === 0 ? null : nameOf(report.active),
    standby: report.standby.map(nameOf),
    open: report.open.map(nameOf),
    close: report.close.map(nameOf),
    reason: report.reason,
    refused: report.refusal === "none" ? null : report.refusal,
    fuel: report.fuel,
    microseconds: Math.round(report.nanoseconds / 100) / 10,
  };
}

/** "ports 443, 8000-8999; prefix 10.0.0.0/8; uid 1000". */
function matchText({ match }: ClassConfig): string | null {
  if (match === null) return null;
  const ports = ({ first, last }: PortRange) => (first === last ? String(first) : `${first}-${last}`);
  const prefix = ({ address, length }: Prefix) => `${address}/${length}`;
  const criteria: [string, string[] | undefined][] = [
    ["ports", match.ports?.map(ports)],
    ["prefix", match.prefixes?.map(prefix)],
    ["uid", match.uids?.map(String)],
  ];
  return criteria.flatMap(([word, list]) => (list === undefined ? [] : [`${word} ${list.join(", ")}`])).join("; ");
}

/** Policies log at the level of their own choosing; what is below this is for recordings. */
const LOG_LEVEL_MIN = 1;

/** The event that tells of a piece of news; null = it goes into status and metrics only. */
export function newsLine(news: PolicyNews, nameOf: NameOf): { event: string; fields: Partial<EventLine> } | null {
  const origin = { class: news.class, policy: news.policy };
  const line = (event: string, fields: Partial<EventLine>) => ({ event, fields: { ...origin, ...fields } });
  switch (news.kind) {
    case "decided":
      return news.changed ? line("policy_decided", decisionFields(news.report, nameOf)) : null;
    case "refused": {
      const { refusal, reason } = news.report;
      const detail = `${refusalText(refusal)} (${reason})`;
      return news.first ? line("policy_refused", { ...pathField(news.report, nameOf), reason: refusal, detail }) : null;
    }
    case "ordered":
      return null;
    case "fault":
      return line("policy_fault", { reason: news.fault, detail: news.detail });
    case "fallback": {
      const next = news.retryMs === null ? "" : `; tried again in ${news.retryMs / 1000} s`;
      return line("policy_fallback", { detail: `${news.detail}${next}` });
    }
    case "swapped":
      return line("policy_swapped", { detail: `after ${news.before}${news.detail === "" ? "" : `, ${news.detail}`}` });
    case "diverged":
      return news.first ? line("policy_diverged", { detail: `${news.shadow}: ${news.detail}` }) : null;
    case "shadow_fault":
      return line("policy_fault", { reason: news.fault, detail: `in the shadow ${news.shadow}: ${news.detail}` });
    case "log":
      return news.level >= LOG_LEVEL_MIN ? line("policy_log", { detail: news.detail }) : null;
  }
}

function pathField({ active }: DecisionReport, nameOf: NameOf): Partial<EventLine> {
  return active === 0 ? {} : { path: nameOf(active) };
}

function decisionFields(report: DecisionReport, nameOf: NameOf): Partial<EventLine> {
  const masks = [
    ["standby", report.standby],
    ["open", report.open],
    ["close", report.close],
  ] as const;
  const paths = masks.flatMap(([word, ids]) => (ids.length === 0 ? [] : [`${word} ${ids.map(nameOf).join(" ")}`]));
  return { ...pathField(report, nameOf), reason: report.reason, detail: [`at ${report.cause}`, ...paths].join(", ") };
}

/** Body of POST /v1/policy/use. */
export interface UseBody {
  policy: string;
  class?: string;
  shadow?: boolean;
  settings?: Record<string, SettingValue>;
}

const STATUS_OF: Record<PolicyError["code"], 400 | 404 | 409> = {
  unknown_class: 404,
  unknown_policy: 404,
  bad_settings: 400,
  refused: 409,
  recording: 409,
};

/** Does something with the policies. Throws ApiError for what they refuse. */
export async function withPolicies<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new ApiError(STATUS_OF[error.code], error.code, error.message);
  }
}
