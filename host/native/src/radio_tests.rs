//! Stations and interfaces as the kernel's nl80211_send_station() and nl80211_send_iface() lay them
//! out (net/wireless/nl80211.c, numbers of include/uapi/linux/nl80211.h): octet by octet, made by hand.

use crate::radio::{Body, RadioLink, client_of, link_of, take};

/// Family id in the fixtures; the real one is given out when the module is loaded.
const FAMILY: u16 = 0x1c;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_MULTI: u16 = 2;

/// nlattr: length, type, payload, padding to four octets.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = ((payload.len() + 4) as u16).to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(payload);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// nlmsghdr, and behind it whatever belongs there.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut octets = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    octets.extend(kind.to_ne_bytes());
    octets.extend(flags.to_ne_bytes());
    octets.extend([0; 8]);
    octets.extend(body);
    octets
}

/// genlmsghdr and attributes.
fn generic(command: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![command, 1, 0, 0];
    body.extend(attributes.concat());
    message(FAMILY, NLM_F_MULTI, &body)
}

fn interface(index: u32, name: &[u8], kind: u32) -> Vec<u8> {
    generic(
        7,
        &[
            attribute(3, &index.to_ne_bytes()),
            attribute(4, name),
            attribute(1, &0u32.to_ne_bytes()),      // WIPHY
            attribute(5, &kind.to_ne_bytes()),      // IFTYPE
            attribute(0x99, &1u64.to_ne_bytes()),   // WDEV
            attribute(6, &[2, 0, 0, 0, 1, 0]),      // MAC
            attribute(46, &5u32.to_ne_bytes()),     // GENERATION
            attribute(0x8000 | 0x7f00, &[1, 2, 3]), // of a newer kernel
        ],
    )
}

fn station(info: &[Vec<u8>]) -> Vec<u8> {
    generic(
        19,
        &[
            attribute(3, &3u32.to_ne_bytes()),
            attribute(6, &[2, 0, 0, 0, 0, 0]),
            attribute(46, &7u32.to_ne_bytes()),
            attribute(0x8000 | 21, &info.concat()),
        ],
    )
}

/// What mac80211 tells of its access point.
fn usual() -> Vec<Vec<u8>> {
    let rate = [attribute(1, &1300u16.to_ne_bytes()), attribute(5, &1300u32.to_ne_bytes()), attribute(6, &[7])];
    vec![
        attribute(16, &120u32.to_ne_bytes()), // CONNECTED_TIME
        attribute(1, &24u32.to_ne_bytes()),   // INACTIVE_TIME
        attribute(23, &123_456u64.to_ne_bytes()),
        attribute(7, &[(-58i8) as u8]),  // SIGNAL
        attribute(13, &[(-61i8) as u8]), // SIGNAL_AVG
        attribute(0x8000 | 25, &[attribute(0, &[(-60i8) as u8]), attribute(1, &[(-66i8) as u8])].concat()),
        attribute(0x8000 | 8, &rate.concat()),
        attribute(18, &2u32.to_ne_bytes()), // BEACON_LOSS
        attribute(29, &1200u64.to_ne_bytes()),
        attribute(30, &[(-59i8) as u8]), // BEACON_SIGNAL_AVG
        attribute(17, &[0xee, 0, 0, 0, 0xaa, 0, 0, 0]),
        attribute(0x8000 | 31, &[9, 0]), // a nested one that is cut short
    ]
}

fn bodies(datagram: &[u8]) -> Vec<Body> {
    let mut answers = Vec::new();
    assert!(!take(datagram, &mut answers).unwrap());
    answers
}

fn link(info: &[Vec<u8>]) -> Option<RadioLink> {
    link_of(&bodies(&station(info))[0])
}

fn signal(info: &[Vec<u8>]) -> Option<i8> {
    link(info).unwrap().signal_dbm
}

#[test]
fn a_station_reads_as_the_kernel_wrote_it() {
    let expected = RadioLink { signal_dbm: Some(-61), bitrate_kbps: Some(130_000), beacons_lost: Some(2) };
    assert_eq!(link(&usual()), Some(expected));
}

#[test]
fn the_level_is_the_best_average_that_there_is() {
    let without = |kinds: &[u16]| -> Vec<Vec<u8>> {
        let kind = |octets: &[u8]| u16::from_ne_bytes([octets[2], octets[3]]) & 0x3fff;
        usual().into_iter().filter(|octets| !kinds.contains(&kind(octets))).collect()
    };
    assert_eq!(signal(&without(&[13])), Some(-59)); // of beacons
    assert_eq!(signal(&without(&[13, 30])), Some(-58)); // of the last frame
    assert_eq!(signal(&without(&[13, 30, 7])), Some(-60)); // of the best antenna
    assert_eq!(signal(&without(&[13, 30, 7, 25])), None);
    assert_eq!(signal(&[attribute(13, &[0]), attribute(7, &[(-70i8) as u8])]), Some(-70));
    assert_eq!(link(&[]), Some(RadioLink::default()));
}

#[test]
fn a_rate_beyond_sixteen_bits_is_in_the_wide_attribute() {
    let rate = |attributes: &[Vec<u8>]| link(&[attribute(0x8000 | 8, &attributes.concat())]).unwrap().bitrate_kbps;
    assert_eq!(rate(&[attribute(5, &115_290u32.to_ne_bytes())]), Some(11_529_000));
    assert_eq!(rate(&[attribute(1, &540u16.to_ne_bytes())]), Some(54_000));
    assert_eq!(rate(&[attribute(1, &0u16.to_ne_bytes())]), None);
    assert_eq!(rate(&[attribute(5, &u32::MAX.to_ne_bytes())]), None);
}

#[test]
fn another_client_is_no_access_point() {
    let mut info = usual();
    info[10] = attribute(17, &[0x40, 0, 0, 0, 0x40, 0, 0, 0]);
    assert_eq!(link(&info), None);
}

#[test]
fn clients_are_found_among_the_interfaces() {
    let all = [
        interface(3, b"wlan0\0", 2),
        interface(4, b"ap0\0", 3),
        interface(5, b"p2p-wlan0-0\0", 8),
        generic(7, &[attribute(3, &6u32.to_ne_bytes()), attribute(5, &10u32.to_ne_bytes())]), // P2P_DEVICE, nameless
    ]
    .concat();
    let found: Vec<_> = bodies(&all).iter().filter_map(client_of).collect();
    assert_eq!(found, [(3, "wlan0".to_string()), (5, "p2p-wlan0-0".to_string())]);
    assert_eq!(link_of(&bodies(&all)[0]), None);
    assert_eq!(client_of(&bodies(&station(&usual()))[0]), None);
}

#[test]
fn a_dump_ends_with_done_and_an_error_is_the_kernels() {
    let mut answers = Vec::new();
    let dump = [station(&usual()), message(NLMSG_DONE, NLM_F_MULTI, &[0; 4]), station(&usual())].concat();
    assert!(take(&dump, &mut answers).unwrap());
    assert_eq!(answers.len(), 1);
    let mut body = (-2i32).to_ne_bytes().to_vec();
    body.extend([0; 16]);
    let error = take(&message(NLMSG_ERROR, 0, &body), &mut answers).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(2));
}

#[test]
fn no_octets_whatever_do_harm() {
    let whole = [interface(3, b"wlan0\0", 2), station(&usual())].concat();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..20_000 {
        let mut octets = whole.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() % octets.len();
            octets[at] = random() as u8;
        }
        octets.truncate(random() % (octets.len() + 1));
        let mut answers = Vec::new();
        let _ = take(&octets, &mut answers);
        for body in &answers {
            let _ = (client_of(body), link_of(body));
        }
    }
}
