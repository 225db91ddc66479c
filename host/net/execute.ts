// Runs the system's own network tools. One place, so that every failure becomes one clear line with a remedy.
import { execFile } from "node:child_process";

/** A tool is missing, refused, or failed. `message` is one line: what was tried, what the tool said, what helps. */
export class CommandError extends Error {
  /** The tool's own words, trimmed. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.name = "CommandError";
    this.output = output;
  }
}

/** Debian package that brings each tool, for the remedy. */
const PACKAGES: Record<string, string> = {
  ip: "iproute2",
  iptables: "iptables",
  ip6tables: "iptables",
  "iptables-save": "iptables",
  "ip6tables-save": "iptables",
  "iptables-restore": "iptables",
  "ip6tables-restore": "iptables",
  ipset: "ipset",
  ss: "iproute2",
};

/** No tool here takes longer unless something is stuck (iptables waits 5 s for its lock). */
const TIMEOUT_MS = 15_000;
/** `ip -j addr` of a machine with thousands of interfaces. */
const OUTPUT_MAX = 64 * 1024 * 1024;

/** Debian keeps these tools in sbin, which an ordinary user's PATH lacks. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** Runs a tool with optional standard input; resolves to its standard output. Throws CommandError. */
export function execute(tool: string, args: string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      tool,
      args,
      { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_MAX, env: { ...process.env, PATH, LC_ALL: "C" } },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(commandError(tool, args, error, stderr));
      },
    );
    if (input !== undefined) {
      // A tool that ends early closes its standard input; its exit status tells the story.
      child.stdin?.on("error", () => {});
      child.stdin?.end(input);
    }
  });
}

function commandError(
  tool: string,
  args: string[],
  error: Error & { code?: unknown; killed?: boolean },
  stderr: string,
) {
  const output = stderr.trim();
  const told = output.split("\n").find((line) => line.trim() !== "") ?? error.message.split("\n")[0] ?? "";
  const call = [tool, ...args].join(" ");
  if (error.code === "ENOENT") {
    const remedy = `apt-get install ${PACKAGES[tool] ?? tool}`;
    return new CommandError(`the program "${tool}" is not installed; remedy: ${remedy}`, output);
  }
  if (error.killed === true) return new CommandError(`"${call}" did not end within ${TIMEOUT_MS / 1000} s`, output);
  return new CommandError(`"${call}" failed: ${told}${remedyFor(output)}`, output);
}

function remedyFor(output: string): string {
  if (/not permitted|permission denied|you must be root|must be root/i.test(output)) {
    return "; remedy: run as root, or with CAP_NET_ADMIN and CAP_NET_RAW";
  }
  if (/another app is currently holding the xtables lock/i.test(output)) return "; remedy: try again";
  return "";
}
