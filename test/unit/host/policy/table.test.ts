import { describe, expect, test } from "vitest";
import { Event, PathFlag, PathKind, PathState, Power, Refusal } from "../../../../host/policy/abi.ts";
import type { PathFigures } from "../../../../host/policy/engine-port.ts";
import { Measurements } from "../../../../host/policy/measurements.ts";
import { readTable } from "../../../../host/policy/records.ts";
import { type PathSituation, type Situation, tableOctets, tableOf } from "../../../../host/policy/table.ts";
import { classFigures, link, pathConfig, pathFigures } from "./world.ts";

const WIFI = pathConfig(1, "wifi");

function situation(fields: Partial<PathSituation> = {}, whole: Partial<Situation> = {}): Situation {
  const path: PathSituation = {
    config: WIFI,
    link: link(WIFI),
    figures: pathFigures(1),
    rates: { ackedRateKbps: undefined, lossPpm: undefined },
    known: {},
    quotaLeft: undefined,
    staleSinceUs: undefined,
    ...fields,
  };
  const statistics = { paths: [], classes: [classFigures(3, { connections: 4, bytesAcked: 10, bytesReceived: 20 })] };
  return { nowUs: 5_000_000, classId: 3, paths: [path], statistics, machine: {}, pinned: 0, ...whole };
}

const TICK = { event: Event.TICK } as const;
const record = (fields: Partial<PathSituation> = {}, whole: Partial<Situation> = {}) =>
  tableOf(situation(fields, whole), TICK, Refusal.NONE).paths[0];

describe("a table", () => {
  test("has the class's figures", () => {
    const table = tableOf(situation(), { event: Event.PATH_UP, path: 1 }, Refusal.DWELL);
    expect(table).toMatchObject({
      nowUs: 5_000_000,
      event: Event.PATH_UP,
      eventPathId: 1,
      classId: 3,
      connections: 4,
      ackedBytes: 30,
      activePathId: 1,
      lastRefusal: Refusal.DWELL,
      batteryPermille: undefined,
      power: undefined,
    });
    const octets = tableOctets(table);
    expect(readTable(new DataView(octets.buffer))).toEqual(table);
  });

  test("has a class that the engine does not know yet", () => {
    expect(tableOf(situation({}, { classId: 9 }), TICK, 0)).toMatchObject({ connections: 0, activePathId: undefined });
  });

  test("names the path of most connections, never that of none", () => {
    const activeOn = new Map([
      [0, 9],
      [1, 2],
      [2, 3],
    ]);
    const statistics = { paths: [], classes: [classFigures(3, { activeOn })] };
    expect(tableOf(situation({}, { statistics }), TICK, 0).activePathId).toBe(2);
    statistics.classes = [classFigures(3, { activeOn: new Map([[0, 9]]) })];
    expect(tableOf(situation({}, { statistics }), TICK, 0).activePathId).toBeUndefined();
  });

  test("knows the machine if somebody does", () => {
    const machine = { batteryPermille: 420, power: Power.BATTERY };
    expect(tableOf(situation({}, { machine }), TICK, 0)).toMatchObject({ batteryPermille: 420, power: Power.BATTERY });
  });

  test("has other random bits each time", () => {
    const [a, b] = [1, 2].map(() => tableOf(situation(), TICK, 0).entropy);
    expect(a).not.toBe(b);
  });
});

describe("a path", () => {
  test("that nothing is known of is made of unknowns", () => {
    expect(record()).toEqual({
      id: 1,
      state: PathState.ESTABLISHED,
      flags: 0,
      subflows: 1,
      inFlight: 0,
      kind: undefined,
      lastAckUs: undefined,
      quotaLeft: undefined,
      ackedRateKbps: undefined,
      srttUs: undefined,
      rttvarUs: undefined,
      minRttUs: undefined,
      lossPpm: undefined,
      costMicroPerGB: undefined,
      energyPerByte: undefined,
      signal: undefined,
      slope: undefined,
    });
  });

  test.each([
    ["down", { link: link(WIFI, false) }, PathState.DOWN],
    ["up, without a subflow", { figures: pathFigures(1, { subflows: 0 }) }, PathState.UP],
    ["unknown to the engine", { figures: undefined }, PathState.UP],
    ["silent", { figures: pathFigures(1, { lastAckUs: 100 }), staleSinceUs: 200 }, PathState.STALE],
    ["heard since", { figures: pathFigures(1, { lastAckUs: 300 }), staleSinceUs: 200 }, PathState.ESTABLISHED],
  ])("%s", (_, fields, state) => {
    expect(record(fields)?.state).toBe(state);
  });

  test("has what the configuration says before what a source says", () => {
    const said = { costMicroPerGb: 1, energyPerByte: 2, metered: false, kind: "cellular" } as const;
    const known = { costMicroPerGB: 9, energyPerByte: 9, metered: true, kind: PathKind.WIFI, quotaLeft: 9 };
    const config = pathConfig(1, "wifi", said);
    const { metered: _, ...rest } = known;
    expect(record({ known })).toMatchObject({ ...rest, flags: PathFlag.METERED });
    expect(record({ config, known, quotaLeft: 5 })).toMatchObject({
      costMicroPerGB: 1,
      energyPerByte: 2,
      kind: PathKind.CELLULAR,
      quotaLeft: 5,
      flags: 0,
    });
  });

  test("has its flags", () => {
    const config = { ...WIFI, backup: true, draining: true };
    const known = { metered: true, expensive: true, captive: true };
    expect(record({ config, known }, { pinned: 1 })?.flags).toBe(63);
    expect(record({}, { pinned: 2 })?.flags).toBe(0);
  });

  test("has levels in tenths, as long as its interface is there", () => {
    const known = { signalDbm: -71.25, slopeDbPerS: -1.5 };
    expect(record({ known })).toMatchObject({ signal: -712.5, slope: -15 });
    const gone = { ...link(WIFI, false), index: 0 };
    expect(record({ known, link: gone })).toMatchObject({ signal: undefined, slope: undefined });
  });

  test("has measured round trips", () => {
    const figures = pathFigures(1, { srttUs: 20_000, rttvarUs: 0, minRttUs: 18_000, inFlight: 7, lastAckUs: 9 });
    expect(record({ figures })).toMatchObject({
      srttUs: 20_000,
      rttvarUs: 0,
      minRttUs: 18_000,
      inFlight: 7,
      lastAckUs: 9,
    });
  });
});

describe("measurements", () => {
  const measured = new Measurements();
  const note = (ms: number, fields: Partial<PathFigures>) =>
    measured.note({ paths: [pathFigures(1, fields)], classes: [] }, ms * 1000);

  test("are unknown at first", () => {
    expect(measured.rates(1)).toEqual({ ackedRateKbps: undefined, lossPpm: undefined });
    note(0, {});
    note(400, { bytesAcked: 1000 });
    expect(measured.rates(1).ackedRateKbps).toBeUndefined();
  });

  test("hold a reading against one of a second before, both directions", () => {
    note(1000, { bytesAcked: 100_000, bytesReceived: 25_000 });
    expect(measured.rates(1).ackedRateKbps).toBe(1000);
    note(2000, { bytesAcked: 100_000, bytesReceived: 25_000 });
    expect(measured.rates(1).ackedRateKbps).toBe(0);
  });

  test("tell losses from twenty packets on, over five seconds", () => {
    const sent = (packetsSent: number, lost: number) => ({
      bytesAcked: 100_000,
      bytesReceived: 25_000,
      packetsSent,
      bytesSent: packetsSent * 1000,
      bytesRetransmitted: lost * 1000,
    });
    note(2500, sent(10, 1));
    expect(measured.rates(1).lossPpm).toBeUndefined();
    note(3000, sent(40, 2));
    expect(measured.rates(1).lossPpm).toBe(50_000);
    note(9000, sent(80, 2));
    expect(measured.rates(1).lossPpm).toBe(0);
  });

  test("begin anew with a new engine, and with a path that was gone", () => {
    note(10_000, { bytesAcked: 5 });
    expect(measured.rates(1)).toEqual({ ackedRateKbps: undefined, lossPpm: undefined });
    measured.note({ paths: [], classes: [] }, 11_000_000);
    expect(measured.rates(1).ackedRateKbps).toBeUndefined();
  });

  test("keep no more readings than they need", () => {
    for (let ms = 20_000; ms < 60_000; ms += 50) note(ms, { bytesAcked: ms * 1000 });
    expect(measured.rates(1).ackedRateKbps).toBe(8000);
  });
});
