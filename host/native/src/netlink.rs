//! Netlink as far as nfnetlink needs it: a socket, a message builder, an attribute reader.
//! Shared by `nfqueue` and `sets`; `radio` uses the socket. No unsafe code.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{GENERIC, NETFILTER, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};

/// Octets of nlmsghdr and nfgenmsg together, which start every nfnetlink message.
pub const HEADER: usize = 20;
pub const NLMSG_ERROR: u16 = 2;
pub const NLM_F_REQUEST: u16 = 1;
pub const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
/// Set on ipset's numbers in network order.
pub const NLA_F_NET_BYTEORDER: u16 = 0x4000;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Rounds up to netlink's alignment of 4.
pub const fn align4(length: usize) -> usize {
    (length + 3) & !3
}

/// A netlink socket.
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens one for nfnetlink. EPROTONOSUPPORT means that the kernel has none.
    pub fn open() -> io::Result<Socket> {
        Socket::of(NETFILTER)
    }

    /// Opens one for generic netlink; receiving on it fails with EAGAIN after `timeout`.
    pub fn open_generic(timeout: Duration) -> io::Result<Socket> {
        let socket = Socket::of(GENERIC)?;
        sockopt::set_socket_timeout(&socket.0, sockopt::Timeout::Recv, Some(timeout))?;
        Ok(socket)
    }

    fn of(protocol: Protocol) -> io::Result<Socket> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
        bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Socket(fd))
    }

    /// Sets the receive buffer to `octets`, past the system's limit where that is permitted.
    pub fn set_receive_buffer(&self, octets: usize) {
        // SO_RCVBUFFORCE needs CAP_NET_ADMIN in the first user namespace; SO_RCVBUF is clamped to rmem_max.
        if sockopt::set_socket_recv_buffer_size_force(&self.0, octets).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&self.0, octets);
        }
    }

    /// Sends whole messages to the kernel, which has carried them out when this returns.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        send(&self.0, messages, SendFlags::empty())?;
        Ok(())
    }

    /// Receives one datagram, waiting for it or not. Returns its octets.
    pub fn receive(&self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let (length, _) = recv(&self.0, buffer, flags)?;
        Ok(length)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Appends messages to a buffer that is kept and reused.
#[derive(Default)]
pub struct Builder {
    buffer: Vec<u8>,
    message: usize,
}

impl Builder {
    /// The finished messages.
    pub fn octets(&self) -> &[u8] {
        &self.buffer
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Begins a message: `kind` is subsystem << 8 | message, `resource` goes into nfgenmsg.
    pub fn begin(&mut self, kind: u16, flags: u16, family: u8, resource: u16) {
        self.message = self.buffer.len();
        self.buffer.extend_from_slice(&header(0, kind, flags, family, resource));
    }

    /// Ends the message begun last.
    pub fn end(&mut self) {
        let length = (self.buffer.len() - self.message) as u32;
        self.buffer[self.message..self.message + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, payload: &[u8]) {
        self.buffer.extend_from_slice(&((payload.len() + 4) as u16).to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(payload);
        self.buffer.resize(align4(self.buffer.len()), 0);
    }

    /// Appends an attribute that holds those which `content` appends.
    pub fn nested(&mut self, kind: u16, content: impl FnOnce(&mut Builder)) {
        let start = self.buffer.len();
        self.attribute(kind | NLA_F_NESTED, &[]);
        content(self);
        let length = (self.buffer.len() - start) as u16;
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

/// nlmsghdr and nfgenmsg of a request.
pub fn header(length: u32, kind: u16, flags: u16, family: u8, resource: u16) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&length.to_ne_bytes());
    header[4..6].copy_from_slice(&kind.to_ne_bytes());
    header[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
    header[16] = family;
    header[18..20].copy_from_slice(&resource.to_be_bytes());
    header
}

/// Type and body of the first message of a datagram; the body starts behind nlmsghdr and is cut to
/// what the datagram holds. None if there is not even a header.
pub fn message(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let length = u32::from_ne_bytes(datagram.get(0..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
    Some((kind, datagram.get(16..length.min(datagram.len()))?))
}

/// The error number of an NLMSG_ERROR's body: 0 is an acknowledgement, otherwise a positive errno.
pub fn error_number(body: &[u8]) -> Option<i32> {
    Some(-i32::from_ne_bytes(body.get(0..4)?.try_into().ok()?))
}

/// Reads attributes: (type without flag bits, position of the payload in `octets`, payload). Ends at
/// the first that does not fit.
pub fn attributes(octets: &[u8]) -> impl Iterator<Item = (u16, usize, &[u8])> {
    let mut position = 0;
    std::iter::from_fn(move || {
        let head = octets.get(position..position + 4)?;
        let length = u16::from_ne_bytes([head[0], head[1]]) as usize;
        let kind = u16::from_ne_bytes([head[2], head[3]]) & NLA_TYPE_MASK;
        let start = position + 4;
        let payload = octets.get(start..position + length.max(4)).filter(|_| length >= 4)?;
        position += align4(length);
        Some((kind, start, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_reads_back() {
        let mut builder = Builder::default();
        builder.begin(0x0302, NLM_F_ACK, 2, 7);
        builder.attribute(1, &[9]);
        builder.nested(7, |inner| inner.attribute(4, &[1, 2, 3, 4, 5]));
        builder.end();
        let octets = builder.octets();
        assert_eq!(octets.len() % 4, 0);
        assert_eq!(octets[18..20], [0, 7]);
        let (kind, body) = message(octets).unwrap();
        assert_eq!(kind, 0x0302);
        let all: Vec<_> = attributes(&body[4..]).map(|(k, _, p)| (k, p.to_vec())).collect();
        assert_eq!(all[0], (1, vec![9]));
        assert_eq!(all[1].0, 7);
        let inner: Vec<_> = attributes(&all[1].1).collect();
        assert_eq!(inner, [(4, 4, &[1, 2, 3, 4, 5][..])]);
    }

    #[test]
    fn lying_lengths_end_the_walk() {
        for octets in [
            &[3, 0, 1, 0][..],             // shorter than its own header
            &[0, 0, 1, 0, 0, 0, 0, 0][..], // zero, would never advance
            &[9, 0, 1, 0, 1, 2, 3, 4][..], // longer than what is there
            &[8, 0][..],                   // not even a header
        ] {
            assert_eq!(attributes(octets).count(), 0, "{octets:?}");
        }
        assert!(message(&[1, 2, 3]).is_none());
        assert_eq!(message(&[255, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]), Some((2, &[5][..])));
        assert!(message(&[4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]).is_none());
    }
}
