import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { plotTrace } from "../../../host/plot/plot.ts";
import { derivedHandovers, longestPause, PANEL_POINTS_MAX, type TracePoint, thin } from "../../../host/plot/series.ts";
import { writeSyntheticTrace } from "./synthetic-trace.ts";

let directory: string;
let file: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "shunt-plot-"));
  file = join(directory, "t.trace");
  writeSyntheticTrace(file, 0x1234abcd, 6);
});

afterAll(() => rmSync(directory, { recursive: true }));

test("a trace becomes a picture and a table", async () => {
  const svg = join(directory, "out/t.svg");
  const csv = join(directory, "out/t.csv");
  const summary = await plotTrace(file, { svg, csv, fromS: null, toS: null, title: "A & B <c>" });
  expect(summary).toMatchObject({ connection: "1234abcd", direction: "received", paths: ["wifi", "ethernet"] });
  // 20 ms more delay than before, and one packet's time of 3 ms.
  expect(summary.handovers.map(({ timeS, to }) => [timeS, to])).toEqual([
    [2, "ethernet"],
    [4, "wifi"],
  ]);
  expect(summary.handovers[0]?.longestPauseMs).toBeGreaterThan(19);
  expect(summary.handovers[0]?.longestPauseMs).toBeLessThan(25);
  const picture = readFileSync(svg, "utf8");
  expect(picture).toContain("A &amp; B &lt;c&gt;");
  for (const words of ["data over wifi", "data over ethernet", "1: wifi → ethernet", "Handover 2: ethernet → wifi"]) {
    expect(picture).toContain(words);
  }
  const rows = readFileSync(csv, "utf8").trim().split("\n");
  expect(rows).toHaveLength(summary.packets + 1);
  expect(rows[1]).toMatch(/^0\.\d{6},1234abcd,received,wifi,0,11520,0,,/);
});

test("a connection that is not in the trace is named with those that are", async () => {
  const request = { connection: "00000001", fromS: null, toS: null };
  await expect(plotTrace(file, request)).rejects.toThrow("nothing of connection 00000001; it holds: 1234abcd");
});

function point(timeS: number, position: number, path = "wifi", kind: TracePoint["kind"] = "data"): TracePoint {
  return { timeS, position, path, kind };
}

describe("thinning", () => {
  const many = Array.from({ length: 50_000 }, (_, i) => point(i / 1000, i * 1000));

  test("keeps to the limit", () => {
    expect(thin(many, { width: 10_000, height: 10_000 }).length).toBeLessThanOrEqual(PANEL_POINTS_MAX);
  });

  test("keeps a lone packet on another path", () => {
    const stray = point(20, 20_000_000, "ethernet");
    expect(thin([...many, stray], { width: 300, height: 300 })).toContain(stray);
  });

  test("of nothing is nothing", () => {
    expect(thin([], { width: 1, height: 1 })).toEqual([]);
  });
});

test("handovers show in the data when no event tells of them; late data of the old path is none", () => {
  const points = [point(0, 1), point(1, 2), point(2, 4, "ethernet"), point(3, 3), point(4, 5, "ethernet")];
  expect(derivedHandovers(points)).toEqual([{ timeS: 2, doneS: null, from: "wifi", to: "ethernet" }]);
});

test("a pause is time without progress, duplicates do not end it", () => {
  const acks = [
    point(0, 1, "wifi", "ack"),
    point(1, 2, "wifi", "ack"),
    point(2, 2, "wifi", "ack"),
    point(4, 3, "wifi", "ack"),
  ];
  expect(longestPause(acks, 0, 10)).toBe(3);
  expect(longestPause(acks, 5, 10)).toBe(0);
});
