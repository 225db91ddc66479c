// Stock programs: nginx as the web server, curl as the client.

import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Stream } from "./apps/stream.ts";
import type { Host } from "./host.ts";
import type { Program } from "./program.ts";

export interface WebServer {
  program: Program;
  /** Directory that is served. */
  root: string;
}

/** Starts nginx on a host, all addresses, in the foreground and as the lab's user. */
export async function startNginx(host: Host, port: number): Promise<WebServer> {
  const base = join(host.directory, "nginx");
  const root = join(base, "www");
  mkdirSync(root, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `
    daemon off;
    user root root; # In a user namespace there is no other.
    master_process off;
    pid ${base}/nginx.pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      sendfile on;
      ${temporary.map((name) => `${name}_temp_path ${base}/${name};`).join("\n      ")}
      server {
        listen ${port};
        listen [::]:${port};
        root ${root};
      }
    }`;
  writeFileSync(join(base, "nginx.conf"), config);
  const program = host.spawn(["nginx", "-e", "stderr", "-p", base, "-c", join(base, "nginx.conf")]);
  const probe = ["curl", "-s", "-o", "/dev/null", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"];
  const result = await host.try([...probe, `http://127.0.0.1:${port}/`]);
  if (result.code !== 0 || !program.isRunning) throw new Error(`nginx: ${program.output()}`);
  return { program, root };
}

/** Writes a file of pseudo-random bytes; returns its SHA-256, hex. */
export function writeRandomFile(path: string, bytes: number, seed = 1): string {
  const stream = new Stream(seed);
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  for (let at = 0; at < bytes; ) {
    const piece = stream.slice(at, bytes - at);
    hash.update(piece);
    writeSync(file, piece);
    at += piece.length;
  }
  closeSync(file);
  return hash.digest("hex");
}
