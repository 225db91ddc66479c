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

export interface WebOptions {
  /** HTTPS with this key and certificate (files), HTTP/2 too; plain HTTP without. */
  tls?: Certificate;
  /** What the command begins with. */
  prefix?: readonly string[];
}

export interface Certificate {
  key: string;
  certificate: string;
}

/** Starts nginx on a host, all addresses, in the foreground and as the lab's user. */
export async function startNginx(host: Host, port: number, { tls, prefix = [] }: WebOptions = {}): Promise<WebServer> {
  const base = join(host.directory, "nginx");
  const root = join(base, "www");
  mkdirSync(root, { recursive: true });
  const how = tls ? " ssl http2" : "";
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
        listen ${port}${how};
        listen [::]:${port}${how};
        ${tls ? `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};` : ""}
        root ${root};
      }
    }`;
  writeFileSync(join(base, "nginx.conf"), config);
  const program = host.spawn([...prefix, "nginx", "-e", "stderr", "-p", base, "-c", join(base, "nginx.conf")]);
  await host.untilListening(program, port);
  return { program, root };
}

/** Makes a key and a certificate that vouches for itself and names an address. */
export async function makeCertificate(host: Host, address: string): Promise<Certificate> {
  const [key, certificate] = [join(host.directory, "tls.key"), join(host.directory, "tls.crt")];
  const subject = ["-subj", "/CN=lab", "-addext", `subjectAltName=IP:${address}`, "-days", "2"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await host.exec(["openssl", "req", "-x509", ...kind, ...subject, "-keyout", key, "-out", certificate]);
  return { key, certificate };
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
