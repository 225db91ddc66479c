// Every seed that ever failed because of the engine, with a word about what it found; one or a few of each kind. They
// are always run, whatever share of the others is. A seed means what scenario.ts makes of it: each of these fails, in
// the way that is said, with the engine as it was before the mending and the generator as it is. When the generator
// changes, a line keeps its word only if that is tried again; else a seed that shows the same takes its place.

/** Behind this number of lines scenarios may have checksums, other families and narrow paths; those before have none. */
const PLAIN = 41;

export const REGRESSIONS: [seed: number, found: string][] = [
  [30, "a window without a DATA_ACK was counted from a later one: more was granted than the far host had"],
  [554, "as 30, the second half of a segment that a middlebox had cut"],
  [656, "as 30, one octet, when the FIN was acknowledged"],
  [443, "the server's only path went down and came back; the idle client was never told, and the connection died"],
  [121, "a subflow's FIN behind octets that were never sent on it"],
  [46, "two engines answered each other's MP_PRIO without end"],
  [719, "a DATA_ACK was not passed on to the host, and its retransmissions were dropped for ever"],
  [944, "as 719, on a connection that had lost all its paths for a while"],
  [286, "as 719, the DATA_ACK on a native peer's keep-alive"],
  [937, "as 286"],
  [216, "something other than a RST was sent after a RST"],
  [94, "a joined subflow's window was scaled although the connection does not scale"],
  [523, "a D-SACK of the peer lay right above what the host was shown as acknowledged"],
  [882, "as 523"],
  [95, "REMOVE_ADDR named an address id that other subflows used"],
  [544, "a DATA_FIN alone on a subflow that had died silently was never sent elsewhere"],
  [976, "octets that were sent again stood behind a hole of their own subflow, and nobody asked for the hole"],
  [1833, "as 976"],
  [11432, "as 976, against a peer that throws nothing away: both paths were cut, and the newer octets went first"],
  [24923, "as 976, and the only subflow was reset for it while the peer took no joins any more"],
  [6057, "as 24923, and what was missing in the hole had been acknowledged elsewhere"],
  [17627, "the only subflow was given up for a hole that stopped nothing"],
  [1118, "a host without SACK held octets above a hole, and the peer's window on the subflow was full of them"],
  [5187, "the first word of a peer that had fallen back was a plain FIN, taken for the FIN of a subflow"],
  [8225, "as 5187, without any middlebox: only the third ACK was lost"],
  [8380, "a native peer fell back in mid-stream, and octets went to it under numbers of their own"],
  [14777, "as 8380"],
  [12255, "as 8380, and its next packet was a plain FIN"],
  [7262, "a packet whose mapping stood on another, late one was taken for a sign of a middlebox"],
  [5516, "a subflow's acknowledgement went past the peer's FIN, and what has arrived did not"],
  [6098, "a SYN/ACK of a join was answered after the host's RST"],
  [7449, "as 6098, a late MP_JOIN ACK"],
  [7702, "as 6098, the MP_JOIN ACK was repeated after the RST"],
  [6114, "each end lost another path, and the idle client kept a subflow that the server had given up"],
  [10106, "as 6114, and one of the paths never came back"],
  [30112, "the responder was through, lost its paths before its last DATA_ACK came, and took no join to say it again"],
  [1633883134, "as 30112, the opener"],
  [30446, "the first octets had moved to a fresh SSN and left with MP_CAPABLE, which maps to the front"],
  [500680, "an old super-packet of the host left as one with nothing but its header, which the kernel throws away"],
  [505514, "our FIN stood behind octets that had gone elsewhere: the peer kept that subflow for ever"],
  [500836, "the only subflow was reset for a hole a moment after this end was through, which then took no join"],
  [700500, "the peer had fallen back, and its FIN, the first packet without a DSS, was taken for that of a subflow"],
  [705536, "as 8380, behind the peer's DATA_FIN: a plain host got old octets under fresh numbers, as new ones"],
  [1000102699, "with checksums, octets of a mapping that was not whole were sent again behind its own hole, for ever"],
  [1000108211, "as 1000102699"],
  [700907, "with checksums a full map log kept back the first octet in flight, for which all the others waited"],
  [1000104609, "with checksums, a router refused all of a super-packet but its end: the peer could use nothing of it"],
  [
    1000102584,
    "with checksums, a router refused a packet; the host sent parts of it, of which the peer could use none",
  ],
  [1000102092, "as 1000102584"],
  [1000103264, "an MP_PRIO on account of the host's FIN went out behind it, with an older acknowledgement"],
  [1000110069, "as 700500, and its first word was an acknowledgement that counted the host's FIN"],
  [
    1000109401,
    "told to break before it makes, the client gave up its subflow when the server had taken it for plain TCP",
  ],
];

export const PLAIN_SEEDS = new Set(REGRESSIONS.slice(0, PLAIN).map(([seed]) => seed));
