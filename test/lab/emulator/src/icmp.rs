//! What a router says about a packet that is too big for its next link.

use crate::packet::{ETHERNET, add, fold, ip_length, put16, put32, set_ipv4_checksum};

/// Bytes of the offending IPv4 packet that are quoted; RFC 1812 §4.3.2.3 allows up to 576 in all.
const QUOTE_V4: usize = 528;
/// Bytes of the offending IPv6 packet that are quoted, so that the answer stays within 1280 bytes (RFC 4443 §2.4).
const QUOTE_V6: usize = 1232;

/// "Fragmentation needed" (IPv4, only when DF is set) or "packet too big" (IPv6) in answer to `frame`, as an Ethernet
/// frame back to its sender. The source is the packet's destination: the emulated router has no address of its own.
pub fn too_big(frame: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let length = ip_length(frame)?;
    let packet = &frame[ETHERNET..ETHERNET + length];
    let mut answer = Vec::with_capacity(ETHERNET + 48 + length.min(QUOTE_V6));
    answer.extend_from_slice(&frame[6..12]);
    answer.extend_from_slice(&frame[0..6]);
    answer.extend_from_slice(&frame[12..14]);
    if packet[0] >> 4 == 4 {
        (packet[6] & 0x40 != 0).then_some(())?;
        v4(&mut answer, packet, mtu);
    } else {
        v6(&mut answer, packet, mtu);
    }
    Some(answer)
}

fn v4(answer: &mut Vec<u8>, packet: &[u8], mtu: usize) {
    let quote = &packet[..packet.len().min(QUOTE_V4)];
    let mut ip = [0u8; 28];
    ip[0] = 0x45;
    put16(&mut ip, 2, (28 + quote.len()) as u16);
    ip[8] = 64;
    ip[9] = 1;
    ip[12..16].copy_from_slice(&packet[16..20]);
    ip[16..20].copy_from_slice(&packet[12..16]);
    set_ipv4_checksum(&mut ip[..20]);
    ip[20] = 3;
    ip[21] = 4;
    put16(&mut ip, 26, mtu as u16);
    let sum = !fold(add(add(0, &ip[20..]), quote));
    put16(&mut ip, 22, sum);
    answer.extend_from_slice(&ip);
    answer.extend_from_slice(quote);
}

fn v6(answer: &mut Vec<u8>, packet: &[u8], mtu: usize) {
    let quote = &packet[..packet.len().min(QUOTE_V6)];
    let mut ip = [0u8; 48];
    let length = 8 + quote.len();
    ip[0] = 0x60;
    put16(&mut ip, 4, length as u16);
    ip[6] = 58;
    ip[7] = 64;
    ip[8..24].copy_from_slice(&packet[24..40]);
    ip[24..40].copy_from_slice(&packet[8..24]);
    ip[40] = 2;
    put32(&mut ip, 44, mtu as u32);
    let pseudo = add(length as u64 + 58, &ip[8..40]);
    let sum = !fold(add(add(pseudo, &ip[40..]), quote));
    put16(&mut ip, 42, sum);
    answer.extend_from_slice(&ip);
    answer.extend_from_slice(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{be16, be32, build};

    #[test]
    fn quotes_the_packet_and_names_the_mtu() {
        let big = vec![7; 1400];
        let v4 = too_big(&build::tcp4(16, 1, &[], &big), 1280).unwrap();
        assert_eq!((v4[34], v4[35], be16(&v4, 40)), (3, 4, 1280));
        assert_eq!(ip_length(&v4), Some(v4.len() - ETHERNET));
        assert_eq!(fold(add(0, &v4[34..])), 0xffff);
        let v6 = too_big(&build::tcp6(16, 1, &[], &big), 1300).unwrap();
        assert_eq!((v6[54], be32(&v6, 58)), (2, 1300));
        assert_eq!(ip_length(&v6), Some(v6.len() - ETHERNET));
        assert!(v6.len() <= ETHERNET + 1280);
        let pseudo = add((v6.len() - 54) as u64 + 58, &v6[22..54]);
        assert_eq!(fold(add(pseudo, &v6[54..])), 0xffff);
    }

    #[test]
    fn without_df_nobody_is_told() {
        let mut frame = build::tcp4(16, 1, &[], b"x");
        frame[ETHERNET + 6] = 0;
        assert!(too_big(&frame, 1280).is_none());
    }
}
