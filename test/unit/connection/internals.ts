// The connection/ exports of assembly/testing.ts on an initialised engine, typed by hand, and two structs in
// memory that nothing else uses: a Subflow and a Connection of which only what a function reads is filled in.

import * as abi from "../../../host/engine/abi.ts";
import { mappedAddress } from "../../packet.ts";
import { loadEngine } from "../../wasm.ts";

export interface ConnectionInternals {
  tokenOf(key: bigint): number;
  idsnOfDigest(): bigint;
  joinHmac(firstKey: bigint, secondKey: bigint, firstNonce: number, secondNonce: number): number;
  addAddrHmac(
    senderKey: bigint,
    receiverKey: bigint,
    id: number,
    address: number,
    octets: number,
    port: number,
  ): number;
  equalConstantTime(a: number, b: number, length: number): number;
  hashTuple(a: number, b: number, portA: number, portB: number): number;
  rttSample(subflow: number, sampleUs: bigint): void;
  rttStart(subflow: number, ssnEnd: number): void;
  rttCancel(subflow: number, ssn: number): void;
  rttAcknowledged(subflow: number, san: number): void;
  rtoUs(subflow: number): bigint;
  hostWindowUpdate(connection: number, dan: bigint, octets: number): void;
  peerWindowUpdate(connection: number, dan: bigint, octets: number): number;
  windowForHost(connection: number): number;
  windowForSubflow(connection: number, subflow: number): number;
  windowUnscaled(connection: number): number;
  commonBits(a: number, b: number): number;
  drawAddressId(): number;
  classSet(id: number, count: number, prefer: number): number;
  pathRank(id: number, path: number): number;
  learnListener(port: number, kind: number): void;
  listenerOf(port: number): number;
  parkAddress(address: number): void;
  unparkAddress(address: number): void;
}

/** Free memory of the test: the last slot of the batch. */
export const AT = abi.BATCH + (abi.BATCH_MAX - 1) * abi.SLOT_SIZE;
export const SUBFLOW = AT + 1024;
export const CONNECTION = AT + 2048;

/** Offsets of Subflow's and Connection's fields; the headers of their files list them. */
export const SUBFLOW_AT = { srttUs: 56, rttvarUs: 60, minRttUs: 64, rttSsn: 68, rttUs: 72 } as const;
export const CONNECTION_AT = { shownDan: 200, rcvDan: 56, hostWindowRight: 72, peerWindowRight: 80 } as const;

export function loadConnectionInternals(seed = 1) {
  const engine = loadEngine("test", { seed });
  const { view, octets } = engine;
  const internals = engine.exports as unknown as ConnectionInternals;
  const address = (text: string, at = AT): number => {
    octets.set(mappedAddress(text), at);
    return at;
  };
  return { engine, internals, view, octets, address };
}
