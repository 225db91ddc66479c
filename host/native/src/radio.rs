//! What the kernel's wireless stack knows of the access points that this machine uses: level, bit
//! rate, lost beacons. Asked by generic netlink, family nl80211 (include/uapi/linux/nl80211.h of the
//! kernel); the framing is netlink-packet-core's and netlink-packet-generic's.
//!
//! Attributes are looked up one by one: what a newer kernel adds, or a driver leaves out, makes
//! nothing else unreadable. Asking needs no privilege.

use std::io;
use std::time::Duration;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlasIterator,
    ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

use crate::netlink::{Socket, align4};

/// The kernel answers within microseconds; this is for one that does not answer at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Octets of a datagram at most: the kernel makes dumps no larger than this (NLMSG_GOODSIZE, 32 KiB).
const DATAGRAM_MAX: usize = 64 << 10;
const ENOENT: i32 = 2;

// include/uapi/linux/genetlink.h
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_VERSION: u8 = 2;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

// include/uapi/linux/nl80211.h: enum nl80211_commands, nl80211_attrs, nl80211_iftype, nl80211_sta_info,
// nl80211_rate_info, nl80211_sta_flags.
const NL80211_VERSION: u8 = 1;
const NL80211_CMD_GET_INTERFACE: u8 = 5;
const NL80211_CMD_NEW_INTERFACE: u8 = 7;
const NL80211_CMD_GET_STATION: u8 = 17;
const NL80211_CMD_NEW_STATION: u8 = 19;
const NL80211_ATTR_IFINDEX: u16 = 3;
const NL80211_ATTR_IFNAME: u16 = 4;
const NL80211_ATTR_IFTYPE: u16 = 5;
const NL80211_ATTR_STA_INFO: u16 = 21;
const NL80211_IFTYPE_STATION: u32 = 2;
const NL80211_IFTYPE_P2P_CLIENT: u32 = 8;
const NL80211_STA_INFO_SIGNAL: u16 = 7;
const NL80211_STA_INFO_TX_BITRATE: u16 = 8;
const NL80211_STA_INFO_SIGNAL_AVG: u16 = 13;
const NL80211_STA_INFO_STA_FLAGS: u16 = 17;
const NL80211_STA_INFO_BEACON_LOSS: u16 = 18;
const NL80211_STA_INFO_CHAIN_SIGNAL: u16 = 25;
const NL80211_STA_INFO_CHAIN_SIGNAL_AVG: u16 = 26;
const NL80211_STA_INFO_BEACON_SIGNAL_AVG: u16 = 30;
const NL80211_RATE_INFO_BITRATE: u16 = 1;
const NL80211_RATE_INFO_BITRATE32: u16 = 5;
const STA_FLAG_TDLS_PEER: u32 = 1 << 6;

/// A Wi-Fi interface that is a client.
#[derive(Debug, PartialEq)]
pub struct Radio {
    pub name: String,
    /// None: it is not associated.
    pub link: Option<RadioLink>,
}

/// Its link to the access point. What the driver does not tell is None.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RadioLink {
    /// Of received frames, averaged if the driver does that.
    pub signal_dbm: Option<i8>,
    /// At which frames were last sent, kbit/s.
    pub bitrate_kbps: Option<u32>,
    /// How often several beacons in a row were missed, since it was associated.
    pub beacons_lost: Option<u32>,
}

/// A generic netlink message: its command and its attributes, not decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    pub command: u8,
    version: u8,
    attributes: Vec<DefaultNla>,
}

impl Body {
    fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        value_of(&self.attributes, kind)
    }
}

impl GenlFamily for Body {
    fn family_name() -> &'static str {
        "nl80211"
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        self.version
    }
}

impl Emitable for Body {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Body {
    fn parse_with_param(octets: &[u8], header: GenlHeader) -> Result<Body, DecodeError> {
        Ok(Body { command: header.cmd, version: header.version, attributes: attributes(octets) })
    }
}

/// Reads attributes up to the first that does not fit.
fn attributes(octets: &[u8]) -> Vec<DefaultNla> {
    let whole = NlasIterator::new(octets).map_while(Result::ok);
    whole.map(|nla| DefaultNla::new(nla.kind(), nla.value().to_vec())).collect()
}

fn value_of(attributes: &[DefaultNla], kind: u16) -> Option<Vec<u8>> {
    use netlink_packet_core::Nla;
    let found = attributes.iter().find(|nla| nla.kind() == kind)?;
    let mut value = vec![0; found.value_len()];
    found.emit_value(&mut value);
    Some(value)
}

fn number(value: Option<Vec<u8>>) -> Option<u32> {
    match *value?.as_slice() {
        [a] => Some(a.into()),
        [a, b] => Some(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d])),
        _ => None,
    }
}

/// dBm. Some drivers say 0 as long as they have heard nothing.
fn level(value: Option<Vec<u8>>) -> Option<i8> {
    match *value?.as_slice() {
        [octet] => Some(i8::from_ne_bytes([octet])).filter(|&level| level < 0),
        _ => None,
    }
}

/// Levels are nested, one attribute per antenna: the best one counts.
fn best_chain(value: Option<Vec<u8>>) -> Option<i8> {
    use netlink_packet_core::Nla;
    let chains = attributes(&value?);
    chains.iter().filter_map(|nla| level(value_of(&chains, nla.kind()))).max()
}

/// Index and name of a NL80211_CMD_NEW_INTERFACE, if it is a client.
pub fn client_of(body: &Body) -> Option<(u32, String)> {
    if body.command != NL80211_CMD_NEW_INTERFACE {
        return None;
    }
    let kind = number(body.attribute(NL80211_ATTR_IFTYPE))?;
    if kind != NL80211_IFTYPE_STATION && kind != NL80211_IFTYPE_P2P_CLIENT {
        return None;
    }
    let name = body.attribute(NL80211_ATTR_IFNAME)?;
    let text = String::from_utf8_lossy(name.split(|&octet| octet == 0).next()?).into_owned();
    Some((number(body.attribute(NL80211_ATTR_IFINDEX))?, text))
}

/// The link that a NL80211_CMD_NEW_STATION tells of, unless it is another client's (TDLS).
pub fn link_of(body: &Body) -> Option<RadioLink> {
    if body.command != NL80211_CMD_NEW_STATION {
        return None;
    }
    let info = attributes(&body.attribute(NL80211_ATTR_STA_INFO)?);
    let of = |kind| value_of(&info, kind);
    // struct nl80211_sta_flag_update: which flags are told of, then which are set.
    let set = of(NL80211_STA_INFO_STA_FLAGS).and_then(|flags| number(flags.get(4..8).map(<[u8]>::to_vec)));
    if set.is_some_and(|flags| flags & STA_FLAG_TDLS_PEER != 0) {
        return None;
    }
    let rate = attributes(&of(NL80211_STA_INFO_TX_BITRATE).unwrap_or_default());
    // In units of 100 kbit/s. The narrow one is left out, or zero, where a rate does not fit.
    let wide = number(value_of(&rate, NL80211_RATE_INFO_BITRATE32));
    let rate = wide.or(number(value_of(&rate, NL80211_RATE_INFO_BITRATE))).filter(|&rate| rate > 0);
    Some(RadioLink {
        signal_dbm: level(of(NL80211_STA_INFO_SIGNAL_AVG))
            .or(level(of(NL80211_STA_INFO_BEACON_SIGNAL_AVG)))
            .or(level(of(NL80211_STA_INFO_SIGNAL)))
            .or(best_chain(of(NL80211_STA_INFO_CHAIN_SIGNAL_AVG)))
            .or(best_chain(of(NL80211_STA_INFO_CHAIN_SIGNAL))),
        bitrate_kbps: rate.and_then(|rate| rate.checked_mul(100)),
        beacons_lost: number(of(NL80211_STA_INFO_BEACON_LOSS)),
    })
}

/// All of it, as it is now. None: the kernel has no nl80211, or no radio has loaded it.
pub fn read() -> io::Result<Option<Vec<Radio>>> {
    let socket = Socket::open_generic(ANSWER_TIMEOUT)?;
    let Some(family) = family(&socket)? else { return Ok(None) };
    let clients = ask(&socket, family, request(NL80211_CMD_GET_INTERFACE, NL80211_VERSION, vec![]), NLM_F_DUMP)?;
    let mut radios = Vec::new();
    for (index, name) in clients.iter().filter_map(client_of) {
        let interface = DefaultNla::new(NL80211_ATTR_IFINDEX, index.to_ne_bytes().to_vec());
        let question = request(NL80211_CMD_GET_STATION, NL80211_VERSION, vec![interface]);
        // An interface that went away in between has no stations.
        let stations = ask(&socket, family, question, NLM_F_DUMP).unwrap_or_default();
        radios.push(Radio { name, link: stations.iter().find_map(link_of) });
    }
    Ok(Some(radios))
}

fn family(socket: &Socket) -> io::Result<Option<u16>> {
    let name = DefaultNla::new(CTRL_ATTR_FAMILY_NAME, b"nl80211\0".to_vec());
    let question = request(CTRL_CMD_GETFAMILY, CTRL_VERSION, vec![name]);
    match ask(socket, GENL_ID_CTRL, question, 0) {
        Ok(answers) => {
            let id = answers.iter().find_map(|body| number(body.attribute(CTRL_ATTR_FAMILY_ID)));
            Ok(id.and_then(|id| u16::try_from(id).ok()))
        }
        Err(error) if error.raw_os_error() == Some(ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn request(command: u8, version: u8, attributes: Vec<DefaultNla>) -> Body {
    Body { command, version, attributes }
}

/// Sends a question and collects the answers: all of a dump, otherwise one.
fn ask(socket: &Socket, family: u16, question: Body, flags: u16) -> io::Result<Vec<Body>> {
    let mut message = GenlMessage::from_payload(question);
    message.set_resolved_family_id(family);
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets)?;
    let mut answers = Vec::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket.receive(&mut buffer, true)?;
        if take(&buffer[..length], &mut answers)? || flags & NLM_F_DUMP == 0 {
            return Ok(answers);
        }
    }
}

/// Takes the messages of one datagram; true: they were the last. Fails with the kernel's error.
pub fn take(mut datagram: &[u8], answers: &mut Vec<Body>) -> io::Result<bool> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<GenlMessage<Body>>::deserialize(datagram)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        match message.payload {
            NetlinkPayload::InnerMessage(generic) => answers.push(generic.payload),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            _ => {}
        }
        datagram = datagram.get(align4(message.header.length as usize)..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernels_own_families_are_read() {
        let socket = Socket::open_generic(ANSWER_TIMEOUT).unwrap();
        let question = request(CTRL_CMD_GETFAMILY, CTRL_VERSION, vec![]);
        let families = ask(&socket, GENL_ID_CTRL, question, NLM_F_DUMP).unwrap();
        let control =
            families.iter().find(|body| body.attribute(CTRL_ATTR_FAMILY_NAME).as_deref() == Some(b"nlctrl\0"));
        assert_eq!(number(control.unwrap().attribute(CTRL_ATTR_FAMILY_ID)), Some(GENL_ID_CTRL.into()));
        assert!(family(&socket).is_ok());
    }
}
