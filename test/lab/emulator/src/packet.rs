//! Ethernet, IP and TCP as bytes: finding the TCP header, walking its options, checksums. Knows no state.
//!
//! `TcpView::parse` is the only length check. Whoever holds a view may index the header and the payload without another
//! check, as long as the frame keeps its length.

/// Length of an Ethernet header without VLAN tag, bytes.
pub const ETHERNET: usize = 14;
/// IANA TCP option kind of MPTCP.
pub const OPTION_MPTCP: u8 = 30;

/// TCP flag bits, byte 13 of the header.
pub mod flag {
    /// Sender has finished.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// Acknowledgment field is valid.
    pub const ACK: u8 = 0x10;
}

/// Where the parts of one TCP segment stand in its frame. All offsets count from the first byte of the Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpView {
    /// 4 or 6.
    pub ip_version: u8,
    /// Offset of the TCP header.
    pub tcp: usize,
    /// Offset of the first payload byte.
    pub payload: usize,
    /// Offset behind the last payload byte; Ethernet padding may follow.
    pub end: usize,
}

/// Sixteen bits, network order.
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Thirty-two bits, network order.
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes sixteen bits, network order.
pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Writes thirty-two bits, network order.
pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Length of the IP packet in a frame, bytes; `None` when it is not whole IPv4 or IPv6.
pub fn ip_length(frame: &[u8]) -> Option<usize> {
    let length = match (frame.get(12..14)?, frame.get(ETHERNET)? >> 4) {
        ([0x08, 0x00], 4) => be16(frame.get(..ETHERNET + 20)?, ETHERNET + 2) as usize,
        ([0x86, 0xdd], 6) => be16(frame.get(..ETHERNET + 40)?, ETHERNET + 4) as usize + 40,
        _ => return None,
    };
    (frame.len() >= ETHERNET + length).then_some(length)
}

impl TcpView {
    /// Finds the TCP segment of a frame. `None` for anything else, for fragments, for IPv6 extension headers and for
    /// lengths that contradict each other: such frames are carried, but not looked into.
    pub fn parse(frame: &[u8]) -> Option<TcpView> {
        let end = ETHERNET + ip_length(frame)?;
        let ip_version = frame[ETHERNET] >> 4;
        let tcp = if ip_version == 4 {
            let header = usize::from(frame[ETHERNET] & 15) * 4;
            let fragment = be16(frame, ETHERNET + 6) & 0x3fff;
            if frame[ETHERNET + 9] != 6 || fragment != 0 || header < 20 {
                return None;
            }
            ETHERNET + header
        } else {
            if frame[ETHERNET + 6] != 6 {
                return None;
            }
            ETHERNET + 40
        };
        if tcp + 20 > end {
            return None;
        }
        let payload = tcp + usize::from(frame[tcp + 12] >> 4) * 4;
        (payload >= tcp + 20 && payload <= end).then_some(TcpView { ip_version, tcp, payload, end })
    }

    /// Flag byte.
    pub fn flags(&self, frame: &[u8]) -> u8 {
        frame[self.tcp + 13]
    }

    /// Sequence number of the first payload byte (of the SYN, on a SYN).
    pub fn sequence(&self, frame: &[u8]) -> u32 {
        be32(frame, self.tcp + 4)
    }

    /// Payload length, bytes.
    pub fn payload_len(&self) -> usize {
        self.end - self.payload
    }

    /// Source and destination address, 4 or 16 bytes each.
    pub fn addresses<'a>(&self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (at, size) = if self.ip_version == 4 { (ETHERNET + 12, 4) } else { (ETHERNET + 8, 16) };
        (&frame[at..at + size], &frame[at + size..at + 2 * size])
    }

    /// The options, one after another. Stops at the end-of-list option and at a length that lies.
    pub fn options<'a>(&self, frame: &'a [u8]) -> Options<'a> {
        Options { frame, at: self.tcp + 20, end: self.payload }
    }

    /// The first MPTCP option with its subtype; the subtype is 16 when the option is too short to hold one.
    pub fn mptcp(&self, frame: &[u8]) -> Option<(TcpOption, u8)> {
        let option = self.options(frame).find(|o| o.kind == OPTION_MPTCP)?;
        let subtype = if option.len > 2 { frame[option.at + 2] >> 4 } else { 16 };
        Some((option, subtype))
    }

    /// Internet checksum over pseudo-header and segment; 0 when the checksum field is right.
    pub fn checksum_error(&self, frame: &[u8]) -> u16 {
        let (source, destination) = self.addresses(frame);
        let mut sum = u64::from((self.end - self.tcp) as u32) + 6;
        sum = add(add(sum, source), destination);
        !fold(add(sum, &frame[self.tcp..self.end]))
    }

    /// Sets the TCP checksum, and the IPv4 header's.
    pub fn set_checksums(&self, frame: &mut [u8]) {
        if self.ip_version == 4 {
            set_ipv4_checksum(&mut frame[ETHERNET..self.tcp]);
        }
        put16(frame, self.tcp + 16, 0);
        let sum = self.checksum_error(frame);
        put16(frame, self.tcp + 16, sum);
    }
}

/// One TCP option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOption {
    /// IANA kind.
    pub kind: u8,
    /// Offset of the kind byte in the frame.
    pub at: usize,
    /// Length with kind and length byte; 1 for NOP.
    pub len: usize,
}

/// Iterator of [`TcpView::options`].
pub struct Options<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
}

impl Iterator for Options<'_> {
    type Item = TcpOption;

    fn next(&mut self) -> Option<TcpOption> {
        if self.at >= self.end {
            return None;
        }
        let (at, kind) = (self.at, self.frame[self.at]);
        let len = match kind {
            0 => return None,
            1 => 1,
            _ if at + 1 < self.end => usize::from(self.frame[at + 1]).max(2),
            _ => return None,
        };
        self.at += len;
        (self.at <= self.end).then_some(TcpOption { kind, at, len })
    }
}

/// Writes the checksum of an IPv4 header.
pub fn set_ipv4_checksum(header: &mut [u8]) {
    put16(header, 10, 0);
    let sum = !fold(add(0, header));
    put16(header, 10, sum);
}

/// Adds 16-bit big-endian words to a running sum; an odd last byte is padded with zero.
pub fn add(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        sum += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        sum += u64::from(*last) << 8;
    }
    sum
}

/// Folds a sum of words to sixteen bits, one's complement.
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
pub mod build {
    //! Frames for tests.
    use super::*;

    /// A TCP segment over IPv4 with right checksums. `options` must be a multiple of four bytes.
    pub fn tcp4(flags: u8, sequence: u32, options: &[u8], payload: &[u8]) -> Vec<u8> {
        assert_eq!(options.len() % 4, 0);
        let mut frame = vec![0xa5; ETHERNET + 40];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame.extend_from_slice(options);
        frame.extend_from_slice(payload);
        let length = frame.len() - ETHERNET;
        let ip = &mut frame[ETHERNET..];
        ip[0] = 0x45;
        put16(ip, 2, length as u16);
        put16(ip, 6, 0x4000);
        ip[9] = 6;
        ip[12..20].copy_from_slice(&[10, 0, 1, 1, 10, 0, 1, 2]);
        put16(ip, 20, 4000);
        put16(ip, 22, 80);
        put32(ip, 24, sequence);
        ip[32] = (((20 + options.len()) / 4) << 4) as u8;
        ip[33] = flags;
        TcpView::parse(&frame).expect("well formed").set_checksums(&mut frame);
        frame
    }

    /// The same over IPv6.
    pub fn tcp6(flags: u8, sequence: u32, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let v4 = tcp4(flags, sequence, options, payload);
        let mut frame = v4[..12].to_vec();
        frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 6, 64]);
        put16(&mut frame, ETHERNET + 4, (v4.len() - ETHERNET - 20) as u16);
        frame.extend((0..32).map(|i| if i == 0 || i == 16 { 0xfd } else { i }));
        frame.extend_from_slice(&v4[ETHERNET + 20..]);
        TcpView::parse(&frame).expect("well formed").set_checksums(&mut frame);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::build::{tcp4, tcp6};
    use super::*;

    const DSS: [u8; 12] = [30, 12, 0x20, 5, 1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn finds_header_options_and_payload_in_both_families() {
        for (frame, tcp) in [(tcp4(flag::ACK, 9, &DSS, b"hello"), 34), (tcp6(flag::ACK, 9, &DSS, b"hello"), 54)] {
            let view = TcpView::parse(&frame).unwrap();
            assert_eq!((view.tcp, view.payload, view.payload_len()), (tcp, tcp + 32, 5));
            assert_eq!(view.mptcp(&frame), Some((TcpOption { kind: 30, at: tcp + 20, len: 12 }, 2)));
            assert_eq!(view.checksum_error(&frame), 0);
            assert_eq!(view.sequence(&frame), 9);
        }
    }

    #[test]
    fn a_flipped_bit_shows_in_the_checksum() {
        let mut frame = tcp4(flag::ACK, 1, &[], b"odd");
        let view = TcpView::parse(&frame).unwrap();
        *frame.last_mut().unwrap() ^= 1;
        assert_ne!(view.checksum_error(&frame), 0);
    }

    #[test]
    fn every_truncation_is_refused_not_read_beyond() {
        for whole in [tcp4(flag::ACK, 1, &DSS, b"hello"), tcp6(flag::ACK, 1, &DSS, b"hello")] {
            assert!((0..whole.len()).all(|n| TcpView::parse(&whole[..n]).is_none()));
        }
    }

    #[test]
    fn lying_option_lengths_end_the_walk() {
        for options in [[30, 0, 0, 0], [30, 200, 0, 0], [1, 1, 1, 30]] {
            let frame = tcp4(flag::ACK, 1, &options, b"");
            let view = TcpView::parse(&frame).unwrap();
            assert!(view.options(&frame).count() <= 3);
        }
    }
}
