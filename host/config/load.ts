// From a file to a Config. Three steps: TOML syntax and shape (document.ts with schema.ts), sense (here). Every
// problem found is reported, each with file, line, key and what was expected.
import { readFileSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";
import { Ajv } from "ajv";
import { classConfigs, isPrefix, reportClasses } from "./classes.ts";
import {
  type Config,
  DEFAULT_CONNECTIONS,
  DEFAULT_PORTS,
  DEFAULT_QUEUE,
  DEFAULT_REJOIN_GRACE_S,
  DEFAULT_RUNS_PER_CONNECTION,
  DEFAULT_SOCKET,
  DEFAULT_STATE_DIRECTORY,
  DEFAULT_SUBFLOWS_PER_CONNECTION,
  NATIVE_POLICY,
} from "./config.ts";
import { readDocument } from "./document.ts";
import { ConfigError } from "./error.ts";
import { pathFacts } from "./facts.ts";
import { portRange, reportRange } from "./ports.ts";
import { type Report, reportPathNames } from "./report.ts";
import { type ConfigFile, schema } from "./schema.ts";

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  keywords: ["expected"],
  formats: { ipv4: isIPv4, ipv6: isIPv6, prefix: isPrefix },
  allowUnionTypes: true,
});
const isConfigFile = ajv.compile<ConfigFile>(schema);

/**
 * A check of what only other parts of the host know (which policies there are, and their settings). It runs on a
 * configuration that makes sense in itself.
 */
export type ConfigCheck = (config: Config, report: Report) => void;

/** Reads and checks a file. Throws ConfigError. */
export function loadConfig(file: string, check: ConfigCheck = () => {}): Config {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const cause = code === "ENOENT" ? "no such file" : code === "EACCES" ? "no permission to read it" : String(error);
    throw new ConfigError([{ file, line: 1, key: "", message: `cannot read the configuration: ${cause}` }]);
  }
  return parseConfig(text, file, check);
}

/** Checks the text of a file. Throws ConfigError. */
export function parseConfig(text: string, file: string, check: ConfigCheck = () => {}): Config {
  const { document, problems, report } = readDocument(text, file, isConfigFile);
  const config = complete(document, file);
  reportSense(document, config, report);
  if (problems.length === 0) check(config, report);
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

function complete(document: ConfigFile, file: string): Config {
  const connections = document.capacity?.connections ?? DEFAULT_CONNECTIONS;
  return {
    file,
    role: "host",
    match: { ports: document.match?.ports?.map(portRange) ?? null },
    paths: document.path.map((path, index) => ({
      id: index + 1,
      name: path.name,
      interface: path.interface,
      gateway: path.gateway ?? null,
      gateway6: path.gateway6 ?? null,
      backup: path.backup ?? false,
      mtu: path.mtu ?? null,
      draining: path.draining ?? false,
      facts: pathFacts(path),
    })),
    policy: {
      default: document.policy?.default ?? NATIVE_POLICY,
      prefer: document.policy?.prefer ?? document.path.map((path) => path.name),
      advertise: document.policy?.advertise ?? true,
      receiveOnAll: document.policy?.receive_on_all ?? false,
      directory: document.policy?.directory ?? null,
      inputs: document.policy?.inputs ?? ["auto"],
      stateDirectory: document.policy?.state_directory ?? systemdState() ?? DEFAULT_STATE_DIRECTORY,
    },
    classes: classConfigs(document),
    capacity: {
      connections,
      subflows: document.capacity?.subflows ?? connections * DEFAULT_SUBFLOWS_PER_CONNECTION,
      runs: document.capacity?.runs ?? connections * DEFAULT_RUNS_PER_CONNECTION,
    },
    engine: {
      queue: document.engine?.queue ?? DEFAULT_QUEUE,
      batch: document.engine?.batch ?? 32,
      ports: document.engine?.ports === undefined ? DEFAULT_PORTS : portRange(document.engine.ports),
      // The engine takes 0 for "default"; a grace of 0 s is over at once.
      rejoinGraceMs: Math.max(1, Math.round((document.engine?.rejoin_grace ?? DEFAULT_REJOIN_GRACE_S) * 1000)),
      standby: document.engine?.standby ?? true,
      checksum: document.engine?.checksum ?? false,
    },
    control: { socket: document.control?.socket ?? DEFAULT_SOCKET },
  };
}

/** What systemd has made for StateDirectory=, the first of them. */
function systemdState(): string | undefined {
  return process.env.STATE_DIRECTORY?.split(":")[0];
}

function reportSense(document: ConfigFile, config: Config, report: Report): void {
  if (document.role === "anchor") {
    report(["role"], 'the role "anchor" is not built yet; expected "host"');
  }
  for (const [index, range] of (config.match.ports ?? []).entries()) {
    reportRange(range, ["match", "ports", index], report);
  }
  reportRange(config.engine.ports, ["engine", "ports"], report);
  reportPaths(config, report);
  const names = config.paths.map((path) => path.name);
  reportPathNames(config.policy.prefer, names, ["policy", "prefer"], report);
  reportClasses(document, names, report);
  if (config.capacity.subflows < config.capacity.connections) {
    report(["capacity", "subflows"], `expected at least one per connection (${config.capacity.connections})`);
  }
}

function reportPaths(config: Config, report: Report): void {
  for (const [index, path] of config.paths.entries()) {
    const earlier = config.paths.slice(0, index);
    if (earlier.some((other) => other.name === path.name)) {
      report(["path", index, "name"], `"${path.name}" is already the name of another path; expected a name of its own`);
    }
    const twin = earlier.find((other) => other.interface === path.interface);
    if (twin !== undefined) {
      report(["path", index, "interface"], `"${path.interface}" already belongs to path "${twin.name}"`);
    }
  }
}
