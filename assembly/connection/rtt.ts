// Round-trip time per subflow, in integers (RFC 6298; one sample at a time, Karn's rule).

import { nowUs } from "../clock";
import { CONTROL_REPEAT_MIN_US, INITIAL_RTO_US } from "../config";
import { Ssn, seqGeq, seqLt, San } from "../seq/space";
import { measureRtt } from "./measure";
import { pathAt } from "./paths";
import { Subflow } from "./subflow";

/** Starts a sample that ends when `ssnEnd` is acknowledged, unless one runs. */
export function rttStart(subflow: Subflow, ssnEnd: Ssn): void {
  if (subflow.rttUs != 0) return;
  subflow.rttUs = nowUs();
  subflow.rttSsn = ssnEnd;
}

/** A retransmission at `ssn`: an acknowledgement would be ambiguous, drop the running sample (Karn). */
export function rttCancel(subflow: Subflow, ssn: Ssn): void {
  if (subflow.rttUs != 0 && seqLt(ssn, subflow.rttSsn)) subflow.rttUs = 0;
}

/** Ends the running sample if `san` covers it. */
export function rttAcknowledged(subflow: Subflow, san: San): void {
  if (subflow.rttUs == 0 || !seqGeq(san, subflow.rttSsn)) return;
  rttSample(subflow, nowUs() - subflow.rttUs);
  subflow.rttUs = 0;
}

/** Takes in one measurement in microseconds (RFC 6298 §2). */
export function rttSample(subflow: Subflow, sampleUs: u64): void {
  const sample = sampleUs > 60_000_000 ? <u32>60_000_000 : sampleUs == 0 ? <u32>1 : <u32>sampleUs;
  measureRtt(pathAt(subflow.path), sample);
  if (subflow.minRttUs == 0 || sample < subflow.minRttUs) subflow.minRttUs = sample;
  if (subflow.srttUs == 0) {
    subflow.srttUs = sample;
    subflow.rttvarUs = sample >> 1;
    return;
  }
  const delta = sample > subflow.srttUs ? sample - subflow.srttUs : subflow.srttUs - sample;
  subflow.rttvarUs = subflow.rttvarUs - (subflow.rttvarUs >> 2) + (delta >> 2);
  subflow.srttUs = subflow.srttUs - (subflow.srttUs >> 3) + (sample >> 3);
}

/** How long an answer may take, in microseconds (RFC 6298 §2.3), `least` at least; INITIAL_RTO_US while unknown. */
export function answerUs(subflow: Subflow, least: u64): u64 {
  if (subflow.srttUs == 0) return INITIAL_RTO_US;
  const answer = <u64>subflow.srttUs + 4 * <u64>subflow.rttvarUs;
  return answer < least ? least : answer;
}

/** Time-out for packets of our own on this subflow, in microseconds, before any back-off; 200 ms at least, as Linux. */
export function rtoUs(subflow: Subflow): u64 {
  return answerUs(subflow, 200_000);
}

/** Pause between repetitions of an option that has no acknowledgement, in microseconds: one round trip. */
export function repeatUs(subflow: Subflow): u64 {
  const srtt = <u64>subflow.srttUs;
  return srtt > CONTROL_REPEAT_MIN_US ? srtt : CONTROL_REPEAT_MIN_US;
}
