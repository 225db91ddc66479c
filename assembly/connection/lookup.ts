// From the numbers in a packet to the state they belong to: host tuple → connection, wire tuple →
// subflow, our token → connection.

import { addressEqual } from "../memory/address";
import { hashFirst, hashInsert, hashNext, hashRemove, hashValue } from "../memory/hash-table";
import {
  Connection, connectionAt, connectionIndex, hostAddress, hostPort, peerAddress, peerPort,
} from "./connection";
import { hashTuple } from "./keys";
import { subflowTable, tokenTable, tupleTable } from "./store";
import {
  localAddress, localPort, remoteAddress, remotePort, Subflow, subflowAt, subflowIndex,
} from "./subflow";

/** Index of the connection whose host end is `host`:`hostPortValue` and whose peer end is the other, or 0. */
export function findConnection(host: usize, peer: usize, hostPortValue: u32, peerPortValue: u32): u32 {
  const table = tupleTable();
  const hash = hashTuple(host, peer, hostPortValue, peerPortValue);
  for (let slot = hashFirst(table, hash); slot != 0; slot = hashNext(table, hash, slot)) {
    const index = hashValue(table, slot);
    const connection = connectionAt(index);
    if (
      hostPort(connection) == hostPortValue && peerPort(connection) == peerPortValue &&
      addressEqual(hostAddress(connection), host) && addressEqual(peerAddress(connection), peer)
    ) {
      return index;
    }
  }
  return 0;
}

/** Index of the subflow between `local` and `remote`, or 0. */
export function findSubflow(local: usize, remote: usize, localPortValue: u32, remotePortValue: u32): u32 {
  const table = subflowTable();
  const hash = hashTuple(local, remote, localPortValue, remotePortValue);
  for (let slot = hashFirst(table, hash); slot != 0; slot = hashNext(table, hash, slot)) {
    const index = hashValue(table, slot);
    const subflow = subflowAt(index);
    if (
      localPort(subflow) == localPortValue && remotePort(subflow) == remotePortValue &&
      addressEqual(localAddress(subflow), local) && addressEqual(remoteAddress(subflow), remote)
    ) {
      return index;
    }
  }
  return 0;
}

/** Index of the connection with our token `token`, or 0. */
export function findToken(token: u32): u32 {
  const table = tokenTable();
  for (let slot = hashFirst(table, token); slot != 0; slot = hashNext(table, token, slot)) {
    const index = hashValue(table, slot);
    if (connectionAt(index).localToken == token) return index;
  }
  return 0;
}

/** Makes a connection findable by its tuple. */
export function insertConnection(connection: Connection): bool {
  return hashInsert(tupleTable(), connectionHash(connection), connectionIndex(connection));
}

export function removeConnection(connection: Connection): void {
  hashRemove(tupleTable(), connectionHash(connection), connectionIndex(connection));
}

/** Makes a connection findable by its token. */
export function insertToken(connection: Connection): bool {
  return hashInsert(tokenTable(), connection.localToken, connectionIndex(connection));
}

export function removeToken(connection: Connection): void {
  if (connection.localToken != 0) hashRemove(tokenTable(), connection.localToken, connectionIndex(connection));
}

/** Makes a subflow findable by its tuple. */
export function insertSubflow(subflow: Subflow): bool {
  return hashInsert(subflowTable(), subflowHash(subflow), subflowIndex(subflow));
}

export function removeSubflow(subflow: Subflow): void {
  hashRemove(subflowTable(), subflowHash(subflow), subflowIndex(subflow));
}

function connectionHash(connection: Connection): u32 {
  return hashTuple(hostAddress(connection), peerAddress(connection), hostPort(connection), peerPort(connection));
}

function subflowHash(subflow: Subflow): u32 {
  return hashTuple(localAddress(subflow), remoteAddress(subflow), localPort(subflow), remotePort(subflow));
}
