// Whether a connection has ended as it should: both programs through, every octet read. What may go short of that
// without being anybody's fault stands here, each with its reason; all else is a failure.

import type { Application } from "./application.ts";
import type { ConnectionRecord } from "./connection-record.ts";
import { SIDES, type Side } from "./network.ts";
import { type ConnectionPlan, octetsOf, type Scenario } from "./scenario.ts";

export interface Ending {
  s: Scenario;
  plan: ConnectionPlan;
  applications: Record<Side, Application | undefined>;
  record: ConnectionRecord;
  /** What its hosts had said when the longest back-off of a host was still to come. */
  spoken: Record<Side, number>;
  /** An end was told that a path is gone, or to give up a subflow. */
  told: boolean;
}

/** What is wrong with the ending, "" if nothing is. */
export function judge(ending: Ending): string {
  const { a, b } = ending.applications;
  const octets = octetsOf(ending.plan);
  const whole = a?.received === octets.b && b?.received === octets.a;
  const reset = isReset(ending);
  const over = a?.over === true && b?.over === true;
  if (over && whole && !reset) return "";
  if (isExcused(ending)) return "";
  const words = over ? (reset ? "was reset" : "is not whole") : "does not come to its end";
  const state = (side: Side) => {
    const it = ending.applications[side];
    return `${side} ${it?.socket.state ?? "none"} wrote ${it?.written} read ${it?.received}`;
  };
  return `${words}: ${SIDES.map(state).join(", ")}`;
}

const isReset = ({ applications: { a, b } }: Ending): boolean =>
  a?.socket.state === "reset" || b?.socket.state === "reset";

function isExcused(ending: Ending): boolean {
  const { s, applications, record, told } = ending;
  const { a, b } = applications;
  if (a?.aborted || b?.aborted) return true;
  // Mappings are lost in mid-connection, or options that a native stack sends without hearing of it: such a subflow is
  // reset, as RFC 8684 §3.7 wants it, and it may be the last. Two engines go on as plain TCP, or elsewhere.
  const native = SIDES.some((side) => s.hosts[side].kind === "mptcp");
  if (s.boxes.some(({ kind }) => kind === "sloppy" || (kind === "strip" && native))) return true;
  // A client that gives its path up before the server has heard of it cannot join another.
  if (b === undefined && told) return true;
  // A plain connection has one path.
  if (s.lostPath > 0 && (record.fellBack.a || record.fellBack.b)) return true;
  // What has been on several subflows cannot become plain (RFC 8684 §3.7), and needs a path that a join gets through.
  if ((s.lostPath > 0 || record.joined) && hasNoOtherPath(s)) return true;
  return nativeMayGiveUp(ending) || isForgotten(ending) || SIDES.some((side) => isStuck(ending, side));
}

/**
 * On all paths but the lost one a box takes away the options of joins. Where one takes all, that is the ADD_ADDR, too,
 * without which nobody knows the server's address of another family.
 */
function hasNoOtherPath({ paths, lostPath, boxes, family, families }: Scenario): boolean {
  const stripping = boxes.filter(({ kind, strip }) => kind === "strip" && strip !== "thirdAck");
  const closed = new Set(stripping.map(({ path }) => path));
  if (lostPath > 0) closed.add(lostPath);
  if (stripping.some(({ strip }) => strip === "all"))
    for (let i = 0; i < paths; i++) if (families[i] !== family) closed.add(i + 1);
  return closed.size === paths;
}

/**
 * A native stack that lost its subflows may not get another: it takes no joins once it is closing or has as many as it
 * may have, and makes none by itself. Behind a box that leaves octets without a mapping it falls back, or resets.
 */
function nativeMayGiveUp(ending: Ending): boolean {
  const { s, told, record } = ending;
  const native = SIDES.some((side) => s.hosts[side].kind === "mptcp");
  return native && isReset(ending) && (told || record.poisoned || s.boxes.some(({ kind }) => kind === "split"));
}

/**
 * The responder reset its last subflow (for a hole) on a path that lost the RST, or gave one up with its path while the
 * other path was dead already; and an opener that only listens never asks: like TCP without keep-alive when its peer's
 * machine is gone. The engines have no keep-alive of their own yet.
 */
function isForgotten({ s, applications: { a, b }, record, spoken, told }: Ending): boolean {
  const listens = a?.socket.state === "open" && record.hosts.a.spoken === spoken.a && s.hosts.a.keepAliveUs === 0;
  return listens && s.lostPath > 0 && (b?.socket.state === "reset" || told);
}

/** smoltcp 0.14 may forget its retransmission timer when a closed window opens again: then it is silent for ever. */
function isStuck({ s, applications, record, spoken }: Ending, side: Side): boolean {
  const host = record.hosts[side];
  const silent = s.hosts[side].kind === "smoltcp" && host.spoken === spoken[side];
  return silent && applications[side]?.socket.state === "open" && host.maySpeak;
}
