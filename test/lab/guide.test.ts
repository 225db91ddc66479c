// The last part of docs/WRITE-A-POLICY.md, on a live daemon, as it is written there. The parts before it need no root:
// test/contract/authors.test.ts.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newPolicy } from "../../host/policy/author/new.ts";
import { repository } from "./shunt.ts";

/** What root types: `# …`, and `> …` where a command goes on. */
function commandsOf(guide: string): string[] {
  const [, part = ""] = guide.split("<!-- as root from here on -->");
  return [...part.matchAll(/^ {4}# (.+(?:\n {4}>.*)*)$/gm)].map(([, text = ""]) => text.replaceAll(/^ {4}> ?/gm, ""));
}

it("a policy of one's own runs in the shadow of another, is seen to differ, and takes over", () => {
  const directory = mkdtempSync(join(tmpdir(), "shunt-guide-"));
  try {
    const { folder } = newPolicy("commute", "as", directory);
    const environment = { ...process.env, PATH: `${repository}/bin:${process.env.PATH}` };
    const built = spawnSync("shunt", ["policy", "build"], { cwd: folder, env: environment, encoding: "utf8" });
    expect(built.status, built.stderr).toBe(0);
    const commands = commandsOf(readFileSync(join(repository, "docs/WRITE-A-POLICY.md"), "utf8"))
      .filter((command) => !command.startsWith("export PATH"))
      .map((command) => command.replaceAll("/tmp/try", join(directory, "try")));
    const inside = commands.indexOf("unshare --net");
    expect(inside).toBeGreaterThan(1);
    // A shell that unshare starts takes what is typed from then on.
    const nested = ["unshare --net bash -e <<'INSIDE'", ...commands.slice(inside + 1), "INSIDE"];
    const script = [...commands.slice(0, inside), ...nested].join("\n");
    const { status, stdout, stderr } = spawnSync("bash", ["-e", "-c", script], {
      cwd: folder,
      env: environment,
      encoding: "utf8",
    });
    expect(status, `${stdout}${stderr}`).toBe(0);
    expect(stdout).toMatch(/^commute +own +- /m);
    expect(stdout).toContain("commute runs in the shadow of class default\n");
    expect(stdout).toMatch(/event=policy_diverged .*detail="commute: active lte instead of wifi/);
    expect(stdout).toMatch(/in its shadow commute: [1-9]\d* of \d+ decisions otherwise/);
    expect(stdout).toMatch(/class default: policy commute, .*\n +decided .*: use lte, standby wifi/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
