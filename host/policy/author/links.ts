// How a policy's folder finds the Shunt that it is made for: by two links in its node_modules, so that its compiler,
// its tests, its editor and `npm test` look where they always look. No package is downloaded.
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { SHIPPED_DIRECTORY } from "../catalog.ts";

const INSTALLATION = dirname(SHIPPED_DIRECTORY);

/** Makes the links of a policy's folder, or mends them after either has moved. Throws if it cannot. */
export function linkInstallation(folder: string): void {
  const modules = join(folder, "node_modules");
  link(INSTALLATION, join(modules, "shunt"));
  link(join("..", "shunt", "bin", "shunt"), join(modules, ".bin", "shunt"));
}

function link(target: string, path: string): void {
  // What leads somewhere is left: it may be a Shunt of the author's choice.
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  // What is in the way can only be a link to what is no more.
  rmSync(path, { force: true });
  symlinkSync(target, path);
}
