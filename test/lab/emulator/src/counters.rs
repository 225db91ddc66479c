//! What passed one direction of a link, as numbers a test can assert on.

use crate::packet::{OPTION_MPTCP, TcpView, flag};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Flows remembered per direction. Later ones are counted in the totals only.
pub const FLOWS_MAX: usize = 65_536;

/// MPTCP subtypes by number, RFC 8684 §8.1 and IANA; the last entry is for everything else.
const SUBTYPES: [&str; 10] =
    ["mpCapable", "mpJoin", "dss", "addAddr", "removeAddr", "mpPrio", "mpFail", "mpFastclose", "mpTcprst", "other"];

/// Packets and bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Frames.
    pub packets: u64,
    /// Bytes of Ethernet frames.
    pub bytes: u64,
    /// Bytes of TCP payload.
    pub payload_bytes: u64,
}

impl Traffic {
    /// Counts one frame.
    pub fn add(&mut self, frame: &[u8], view: Option<&TcpView>) {
        self.packets += 1;
        self.bytes += frame.len() as u64;
        self.payload_bytes += view.map_or(0, |v| v.payload_len() as u64);
    }
}

/// Why frames did not pass.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drops {
    /// Random loss.
    pub loss: u64,
    /// Queue limit.
    pub queue: u64,
    /// Blackhole.
    pub blackhole: u64,
    /// Larger than the path's MTU.
    pub mtu: u64,
    /// A SYN whose option nobody wants to see.
    pub syn: u64,
    /// The outgoing interface refused it.
    pub send_error: u64,
}

/// What the TCP segments looked like where they entered the link.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpCounters {
    /// Segments.
    pub segments: u64,
    /// Segments with SYN.
    pub syn: u64,
    /// Segments with FIN.
    pub fin: u64,
    /// Segments with RST.
    pub rst: u64,
    /// Segments whose TCP checksum is wrong: a proxy's mistake, or an offload that was left on.
    pub bad_checksum: u64,
    /// Payload bytes beyond the highest sequence number seen in their flow: without retransmissions.
    pub new_payload_bytes: u64,
    /// Segments with an MPTCP option.
    pub with_mptcp: u64,
    /// Those of them that are not SYNs.
    pub with_mptcp_after_syn: u64,
    /// MPTCP options by subtype.
    pub mptcp: BTreeMap<&'static str, u64>,
    /// Segments without SYN that carry an option, by option kind.
    pub option_kinds: BTreeMap<u8, u64>,
}

/// Everything counted in one direction.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Entered the link.
    #[serde(rename = "in")]
    pub entered: Traffic,
    /// Left the link.
    pub out: Traffic,
    /// Did not.
    pub drops: Drops,
    /// Extra copies made.
    pub duplicated: u64,
    /// Packets held back for reordering.
    pub reordered: u64,
    /// Segments that lost an option.
    pub stripped: u64,
    /// Segments of which a payload byte was changed.
    pub altered: u64,
    /// Segments that were put behind another one.
    pub coalesced: u64,
    /// Longest time a packet waited in the queue, ms.
    pub queue_peak_ms: f64,
    /// TCP.
    pub tcp: TcpCounters,
}

/// One direction of one TCP connection (of a subflow, to MPTCP) on this link.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Sender, `address:port`.
    pub source: String,
    /// Receiver, `address:port`.
    pub destination: String,
    /// Segments.
    pub packets: u64,
    /// Payload with retransmissions, bytes.
    pub payload_bytes: u64,
    /// Payload without retransmissions, bytes.
    pub new_payload_bytes: u64,
    /// Segments with an MPTCP option.
    pub with_mptcp: u64,
    /// CLOCK_MONOTONIC of the first segment, ns.
    pub first_ns: u64,
    /// CLOCK_MONOTONIC of the last segment, ns.
    pub last_ns: u64,
    /// CLOCK_MONOTONIC of the last segment with new payload, ns; 0 = none.
    pub last_new_data_ns: u64,
    #[serde(skip)]
    highest: Option<u32>,
}

/// Addresses and ports, padded to IPv6 size.
type FlowKey = ([u8; 16], [u8; 16], [u8; 4]);

/// The flows of one direction.
#[derive(Debug, Default)]
pub struct Flows {
    by_key: HashMap<FlowKey, Flow>,
}

impl Flows {
    /// All flows, the oldest first.
    pub fn list(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.by_key.values().cloned().collect();
        flows.sort_by_key(|f| f.first_ns);
        flows
    }

    /// Counts a segment into its flow and returns how many of its payload bytes are new.
    fn note(&mut self, now_ns: u64, frame: &[u8], view: &TcpView, has_mptcp: bool) -> u64 {
        let key = key(frame, view);
        if !self.by_key.contains_key(&key) && self.by_key.len() >= FLOWS_MAX {
            return 0;
        }
        let flow = self.by_key.entry(key).or_insert_with(|| new_flow(now_ns, frame, view));
        let syn = u32::from(view.flags(frame) & flag::SYN != 0);
        if syn == 1 && flow.payload_bytes > 0 {
            flow.highest = None; // The port is used again.
        }
        let start = view.sequence(frame).wrapping_add(syn);
        let end = start.wrapping_add(view.payload_len() as u32);
        let beyond = end.wrapping_sub(flow.highest.unwrap_or(start)) as i32;
        // A keepalive probe stands one byte below, an old segment anywhere below: not new.
        let new = beyond.clamp(0, view.payload_len() as i32) as u64;
        if beyond > 0 || flow.highest.is_none() {
            flow.highest = Some(end);
        }
        flow.packets += 1;
        flow.payload_bytes += view.payload_len() as u64;
        flow.new_payload_bytes += new;
        flow.with_mptcp += u64::from(has_mptcp);
        flow.last_ns = now_ns;
        if new > 0 {
            flow.last_new_data_ns = now_ns;
        }
        new
    }
}

fn key(frame: &[u8], view: &TcpView) -> FlowKey {
    let (mut source, mut destination, mut ports) = ([0; 16], [0; 16], [0; 4]);
    let (from, to) = view.addresses(frame);
    source[..from.len()].copy_from_slice(from);
    destination[..to.len()].copy_from_slice(to);
    ports.copy_from_slice(&frame[view.tcp..view.tcp + 4]);
    (source, destination, ports)
}

fn new_flow(now_ns: u64, frame: &[u8], view: &TcpView) -> Flow {
    let (from, to) = view.addresses(frame);
    let port = |at| crate::packet::be16(frame, view.tcp + at);
    Flow {
        source: endpoint(from, port(0)),
        destination: endpoint(to, port(2)),
        packets: 0,
        payload_bytes: 0,
        new_payload_bytes: 0,
        with_mptcp: 0,
        first_ns: now_ns,
        last_ns: now_ns,
        last_new_data_ns: 0,
        highest: None,
    }
}

fn endpoint(address: &[u8], port: u16) -> String {
    match <[u8; 16]>::try_from(address) {
        Ok(v6) => format!("[{}]:{port}", std::net::Ipv6Addr::from(v6)),
        Err(_) => format!("{}.{}.{}.{}:{port}", address[0], address[1], address[2], address[3]),
    }
}

impl TcpCounters {
    /// Counts a segment that entered the link.
    pub fn note(&mut self, now_ns: u64, frame: &[u8], view: &TcpView, flows: &mut Flows) {
        let flags = view.flags(frame);
        let syn = flags & flag::SYN != 0;
        self.segments += 1;
        self.syn += u64::from(syn);
        self.fin += u64::from(flags & flag::FIN != 0);
        self.rst += u64::from(flags & flag::RST != 0);
        self.bad_checksum += u64::from(view.checksum_error(frame) != 0);
        let mut has_mptcp = false;
        let mut kinds_seen = [0u64; 4];
        for option in view.options(frame) {
            if option.kind == OPTION_MPTCP {
                has_mptcp = true;
                let subtype = if option.len > 2 { usize::from(frame[option.at + 2] >> 4) } else { SUBTYPES.len() };
                *self.mptcp.entry(SUBTYPES[subtype.min(SUBTYPES.len() - 1)]).or_default() += 1;
            }
            let (word, bit) = (usize::from(option.kind / 64), 1 << (option.kind % 64));
            if !syn && kinds_seen[word] & bit == 0 {
                kinds_seen[word] |= bit;
                *self.option_kinds.entry(option.kind).or_default() += 1;
            }
        }
        self.with_mptcp += u64::from(has_mptcp);
        self.with_mptcp_after_syn += u64::from(has_mptcp && !syn);
        self.new_payload_bytes += flows.note(now_ns, frame, view, has_mptcp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build::{tcp4, tcp6};

    fn note(counters: &mut TcpCounters, flows: &mut Flows, now: u64, frame: Vec<u8>) {
        let view = TcpView::parse(&frame).unwrap();
        counters.note(now, &frame, &view, flows);
    }

    #[test]
    fn retransmissions_are_not_new_data_even_across_the_wrap() {
        for first in [1000u32, u32::MAX - 3] {
            let (mut counters, mut flows) = (TcpCounters::default(), Flows::default());
            let data = |offset: u32| tcp4(flag::ACK, first.wrapping_add(1 + offset), &[], b"12345");
            note(&mut counters, &mut flows, 1, tcp4(flag::SYN, first, &[], b""));
            note(&mut counters, &mut flows, 2, data(0));
            note(&mut counters, &mut flows, 3, data(0));
            note(&mut counters, &mut flows, 4, data(3));
            note(&mut counters, &mut flows, 5, data(1));
            let flow = &flows.list()[0];
            assert_eq!((flow.payload_bytes, flow.new_payload_bytes, counters.new_payload_bytes), (20, 8, 8));
            assert_eq!((flow.last_ns, flow.last_new_data_ns, flow.first_ns), (5, 4, 1));
        }
    }

    #[test]
    fn options_are_counted_by_kind_and_subtype() {
        let (mut counters, mut flows) = (TcpCounters::default(), Flows::default());
        note(&mut counters, &mut flows, 1, tcp6(flag::SYN, 1, &[30, 4, 0x01, 0], b""));
        note(&mut counters, &mut flows, 1, tcp6(flag::ACK, 2, &[1, 1, 30, 4, 0x20, 0, 1, 1], b""));
        assert_eq!((counters.with_mptcp, counters.with_mptcp_after_syn), (2, 1));
        assert_eq!(counters.mptcp.into_iter().collect::<Vec<_>>(), [("dss", 1), ("mpCapable", 1)]);
        assert_eq!(counters.option_kinds.into_iter().collect::<Vec<_>>(), [(1, 1), (30, 1)]);
        assert_eq!(counters.bad_checksum, 0);
        assert_eq!(flows.list()[0].source, "[fd01:203:405:607:809:a0b:c0d:e0f]:4000");
    }
}
