//! Raw sockets for the packets that the engine makes itself (headers included, already checksummed).
//!
//! - WIRE: the kernel routes a raw packet by the address that its socket is bound to, not by the
//!   header's, so there is one socket per local address, made when first needed.
//! - HOST: the destination is a local address; one unbound socket per family, which may carry a
//!   foreign source address.
//!
//! Every socket has a mark, by which the queueing rules let its packets pass. A send that fails is
//! counted and, as a rule, its socket made anew next time: an address may have gone and come back.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, bind, ipproto, sendto, socket_with};

use crate::abi::direction;
use crate::device::Outgoing;

/// Sockets kept at most; a machine with more local addresses makes some anew.
const SOCKETS_MAX: usize = 128;

/// Octets that may wait in a socket: all that one call of the engine can make, with the kernel's own beside them. The
/// default is full after two super-packets that left in pieces.
const SEND_BUFFER: u32 = 8 << 20;

/// Marks of the packets we send.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    pub wire: u32,
    pub host: u32,
}

/// Which socket a packet leaves by: the address it is bound to, None for those towards the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Socket {
    Wire(std::net::IpAddr),
    Host { v4: bool },
}

/// All raw sockets of a shard.
pub struct RawSockets {
    marks: Marks,
    sockets: HashMap<Socket, OwnedFd>,
    /// Packets sent.
    pub sent: u64,
    /// Packets refused.
    pub errors: u64,
    /// errno of the last refusal, 0 = none.
    pub last_error: i32,
}

impl RawSockets {
    /// Opens nothing but one socket per family for the host, to find out now whether it is permitted.
    pub fn open(marks: Marks) -> io::Result<RawSockets> {
        let mut raw = RawSockets { marks, sockets: HashMap::new(), sent: 0, errors: 0, last_error: 0 };
        raw.socket(Socket::Host { v4: true })?;
        // A machine without IPv6 has nothing to send there either.
        let _ = raw.socket(Socket::Host { v4: false });
        Ok(raw)
    }

    /// Sends `packets`, which lie in `memory`.
    pub fn send(&mut self, memory: &[u8], packets: &[Outgoing]) {
        for packet in packets {
            match self.send_one(memory, packet) {
                Ok(()) => self.sent += 1,
                Err(error) => {
                    self.errors += 1;
                    self.last_error = error.raw_os_error().unwrap_or(libc::EINVAL);
                }
            }
        }
    }

    fn send_one(&mut self, memory: &[u8], packet: &Outgoing) -> io::Result<()> {
        let start = packet.offset as usize;
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let octets = memory.get(start..start + packet.length as usize).ok_or_else(invalid)?;
        let (source, destination) = addresses(octets).ok_or_else(invalid)?;
        let key = match packet.direction {
            direction::HOST => Socket::Host { v4: destination.is_ipv4() },
            _ => Socket::Wire(source),
        };
        let socket = self.socket(key)?;
        let target = SocketAddr::new(destination, 0);
        match sendto(socket, octets, SendFlags::DONTWAIT, &target) {
            Ok(_) => Ok(()),
            Err(error) => {
                // A full buffer or a packet too long says nothing about the socket.
                if !matches!(error, Errno::AGAIN | Errno::NOBUFS | Errno::MSGSIZE) {
                    self.sockets.remove(&key);
                }
                Err(error.into())
            }
        }
    }

    fn socket(&mut self, key: Socket) -> io::Result<&OwnedFd> {
        if self.sockets.len() >= SOCKETS_MAX && !self.sockets.contains_key(&key) {
            self.sockets.clear();
        }
        match self.sockets.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => Ok(entry.insert(open(key, self.marks)?)),
        }
    }
}

fn open(key: Socket, marks: Marks) -> io::Result<OwnedFd> {
    let (v4, mark, local) = match key {
        Socket::Wire(address) => (address.is_ipv4(), marks.wire, Some(address)),
        Socket::Host { v4 } => (v4, marks.host, None),
    };
    let family = if v4 { AddressFamily::INET } else { AddressFamily::INET6 };
    // IPPROTO_RAW: send only, and the header is ours, in both families.
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))?;
    set_option(&socket, libc::SO_MARK, mark)?;
    // Without the privilege the default stays: what finds no room is lost, and TCP repeats it.
    let _ = set_option(&socket, libc::SO_SNDBUFFORCE, SEND_BUFFER);
    match local {
        Some(std::net::IpAddr::V4(address)) => bind(&socket, &SocketAddrV4::new(address, 0))?,
        Some(std::net::IpAddr::V6(address)) => bind(&socket, &SocketAddrV6::new(address, 0, 0, 0))?,
        None => {}
    }
    Ok(socket)
}

fn set_option(socket: &OwnedFd, option: libc::c_int, value: u32) -> io::Result<()> {
    // Safety: the option's value is a u32 that outlives the call.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Source and destination of an IP packet; None if it is too short or of another version.
fn addresses(packet: &[u8]) -> Option<(std::net::IpAddr, std::net::IpAddr)> {
    let v4 = |at: usize| -> Option<std::net::IpAddr> {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?).into())
    };
    let v6 = |at: usize| -> Option<std::net::IpAddr> {
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?).into())
    };
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        6 => Some((v6(8)?, v6(24)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        let (source, destination) = addresses(&packet).unwrap();
        assert_eq!((source.to_string(), destination.to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
        packet = [0; 40];
        packet[0] = 0x60;
        (packet[23], packet[39]) = (1, 2);
        let (source, destination) = addresses(&packet).unwrap();
        assert_eq!((source.to_string(), destination.to_string()), ("::1".into(), "::2".into()));
        assert!(addresses(&packet[..39]).is_none());
        assert!(addresses(&[0x10]).is_none());
        assert!(addresses(&[]).is_none());
    }
}
