// What a class tells of its policy, in words, and no more of it than anybody can read.
import type { Refusal } from "./abi.ts";
import { Allowance } from "./allowance.ts";
import type { Clock } from "./clock.ts";
import type { Plan } from "./guard.ts";
import type { CompiledPolicy, GoodDecision } from "./instance.ts";
import type { DecisionReport, NewsBody } from "./news.ts";
import type { TableRecord } from "./records.ts";
import type { PolicyLogLine } from "./sandbox-port.ts";
import { eventWord, reasonWord, refusalWord } from "./words.ts";

/** Lines of its own that a policy may have in the daemon's log, and refusals that are told. */
export const LINES_PER_MINUTE = 20;

export class Voice {
  readonly tell: (policy: string, news: NewsBody) => void;
  #clock: Clock;
  #lines = new Allowance(LINES_PER_MINUTE);
  #refusals = new Allowance(LINES_PER_MINUTE);

  constructor(clock: Clock, tell: (policy: string, news: NewsBody) => void) {
    this.#clock = clock;
    this.tell = tell;
  }

  /** What a policy has logged. */
  log(policy: CompiledPolicy, lines: readonly PolicyLogLine[]): void {
    for (const { level, text } of lines) {
      if (!this.#lines.take(this.#clock.nowUs())) return;
      this.tell(policy.name, { kind: "log", level, detail: text });
    }
  }

  /** An intent was refused; `isNew`: not for the reason that the one before was. */
  refused(policy: CompiledPolicy, report: DecisionReport, isNew: boolean): void {
    const first = isNew && this.#refusals.take(this.#clock.nowUs());
    this.tell(policy.name, { kind: "refused", report, first });
  }

  /** A decision in words. */
  report(policy: CompiledPolicy, good: GoodDecision, table: TableRecord, judged: Judged): DecisionReport {
    const { decision, intent } = good;
    return {
      atMs: this.#clock.wallMs(),
      cause: eventWord(table.event),
      ...(judged.plan ?? { active: intent.activePathId ?? 0, standby: [], open: [], close: [] }),
      reason: reasonWord(intent.reason, policy.manifest),
      refusal: refusalWord(judged.refusal),
      fuel: decision.fuel,
      nanoseconds: decision.nanoseconds,
    };
  }
}

interface Judged {
  refusal: Refusal;
  plan: Plan | null;
}
