use super::*;

fn datagram(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.begin(MSG_PACKET, 0, 2, 5);
    for (kind, payload) in attributes {
        builder.attribute(*kind, payload);
    }
    builder.end();
    builder.octets().to_vec()
}

const PACKET_HDR_IN: &[u8] = &[0, 0, 1, 2, 8, 0, 1];
const PACKET_HDR_OUT: &[u8] = &[0, 0, 1, 3, 8, 0, 3];
const IN_7: (u16, &[u8]) = (ATTR_IFINDEX_INDEV, &[0, 0, 0, 7]);
const OUT_9: (u16, &[u8]) = (ATTR_IFINDEX_OUTDEV, &[0, 0, 0, 9]);

#[test]
fn a_packet_is_found_where_it_lies() {
    let octets = datagram(&[
        (ATTR_PACKET_HDR, PACKET_HDR_IN),
        IN_7,
        OUT_9,
        (ATTR_MARK, &[0, 0, 0, 0x2a]),
        (ATTR_SKB_INFO, &[0, 0, 0, 6]),
        (ATTR_PAYLOAD, &[0x45, 1, 2, 3, 4]),
    ]);
    let Parsed::Packet(packet) = parse(&octets) else { panic!("no packet") };
    let start = packet.offset as usize;
    assert_eq!(&octets[start..start + packet.length as usize], &[0x45, 1, 2, 3, 4]);
    let expected = Received { id: 0x102, hook: 1, interface: 7, mark: 0x2a, flags: 6, ..packet };
    assert_eq!(packet, expected);
}

#[test]
fn output_names_the_interface_it_leaves_by() {
    let octets = datagram(&[
        (ATTR_PACKET_HDR, PACKET_HDR_OUT),
        IN_7,
        OUT_9,
        (ATTR_CAP_LEN, &[0, 2, 0, 0]),
        (ATTR_PAYLOAD, &[0x45]),
    ]);
    let Parsed::Packet(packet) = parse(&octets) else { panic!("no packet") };
    assert_eq!((packet.interface, packet.hook, packet.flags), (9, 3, packet_flag::TRUNCATED));
}

#[test]
fn a_packet_of_a_local_socket_names_its_user() {
    let user = |uid: &[u8]| {
        let octets = datagram(&[(ATTR_PACKET_HDR, PACKET_HDR_OUT), (ATTR_UID, uid), (ATTR_PAYLOAD, &[0x45])]);
        let Parsed::Packet(packet) = parse(&octets) else { panic!("no packet") };
        (packet.uid, packet.flags)
    };
    assert_eq!(user(&[0, 0, 3, 0xe8]), (1000, packet_flag::UID));
    assert_eq!(user(&[0, 0, 0, 0]), (0, packet_flag::UID));
    assert_eq!(user(&[0, 0]), (0, 0));
}

#[test]
fn odd_datagrams_are_named() {
    assert_eq!(parse(&datagram(&[(ATTR_PACKET_HDR, PACKET_HDR_IN)])), Parsed::Malformed(0x102));
    assert_eq!(parse(&datagram(&[(ATTR_PAYLOAD, &[1])])), Parsed::Other);
    assert_eq!(parse(&[]), Parsed::Other);
    let mut cut = datagram(&[(ATTR_PACKET_HDR, PACKET_HDR_IN), (ATTR_PAYLOAD, &[1, 2, 3, 4, 5, 6, 7, 8])]);
    cut.truncate(cut.len() - 4);
    assert_eq!(parse(&cut), Parsed::Malformed(0x102));
    let mut error = vec![0; 36];
    error[0] = 36;
    error[4] = 2;
    error[16..20].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
    assert_eq!(parse(&error), Parsed::Error(libc::ENOENT));
    assert_eq!(parse(&error[..16]), Parsed::Other);
}

fn verdict(id: u32, decision: Decision) -> Verdict {
    Verdict { id, decision }
}

/// (message kind, id, verdict number) of each message.
fn summary(messages: &[Message]) -> Vec<(u16, u32, u32)> {
    let number = |head: &[u8]| u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    messages
        .iter()
        .map(|m| (u16::from_ne_bytes([m.head[4], m.head[5]]), number(&m.head[28..]), number(&m.head[24..])))
        .collect()
}

#[test]
fn runs_become_batch_verdicts_in_order() {
    let verdicts = [
        verdict(1, Decision::Accept),
        verdict(2, Decision::Accept),
        verdict(3, Decision::Rewritten { offset: 64, length: 41, marked: false }),
        verdict(4, Decision::Drop),
        verdict(5, Decision::Accept),
        verdict(6, Decision::Queue(3)),
        verdict(7, Decision::Queue(3)),
        verdict(8, Decision::Queue(4)),
    ];
    let mut messages = Vec::new();
    encode(5, 0x53, &verdicts, &mut messages);
    let expected = [
        (MSG_VERDICT_BATCH, 2, NF_ACCEPT),
        (MSG_VERDICT, 3, NF_ACCEPT),
        (MSG_VERDICT, 4, NF_DROP),
        (MSG_VERDICT, 5, NF_ACCEPT),
        (MSG_VERDICT_BATCH, 7, 0x0003_0003),
        (MSG_VERDICT, 8, 0x0004_0003),
    ];
    assert_eq!(summary(&messages), expected);
}

#[test]
fn a_rewritten_packet_is_never_merged_and_states_its_lengths() {
    let same = Decision::Rewritten { offset: 64, length: 41, marked: false };
    let mut messages = Vec::new();
    encode(5, 0x53, &[verdict(1, same), verdict(2, same)], &mut messages);
    assert_eq!(messages.len(), 2);
    let head = &messages[0].head;
    assert_eq!(u32::from_ne_bytes([head[0], head[1], head[2], head[3]]), 36 + 44);
    assert_eq!(u16::from_ne_bytes([head[32], head[33]]), 45);
    assert_eq!(u16::from_ne_bytes([head[34], head[35]]), ATTR_PAYLOAD);
    assert_eq!(head[18..20], [0, 5]);
}

#[test]
fn the_longest_packet_still_fits_its_attribute() {
    let message = with_payload(0, 1, 0, PAYLOAD_MAX, None);
    assert_eq!(message.head[32..34], 65535u16.to_ne_bytes());
}

#[test]
fn a_packet_that_leaves_by_us_is_marked() {
    let marked = Decision::Rewritten { offset: 64, length: 41, marked: true };
    let mut messages = Vec::new();
    encode(5, 0x5348, &[verdict(1, marked)], &mut messages);
    let head = &messages[0].head[..messages[0].head_length];
    assert_eq!(u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize, head.len() + 44);
    let attributes: Vec<_> = netlink::attributes(&head[HEADER..40]).map(|(kind, _, octets)| (kind, octets)).collect();
    assert_eq!(attributes[1], (ATTR_MARK, &[0, 0, 0x53, 0x48][..]));
    assert_eq!(head[40..44], [45, 0, ATTR_PAYLOAD as u8, 0]);
}
