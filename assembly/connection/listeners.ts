// What our host's listening ports speak, learnt from their SYN/ACKs. An inbound SYN with MP_CAPABLE to a
// port that we know nothing about keeps the option: a plain TCP host ignores it, a host that speaks MPTCP
// itself answers with one of its own, and then we step aside. From the next SYN on the port is known.
//
// A table of LISTENERS_MAX octets, indexed by the port's low bits: a collision costs one more try, no more.

import { LISTENERS_MAX, LISTENER_TABLE } from "./store";

/** What a port is known to speak. */
export const enum Listener {
  UNKNOWN = 0,
  TCP = 1, // answered without MP_CAPABLE: conversion is ours
  MPTCP = 2, // speaks MPTCP itself: its SYNs pass untouched
}

/** What is known of the host's `port`. */
@inline export function listenerOf(port: u32): Listener {
  const entry = load<u32>(LISTENER_TABLE + <usize>(port & (LISTENERS_MAX - 1)) * 4);
  return entry >> 8 == port ? entry & 0xff : Listener.UNKNOWN;
}

/** Remembers what the host's `port` has just shown. */
@inline export function learnListener(port: u32, kind: Listener): void {
  store<u32>(LISTENER_TABLE + <usize>(port & (LISTENERS_MAX - 1)) * 4, (port << 8) | kind);
}
