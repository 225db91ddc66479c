// Source routing: what has a path's address as its source leaves by that path. Each path has a table of its own with
// the interface's networks and its gateway, and one rule per address that sends it there before `main` is asked.
// Without this a subflow of the second path would leave by the machine's one default route. Routes of `main` to
// networks behind interfaces that are no path (containers, VPNs) are copied into each table: answers from a path's
// address to a container must go on reaching the container.
//
// What leaves by us (by its mark) has the same routes once more, in tables of its own: the kernel keeps the MTUs that
// the host is shown with the routes that the host uses, and what leaves by us is longer (docs/decisions/0012).
import { execute } from "./execute.ts";
import type { LinkAddress, MainRoute } from "./links.ts";
import { MARK_MASK, PATH_TABLE_BASE, PROTOCOL, WIRE_MARK, WIRE_TABLE_BASE } from "./marks.ts";
import { contains, networkOf, type PathState } from "./path-state.ts";

export const tableOf = (pathId: number): number => PATH_TABLE_BASE + pathId;
const wireTableOf = (pathId: number): number => WIRE_TABLE_BASE + pathId;
const WIRE = `fwmark 0x${WIRE_MARK.toString(16)}/0x${MARK_MASK.toString(16)}`;

/** Arguments of `ip` behind the family switch, one string per command. */
export interface RouteSet {
  family: 4 | 6;
  /** Without verb: "default via 10.0.1.2 dev wlan0 …". */
  routes: string[];
  /** Without verb: "from 10.0.1.1 lookup 5301 …". */
  rules: string[];
}

/** Routes of `main` that are copied at most: a machine with more is a router, and not what role "host" is for. */
const COPIED_ROUTES_MAX = 512;

/** What must stand in the kernel for a path as it is now, for one family. `elsewhere`: routes of main by no path. */
export function routeSet(path: PathState, family: 4 | 6, elsewhere: MainRoute[]): RouteSet {
  const addresses = path.addresses.filter((address) => address.family === family);
  const tables = [tableOf(path.id), wireTableOf(path.id)];
  const rules = addresses.flatMap(({ address }) => [
    rule(`from ${address}`, tableOf(path.id)),
    rule(`from ${address} ${WIRE}`, wireTableOf(path.id)),
  ]);
  // Routes need the link; the rules stay, so that an address keeps its meaning over a short link down.
  if (!path.up) return { family, routes: [], rules };
  const routes = routesOf(path, family, addresses, elsewhere);
  const suffixes = tables.map((table) => `table ${table} proto ${PROTOCOL}`);
  return { family, routes: suffixes.flatMap((suffix) => routes.map((route) => `${route} ${suffix}`)), rules };
}

function rule(selector: string, table: number): string {
  return `${selector} lookup ${table} pref ${table} protocol ${PROTOCOL}`;
}

/** The routes of each of the path's tables. */
function routesOf(path: PathState, family: 4 | 6, addresses: LinkAddress[], elsewhere: MainRoute[]): string[] {
  const networks = new Set(
    addresses.filter((address) => address.prefixLength < (family === 4 ? 32 : 128)).map(networkOf),
  );
  const routes = [...networks].map((network) => `${network} dev ${path.interface} scope link`);
  for (const route of elsewhere.filter((candidate) => candidate.family === family).slice(0, COPIED_ROUTES_MAX)) {
    if (networks.has(route.destination)) continue;
    const via = route.gateway === null ? "" : `via ${route.gateway} `;
    routes.push(`${route.destination} ${via}dev ${route.device}${via === "" ? "" : " onlink"}`);
  }
  const gateway = family === 4 ? path.gateway4 : path.gateway6;
  if (gateway !== null && addresses.length > 0) {
    // A gateway outside the interface's networks is on-link all the same: point-to-point links, cloud networks, fe80::.
    const onlink = addresses.some((address) => contains(address, gateway)) ? "" : " onlink";
    routes.push(`default via ${gateway} dev ${path.interface}${source(addresses, family)}${onlink}`);
  }
  return routes;
}

function source(addresses: LinkAddress[], family: 4 | 6): string {
  return family === 4 ? ` src ${addresses[0]?.address}` : "";
}

/** Keeps the kernel's tables and rules as the paths are. Calls must not overlap. */
export class SourceRoutes {
  #applied = new Map<string, RouteSet>();
  // Tables whose loss was made good once: what the kernel then still does not show it never will (loop guard).
  #mended = new Set<string>();

  /** Brings one path's routes and rules up to date. Throws CommandError. */
  async update(path: PathState, network: { elsewhere: MainRoute[]; ownRoutes: Map<string, number> }): Promise<void> {
    for (const family of [4, 6] as const) {
      const count = (table: number) => network.ownRoutes.get(`${table}/${family}`) ?? 0;
      this.#forgetLost(path.id, family, count(tableOf(path.id)) + count(wireTableOf(path.id)));
      await this.#apply(path.id, routeSet(path, family, network.elsewhere));
    }
  }

  /** Removes one path's routes and rules. Throws CommandError. */
  async remove(pathId: number): Promise<void> {
    for (const family of [4, 6] as const) {
      await this.#apply(pathId, { family, routes: [], rules: [] });
      this.#applied.delete(`${pathId}/${family}`);
    }
  }

  /** Removes everything this object wrote. Throws CommandError. */
  async clear(): Promise<void> {
    const ids = new Set([...this.#applied.keys()].map((key) => Number(key.split("/")[0])));
    for (const id of ids) await this.remove(id);
  }

  #forgetLost(pathId: number, family: 4 | 6, present: number): void {
    const key = `${pathId}/${family}`;
    const applied = this.#applied.get(key);
    if (applied === undefined || present >= applied.routes.length) {
      this.#mended.delete(key);
    } else if (!this.#mended.has(key)) {
      this.#mended.add(key);
      this.#applied.set(key, { ...applied, routes: [] });
    }
  }

  async #apply(pathId: number, wanted: RouteSet): Promise<void> {
    const key = `${pathId}/${wanted.family}`;
    const before = this.#applied.get(key) ?? { family: wanted.family, routes: [], rules: [] };
    const commands = difference(before, wanted);
    this.#applied.set(key, wanted);
    if (commands.length === 0) return;
    // -force: a route that the kernel removed with its link cannot be deleted again, and that is fine.
    const adding = commands.filter((command) => !/ del /.test(command));
    const deleting = commands.filter((command) => / del /.test(command));
    const batch = (list: string[]) => `${list.join("\n")}\n`;
    if (deleting.length > 0) {
      await execute("ip", [`-${wanted.family}`, "-force", "-batch", "-"], batch(deleting)).catch(() => {});
    }
    if (adding.length > 0) {
      // What failed is not in the kernel: forget it, so that the next change tries again.
      await execute("ip", [`-${wanted.family}`, "-force", "-batch", "-"], batch(adding)).catch((error) => {
        this.#applied.set(key, { ...wanted, routes: [] });
        throw error;
      });
    }
  }
}

/** Commands for `ip -batch` that lead from one state to the other, additions after deletions of the same rule. */
export function difference(before: RouteSet, after: RouteSet): string[] {
  const gone = (a: string[], b: string[]) => a.filter((line) => !b.includes(line));
  return [
    ...gone(before.rules, after.rules).map((rule) => `rule del ${rule}`),
    ...gone(before.routes, after.routes).map((route) => `route del ${route}`),
    ...gone(after.rules, before.rules).map((rule) => `rule add ${rule}`),
    // replace: the same route may be left from a crashed daemon.
    ...gone(after.routes, before.routes).map((route) => `route replace ${route}`),
  ];
}
