// Files over connections that move twice: curl and nginx, ssh and scp, rsync. Every file is the same at both ends.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bothEnds, nativeToProxied, Run } from "./application.ts";
import { startRsync, startSshd } from "./servers.ts";
import { makeCertificate, startNginx, type WebServer, writeRandomFile } from "./web.ts";

const MB = 1_000_000;
const FILE_BYTES = 12 * MB;
/** Each network has to carry at least this before the next move, bytes. */
const SHARE = MB;
const HTTPS = 8443;
const RSYNC = 8730;

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** nginx with a certificate; also the curl command that trusts it and says what it did: version, connections. */
async function startHttps(run: Run): Promise<{ web: WebServer; curl: string[]; url: string }> {
  const { server } = run.scenario;
  const tls = await makeCertificate(server, run.address);
  const web = await startNginx(server, HTTPS, { tls, prefix: run.prefix("server") });
  run.watch(web.program);
  const curl = ["curl", "-sS", "--fail", "--cacert", tls.certificate, "-w", "HTTP/%{http_version} %{num_connects}\n"];
  return { web, curl, url: `https://${run.address}:${HTTPS}` };
}

async function downloadOverHttp1(run: Run): Promise<void> {
  const { web, curl, url } = await startHttps(run);
  const hash = writeRandomFile(join(web.root, "file"), FILE_BYTES);
  const received = join(run.scenario.client.directory, "file");
  const client = run.spawn("client", [...curl, "--http1.1", "-o", received, `${url}/file`]);
  await run.moveTwice(client, { down: SHARE });
  expect(await run.expectDone(client)).toBe("HTTP/1.1 1\n");
  expect(sha256(received)).toBe(hash);
  await run.expectMoved({ down: SHARE });
}

describe.each(bothEnds)("%s", (_, ends) => {
  it("curl and nginx: HTTP/1.1 over TLS", async () => downloadOverHttp1(await Run.start(ends)));

  it("curl and nginx: HTTP/2 over TLS, four files at once in one connection", async () => {
    const run = await Run.start(ends);
    const { web, curl, url } = await startHttps(run);
    const { directory } = run.scenario.client;
    const hashes = [1, 2, 3, 4].map((seed) => writeRandomFile(join(web.root, `${seed}`), FILE_BYTES / 4, seed));
    const files = hashes.map((_, index) => join(directory, `${index + 1}`));
    const wanted = files.flatMap((file, index) => ["-o", file, `${url}/${index + 1}`]);
    const client = run.spawn("client", [...curl, "--http2", "--parallel", ...wanted]);
    await run.moveTwice(client, { down: SHARE });
    const lines = (await run.expectDone(client)).split("\n").filter(Boolean);
    expect(lines.sort()).toEqual(["HTTP/2 0", "HTTP/2 0", "HTTP/2 0", "HTTP/2 1"]);
    expect(files.map(sha256)).toEqual(hashes);
    await run.expectMoved({ down: SHARE });
  });

  it("ssh: a file there and back through one session", async () => {
    const run = await Run.start(ends, { match: { ports: [22] } });
    const { options, login, directory } = await startSshd(run);
    const [sent, copy] = [join(run.scenario.client.directory, "sent"), join(directory, "copy")];
    const hash = writeRandomFile(sent, FILE_BYTES);
    const ssh = ["ssh", ...options, login, "tee", copy];
    const client = run.spawn("client", [
      "sh",
      "-c",
      'file=$1; shift; exec "$@" <"$file" >"$file.back"',
      "sh",
      sent,
      ...ssh,
    ]);
    await run.moveTwice(client, { up: SHARE, down: SHARE });
    await run.expectDone(client);
    expect([sha256(copy), sha256(`${sent}.back`)]).toEqual([hash, hash]);
    await run.expectMoved({ up: SHARE, down: SHARE });
  });

  it("scp: a download", async () => {
    const run = await Run.start(ends, { match: { ports: [22] } });
    const { options, login, directory } = await startSshd(run);
    const hash = writeRandomFile(join(directory, "file"), FILE_BYTES);
    const received = join(run.scenario.client.directory, "file");
    const client = run.spawn("client", ["scp", "-q", ...options, `${login}:${join(directory, "file")}`, received]);
    await run.moveTwice(client, { down: SHARE });
    await run.expectDone(client);
    expect(sha256(received)).toBe(hash);
    await run.expectMoved({ down: SHARE });
  });

  it("rsync: a directory of files", async () => {
    const run = await Run.start(ends);
    const there = await startRsync(run, RSYNC);
    const here = join(run.scenario.client.directory, "files");
    mkdirSync(here);
    const names = Array.from({ length: 32 }, (_, index) => `file-${index}`);
    const hashes = names.map((name, index) => writeRandomFile(join(here, name), FILE_BYTES / names.length, index));
    const client = run.spawn("client", ["rsync", "-r", `${here}/`, `rsync://${run.address}:${RSYNC}/files/`]);
    await run.moveTwice(client, { up: SHARE });
    await run.expectDone(client);
    expect(names.map((name) => sha256(join(there, name)))).toEqual(hashes);
    await run.expectMoved({ up: SHARE });
  });
});

describe("native ↔ proxied", () => {
  it("curl and nginx: HTTP/1.1 over TLS", async () => downloadOverHttp1(await Run.start(nativeToProxied)));
});
