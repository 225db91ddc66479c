// What is generated from assembly/abi.ts is what is checked in, and its records do not overlap.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import * as abi from "../../host/engine/abi.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

test("abi.ts, abi.rs and MEMORY.md are up to date", () => {
  const check = () =>
    execFileSync(process.execPath, ["scripts/abi-generate.ts", "--check"], { cwd: ROOT, stdio: "pipe" });
  expect(check).not.toThrow();
});

test("regions follow each other without overlap", () => {
  const regions: [string, number, number][] = [
    ["HEADER", abi.HEADER, abi.HEADER_SIZE],
    ["CONFIG", abi.CONFIG, abi.CONFIG_SIZE],
    ["COUNTERS", abi.COUNTERS, abi.COUNTER_MAX * 8],
    ["DESCRIPTORS", abi.DESCRIPTORS, abi.BATCH_MAX * abi.DESCRIPTOR_SIZE],
    ["COMMANDS", abi.COMMANDS, abi.COMMAND_MAX * abi.COMMAND_SIZE],
    ["SET_OPERATIONS", abi.SET_OPERATIONS, abi.SET_OPERATION_MAX * abi.SET_OPERATION_SIZE],
    ["TRACE", abi.TRACE, abi.TRACE_MAX * abi.TRACE_RECORD_SIZE],
    ["OUTBOX", abi.OUTBOX, abi.OUTBOX_MAX * abi.OUTBOX_ENTRY_SIZE],
    ["OUTBOX_DATA", abi.OUTBOX_DATA, abi.OUTBOX_DATA_SIZE],
    ["EVENTS", abi.EVENTS, abi.EVENT_MAX * abi.EVENT_SIZE],
    ["SNAPSHOT", abi.SNAPSHOT, abi.SNAPSHOT_SIZE],
    ["SCRATCH", abi.SCRATCH, abi.SCRATCH_SIZE],
    ["ENTROPY", abi.ENTROPY, abi.ENTROPY_SIZE],
    ["BATCH", abi.BATCH, abi.BATCH_MAX * abi.SLOT_SIZE],
    ["slabs", abi.SLABS_START, 0],
  ];
  let end = abi.FIXED_START;
  for (const [name, start, size] of regions) {
    expect(start, name).toBeGreaterThanOrEqual(end);
    end = start + size;
  }
});

test("a slot holds the largest netlink message", () => {
  const netlinkOverhead = 1024; // headers and all attributes before the payload: some 200 octets
  expect(abi.SLOT_SIZE - abi.SLOT_HEADROOM).toBeGreaterThanOrEqual(65531 + netlinkOverhead);
});

test("counters and drop reasons do not meet", () => {
  expect(Math.max(...Object.values(abi.Counter))).toBeLessThan(abi.DROP_COUNTER_BASE);
  expect(abi.DROP_COUNTER_BASE + Math.max(...Object.values(abi.DropReason))).toBeLessThan(abi.COUNTER_MAX);
});

test("the largest record of each kind fits its stride", () => {
  const last = (offsets: Record<string, number>) => Math.max(...Object.values(offsets));
  expect(last(abi.Descriptor) + 4).toBeLessThanOrEqual(abi.DESCRIPTOR_SIZE);
  expect(abi.Command.PREFER + abi.PATH_MAX).toBeLessThanOrEqual(abi.COMMAND_SIZE);
  expect(last(abi.SetOperation) + 16).toBeLessThanOrEqual(abi.SET_OPERATION_SIZE);
  expect(last(abi.EventRecord) + 8).toBeLessThanOrEqual(abi.EVENT_SIZE);
  expect(last(abi.TraceRecord) + 1).toBeLessThanOrEqual(abi.TRACE_RECORD_SIZE);
  for (const record of [abi.SnapshotConnection, abi.SnapshotSubflow, abi.SnapshotPath, abi.SnapshotClass]) {
    expect(last(record) + 8).toBeLessThanOrEqual(abi.SNAPSHOT_RECORD_SIZE);
  }
  expect(abi.SnapshotClass.ACTIVE_ON + 4 * (abi.PATH_MAX + 1)).toBeLessThanOrEqual(abi.SNAPSHOT_RECORD_SIZE);
});
