// A policy's policy.json: what it is called, what its own reason codes mean, which settings it has; and the settings of
// a class as the octets of its CONFIG region.
import { OWN_REASON_FIRST, SETTING_MAX } from "./abi.ts";

export interface PolicySetting {
  name: string;
  type: "integer" | "boolean" | "fraction" | "path";
  /** As in the configuration; a path has none and is not set by default. */
  default?: number | boolean;
  /** Of an integer or a fraction. */
  minimum?: number;
  maximum?: number;
  unit?: string;
  doc: string;
}

/** A policy.json. */
export interface PolicyManifest {
  name: string;
  description: string;
  /** Names of the policy's own reasons: the first is OWN_REASON_FIRST, and so on. */
  reasons?: string[];
  settings: PolicySetting[];
}

export type SettingValue = number | boolean | string;

/** What a [class.settings] of this policy may hold, as JSON Schema; `expected` as in host/config/schema.ts. */
export function settingsSchema(manifest: PolicyManifest): object {
  const properties = manifest.settings.map((setting) => [setting.name, settingSchema(setting)]);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    expected: `a table of settings of the policy "${manifest.name}"`,
  };
}

function settingSchema({ type, minimum, maximum, unit, doc }: PolicySetting): object {
  if (type === "boolean") return { type, description: doc, expected: "true or false" };
  if (type === "path") return { type: "string", description: doc, expected: "the name of a path" };
  const [least, most] = [minimum ?? 0, maximum ?? (type === "fraction" ? 1 : Number.MAX_SAFE_INTEGER)];
  const what = type === "integer" ? "a whole number" : "a number";
  const expected = `${what} from ${least} to ${most}${unit ? ` (${unit})` : ""}`;
  return { type: type === "integer" ? "integer" : "number", minimum: least, maximum: most, description: doc, expected };
}

/**
 * The CONFIG region's octets: one i64 per setting of the manifest, in its order, defaults filled in. `values` have been
 * checked against settingsSchema(); `pathId` gives the id of a path's name.
 * @throws RangeError if the manifest has more than SETTING_MAX settings, or a path's name is not known.
 */
export function encodeSettings(
  manifest: PolicyManifest,
  values: Readonly<Record<string, SettingValue>>,
  pathId: (name: string) => number | undefined,
): Uint8Array {
  if (manifest.settings.length > SETTING_MAX)
    throw new RangeError(`policy "${manifest.name}" has more than ${SETTING_MAX} settings`);
  const octets = new Uint8Array(manifest.settings.length * 8);
  const view = new DataView(octets.buffer);
  for (const [index, setting] of manifest.settings.entries()) {
    const value = values[setting.name] ?? setting.default ?? 0;
    view.setBigInt64(index * 8, BigInt(settingNumber(setting, value, pathId)), true);
  }
  return octets;
}

/** Settings of a class for its policy. */
export interface PolicySettings {
  /** The CONFIG region. */
  octets: Uint8Array;
  /** The setting `probe_ms`, which the host reads: how often idle paths are measured; 0 = never. */
  probeMs: number;
}

/** A setting of this name is read by the host, too (ClassTerms.probeMs). */
const PROBE_SETTING = "probe_ms";

/** Checked settings as both read them, the policy and the host; `manifest`: null = the policy has none. */
export function policySettings(
  manifest: PolicyManifest | null,
  values: Readonly<Record<string, SettingValue>>,
  pathId: (name: string) => number | undefined,
): PolicySettings {
  if (manifest === null) return { octets: new Uint8Array(0), probeMs: 0 };
  const probe = manifest.settings.find((setting) => setting.name === PROBE_SETTING);
  const probeMs = probe === undefined ? 0 : Number(values[PROBE_SETTING] ?? probe.default ?? 0);
  return { octets: encodeSettings(manifest, values, pathId), probeMs };
}

function settingNumber(
  { name, type }: PolicySetting,
  value: SettingValue,
  pathId: (name: string) => number | undefined,
): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") {
    const id = pathId(value);
    if (id === undefined) throw new RangeError(`${name}: no path is named "${value}"`);
    return id;
  }
  return type === "fraction" ? Math.round(value * 1_000_000) : value;
}

/** The manifest's name for one of the policy's own reasons; undefined if it has none. */
export function ownReason(manifest: PolicyManifest, reason: number): string | undefined {
  return manifest.reasons?.[reason - OWN_REASON_FIRST];
}
