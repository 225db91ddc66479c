//! Puts segments together that follow each other at once, as receive offload in a router does, and proxies that cut a
//! stream anew: the header of the first stays, with its options; those of the others are gone.

use crate::middlebox::set_length;
use crate::packet::{TcpView, be32, flag, put32};
use std::collections::VecDeque;

/// How long a segment waits for its successor, ns.
const WAIT_NS: u64 = 1_000_000;

/// Segments that wait, the oldest first; one per flow.
#[derive(Default)]
pub struct Coalescer {
    held: VecDeque<(u64, Vec<u8>)>,
}

impl Coalescer {
    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the oldest segment has waited long enough.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.held.front().map(|(due_ns, _)| *due_ns)
    }

    /// The next segment that has waited long enough.
    pub fn expired(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.next_due_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.held.pop_front().map(|(_, frame)| frame)
    }

    /// Takes a frame and appends to `ready` what leaves now. True when the frame was put behind another one: up to
    /// `max` payload bytes in all.
    pub fn pass(&mut self, now_ns: u64, max: usize, frame: Vec<u8>, ready: &mut Vec<Vec<u8>>) -> bool {
        let Some(view) = TcpView::parse(&frame) else {
            ready.push(frame);
            return false;
        };
        if let Some(index) = self.held.iter().position(|(_, first)| same_flow(first, &frame, &view)) {
            let (due_ns, mut first) = self.held.remove(index).expect("just found");
            if append(&mut first, &frame, &view, max) {
                self.held.insert(index, (due_ns, first));
                return true;
            }
            ready.push(first);
        }
        let opens = view.payload_len() > 0 && view.flags(&frame) & (flag::SYN | flag::RST | flag::FIN) == 0;
        if opens && view.payload_len() < max {
            self.held.push_back((now_ns + WAIT_NS, frame));
        } else {
            ready.push(frame);
        }
        false
    }
}

fn same_flow(first: &[u8], frame: &[u8], view: &TcpView) -> bool {
    let other = TcpView::parse(first).expect("only segments are held");
    other.addresses(first) == view.addresses(frame) && first[other.tcp..other.tcp + 4] == frame[view.tcp..view.tcp + 4]
}

/// Puts the payload of `frame` behind that of `first`, if it belongs there and there is room.
fn append(first: &mut Vec<u8>, frame: &[u8], view: &TcpView, max: usize) -> bool {
    let own = TcpView::parse(first).expect("only segments are held");
    let flags = view.flags(frame);
    let next = own.sequence(first).wrapping_add(own.payload_len() as u32);
    let length = own.payload_len() + view.payload_len();
    if view.payload_len() == 0 || flags & (flag::SYN | flag::RST) != 0 || view.sequence(frame) != next || length > max {
        return false;
    }
    first.truncate(own.end);
    first.extend_from_slice(&frame[view.payload..view.end]);
    // Acknowledgement, window, PSH and FIN are those of the last.
    put32(first, own.tcp + 8, be32(frame, view.tcp + 8));
    first[own.tcp + 13] |= flags;
    let window = [frame[view.tcp + 14], frame[view.tcp + 15]];
    first[own.tcp + 14..own.tcp + 16].copy_from_slice(&window);
    set_length(first, own.ip_version);
    TcpView::parse(first).expect("lengths were just set").set_checksums(first);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build::{tcp4, tcp6};

    const DSS: [u8; 8] = [30, 8, 0x20, 1, 0, 0, 0, 1];

    fn pass(coalescer: &mut Coalescer, frame: Vec<u8>) -> (bool, Vec<Vec<u8>>) {
        let mut ready = Vec::new();
        (coalescer.pass(0, 1000, frame, &mut ready), ready)
    }

    #[test]
    fn what_follows_at_once_is_put_behind_the_first_and_loses_its_options() {
        for build in [tcp4, tcp6] {
            let mut coalescer = Coalescer::default();
            assert_eq!(pass(&mut coalescer, build(flag::ACK, u32::MAX - 2, &DSS, b"first")), (false, vec![]));
            let fin = flag::ACK | flag::PSH | flag::FIN;
            assert_eq!(pass(&mut coalescer, build(fin, 2, &[], b"second")), (true, vec![]));
            assert_eq!((coalescer.expired(WAIT_NS - 1), coalescer.next_due_ns()), (None, Some(WAIT_NS)));
            let whole = coalescer.expired(WAIT_NS).unwrap();
            let view = TcpView::parse(&whole).unwrap();
            assert_eq!(&whole[view.payload..view.end], b"firstsecond");
            assert_eq!((view.sequence(&whole), view.flags(&whole)), (u32::MAX - 2, fin));
            assert_eq!((view.checksum_error(&whole), view.mptcp(&whole).is_some()), (0, true));
            assert!(coalescer.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_comes_out_behind_what_waited() {
        let first = tcp4(flag::ACK, 1, &DSS, &[1; 600]);
        let others = [
            tcp4(flag::ACK, 601, &DSS, &[2; 401]), // too much
            tcp4(flag::ACK, 700, &DSS, &[2; 100]), // a hole
            tcp4(flag::ACK, 601, &DSS, b""),       // says something else
            tcp4(flag::ACK | flag::RST, 601, &[], b""),
        ];
        for other in others {
            let mut coalescer = Coalescer::default();
            pass(&mut coalescer, first.clone());
            let (coalesced, mut all) = pass(&mut coalescer, other.clone());
            all.extend(coalescer.expired(WAIT_NS));
            assert_eq!((coalesced, all), (false, vec![first.clone(), other]));
        }
    }

    #[test]
    fn flows_do_not_mix_and_nothing_else_waits() {
        let mut coalescer = Coalescer::default();
        pass(&mut coalescer, tcp4(flag::ACK, 1, &DSS, b"one"));
        assert!(!pass(&mut coalescer, tcp6(flag::ACK, 4, &DSS, b"other")).0);
        let alone = [tcp4(flag::SYN, 9, &[], b""), tcp4(flag::ACK, 9, &[], &[0; 1000]), vec![0; 60]];
        for frame in alone {
            assert_eq!(pass(&mut Coalescer::default(), frame.clone()), (false, vec![frame]));
        }
    }
}
