// Builds the engine once before the unit tests: the debug and the optimised build of testing.ts,
// and the release; beside it the simulator's smoltcp host and the policies. A build is skipped while the sources and
// the compiler are unchanged.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { buildPolicies } from "../scripts/build-policies.ts";
import { buildSmoltcp } from "./sim/hosts/smoltcp-build.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
const BUILD = path.join(ROOT, "build");
const ASC = path.join(ROOT, "node_modules/assemblyscript/bin/asc.js");

type Target = "test" | "test-release" | "release";
const TARGETS: Record<Target, { entry: string; name: string }> = {
  test: { entry: "assembly/testing.ts", name: "engine.test" },
  "test-release": { entry: "assembly/testing.ts", name: "engine.test-release" },
  release: { entry: "assembly/index.ts", name: "engine" },
};

/** What asc says although nothing is wrong: a note on the optimiser's last round. */
const HARMLESS = new Set(["Last converge was suboptimal."]);

/** Hash of all that a build depends on. */
function sourcesHash(): string {
  const hash = createHash("sha256");
  const asc = createRequire(import.meta.url)("assemblyscript/package.json") as { version: string };
  hash.update(asc.version);
  const files = globSync("assembly/**/*.ts", { cwd: ROOT }).sort();
  for (const file of ["asconfig.json", "test/global-setup.ts", ...files]) {
    hash.update(`\0${file}\0`).update(readFileSync(path.join(ROOT, file)));
  }
  return hash.digest("hex");
}

/** Compiles one target next to its final place and moves it there: other test runs may be reading. */
async function buildTarget(target: Target, hash: string): Promise<void> {
  const { entry, name } = TARGETS[target];
  const stamp = path.join(BUILD, `${name}.stamp`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  const scratch = path.join(BUILD, `.${name}-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const files = ["--outFile", path.join(scratch, `${name}.wasm`), "--textFile", path.join(scratch, `${name}.wat`)];
    const run = promisify(execFile)(process.execPath, [ASC, entry, "--target", target, ...files], { cwd: ROOT });
    const { stderr } = await run.catch((error: { stderr?: string; message: string }) => {
      throw new Error(`asc --target ${target} failed:\n${error.stderr || error.message}`);
    });
    const complaints = stderr.split("\n").filter((line) => line.trim() !== "" && !HARMLESS.has(line.trim()));
    if (complaints.length > 0) throw new Error(`asc --target ${target} complains:\n${complaints.join("\n")}`);
    for (const file of globSync("*", { cwd: scratch })) {
      renameSync(path.join(scratch, file), path.join(BUILD, file));
    }
    writeFileSync(stamp, hash);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export default async function setup(): Promise<void> {
  mkdirSync(BUILD, { recursive: true });
  const hash = sourcesHash();
  const targets = (Object.keys(TARGETS) as Target[]).filter((target) =>
    existsSync(path.join(ROOT, TARGETS[target].entry)),
  );
  const engines = targets.map((target) => buildTarget(target, hash));
  const builds = await Promise.allSettled([...engines, buildSmoltcp(), buildPolicies()]);
  const failed = builds.filter((build) => build.status === "rejected");
  if (failed.length > 0) throw new Error(failed.map((build) => String(build.reason?.message)).join("\n\n"));
}
