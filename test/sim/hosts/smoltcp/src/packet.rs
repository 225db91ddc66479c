//! The little that the machine itself reads in packets: whose they are.

use smoltcp::wire::{IpAddress, IpProtocol, IpVersion, Ipv4Packet, Ipv6Packet, TcpPacket};

/// One side's view of a connection; its order is of no meaning, but it is an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    pub local: (IpAddress, u16),
    pub remote: (IpAddress, u16),
}

/// What the machine wants to know of a packet that came in.
pub struct Incoming {
    pub to: IpAddress,
    /// None when it is not TCP.
    pub tcp: Option<TcpHead>,
}

pub struct TcpHead {
    pub tuple: Tuple,
    /// SYN alone: somebody wants to connect.
    pub opens: bool,
    pub resets: bool,
}

/// None when the IP header is not one. Checks no checksum: smoltcp does that.
pub fn read(octets: &[u8]) -> Option<Incoming> {
    let (from, to, protocol, payload) = parts(octets)?;
    let head = |tcp: TcpPacket<&[u8]>| TcpHead {
        tuple: Tuple { local: (to, tcp.dst_port()), remote: (from, tcp.src_port()) },
        opens: tcp.syn() && !tcp.ack() && !tcp.rst(),
        resets: tcp.rst(),
    };
    let tcp = if protocol == IpProtocol::Tcp { TcpPacket::new_checked(payload).ok().map(head) } else { None };
    Some(Incoming { to, tcp })
}

/// Whether a packet that smoltcp made is a RST.
pub fn resets(octets: &[u8]) -> bool {
    read(octets).and_then(|packet| packet.tcp).is_some_and(|tcp| tcp.resets)
}

/// Writes the TCP checksum, which smoltcp left out.
pub fn seal(octets: &mut [u8]) {
    let Some((from, to, protocol, payload)) = parts(octets) else { return };
    if protocol != IpProtocol::Tcp {
        return;
    }
    let start = octets.len() - payload.len();
    TcpPacket::new_unchecked(&mut octets[start..]).fill_checksum(&from, &to);
}

/// Source, destination, protocol and the rest. IPv6 extension headers are not looked behind: smoltcp has none on TCP.
fn parts(octets: &[u8]) -> Option<(IpAddress, IpAddress, IpProtocol, &[u8])> {
    match IpVersion::of_packet(octets).ok()? {
        IpVersion::Ipv4 => {
            let packet = Ipv4Packet::new_checked(octets).ok()?;
            Some((packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload()))
        }
        IpVersion::Ipv6 => {
            let packet = Ipv6Packet::new_checked(octets).ok()?;
            Some((packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), packet.payload()))
        }
    }
}
