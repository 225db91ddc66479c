// Builds one policy from its folder, with the ordinary compiler of its language:
//
//   policy.ts     AssemblyScript: asc, with plugins/sdk/as/asconfig.json
//   policy.c      C: clang and wasm-ld (Debian: clang, lld)
//   Cargo.toml    Rust: cargo, target wasm32-unknown-unknown (rustup target add wasm32-unknown-unknown)
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../../");
const SDK = join(ROOT, "plugins/sdk");
const run = promisify(execFile);

export type Language = "AssemblyScript" | "C" | "Rust";

/** The compiler of a policy's language is not on this machine; the message says what installs it. */
export class CompilerMissing extends Error {}

/** What the folder holds. Throws if it is no policy. */
export function languageOf(folder: string): Language {
  if (existsSync(join(folder, "policy.ts"))) return "AssemblyScript";
  if (existsSync(join(folder, "policy.c"))) return "C";
  if (existsSync(join(folder, "Cargo.toml"))) return "Rust";
  throw new Error(`${folder}: no policy.ts, policy.c or Cargo.toml`);
}

/** What asc says although nothing is wrong: a note on the optimiser's last round. */
const HARMLESS = "Last converge was suboptimal.";

/** Compiles the policy in `folder` to the file `output`; returns its compiler's warnings. Throws with its errors. */
export async function buildPolicy(folder: string, output: string): Promise<string> {
  mkdirSync(dirname(output), { recursive: true });
  const builders = { AssemblyScript: buildAssemblyScript, C: buildC, Rust: buildRust };
  return (await builders[languageOf(folder)](folder, output)).replace(HARMLESS, "").trim();
}

/** Returns what the compiler had to say. */
async function compile(command: string, options: string[], cwd: string, missing: string): Promise<string> {
  const path = [process.env.PATH, join(homedir(), ".cargo/bin")].join(delimiter);
  try {
    return (await run(command, options, { cwd, env: { ...process.env, PATH: path } })).stderr;
  } catch (error) {
    const { code, stderr, stdout } = error as { code?: string | number; stderr?: string; stdout?: string };
    if (code === "ENOENT") throw new CompilerMissing(missing);
    throw new Error(`${basename(command)} failed:\n${stderr || stdout || String(error)}`);
  }
}

async function buildAssemblyScript(folder: string, output: string): Promise<string> {
  const asc = join(ROOT, "node_modules/assemblyscript/bin/asc.js");
  const config = ["--config", join(SDK, "as/asconfig.json"), "--target", "policy"];
  // From the policy's own folder, whose node_modules are then found.
  return compile(process.execPath, [asc, "policy.ts", ...config, "--outFile", resolve(output)], folder, "");
}

async function buildC(folder: string, output: string): Promise<string> {
  // A module without a start function or a C library: the ABI's exports are marked in the source.
  const link = ["--no-entry", "--strip-all", "-z,stack-size=16384"].map((option) => `-Wl,${option}`);
  const options = ["--target=wasm32", "-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"];
  const files = [`-I${join(SDK, "c")}`, "policy.c", "-o", resolve(output)];
  const missing = "clang and wasm-ld are missing; run as root: apt-get install -y clang lld";
  if (!(await has("wasm-ld", ["--version"]))) throw new CompilerMissing(missing);
  return compile("clang", [...options, ...link, ...files], folder, missing);
}

async function buildRust(folder: string, output: string): Promise<string> {
  const missing = "Rust for WebAssembly is missing; run: rustup target add wasm32-unknown-unknown";
  const target = folder.startsWith(ROOT) ? join(ROOT, "build/policies/target") : join(folder, "target");
  if (!(await hasRustTarget())) throw new CompilerMissing(missing);
  const options = ["build", "--quiet", "--release", "--locked", "--offline", "--target", "wasm32-unknown-unknown"];
  const warnings = await compile("cargo", [...options, "--target-dir", target], folder, missing);
  const name = folder.split("/").at(-1)?.replaceAll("-", "_");
  copyFileSync(join(target, "wasm32-unknown-unknown/release", `${name}.wasm`), output);
  return warnings;
}

async function has(command: string, options: string[]): Promise<boolean> {
  return run(command, options).then(
    () => true,
    () => false,
  );
}

async function hasRustTarget(): Promise<boolean> {
  const path = [process.env.PATH, join(homedir(), ".cargo/bin")].join(delimiter);
  const options = ["--print", "target-libdir", "--target", "wasm32-unknown-unknown"];
  const printed = await run("rustc", options, { env: { ...process.env, PATH: path } }).catch(() => ({ stdout: "" }));
  return printed.stdout !== "" && existsSync(printed.stdout.trim());
}
