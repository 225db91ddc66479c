// The data path of a scenario: connections of one class that join, move and stall as the engine would have them, in
// virtual time. No packets: octets flow at the rate that the scenario says, on the path that is active, if it carries.
import type { PathState as LinkState } from "../../net/path-state.ts";
import type { Clock } from "../clock.ts";
import type { ClassTerms, IntentOutcome, PathFigures, PolicyEngine, Statistics } from "../engine-port.ts";
import type { Plan } from "../guard.ts";

/** Octets of payload in a packet, for counts of packets. */
const PACKET_OCTETS = 1400;
/** The engine takes a subflow for stale after so many round trips without an answer … */
const STALE_ROUND_TRIPS = 3;
/** … and not before. */
const STALE_MIN_MS = 300;

/** What a path is like at the moment. */
export interface PathWeather {
  up: boolean;
  silent: boolean;
  draining: boolean;
  rttMs: number;
  /** 0 … 1 */
  loss: number;
  otherKbps: number;
}

/** What the class does at the moment. */
export interface Demand {
  connections: number;
  kbps: number;
}

export interface EngineNews {
  /** `path`: id; `from`, `to`: ids, 0 = none. */
  joined(path: number): void;
  stale(path: number, isStale: boolean): void;
  moved(from: number, to: number): void;
  /** A subflow is there, or no longer. */
  subflow(path: number, isThere: boolean): void;
}

interface SimulatedPath {
  id: number;
  joinMs: number;
  weather: PathWeather;
  isJoined: boolean;
  isStale: boolean;
  /** Takes a handshake or the wait for silence to be noticed back. */
  cancelJoin: (() => void) | null;
  cancelStale: (() => void) | null;
  /** Round-trip time as it was measured last; 0 = never. */
  srttUs: number;
  measuredUs: number;
  lastAckUs: number;
  figures: Pick<PathFigures, "bytesSent" | "bytesAcked" | "bytesRetransmitted" | "packetsSent">;
}

const NOTHING = { bytesSent: 0, bytesAcked: 0, bytesRetransmitted: 0, packetsSent: 0 };

export class SimulatedEngine implements Pick<PolicyEngine, "statistics" | "setClass" | "setIntent"> {
  #clock: Clock;
  #news: EngineNews;
  #paths: SimulatedPath[];
  #demand: Demand = { connections: 0, kbps: 0 };
  #terms: ClassTerms = { prefer: [], paths: null, probeMs: 0 };
  /** null = native active-standby. */
  #plan: Plan | null = null;
  #active = 0;
  #acked = 0;
  #nowUs: number;

  constructor(clock: Clock, paths: { id: number; joinMs: number; weather: PathWeather }[], news: EngineNews) {
    this.#clock = clock;
    this.#news = news;
    this.#nowUs = clock.nowUs();
    const fresh = { isJoined: false, isStale: false, cancelJoin: null, cancelStale: null };
    const unmeasured = { srttUs: 0, measuredUs: 0, lastAckUs: 0 };
    this.#paths = paths.map((path) => ({ ...path, ...fresh, ...unmeasured, figures: { ...NOTHING } }));
    this.#terms.prefer = paths.map(({ id }) => id);
  }

  /** Id of the path that new data goes by, 0 = none. */
  get active(): number {
    return this.#active;
  }

  /** Whether what the class wants to send gets through. */
  get isStalled(): boolean {
    const { connections, kbps } = this.#demand;
    return connections > 0 && kbps > 0 && !this.#carries(this.#active);
  }

  /** The world has changed. `startsOn`: the path that the first connections are opened on. */
  set(weather: ReadonlyMap<number, PathWeather>, demand: Demand, startsOn: number | null = null): void {
    this.#flow();
    const opened = this.#demand.connections === 0 && demand.connections > 0;
    this.#demand = demand;
    for (const path of this.#paths) path.weather = weather.get(path.id) ?? path.weather;
    for (const path of this.#paths) if (!path.weather.up || demand.connections === 0) this.#lose(path);
    if (opened) this.#open(startsOn);
    for (const path of this.#paths) this.#watch(path);
    this.#reconcile();
  }

  async statistics(): Promise<Statistics> {
    this.#flow();
    const { connections } = this.#demand;
    const activeOn = new Map(connections > 0 ? [[this.#active, connections]] : []);
    const figures = { id: 0, connections, bytesAcked: Math.round(this.#acked), bytesReceived: 0, activeOn };
    return { paths: this.#paths.map((path) => this.#figuresOf(path)), classes: [figures] };
  }

  setClass(_: number, terms: ClassTerms): void {
    this.#flow();
    this.#terms = terms;
    this.#plan = null;
    this.#reconcile();
  }

  async setIntent(_: number, plan: Plan): Promise<IntentOutcome> {
    this.#flow();
    this.#plan = plan;
    for (const id of plan.close) if (id !== this.#active) this.#lose(this.#path(id));
    this.#reconcile();
    const { connections } = this.#demand;
    const refused = plan.active !== 0 && this.#path(plan.active)?.weather.up !== true ? connections : 0;
    return { concerned: connections, refused, reason: refused > 0 ? "path_down" : "none" };
  }

  #path(id: number): SimulatedPath | undefined {
    return this.#paths.find((path) => path.id === id);
  }

  #carries(id: number): boolean {
    const path = this.#path(id);
    return path?.isJoined === true && !path.weather.silent;
  }

  /** Octets that have flowed since the last look. */
  #flow(): void {
    const seconds = (this.#clock.nowUs() - this.#nowUs) / 1e6;
    this.#nowUs = this.#clock.nowUs();
    for (const path of this.#paths) {
      const { weather, figures, id } = path;
      const isActive = id === this.#active && this.#demand.connections > 0;
      const own = isActive && this.#carries(id) ? this.#demand.kbps : 0;
      const octets =
        ((own + (weather.up && !weather.silent ? weather.otherKbps : 0)) * 125 * seconds) / (1 - weather.loss);
      figures.bytesSent += octets;
      figures.bytesRetransmitted += octets * weather.loss;
      figures.bytesAcked += octets * (1 - weather.loss);
      figures.packetsSent += octets / PACKET_OCTETS;
      if (isActive) this.#acked += own * 125 * seconds;
      this.#measure(path, isActive);
    }
  }

  /** The active path is measured by its traffic, others when they were joined and as often as they are probed. */
  #measure(path: SimulatedPath, isActive: boolean): void {
    if (!path.isJoined || path.weather.silent) return;
    const { probeMs } = this.#terms;
    const isProbed = probeMs > 0 && this.#nowUs - path.measuredUs >= probeMs * 1000;
    if (!(isActive && this.#demand.kbps > 0) && !isProbed && path.srttUs !== 0) return;
    path.srttUs = Math.max(1, Math.round(path.weather.rttMs * 1000));
    path.measuredUs = this.#nowUs;
    path.lastAckUs = this.#nowUs;
  }

  #figuresOf(path: SimulatedPath): PathFigures {
    const { id, isJoined, srttUs, lastAckUs, figures } = path;
    const { connections, kbps } = this.#demand;
    const inFlight = id === this.#active && isJoined ? (kbps * 125 * path.weather.rttMs) / 1000 : 0;
    const totals = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Math.round(value)]));
    return {
      id,
      subflows: isJoined ? connections : 0,
      srttUs,
      rttvarUs: Math.round(srttUs / 8),
      minRttUs: srttUs,
      inFlight: Math.round(inFlight),
      lastAckUs,
      bytesReceived: 0,
      ...(totals as SimulatedPath["figures"]),
    };
  }

  /** New connections begin where the class is to be, or at the most preferred path that is up. */
  #open(startsOn: number | null): void {
    const wanted = [startsOn ?? 0, this.#plan?.active ?? 0, ...this.#terms.prefer];
    const first = wanted.find((id) => this.#path(id)?.weather.up === true);
    const path = first === undefined ? undefined : this.#path(first);
    if (path === undefined) return;
    this.#establish(path);
    this.#move(path.id);
  }

  #establish(path: SimulatedPath): void {
    path.cancelJoin = null;
    if (path.isJoined) return;
    path.isJoined = true;
    this.#measure(path, false);
    this.#news.subflow(path.id, true);
    this.#news.joined(path.id);
  }

  #lose(path: SimulatedPath | undefined): void {
    path?.cancelJoin?.();
    path?.cancelStale?.();
    if (path === undefined) return;
    path.cancelJoin = null;
    path.cancelStale = null;
    path.isStale = false;
    if (!path.isJoined) return;
    path.isJoined = false;
    this.#news.subflow(path.id, false);
  }

  /** Data without an answer is noticed after a while; that there are answers again at once. */
  #watch(path: SimulatedPath): void {
    const isMute = path.isJoined && path.weather.silent && path.id === this.#active && this.#demand.kbps > 0;
    if (isMute && path.cancelStale === null && !path.isStale) {
      const ms = Math.max(STALE_MIN_MS, STALE_ROUND_TRIPS * path.weather.rttMs);
      path.cancelStale = this.#clock.after(ms, () => {
        path.cancelStale = null;
        path.isStale = true;
        this.#news.stale(path.id, true);
        this.#reconcile();
      });
    }
    if (path.weather.silent) return;
    path.cancelStale?.();
    path.cancelStale = null;
    if (!path.isStale) return;
    path.isStale = false;
    path.lastAckUs = this.#nowUs;
    this.#news.stale(path.id, false);
  }

  /** Brings subflows and the active path to what was asked for, as far as the paths let it. */
  #reconcile(): void {
    const plan = this.#plan;
    const { connections } = this.#demand;
    const all = this.#terms.prefer;
    const asked = plan === null ? all : [plan.active, ...plan.standby, ...plan.open];
    // With nothing joined there is nobody to ask: the first path that is up is taken.
    const stranded = this.#paths.every((path) => !path.isJoined && path.cancelJoin === null);
    const wanted = stranded ? [...asked, ...all] : asked;
    for (const id of connections > 0 ? wanted : []) this.#join(this.#path(id));
    const order = plan === null ? all : [plan.active, ...(plan.active === 0 ? [this.#active] : []), ...all];
    const usable = (id: number) => this.#path(id)?.isJoined === true && !this.#path(id)?.isStale;
    const next = order.find(usable) ?? (this.#path(this.#active)?.isJoined === true ? this.#active : 0);
    this.#move(connections > 0 ? next : 0);
  }

  #join(path: SimulatedPath | undefined): void {
    if (path === undefined || path.isJoined || path.cancelJoin !== null) return;
    const { up, silent, draining } = path.weather;
    if (!up || silent || draining) return;
    path.cancelJoin = this.#clock.after(path.joinMs, () => {
      path.cancelJoin = null;
      // Nothing has answered: it is tried again when there is something to hear.
      if (path.weather.silent) return;
      this.#flow();
      this.#establish(path);
      this.#reconcile();
    });
  }

  #move(to: number): void {
    const from = this.#active;
    if (from === to) return;
    this.#active = to;
    this.#news.moved(from, to);
    const path = this.#path(to);
    if (path !== undefined) this.#watch(path);
  }
}

/** The link of a path in such a world. */
export function linkOf(
  config: { id: number; name: string; interface: string; backup: boolean },
  weather: PathWeather,
): LinkState {
  const { id, name, interface: device, backup } = config;
  const { up, draining } = weather;
  const none = { address4: null, address6: null, addresses: [], gateway4: null, gateway6: null };
  return { id, name, interface: device, backup, draining, index: id, mtu: 1500, up, ...none };
}
