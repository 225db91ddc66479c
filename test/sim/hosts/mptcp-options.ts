// What an MPTCP peer of the simulator can be told to do.

/** Chance of each, and the sizes, are the world's to draw. */
export interface MptcpOptions {
  /** DSN of 4 or 8 octets in what is sent. */
  dsnOctets: 4 | 8;
  /** DATA_ACK of 4 or 8 octets; "auto" as Linux does it: what the peer's last map had for its DSN. */
  danOctets: 4 | 8 | "auto";
  /** Segments that one map covers at most. */
  bulk: number;
  /** Share of maps that stand on their first packet only. */
  dssOnFirst: number;
  /** Share of arrivals that wait before they move to the data level, and for how long at most. */
  backlog: number;
  backlogUs: number;
  /** Share of arrivals that are acknowledged on the subflow and then thrown away. */
  dropAtData: number;
  obeyPriority: boolean;
  /** All equal subflows at once, or the first of them. */
  spread: boolean;
  /** Octets in a row on one subflow; 1 is a change with every map. */
  burst: number;
  /** Subflows besides the first. */
  extraSubflows: number;
  /** As the opener: joins from each other address when the connection is established. */
  autoJoin: boolean;
  /** As the opener: joins to an address that the peer announces. */
  acceptAddresses: boolean;
  /** As the responder: announces its other addresses. */
  announce: boolean;
  /** Demands checksums (net.mptcp.checksum_enabled). */
  checksum: boolean;
  /** A middlebox is in play: fallback and reset, where otherwise the run ends. */
  tolerant: boolean;
  /** The far host is one that oversteps its window now and then: what lies beyond is dropped. */
  lenientWindow: boolean;
  /** How long a connection without a subflow waits for another. */
  closeTimeoutUs: number;
}

export const MPTCP_DEFAULTS: MptcpOptions = {
  dsnOctets: 8,
  danOctets: "auto",
  bulk: 1,
  dssOnFirst: 0,
  backlog: 0,
  backlogUs: 5_000,
  dropAtData: 0,
  obeyPriority: true,
  spread: true,
  burst: 16_384,
  extraSubflows: 2,
  autoJoin: true,
  acceptAddresses: true,
  announce: false,
  checksum: false,
  tolerant: false,
  lenientWindow: false,
  closeTimeoutUs: 60_000_000,
};
