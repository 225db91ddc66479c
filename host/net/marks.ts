// Numbers and names by which the kernel objects of a daemon are recognised as ours: by the rules that must exempt our
// own packets, and by `shunt doctor --clean`, which removes what a crashed daemon left behind.

/** Mark of packets that leave by us, made or rewritten: those that the engine made are exempt in OUTPUT by it. */
export const WIRE_MARK = 0x5348;
/** Mark of packets that the engine sends to the own host over lo: exempt in OUTPUT and INPUT, and not tracked. */
export const HOST_MARK = 0x5349;
/** Upper half of the mark is left to others. */
export const MARK_MASK = 0xffff;

/** Routing protocol number of our routes and rules (unassigned in rt_protos). */
export const PROTOCOL = 83;
/** Table and rule preference of path n are BASE + n: before `main` (32766), so that a path's address leaves by its path. */
export const PATH_TABLE_BASE = 5300;
/**
 * The same for what the data path sends and has rewritten, by its mark: tables of their own, so that an MTU which the
 * host is shown for its route does not stop what is longer for a reason. Before PATH_TABLE_BASE.
 */
export const WIRE_TABLE_BASE = 5200;
/** Table of the park device; PATH_TABLE_BASE + 32 paths end below it. */
export const PARK_TABLE = 5340;
/** Table in which parked addresses are local. Only the engine's own packets to the host (HOST_MARK) look into it. */
export const PARK_LOCAL_TABLE = 5341;
/** Preference of the rule that sends them there: before those of the paths. */
export const PARK_LOCAL_PREFERENCE = PATH_TABLE_BASE;
/** Behind `main` (32766) and `default` (32767): used only when nothing else routes the address any more. */
export const PARK_PREFERENCE = 33000;
/** The park device. */
export const PARK_DEVICE = "shunt-park";
/** Its other end, if it had to be a veth. */
export const PARK_PEER = "shunt-park-peer";

/** Names of the kernel sets and chains of the daemon on a queue. */
export function objectNames(queue: number) {
  return {
    sets: {
      converted4: `shunt${queue}-converted4`,
      converted6: `shunt${queue}-converted6`,
      bypass4: `shunt${queue}-bypass4`,
      bypass6: `shunt${queue}-bypass6`,
    },
    chains: {
      /** Everything that leaves, in raw. */
      output: `SHUNT${queue}-OUT`,
      /** Everything that comes in, in mangle. */
      input: `SHUNT${queue}-IN`,
      /** What the configuration asks us to look at. One per table, same name. */
      match: `SHUNT${queue}-MATCH`,
    },
  };
}

/** Chains and sets of any daemon. */
export const CHAIN_PATTERN = /^SHUNT\d+-(OUT|IN|MATCH)$/;
export const SET_PATTERN = /^shunt\d+-(converted|bypass)[46]$/;
/** Those of them that hold converted tuples. */
export const CONVERTED_PATTERN = /^shunt\d+-converted[46]$/;
