// A policy that runs beside the one in force: it sees the same tables, and where it would decide differently is told.

import { Allowance } from "./allowance.ts";
import { Guard, type Plan } from "./guard.ts";
import { type CompiledPolicy, decideOnce, instanceFault } from "./instance.ts";
import type { NewsBody } from "./news.ts";
import type { TableRecord } from "./records.ts";
import type { PolicyInstancePort } from "./sandbox-port.ts";

/** Two policies may differ every second; all differences are counted. */
const DIVERGENCES_PER_MINUTE = 20;

export interface ShadowStatus {
  policy: string;
  decisions: number;
  /** Of them, those that differ from what the policy in force wanted. */
  diverged: number;
}

export class Shadow {
  readonly policy: CompiledPolicy;
  #instance: PolicyInstancePort;
  #tell: (news: NewsBody) => void;
  #told = new Allowance(DIVERGENCES_PER_MINUTE);
  #decisions = 0;
  #diverged = 0;
  /** The last difference, "" = the last decision was the same. */
  #difference = "";

  constructor(policy: CompiledPolicy, instance: PolicyInstancePort, tell: (news: NewsBody) => void) {
    this.policy = policy;
    this.#instance = instance;
    this.#tell = tell;
  }

  get status(): ShadowStatus {
    return { policy: this.policy.name, decisions: this.#decisions, diverged: this.#diverged };
  }

  /** Decides on the same table. Returns whether it lives on. */
  async follow(octets: Uint8Array, table: TableRecord, wanted: Plan | null, nameOf: (id: number) => string) {
    const name = this.policy.name;
    try {
      const { intent } = await decideOnce(this.#instance, octets);
      this.#decisions++;
      // A guard of its own without a past: the words of an intent, not whether it would come too soon.
      const { plan } = new Guard().judge(intent, table);
      const difference = differenceOf(wanted, plan, nameOf);
      if (difference !== "") {
        this.#diverged++;
        const first = difference !== this.#difference && this.#told.take(table.nowUs);
        this.#tell({ kind: "diverged", shadow: name, detail: difference, first });
      }
      this.#difference = difference;
      return true;
    } catch (error) {
      const fault = instanceFault(error);
      this.#tell({ kind: "shadow_fault", shadow: name, fault: fault.kind, detail: fault.message });
      this.close();
      return false;
    }
  }

  close(): void {
    this.#instance.close();
  }
}

/** What the second of two plans would do otherwise, in words; "" = nothing. */
export function differenceOf(wanted: Plan | null, other: Plan | null, nameOf: (id: number) => string): string {
  if (wanted === null || other === null) {
    return wanted === other ? "" : `${other === null ? "nonsense" : "sense"} where the other makes none`;
  }
  const paths = (ids: number[]) =>
    ids.length === 0
      ? "none"
      : [...ids]
          .sort((a, b) => a - b)
          .map(nameOf)
          .join(" ");
  const active = (id: number) => (id === 0 ? "as it is" : nameOf(id));
  const rows: [string, string, string][] = [
    ["active", active(wanted.active), active(other.active)],
    ["standby", paths(wanted.standby), paths(other.standby)],
    ["open", paths(wanted.open), paths(other.open)],
    ["close", paths(wanted.close), paths(other.close)],
  ];
  return rows
    .filter(([, a, b]) => a !== b)
    .map(([what, a, b]) => `${what} ${b} instead of ${a}`)
    .join(", ");
}
