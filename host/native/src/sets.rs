//! The kernel sets of tuples, by ipset's netlink messages: hash:ip,port,ip entries
//! (opener's address, tcp, opener's port, other address). The sets themselves belong to the host,
//! which makes them with `ipset create NAME hash:ip,port,ip family inet|inet6`.
//!
//! nfnetlink carries a request out inside send(), so an entry stands when `apply` returns although
//! no acknowledgement was asked for. Errors come back all the same and are counted; adding what is
//! there or deleting what is not is no error (a request without NLM_F_EXCL is ipset's `-exist`).

use std::io;

use crate::abi::set_operation_kind as kind;
use crate::device::SetOperation;
use crate::netlink::{self, Builder, NLA_F_NET_BYTEORDER, Socket};

const NFNL_SUBSYS_IPSET: u16 = 6;
const IPSET_CMD_ADD: u16 = 9;
const IPSET_CMD_DEL: u16 = 10;
const IPSET_PROTOCOL: u8 = 6;
const ATTR_PROTOCOL: u16 = 1;
const ATTR_SETNAME: u16 = 2;
const ATTR_DATA: u16 = 7;
const DATA_IP: u16 = 1;
const DATA_PORT: u16 = 4;
const DATA_PROTO: u16 = 7;
const DATA_IP2: u16 = 20;
const IPADDR_IPV4: u16 = 1;
const IPADDR_IPV6: u16 = 2;
const TCP: u8 = 6;
/// Requests per send(): about 100 octets each, well below the socket's buffer.
const CHUNK: usize = 256;

/// Names of the four sets, at most 31 octets each.
#[derive(Clone, Debug)]
pub struct SetNames {
    pub converted4: String,
    pub converted6: String,
    pub bypass4: String,
    pub bypass6: String,
}

/// The connection to the kernel's ipset.
pub struct Sets {
    socket: Socket,
    names: SetNames,
    builder: Builder,
    /// Operations sent.
    pub operations: u64,
    /// Operations refused.
    pub errors: u64,
    /// Number of the last error, 0 = none; above 4095 it is ipset's own (IPSET_ERR_…).
    pub last_error: i32,
}

impl Sets {
    /// Opens the netlink socket. Whether the sets exist shows with the first operation.
    pub fn open(names: SetNames) -> io::Result<Sets> {
        let socket = Socket::open()?;
        Ok(Sets { socket, names, builder: Builder::default(), operations: 0, errors: 0, last_error: 0 })
    }

    /// Carries `operations` out in order.
    pub fn apply(&mut self, operations: &[SetOperation]) {
        for chunk in operations.chunks(CHUNK) {
            self.builder.clear();
            for operation in chunk {
                encode(&mut self.builder, &self.names, operation);
            }
            self.operations += chunk.len() as u64;
            if let Err(error) = self.socket.send(self.builder.octets()) {
                self.errors += chunk.len() as u64;
                self.last_error = error.raw_os_error().unwrap_or(0);
            }
            self.count_errors();
        }
    }

    fn count_errors(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.receive(&mut buffer, false) {
            let number = netlink::message(&buffer[..length])
                .filter(|(kind, _)| *kind == netlink::NLMSG_ERROR)
                .and_then(|(_, body)| netlink::error_number(body));
            if let Some(number) = number.filter(|number| *number != 0) {
                self.errors += 1;
                self.last_error = number;
            }
        }
    }
}

/// Appends the request for one operation; an unknown kind appends nothing.
fn encode(builder: &mut Builder, names: &SetNames, operation: &SetOperation) {
    let v4 = operation.family == 4;
    let (command, name) = match (u32::from(operation.kind), v4) {
        (kind::ADD_CONVERTED, true) => (IPSET_CMD_ADD, &names.converted4),
        (kind::ADD_CONVERTED, false) => (IPSET_CMD_ADD, &names.converted6),
        (kind::DELETE_CONVERTED, true) => (IPSET_CMD_DEL, &names.converted4),
        (kind::DELETE_CONVERTED, false) => (IPSET_CMD_DEL, &names.converted6),
        (kind::ADD_BYPASS, true) => (IPSET_CMD_ADD, &names.bypass4),
        (kind::ADD_BYPASS, false) => (IPSET_CMD_ADD, &names.bypass6),
        (kind::DELETE_BYPASS, true) => (IPSET_CMD_DEL, &names.bypass4),
        (kind::DELETE_BYPASS, false) => (IPSET_CMD_DEL, &names.bypass6),
        _ => return,
    };
    let family = if v4 { libc::AF_INET } else { libc::AF_INET6 } as u8;
    builder.begin(NFNL_SUBSYS_IPSET << 8 | command, 0, family, 0);
    builder.attribute(ATTR_PROTOCOL, &[IPSET_PROTOCOL]);
    let mut terminated = name.clone().into_bytes();
    terminated.push(0);
    builder.attribute(ATTR_SETNAME, &terminated);
    builder.nested(ATTR_DATA, |data| {
        address(data, DATA_IP, v4, &operation.opener);
        data.attribute(DATA_PORT | NLA_F_NET_BYTEORDER, &operation.port.to_be_bytes());
        data.attribute(DATA_PROTO, &[TCP]);
        address(data, DATA_IP2, v4, &operation.other);
    });
    builder.end();
}

fn address(data: &mut Builder, attribute: u16, v4: bool, octets: &[u8; 16]) {
    data.nested(attribute, |inner| {
        if v4 {
            inner.attribute(IPADDR_IPV4 | NLA_F_NET_BYTEORDER, &octets[12..]);
        } else {
            inner.attribute(IPADDR_IPV6 | NLA_F_NET_BYTEORDER, octets);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> SetNames {
        SetNames { converted4: "c4".into(), converted6: "c6".into(), bypass4: "b4".into(), bypass6: "b6".into() }
    }

    #[test]
    fn a_request_names_set_tuple_and_protocol() {
        let mut opener = [0; 16];
        opener[10..].copy_from_slice(&[255, 255, 10, 0, 1, 2]);
        let operation = SetOperation { kind: 3, family: 4, port: 443, opener, other: opener };
        let mut builder = Builder::default();
        encode(&mut builder, &names(), &operation);
        let (kind, body) = netlink::message(builder.octets()).unwrap();
        assert_eq!(kind, 0x0609);
        let top: Vec<_> = netlink::attributes(&body[4..]).collect();
        assert_eq!(top[1].2, b"b4\0");
        let data: Vec<_> = netlink::attributes(top[2].2).map(|(k, _, p)| (k, p)).collect();
        assert_eq!(data[0], (DATA_IP, &[8, 0, 1, 0x40, 10, 0, 1, 2][..]));
        assert_eq!(data[1], (DATA_PORT, &[1, 187][..]));
        assert_eq!(data[2], (DATA_PROTO, &[6][..]));
        assert_eq!(data[3].0, DATA_IP2);
    }

    #[test]
    fn an_unknown_kind_sends_nothing() {
        let operation = SetOperation { kind: 9, family: 4, port: 1, opener: [0; 16], other: [0; 16] };
        let mut builder = Builder::default();
        encode(&mut builder, &names(), &operation);
        assert!(builder.octets().is_empty());
    }
}
