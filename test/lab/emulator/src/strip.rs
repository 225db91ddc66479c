//! The commonest middlebox: one that does not know TCP option 30 and takes it out. Others take more out of SYNs.

use crate::packet::{ETHERNET, OPTION_MPTCP, TcpView, be16, flag, put16};
use crate::params::{Params, StripKind, StripMode};

/// Takes the MPTCP options out of a segment when the parameters name its kind. True when something was taken.
pub fn strip(params: &Params, frame: &mut Vec<u8>, view: &TcpView) -> bool {
    if params.strip.is_empty() {
        return false;
    }
    let Some((_, subtype)) = view.mptcp(frame) else { return false };
    let kind = kind_of(frame, view, subtype);
    if !params.strip.contains(&StripKind::All) && !params.strip.contains(&kind) {
        return false;
    }
    take_out(params, frame, view, &[OPTION_MPTCP]);
    true
}

/// Takes the options that the parameters name out of a SYN. True when something was taken.
pub fn strip_syn(params: &Params, frame: &mut Vec<u8>, view: &TcpView) -> bool {
    let kinds = &params.strip_syn_kinds;
    let concerned = view.flags(frame) & flag::SYN != 0 && view.options(frame).any(|o| kinds.contains(&o.kind));
    if concerned {
        take_out(params, frame, view, kinds);
    }
    concerned
}

fn take_out(params: &Params, frame: &mut Vec<u8>, view: &TcpView, kinds: &[u8]) {
    blank(frame, view, kinds);
    match params.strip_mode {
        StripMode::Nop => view.set_checksums(frame),
        StripMode::Remove => remove_nops(frame, view),
    }
}

/// Which kind of segment this is.
fn kind_of(frame: &[u8], view: &TcpView, subtype: u8) -> StripKind {
    let flags = view.flags(frame);
    match (flags & flag::SYN != 0, flags & flag::ACK != 0, view.payload_len() > 0) {
        (true, false, _) => StripKind::Syn,
        (true, true, _) => StripKind::SynAck,
        (false, _, true) => StripKind::Data,
        // MP_CAPABLE or MP_JOIN outside a SYN and without payload: only the third ACK carries it.
        (false, _, false) if subtype <= 1 => StripKind::ThirdAck,
        (false, _, false) => StripKind::Ack,
    }
}

/// Overwrites every option of these kinds with NOPs. The checksum is the caller's business.
pub fn blank(frame: &mut [u8], view: &TcpView, kinds: &[u8]) {
    let spans: Vec<_> = view.options(frame).filter(|o| kinds.contains(&o.kind)).map(|o| (o.at, o.len)).collect();
    for (at, len) in spans {
        frame[at..at + len].fill(1);
    }
}

/// Shrinks the header to its options other than NOP, padded with NOPs to whole words.
fn remove_nops(frame: &mut Vec<u8>, view: &TcpView) {
    let mut kept: Vec<u8> = Vec::with_capacity(40);
    for option in view.options(frame).filter(|o| o.kind > 1) {
        kept.extend_from_slice(&frame[option.at..option.at + option.len]);
    }
    kept.resize(kept.len().next_multiple_of(4), 1);
    let removed = view.payload - view.tcp - 20 - kept.len();
    frame.splice(view.tcp + 20..view.payload, kept);
    let length_at = ETHERNET + if view.ip_version == 4 { 2 } else { 4 };
    let length = be16(frame, length_at) - removed as u16;
    put16(frame, length_at, length);
    frame[view.tcp + 12] = (frame[view.tcp + 12] & 0x0f) | (((view.payload - view.tcp - removed) / 4) as u8) << 4;
    TcpView::parse(frame).expect("shrinking keeps the lengths consistent").set_checksums(frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build::{tcp4, tcp6};

    const CAPABLE: [u8; 12] = [30, 12, 0x01, 0x01, 1, 2, 3, 4, 5, 6, 7, 8];

    fn params(strip: &[StripKind], strip_mode: StripMode) -> Params {
        Params { strip: strip.to_vec(), strip_mode, ..Params::default() }
    }

    #[test]
    fn both_modes_leave_a_valid_segment_without_the_option() {
        let options = [&[2u8, 4, 5, 0xb4][..], &CAPABLE, &[4, 2, 1, 1]].concat();
        for (mode, shrunk) in [(StripMode::Nop, 0), (StripMode::Remove, 12)] {
            for whole in [tcp4(flag::SYN, 1, &options, b"tfo"), tcp6(flag::SYN, 1, &options, b"tfo")] {
                let mut frame = whole.clone();
                let view = TcpView::parse(&frame).unwrap();
                assert!(strip(&params(&[StripKind::Syn], mode), &mut frame, &view));
                let view = TcpView::parse(&frame).unwrap();
                assert_eq!(frame.len(), whole.len() - shrunk);
                assert_eq!((view.mptcp(&frame), view.checksum_error(&frame)), (None, 0));
                assert!(frame.ends_with(b"tfo"));
                let kinds: Vec<u8> = view.options(&frame).map(|o| o.kind).filter(|k| *k != 1).collect();
                assert_eq!(kinds, [2, 4]);
            }
        }
    }

    #[test]
    fn a_syn_loses_the_kinds_that_are_named_and_no_other_segment_does() {
        let options = [2u8, 4, 5, 0xb4, 3, 3, 7, 1, 4, 2, 1, 1];
        let params = Params { strip_syn_kinds: vec![3, 4], ..params(&[], StripMode::Remove) };
        let mut syn = tcp4(flag::SYN, 1, &options, b"");
        let view = TcpView::parse(&syn).unwrap();
        assert!(strip_syn(&params, &mut syn, &view));
        let view = TcpView::parse(&syn).unwrap();
        assert_eq!((view.options(&syn).map(|o| o.kind).collect::<Vec<_>>(), view.checksum_error(&syn)), (vec![2], 0));
        assert!(!strip_syn(&params, &mut syn, &view));
        assert!(!strip_syn(&params, &mut tcp4(flag::ACK, 1, &options, b""), &view));
    }

    #[test]
    fn each_kind_is_told_apart() {
        let dss = [30, 8, 0x20, 1, 0, 0, 0, 1];
        let cases = [
            (tcp4(flag::SYN, 1, &CAPABLE, b""), StripKind::Syn),
            (tcp4(flag::SYN | flag::ACK, 1, &CAPABLE, b""), StripKind::SynAck),
            (tcp4(flag::ACK, 1, &CAPABLE, b""), StripKind::ThirdAck),
            (tcp4(flag::ACK, 1, &CAPABLE, b"x"), StripKind::Data),
            (tcp4(flag::ACK, 1, &dss, b"x"), StripKind::Data),
            (tcp4(flag::ACK, 1, &dss, b""), StripKind::Ack),
        ];
        for (whole, kind) in &cases {
            for asked in [StripKind::Syn, StripKind::SynAck, StripKind::ThirdAck, StripKind::Data, StripKind::Ack] {
                let mut frame = whole.clone();
                let view = TcpView::parse(&frame).unwrap();
                assert_eq!(strip(&params(&[asked], StripMode::Nop), &mut frame, &view), asked == *kind);
            }
            let mut frame = whole.clone();
            let view = TcpView::parse(&frame).unwrap();
            assert!(strip(&params(&[StripKind::All], StripMode::Remove), &mut frame, &view));
        }
    }
}
