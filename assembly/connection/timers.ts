// One timer per connection and per subflow: the earliest of the deadlines in its struct. Whoever changes
// a deadline calls arm…() afterwards; engine.ts asks which deadlines are due when a timer fires. And one per path.

import { timerCancel, timerSet } from "../memory/wheel";
import { Connection, connectionIndex } from "./connection";
import { connectionCapacity, subflowCapacity } from "./store";
import { Subflow, subflowIndex } from "./subflow";

@inline function earlier(a: u64, b: u64): u64 {
  return b != 0 && b < a ? b : a;
}

/** Sets the connection's timer to its earliest deadline. */
export function armConnection(connection: Connection): void {
  let deadline = u64.MAX_VALUE;
  deadline = earlier(deadline, connection.expireUs);
  deadline = earlier(deadline, connection.hostFinUs);
  deadline = earlier(deadline, connection.advertiseUs);
  deadline = earlier(deadline, connection.controlUs);
  deadline = earlier(deadline, connection.handoverDeadlineUs);
  deadline = earlier(deadline, connection.joinUs);
  deadline = earlier(deadline, connection.transitionUs);
  deadline = earlier(deadline, connection.stepUs);
  const index = connectionIndex(connection);
  if (deadline == u64.MAX_VALUE) timerCancel(index);
  else timerSet(index, deadline);
}

/** Sets the subflow's timer to its earliest deadline. */
export function armSubflow(subflow: Subflow): void {
  let deadline = u64.MAX_VALUE;
  deadline = earlier(deadline, subflow.retryUs);
  deadline = earlier(deadline, subflow.pullUs);
  deadline = earlier(deadline, subflow.stallUs);
  deadline = earlier(deadline, subflow.suspectUs);
  deadline = earlier(deadline, subflow.expireUs);
  const index = connectionCapacity + subflowIndex(subflow);
  if (deadline == u64.MAX_VALUE) timerCancel(index);
  else timerSet(index, deadline);
}

/** Sets the timer of path `id`, which is not 0. */
export function armPath(id: u32, deadlineUs: u64): void {
  timerSet(connectionCapacity + subflowCapacity + id, deadlineUs);
}

/** Cancels both timers' entries before a slot is given back. */
export function disarmConnection(connection: Connection): void {
  timerCancel(connectionIndex(connection));
}

export function disarmSubflow(subflow: Subflow): void {
  timerCancel(connectionCapacity + subflowIndex(subflow));
}
