// What `mmcli -J` says, made into facts. Keys: field_infos in cli/mmcli-output.c of ModemManager; every value is a
// text, "--" where there is none; levels are `%.2lf` in dBm (cli/mmcli-modem-signal.c).
import { PathKind } from "../abi.ts";
import type { InterfaceFacts } from "./input.ts";

/** One modem. */
export interface ModemReport {
  /** Interfaces of its network ports. */
  interfaces: string[];
  /** D-Bus paths. */
  bearers: string[];
  /** As ModemManager names them: "lte", "5gnr", … */
  technologies: string[];
  facts: InterfaceFacts;
  /** dBm, from the quality in percent; null = none told. */
  roughDbm: number | null;
}

/** Record of `--signal-get` that a technology's level is in. */
const RECORDS: readonly [RegExp, string][] = [
  // With both, the connection stands on LTE, and 5G comes and goes.
  [/^lte/, "lte"],
  [/^5gnr/, "5g"],
  [/^(umts|hs)/, "umts"],
  [/^evdo/, "evdo"],
  [/^1xrtt/, "cdma1x"],
  [/^(gsm|gprs|edge|pots)/, "gsm"],
];

/** Both ends of ModemManager's scale of quality in dBm, 0 and 100 % (src/mm-modem-helpers.h). */
const RSSI_SCALE = { least: -113, most: -51 };
const RSRP_SCALE = { least: -110, most: -60 };

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null;

/** The value at a path of keys, undefined where there is none. */
function at(value: Json, ...keys: string[]): Json | undefined {
  let here: Json | undefined = value;
  for (const key of keys) {
    if (typeof here !== "object" || here === null || Array.isArray(here)) return undefined;
    here = here[key];
  }
  return here;
}

function text(value: Json | undefined): string {
  return typeof value === "string" && value !== "--" ? value : "";
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

/** A level in dBm, null where there is none. */
function level(value: Json | undefined): number | null {
  const number = Number.parseFloat(text(value));
  return Number.isFinite(number) && number < 0 ? number : null;
}

/** D-Bus paths of all modems. Throws SyntaxError, as all of these do. */
export function modemList(output: string): string[] {
  return texts(at(JSON.parse(output) as Json, "modem-list"));
}

/** `mmcli -m PATH -J` */
export function modemReport(output: string): ModemReport {
  const modem = at(JSON.parse(output) as Json, "modem") ?? {};
  const ports = texts(at(modem, "generic", "ports"));
  const registration = text(at(modem, "3gpp", "registration-state"));
  const quality = Number.parseInt(text(at(modem, "generic", "signal-quality", "value")), 10);
  return {
    interfaces: ports.flatMap((port) => /^(\S+) \(net\)$/.exec(port)?.[1] ?? []),
    bearers: texts(at(modem, "generic", "bearers")),
    technologies: texts(at(modem, "generic", "access-technologies")),
    facts: {
      kind: PathKind.CELLULAR,
      expensive: /^roaming/.test(registration) ? true : /^home/.test(registration) ? false : null,
    },
    // 0 is also said of a modem that is off.
    roughDbm: quality > 0 && quality <= 100 ? scaled(quality / 100, RSSI_SCALE) : null,
  };
}

/** `mmcli -m PATH --signal-get -J`: dBm; null = not told, as long as nobody has set up a refresh rate. */
export function modemLevel(output: string, technologies: readonly string[]): number | null {
  const signal = at(JSON.parse(output) as Json, "modem", "signal") ?? {};
  const inUse = RECORDS.filter(([pattern]) => technologies.some((technology) => pattern.test(technology)));
  for (const [, record] of inUse.length > 0 ? inUse : RECORDS) {
    const rssi = level(at(signal, record, "rssi"));
    if (rssi !== null) return rssi;
    const rsrp = level(at(signal, record, "rsrp"));
    // Power of one subcarrier, not of all: brought to the scale of the others, which thresholds are made for.
    if (rsrp !== null) {
      return scaled((rsrp - RSRP_SCALE.least) / (RSRP_SCALE.most - RSRP_SCALE.least), RSSI_SCALE);
    }
  }
  return null;
}

/** `mmcli -b PATH -J`: the interface of a bearer that is connected. */
export function bearerInterface(output: string): string | null {
  const status = at(JSON.parse(output) as Json, "bearer", "status") ?? {};
  return text(at(status, "connected")) === "yes" ? text(at(status, "interface")) || null : null;
}

function scaled(share: number, { least, most }: { least: number; most: number }): number {
  return Math.round((least + share * (most - least)) * 10) / 10;
}
