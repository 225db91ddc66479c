// The C reflector on a host of the lab: what Shunt's throughput is measured by.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../test/lab/host.ts";
import { must } from "../../test/lab/program.ts";
import { repository } from "../../test/lab/shunt.ts";

const QUEUE = 7;

/** Builds the reflector when it is missing or older than its source; returns the program. */
export async function buildReflector(): Promise<string> {
  const source = join(repository, "bench/reflector/reflector.c");
  const program = join(repository, "build/reflector");
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(join(repository, "build"), { recursive: true });
  await must(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
  return program;
}

/** Queues all segments from and to a TCP port, both ways, to a reflector on `host`. */
export async function startReflector(host: Host, program: string, port: number): Promise<void> {
  const reflector = host.spawn([program, `${QUEUE}`]);
  await reflector.line(/ready/);
  for (const [table, chain] of [
    ["raw", "OUTPUT"],
    ["mangle", "INPUT"],
  ] as const) {
    for (const side of ["--sport", "--dport"]) {
      const rule = ["-t", table, "-A", chain, "-p", "tcp", side, `${port}`];
      await host.exec(["iptables", ...rule, "-j", "NFQUEUE", "--queue-num", `${QUEUE}`]);
    }
  }
}
