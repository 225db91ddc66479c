// Every seed that ever failed because of the engine, with a word about what it found. They are always run, whatever
// share of the others is. A seed means what scenario.ts makes of it: if that changes, the line keeps its word, and the
// seed goes on as one more.

export const REGRESSIONS: [seed: number, found: string][] = [
  [55, "the server's only path went down and came back; the idle client was never told, and the connection died"],
  [120, "sequence numbers of a subflow were given away without a packet: a hole that nobody fills"],
  [127, "two engines answered each other's MP_PRIO without end"],
  [184, "a DATA_ACK on a control packet was not passed on, and the host's retransmissions were dropped for ever"],
  [206, "RST behind numbers that were never sent"],
  [239, "as 184, one path"],
  [258, "a connection that had sent RST answered a late RST with an ACK"],
  [299, "as 184, behind a FIN"],
];
