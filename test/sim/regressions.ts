// Every seed that ever failed because of the engine, with a word about what it found. They are always run, whatever
// share of the others is. A seed means what scenario.ts makes of it: if that changes, the line keeps its word, and the
// seed goes on as one more.

export const REGRESSIONS: [seed: number, found: string][] = [
  [30, "a window without a DATA_ACK was counted from a later one: more was granted than the far host had"],
  [554, "as 30, the second half of a segment that a middlebox had cut"],
  [656, "as 30, one octet, when the FIN was acknowledged"],
  [34, "the server's only path went down and came back; the idle client was never told, and the connection died"],
  [70, "numbers of a subflow were given away without a packet: a hole that nobody fills"],
  [226, "as 70, and the subflow's FIN behind the hole"],
  [501, "as 70, and a RST behind the hole"],
  [46, "two engines answered each other's MP_PRIO without end"],
  [178, "a DATA_ACK on a control packet was not passed on, and the host's retransmissions were dropped for ever"],
  [719, "as 178, behind a FIN"],
  [286, "as 178, the DATA_ACK on a native peer's keep-alive"],
  [937, "as 286"],
  [181, "a connection that had sent RST answered a late RST with an ACK"],
  [836, "one SACK block became two, and a full-sized packet longer than the MTU"],
  [94, "a joined subflow's window was scaled although the connection does not scale"],
  [523, "a D-SACK of the peer lay right above what the host was shown as acknowledged"],
  [882, "as 523"],
  [1118, "a FIN that came with a repeated MP_JOIN ACK was half taken"],
  [95, "REMOVE_ADDR named an address id that other subflows used"],
  [544, "a DATA_FIN alone on a subflow that had died silently was never sent elsewhere"],
  [976, "octets that were sent again stood behind a hole of their own subflow, and nobody asked for the hole"],
];
