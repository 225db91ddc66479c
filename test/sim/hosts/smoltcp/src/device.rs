//! A device without a wire: packets wait in queues until the machine takes them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

/// A packet on its way out.
pub struct Outgoing {
    pub octets: Vec<u8>,
    /// Payload octets per packet if the interface is to cut this one, else 0.
    pub gso_size: u16,
}

/// What is the same for all packets of a machine.
#[derive(Clone, Copy)]
pub struct Limits {
    pub mtu: usize,
    /// Longest packet, headers included, that may be left to the interface to cut; 0 for none.
    pub gso_max: usize,
}

pub struct Queues {
    limits: Limits,
    pub incoming: VecDeque<Vec<u8>>,
    pub outgoing: Vec<Outgoing>,
}

impl Queues {
    pub fn new(limits: Limits) -> Queues {
        Queues { limits, incoming: VecDeque::new(), outgoing: Vec::new() }
    }
}

impl Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Departing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Departing<'_>)> {
        let octets = self.incoming.pop_front()?;
        Some((Arrived(octets), Departing { queue: &mut self.outgoing, gso_size: 0 }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Departing<'_>> {
        Some(Departing { queue: &mut self.outgoing, gso_size: 0 })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.limits.mtu;
        if let Some(longest) = NonZeroUsize::new(self.limits.gso_max) {
            // smoltcp wants to leave the TCP checksum of packets that will be cut to the device: see packet::seal().
            capabilities.checksum.tcp = Checksum::Rx;
            capabilities.segmentation.tcpv4 = Some(longest);
            capabilities.segmentation.tcpv6 = Some(longest);
        }
        capabilities
    }
}

pub struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub struct Departing<'a> {
    queue: &'a mut Vec<Outgoing>,
    gso_size: u16,
}

impl TxToken for Departing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut octets = vec![0; length];
        let result = write(&mut octets);
        self.queue.push(Outgoing { octets, gso_size: self.gso_size });
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.gso_size = meta.segmentation_offload_size.map_or(0, |size| size.get());
    }
}
