import { describe, it } from "vitest";
import { loadInternals, TABLE, TEST_BUILDS, u32, u64 } from "../internals.ts";
import { DSN_ORIGINS, forCases, type Random, SSN_ORIGINS, same } from "../model/random.ts";
import { RESERVED, SendModel } from "../model/send-model.ts";

const RUNS_TOTAL = 20;
const OPERATIONS = 60;
const SUBFLOWS = [1, 2, 3];

describe.each(TEST_BUILDS)("send table against its model (%s)", (build) => {
  it("agrees after every operation", () => {
    forCases(400, (random) => {
      const state = start(random);
      for (let i = 0; i < OPERATIONS; i++) {
        step(state, random);
        compare(state);
      }
      state.internals.sendTableFree(TABLE);
      same(state.internals.runsFree(), RUNS_TOTAL, "state");
    });
  });

  function start(random: Random) {
    const { internals, view } = loadInternals(build, { runs: RUNS_TOTAL });
    const model = new SendModel(random.pick(DSN_ORIGINS));
    const ssnOrigin = random.pick(SSN_ORIGINS);
    return { internals, view, model, ssnNext: new Map(SUBFLOWS.map((subflow) => [subflow, ssnOrigin])), dsnNext: 0 };
  }

  type State = ReturnType<typeof start>;

  function step(state: State, random: Random): void {
    const { internals, model } = state;
    const choice = random.below(20);
    if (choice < 16) {
      mapSome(state, random);
      return;
    }
    const positions = model.runs().map((run) => run.position + random.below(run.length + 1));
    const position = positions.length === 0 ? 0 : random.pick(positions);
    if (choice < 18) {
      internals.sendTableTrim(TABLE, model.dsn(position));
      model.trim(position);
    } else if (choice === 18) {
      const subflow = random.pick(SUBFLOWS);
      internals.sendTableFreeSubflow(TABLE, subflow, model.dsn(position));
      model.freeSubflow(subflow, position);
    } else {
      clearReservation(state, random);
    }
  }

  function mapSome(state: State, random: Random): void {
    const { internals, model, ssnNext } = state;
    const subflow = random.pick(SUBFLOWS);
    const length = random.pick([1, 2, 5, 10]);
    const append = random.chance(0.5);
    const position = append ? state.dsnNext + random.pick([0, 0, 0, 3]) : Math.max(0, state.dsnNext - random.below(40));
    const ssn = ssnNext.get(subflow) as number;
    const flags = random.pick([0, 0, 0, RESERVED, 2]);
    const after = model.copy();
    after.map(position, ssn, length, subflow, flags);
    const more = after.runs().length - model.runs().length;
    const fits = more <= 0 || (more <= internals.runsFree() && model.runs().length + more <= internals.sendRunsMax());
    const done =
      flags === RESERVED && random.chance(0.5)
        ? internals.sendTableReserve(TABLE, model.dsn(position), ssn, length, subflow)
        : internals.sendTableMap(TABLE, model.dsn(position), ssn, length, subflow, flags);
    same(done !== 0, fits, "done");
    if (!fits) return;
    state.model = after;
    ssnNext.set(subflow, u32(ssn + length));
    state.dsnNext = Math.max(state.dsnNext, position + length);
  }

  /** Maps a part of a reserved run with its own numbers: the host has shown the octets at last. */
  function clearReservation(state: State, random: Random): void {
    const { internals, model } = state;
    const reserved = model.runs().filter((run) => run.flags === RESERVED && run.subflow !== 0);
    if (reserved.length === 0) return;
    const run = random.pick(reserved);
    const offset = random.below(run.length);
    const length = random.between(1, run.length - offset);
    const after = model.copy();
    after.map(run.position + offset, u32(run.ssn + offset), length, run.subflow, 0);
    const dsn = model.dsn(run.position + offset);
    if (internals.sendTableMap(TABLE, dsn, u32(run.ssn + offset), length, run.subflow, 0) !== 0) state.model = after;
  }

  function compare({ internals, view, model }: State): void {
    same(internals.sendTableCheck(TABLE), 1, "sendTableCheck");
    const runs = model.runs();
    same(view.getUint32(TABLE + 8, true), runs.length, "getUint32");
    same(internals.runsFree(), RUNS_TOTAL - runs.length, "runsFree");
    const first = (runs[0]?.position ?? 0) - 2;
    const last = (runs.at(-1)?.position ?? 0) + (runs.at(-1)?.length ?? 0) + 2;
    for (let position = first; position < last; position++) {
      const index = internals.sendTableFind(TABLE, model.dsn(position));
      const octet = model.octets.get(position);
      if (octet === undefined) {
        same(index, 0, "index");
        continue;
      }
      const entry = internals.runAt(index);
      const offset = Number(u64(model.dsn(position) - view.getBigUint64(entry, true)));
      const ssn = octet.subflow === 0 ? 0 : u32(view.getUint32(entry + 8, true) + offset);
      const found = { subflow: view.getUint32(entry + 16, true), ssn, flags: view.getUint16(entry + 24, true) };
      same(`${found.subflow} ${found.ssn} ${found.flags}`, `${octet.subflow} ${octet.ssn} ${octet.flags}`, "octet");
    }
  }
});
