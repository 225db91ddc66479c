// Builds the smoltcp host (smoltcp/, a Node addon). The unit tests' global setup calls it, and whoever runs the
// simulator without vitest.

import { execFile } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, renameSync, statSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

const CRATE = path.join(import.meta.dirname, "smoltcp");
export const SMOLTCP_ADDON = path.resolve(import.meta.dirname, "../../../build/smoltcp.node");

/** Builds the addon when it is missing or older than its sources. Throws with the compiler's words when that fails. */
export async function buildSmoltcp(): Promise<void> {
  const sources = globSync(["Cargo.*", "build.rs", "src/*.rs"], { cwd: CRATE });
  const newest = Math.max(...sources.map((file) => statSync(path.join(CRATE, file)).mtimeMs));
  if (existsSync(SMOLTCP_ADDON) && statSync(SMOLTCP_ADDON).mtimeMs >= newest) return;
  console.log("building the simulator's smoltcp host");
  const target = path.join(CRATE, "target");
  const build = ["build", "--release", "--locked", "--quiet", "--target-dir", target];
  await promisify(execFile)("cargo", [...build, "--manifest-path", path.join(CRATE, "Cargo.toml")]).catch(
    (error: { code?: string; stderr?: string; message: string }) => {
      if (error.code === "ENOENT") throw new Error("cargo is missing; install Rust 1.95 or newer (https://rustup.rs)");
      throw new Error(`the smoltcp host does not build:\n${error.stderr || error.message}`);
    },
  );
  // Beside and renamed: a test run that has the old one loaded keeps its file.
  mkdirSync(path.dirname(SMOLTCP_ADDON), { recursive: true });
  const fresh = `${SMOLTCP_ADDON}.${process.pid}`;
  copyFileSync(path.join(target, "release/libsim_smoltcp.so"), fresh);
  renameSync(fresh, SMOLTCP_ADDON);
}
