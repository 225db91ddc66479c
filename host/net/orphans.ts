// Connections that a dead daemon had converted: their numbers and their subflows died with it, and whatever of them
// passed unrewritten would put wrong octets into somebody's stream. Their sockets are ended, as `ss -K` does it: the
// application sees ECONNABORTED, and the kernel answers what still comes for them with RST.
//
// The tuples stand in the daemon's sets, which outlive it. This must happen while its rules still stand: they drop what
// the sockets say at their end, since nobody serves the queue.
import { CommandError, execute } from "./execute.ts";
import { CONVERTED_PATTERN } from "./marks.ts";
import { listSets } from "./sets.ts";

/** Tuples per call of ss. */
const CHUNK = 64;

/** Filter of `ss` for the sockets of a set's entries, in the words of `ipset save`: "add NAME 10.0.1.1,tcp:4000,10.0.1.2". */
export function socketFilters(saved: string): string[] {
  const entries = saved.matchAll(/^add \S+ ([^,\s]+),tcp:(\d+),([^,\s]+)/gm);
  // Without brackets ss takes what is behind the last colon for a port.
  const host = (address = ""): string => (address.includes(":") ? `[${address}]` : address);
  return [...entries].map(([, openerAddress, port, otherAddress]) => {
    const [opener, other] = [host(openerAddress), host(otherAddress)];
    const opened = `( src ${opener} and sport = :${port} and dst ${other} )`;
    return `( ${opened} or ( dst ${opener} and dport = :${port} and src ${other} ) )`;
  });
}

/** Ends the sockets of all connections that stand in sets of converted tuples. Throws CommandError. */
export async function endOrphans(): Promise<void> {
  for (const name of (await listSets()).filter((set) => CONVERTED_PATTERN.test(set))) {
    const filters = socketFilters(await execute("ipset", ["save", name]));
    for (let i = 0; i < filters.length; i += CHUNK) {
      await execute("ss", ["-K", "-t", "-n", filters.slice(i, i + CHUNK).join(" or ")]).catch(ignoreUnsupported);
    }
  }
}

/** A kernel without CONFIG_INET_DIAG_DESTROY cannot; that is no reason not to start. */
function ignoreUnsupported(error: unknown): void {
  if (!(error instanceof CommandError) || !/not supported/i.test(error.output)) throw error;
}
