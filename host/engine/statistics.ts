// The page of paths and classes: what a policy is told of. It costs the same however many connections there are.
import { PATH_MAX, SNAPSHOT_RECORD_SIZE, SnapshotClass, SnapshotKind } from "./abi.ts";
import { RecordReader } from "./record.ts";
import { decodePath, type SnapshotPath } from "./snapshot.ts";

export interface ClassStatistics {
  id: number;
  /** Live ones: MPTCP is agreed on, and they are not closing. */
  connections: number;
  /** Of these: how many send new data on a path, by path id; 0 = on none, or on no known path. No count is zero. */
  activeOn: ReadonlyMap<number, number>;
  /** Payload octets of our hosts that the peers have acknowledged, each once; a FIN counts as one. */
  bytesAcked: number;
  /** Payload octets that our hosts have acknowledged, each once. */
  bytesReceived: number;
}

/** Paths that the engine knows, and classes that were named to it or have connections; class 0 always. */
export interface Statistics {
  paths: SnapshotPath[];
  classes: ClassStatistics[];
}

/** Reads the page. */
export function decodeStatistics(page: Uint8Array): Statistics {
  const statistics: Statistics = { paths: [], classes: [] };
  for (let start = 0; start + SNAPSHOT_RECORD_SIZE <= page.length; start += SNAPSHOT_RECORD_SIZE) {
    const record = new RecordReader(page, start, SNAPSHOT_RECORD_SIZE);
    const kind = record.u16(0);
    if (kind === SnapshotKind.PATH) statistics.paths.push(decodePath(record));
    else if (kind === SnapshotKind.CLASS) statistics.classes.push(decodeClass(record));
  }
  return statistics;
}

function decodeClass(record: RecordReader): ClassStatistics {
  const counts = Array.from({ length: PATH_MAX + 1 }, (_, path) => record.u32(SnapshotClass.ACTIVE_ON + 4 * path));
  return {
    id: record.u32(SnapshotClass.ID),
    connections: record.u32(SnapshotClass.CONNECTIONS),
    activeOn: new Map([...counts.entries()].filter(([, count]) => count > 0)),
    bytesAcked: record.u64(SnapshotClass.BYTES_ACKED),
    bytesReceived: record.u64(SnapshotClass.BYTES_RECEIVED),
  };
}
