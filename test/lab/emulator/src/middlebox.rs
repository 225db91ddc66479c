//! Middleboxes that rewrite segments one by one: cut them, change their payload, give them other sequence numbers,
//! lower the MSS.

use crate::packet::{ETHERNET, OPTION_MPTCP, TcpView, be16, be32, flag, put16, put32};
use crate::rng::Rng;
use crate::strip::blank;

/// IANA TCP option kind of the maximum segment size.
const OPTION_MSS: u8 = 2;
/// IANA TCP option kind of selective acknowledgements.
const OPTION_SACK: u8 = 5;

/// Lowers the MSS that a SYN announces, as routers do before a tunnel.
pub fn clamp_mss(frame: &mut [u8], view: &TcpView, max: u16) {
    if max == 0 || view.flags(frame) & flag::SYN == 0 {
        return;
    }
    let Some(mss) = view.options(frame).find(|o| o.kind == OPTION_MSS && o.len == 4) else { return };
    if be16(frame, mss.at + 2) > max {
        put16(frame, mss.at + 2, max);
        view.set_checksums(frame);
    }
}

/// Cuts a segment with more than `max` payload bytes. Every piece gets all options, as offloading hardware does it; if
/// `bare`, those behind the first have no MPTCP option. Returns the pieces behind the first, which stays in `frame`.
pub fn split(frame: &mut Vec<u8>, view: &TcpView, max: usize, bare: bool) -> Vec<Vec<u8>> {
    let flags = view.flags(frame);
    if max == 0 || view.payload_len() <= max || flags & flag::SYN != 0 {
        return Vec::new();
    }
    let whole = frame[..view.end].to_vec();
    let mut pieces = whole[view.payload..].chunks(max).enumerate().map(|(index, payload)| {
        let mut piece = [&whole[..view.payload], payload].concat();
        let is_last = (index + 1) * max >= view.payload_len();
        put32(&mut piece, view.tcp + 4, view.sequence(&whole).wrapping_add((index * max) as u32));
        if !is_last {
            piece[view.tcp + 13] &= !(flag::FIN | flag::PSH);
        }
        if bare && index > 0 {
            blank(&mut piece, view, &[OPTION_MPTCP]);
        }
        set_length(&mut piece, view.ip_version);
        TcpView::parse(&piece).expect("lengths were just set").set_checksums(&mut piece);
        piece
    });
    *frame = pieces.next().expect("more payload than one piece");
    pieces.collect()
}

/// Changes the byte in the middle of the payload and mends TCP's checksum, as an application gateway does.
pub fn alter(frame: &mut [u8], view: &TcpView) {
    frame[view.payload + view.payload_len() / 2] ^= 0x20;
    view.set_checksums(frame);
}

/// Writes the IP header's length for a frame that has changed its own.
pub fn set_length(frame: &mut [u8], ip_version: u8) {
    let length = frame.len() - ETHERNET;
    if ip_version == 4 {
        put16(frame, ETHERNET + 2, length as u16);
    } else {
        put16(frame, ETHERNET + 4, (length - 40) as u16);
    }
}

/// Adds a constant per flow and direction to the sequence numbers, as firewalls do that distrust their hosts' choice,
/// and takes the other direction's off acknowledgements and SACK blocks. The constants follow from `seed`, so the two
/// directions need no common state; to be switched on in both, and before a connection begins.
pub fn randomise(frame: &mut [u8], view: &TcpView, seed: u64) {
    let (source, destination) = view.addresses(frame);
    let (from, to) = (be16(frame, view.tcp), be16(frame, view.tcp + 2));
    let own = offset(seed, source, from, destination, to);
    let other = offset(seed, destination, to, source, from);
    let flags = view.flags(frame);
    put32(frame, view.tcp + 4, view.sequence(frame).wrapping_add(own));
    if flags & flag::ACK != 0 {
        let at = view.tcp + 8;
        put32(frame, at, be32(frame, at).wrapping_sub(other));
        let blocks: Vec<_> = view.options(frame).filter(|o| o.kind == OPTION_SACK).collect();
        for block in blocks {
            for at in (block.at + 2..block.at + block.len.saturating_sub(3)).step_by(4) {
                put32(frame, at, be32(frame, at).wrapping_sub(other));
            }
        }
    }
    view.set_checksums(frame);
}

fn offset(seed: u64, source: &[u8], from: u16, destination: &[u8], to: u16) -> u32 {
    let mut state = seed ^ u64::from(from) << 16 ^ u64::from(to);
    for byte in source.iter().chain(destination) {
        state = Rng::new(state ^ u64::from(*byte)).next_u64();
    }
    state as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::build::{tcp4, tcp6};

    #[test]
    fn pieces_are_valid_contiguous_and_hold_every_byte() {
        let payload: Vec<u8> = (0..1000).map(|i| i as u8).collect();
        let dss = [30, 8, 0x20, 1, 0, 0, 0, 1];
        for whole in [tcp4(0x19, 500, &dss, &payload), tcp6(0x19, 500, &dss, &payload)] {
            let mut first = whole.clone();
            let view = TcpView::parse(&first).unwrap();
            let rest = split(&mut first, &view, 400, false);
            let pieces: Vec<_> = std::iter::once(first).chain(rest).collect();
            let mut joined = Vec::new();
            for (index, piece) in pieces.iter().enumerate() {
                let view = TcpView::parse(piece).unwrap();
                assert_eq!(view.checksum_error(piece), 0);
                assert_eq!(view.sequence(piece), 500 + joined.len() as u32);
                assert_eq!(view.flags(piece), if index == 2 { 0x19 } else { 0x10 });
                assert!(view.mptcp(piece).is_some());
                joined.extend_from_slice(&piece[view.payload..view.end]);
            }
            assert_eq!((pieces.len(), joined), (3, payload.clone()));
        }
    }

    #[test]
    fn small_segments_and_syns_stay_whole() {
        for whole in [tcp4(flag::ACK, 1, &[], &[0; 400]), tcp4(flag::SYN, 1, &[], &[0; 900])] {
            let mut frame = whole.clone();
            let view = TcpView::parse(&frame).unwrap();
            assert!(split(&mut frame, &view, 400, false).is_empty());
            assert_eq!(frame, whole);
        }
    }

    #[test]
    fn an_altered_segment_differs_in_one_byte_and_has_right_checksums() {
        for original in [tcp4(flag::ACK, 1, &[], b"x"), tcp6(flag::ACK, 1, &[], b"some payload")] {
            let mut frame = original.clone();
            let view = TcpView::parse(&frame).unwrap();
            alter(&mut frame, &view);
            assert_eq!(view.checksum_error(&frame), 0);
            let payloads = original[view.payload..].iter().zip(&frame[view.payload..]);
            assert_eq!(payloads.filter(|(a, b)| a != b).count(), 1);
        }
    }

    #[test]
    fn bare_pieces_have_no_mptcp_option_and_a_right_checksum() {
        let mut first = tcp4(flag::ACK, 500, &[30, 8, 0x20, 1, 0, 0, 0, 1], &[0; 1000]);
        let view = TcpView::parse(&first).unwrap();
        let rest = split(&mut first, &view, 400, true);
        assert!(view.mptcp(&first).is_some());
        for piece in &rest {
            let view = TcpView::parse(piece).unwrap();
            assert_eq!((view.mptcp(piece), view.checksum_error(piece)), (None, 0));
        }
        assert_eq!(rest.len(), 2);
    }

    #[test]
    fn the_mss_of_a_syn_is_lowered_never_raised() {
        for (asked, shown) in [(1300, 1300), (1460, 1460), (9000, 1460), (0, 1460)] {
            let mut syn = tcp6(flag::SYN | flag::ACK, 1, &[2, 4, 0x05, 0xb4], b"");
            let view = TcpView::parse(&syn).unwrap();
            clamp_mss(&mut syn, &view, asked);
            assert_eq!((be16(&syn, view.tcp + 22), view.checksum_error(&syn)), (shown, 0));
        }
    }

    /// The answer to a segment: addresses, ports, sequence and acknowledgement swapped.
    fn answer(frame: &[u8]) -> Vec<u8> {
        let mut back = frame.to_vec();
        back[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&frame[ETHERNET + 16..ETHERNET + 20]);
        back[ETHERNET + 16..ETHERNET + 20].copy_from_slice(&frame[ETHERNET + 12..ETHERNET + 16]);
        let view = TcpView::parse(frame).unwrap();
        back[view.tcp..view.tcp + 2].copy_from_slice(&frame[view.tcp + 2..view.tcp + 4]);
        back[view.tcp + 2..view.tcp + 4].copy_from_slice(&frame[view.tcp..view.tcp + 2]);
        put32(&mut back, view.tcp + 8, view.sequence(frame));
        view.set_checksums(&mut back);
        back
    }

    #[test]
    fn an_acknowledgement_of_randomised_bytes_names_the_original_ones() {
        let original = tcp4(flag::ACK, 1_000, &[], b"data");
        let mut outside = original.clone();
        let view = TcpView::parse(&outside).unwrap();
        randomise(&mut outside, &view, 7);
        assert_eq!(view.checksum_error(&outside), 0);
        assert_ne!(view.sequence(&outside), 1_000);
        let mut back = answer(&outside);
        randomise(&mut back, &view, 7);
        assert_eq!(be32(&back, view.tcp + 8), 1_000);
        assert_eq!(view.checksum_error(&back), 0);
    }
}
