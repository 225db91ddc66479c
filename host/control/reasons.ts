// The engine's reasons in the words of an operator.

const REASONS: Record<string, string> = {
  none: "done",
  no_mptcp_in_synack: "the peer does not speak MPTCP",
  no_mptcp_in_ack: "the peer's handshake was not MPTCP",
  no_dss: "data without a mapping arrived",
  infinite_mapping: "the peer fell back to plain TCP",
  syn_retries: "SYNs with MPTCP options were not answered",
  middlebox: "something on the way changes MPTCP options",
  peer_closed: "the peer closed it",
  peer_reset: "the peer reset it",
  fastclose: "the peer aborted the connection",
  host_reset: "the local application reset it",
  removed: "removed on request",
  path_down: "the path is down",
  timeout: "no answer in time",
  bad_hmac: "wrong authentication code",
  no_token: "the peer does not know the connection",
  limit: "a limit is reached",
  no_path: "there is no such path",
  path_not_usable: "the path is down, or has no address of the connection's family",
  no_remote_address: "the peer has no address that this path reaches",
  no_connection: "there is no such connection",
  not_established: "the connection is still opening, already closing, or plain TCP",
  peer_opens: "only the end that opened the connection can join a path; the peer has been told our addresses",
  shutdown: "the daemon is shutting down",
  closed: "it ended in the ordinary way",
  poisoned: "a hole in its data can never be filled",
  checksum: "octets of the peer were changed on their way",
  no_entropy: "no random numbers were left",
  replaced: "a new connection took its place",
  exists: "it is already there",
  not_built: "not built yet",
  unreachable: "a router says that the peer cannot be reached",
  draining: "the path is about to be left",
  policy: "a policy or the order of preference wants it so",
  command: "a handover was ordered",
  peer_prefers: "the peer prefers it",
};

/** A sentence for a reason of the engine. */
export function reasonText(reason: string): string {
  return REASONS[reason] ?? reason.replaceAll("_", " ");
}
