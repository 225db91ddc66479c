import { EventEmitter } from "node:events";
import type {
  EngineCommand,
  EngineEvent,
  EnginePort,
  Snapshot,
  Statistics,
} from "../../../host/control/engine-port.ts";

/** An event with nothing in it but what the test gives. */
export function engineEvent(fields: Partial<EngineEvent>): EngineEvent {
  return {
    timeUs: 1_000_000,
    kind: "command_done",
    reason: "none",
    commandId: 0,
    token: "00000000",
    serial: 0,
    path: 0,
    subflow: 0,
    value: 0,
    value64: 0,
    local: "",
    localPort: 0,
    remote: "",
    remotePort: 0,
    localId: 0,
    remoteId: 0,
    backup: false,
    opener: false,
    ...fields,
  };
}

/** A data path without a network: remembers commands, answers with what the test has prepared. */
export class FakeEngine extends EventEmitter implements EnginePort {
  readonly commands: EngineCommand[] = [];
  snapshotValue: Snapshot = { connections: [], paths: [] };
  statisticsValue: Statistics = { paths: [], classes: [] };
  /** Events that answer the next command; commandId is filled in. null = no answer at all. */
  answer: Partial<EngineEvent>[] | null = [{ kind: "command_done" }];
  #nextId = 1;

  command(command: EngineCommand): number {
    const id = this.#nextId++;
    this.commands.push(command);
    const answer = this.answer ?? [];
    setImmediate(() => {
      for (const fields of answer) this.emit("event", engineEvent({ ...fields, commandId: id }));
    });
    return id;
  }

  async snapshot(): Promise<Snapshot> {
    return this.snapshotValue;
  }

  async statistics(): Promise<Statistics> {
    return this.statisticsValue;
  }

  async counters(): Promise<Record<string, number | bigint>> {
    return { packets_tcp: 3, dropped: 2, drop_truncated: 2 };
  }

  async startTrace(): Promise<void> {}

  async stopTrace(): Promise<void> {}
}
