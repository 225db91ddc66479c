//! A network address translator for TCP over IPv4: the first end's hosts appear under one address and fresh ports.
//!
//! Answers ARP requests for its address on the far side, in the name of the last host it translated for. `rebind`
//! forgets all mappings, as a translator does that restarts: old flows then come from new ports, and what is sent to
//! the old ones is dropped.

use crate::packet::{ETHERNET, TcpView, be16, put16};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// First port given out.
const FIRST_PORT: u16 = 20_000;
/// Ports given out before numbering starts again.
const PORTS: u16 = 20_000;

type Endpoint = ([u8; 4], u16);

/// The translator of one link.
pub struct Nat {
    address: [u8; 4],
    next: u16,
    outside_of: HashMap<Endpoint, u16>,
    inside_of: HashMap<u16, Endpoint>,
    /// Ethernet address of the host that sent last.
    host: [u8; 6],
    /// Segments from outside that no mapping fits.
    pub unknown: u64,
}

impl Nat {
    /// A translator that shows `address` to the far end.
    pub fn new(address: Ipv4Addr) -> Nat {
        Nat {
            address: address.octets(),
            next: 0,
            outside_of: HashMap::new(),
            inside_of: HashMap::new(),
            host: [0; 6],
            unknown: 0,
        }
    }

    /// The address the far end sees.
    pub fn address(&self) -> Ipv4Addr {
        self.address.into()
    }

    /// Forgets all mappings.
    pub fn rebind(&mut self) {
        self.outside_of.clear();
        self.inside_of.clear();
    }

    /// Translates a frame on its way out.
    pub fn outbound(&mut self, frame: &mut [u8]) {
        let Some(view) = TcpView::parse(frame).filter(|v| v.ip_version == 4) else { return };
        self.host.copy_from_slice(&frame[6..12]);
        let source = (frame[ETHERNET + 12..ETHERNET + 16].try_into().expect("four bytes"), be16(frame, view.tcp));
        let port = *self.outside_of.entry(source).or_insert_with(|| {
            let port = FIRST_PORT + self.next;
            self.next = (self.next + 1) % PORTS;
            self.inside_of.insert(port, source);
            port
        });
        frame[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&self.address);
        put16(frame, view.tcp, port);
        view.set_checksums(frame);
    }

    /// Translates a frame on its way in. False when it must be dropped.
    pub fn inbound(&mut self, frame: &mut [u8]) -> bool {
        let Some(view) = TcpView::parse(frame).filter(|v| v.ip_version == 4) else { return true };
        if frame[ETHERNET + 16..ETHERNET + 20] != self.address {
            return true;
        }
        let Some((address, port)) = self.inside_of.get(&be16(frame, view.tcp + 2)) else {
            self.unknown += 1;
            return false;
        };
        frame[ETHERNET + 16..ETHERNET + 20].copy_from_slice(address);
        put16(frame, view.tcp + 2, *port);
        view.set_checksums(frame);
        true
    }

    /// The answer to an ARP request from outside for our address.
    pub fn arp(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let is_request = frame.len() >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 1];
        if !is_request || frame[38..42] != self.address || self.host == [0; 6] {
            return None;
        }
        let mut answer = frame[..42].to_vec();
        answer[0..6].copy_from_slice(&frame[6..12]);
        answer[6..12].copy_from_slice(&self.host);
        answer[21] = 2;
        answer[22..28].copy_from_slice(&self.host);
        answer[28..32].copy_from_slice(&self.address);
        answer[32..42].copy_from_slice(&frame[22..32]);
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{build::tcp4, flag};

    fn back(frame: &[u8]) -> Vec<u8> {
        let mut back = frame.to_vec();
        back[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&frame[ETHERNET + 16..ETHERNET + 20]);
        back[ETHERNET + 16..ETHERNET + 20].copy_from_slice(&frame[ETHERNET + 12..ETHERNET + 16]);
        let tcp = TcpView::parse(frame).unwrap().tcp;
        back[tcp..tcp + 2].copy_from_slice(&frame[tcp + 2..tcp + 4]);
        back[tcp + 2..tcp + 4].copy_from_slice(&frame[tcp..tcp + 2]);
        back
    }

    #[test]
    fn there_and_back_again_until_rebound() {
        let mut nat = Nat::new(Ipv4Addr::new(10, 0, 1, 77));
        let inside = tcp4(flag::ACK, 1, &[], b"x");
        let mut outside = inside.clone();
        nat.outbound(&mut outside);
        let view = TcpView::parse(&outside).unwrap();
        assert_eq!((&outside[26..30], be16(&outside, 34)), (&[10, 0, 1, 77][..], FIRST_PORT));
        assert_eq!(view.checksum_error(&outside), 0);
        let mut answer = back(&outside);
        assert!(nat.inbound(&mut answer));
        assert_eq!((&answer[30..34], be16(&answer, 36)), (&inside[26..30], 4000));
        assert_eq!(view.checksum_error(&answer), 0);
        nat.rebind();
        assert!(!nat.inbound(&mut back(&outside)));
        let mut again = inside.clone();
        nat.outbound(&mut again);
        assert_eq!((be16(&again, 34), nat.unknown), (FIRST_PORT + 1, 1));
    }

    #[test]
    fn answers_arp_for_its_address_only() {
        let mut nat = Nat::new(Ipv4Addr::new(10, 0, 1, 77));
        nat.outbound(&mut tcp4(flag::ACK, 1, &[], b"x"));
        let mut request = vec![0xff; 42];
        request[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        request[38..42].copy_from_slice(&[10, 0, 1, 77]);
        let answer = nat.arp(&request).unwrap();
        assert_eq!((&answer[28..32], answer[21]), (&[10, 0, 1, 77][..], 2));
        request[41] = 78;
        assert!(nat.arp(&request).is_none());
    }
}
