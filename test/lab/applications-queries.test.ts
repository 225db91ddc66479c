// Programs of questions and answers over connections that move twice: PostgreSQL and Redis, by their own benchmarks.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bothEnds, Run } from "./application.ts";
import { startPostgres, startRedis } from "./servers.ts";

const MB = 1_000_000;
const POSTGRES = 5432;
const REDIS = 6379;

/** The server makes up a text and keeps it; the client sends it back. So each transaction checks itself, both ways. */
const TRANSACTION = `
BEGIN;
INSERT INTO sent (text) VALUES (repeat(md5(random()::text), 512)) RETURNING id, text \\gset
INSERT INTO echoed (id, text) VALUES (:id, :text);
END;
`;
const TEXT_BYTES = 32 * 512;
const CLIENTS = 8;
const TRANSACTIONS = 60;

const REQUESTS = 12_000;
const CONNECTIONS = 20;
const VALUE_BYTES = 1000;

interface RedisOctets {
  calls: number;
  input: number;
  output: number;
}

describe.each(bothEnds)("%s", (_, ends) => {
  it("pgbench: every text comes back as it was", async () => {
    const run = await Run.start(ends);
    const { bin, query } = await startPostgres(run, POSTGRES);
    await query("CREATE TABLE sent (id serial, text text); CREATE TABLE echoed (id int, text text)");
    const script = join(run.scenario.client.directory, "echo.sql");
    writeFileSync(script, TRANSACTION);
    const amount = ["-c", `${CLIENTS}`, "-j", "2", "-t", `${TRANSACTIONS}`, "-M", "extended", "-n", "-f", script];
    const server = ["-h", run.address, "-p", `${POSTGRES}`, "-U", "postgres"];
    const client = run.spawn("client", [join(bin, "pgbench"), ...server, ...amount, "postgres"]);
    const share = { up: 500_000, down: 500_000 };
    await run.moveTwice(client, share);
    const report = await run.expectDone(client);
    const transactions = CLIENTS * TRANSACTIONS;
    expect(report).toContain(`number of transactions actually processed: ${transactions}/${transactions}`);
    expect(report).toMatch(/number of failed transactions: 0 /);
    const same =
      "count(*), sum(length(sent.text)) FROM sent JOIN echoed ON sent.id = echoed.id AND sent.text = echoed.text";
    expect(await query(`SELECT ${same}`)).toBe(`${transactions}|${transactions * TEXT_BYTES}`);
    expect(await query("SELECT count(*) FROM sent")).toBe(`${transactions}`);
    await run.expectMoved(share, CLIENTS);
  });

  it("redis-benchmark: the server counts as many octets as so many requests have", async () => {
    const run = await Run.start(ends);
    const redis = await startRedis(run, REDIS);
    const request = ["SET", "record", "x".repeat(VALUE_BYTES), "GET"];
    const bench = (to: string[], requests: number, connections: number): string[] => {
      const amount = ["-n", `${requests}`, "-c", `${connections}`, "-P", "4"];
      return ["redis-benchmark", ...to, ...amount, ...request];
    };
    const seen = async (): Promise<RedisOctets> => {
      const info = await redis.command("INFO", "everything");
      const field = (pattern: RegExp): number => Number(info.match(pattern)?.[1]);
      expect(field(/total_error_replies:(\d+)/)).toBe(0);
      const calls = field(/cmdstat_set:calls=(\d+),.*failed_calls=0/);
      return { calls, input: field(/total_net_input_bytes:(\d+)/), output: field(/total_net_output_bytes:(\d+)/) };
    };
    // What so many requests cost is known from two short runs over a Unix socket.
    const control: RedisOctets[] = [];
    for (const requests of [4, 8]) {
      await redis.command("FLUSHALL");
      await redis.command("CONFIG", "RESETSTAT");
      await run.scenario.server.exec(bench(["-s", redis.socket], requests, 1));
      control.push(await seen());
    }
    await redis.command("FLUSHALL");
    await redis.command("CONFIG", "RESETSTAT");
    const client = run.spawn("client", bench(["-h", run.address, "-p", `${REDIS}`], REQUESTS, CONNECTIONS));
    const share = { up: MB, down: MB };
    await run.moveTwice(client, share);
    expect(await run.expectDone(client)).toContain(`${REQUESTS} requests completed`);
    const [four, eight] = control as [RedisOctets, RedisOctets];
    const expected = (name: keyof RedisOctets): number => four[name] + (REQUESTS / 4 - 1) * (eight[name] - four[name]);
    expect(await seen()).toEqual({ calls: REQUESTS, input: expected("input"), output: expected("output") });
    await run.expectMoved(share, CONNECTIONS);
  });
});
