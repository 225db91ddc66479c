//! What the data path asks of the world: packets in, verdicts and packets out, kernel sets of tuples.
//! The kernel implements it (`kernel.rs`); unit tests bring their own.
//!
//! Packets never leave the engine's linear memory: a device is lent the whole memory for the time of
//! one call and gets and gives addresses in it. The exclusive borrow is what lets the kernel write
//! there.

use std::os::fd::BorrowedFd;

use crate::error::Result;

/// Octets of a packet that the queue carries in either direction: they fit an attribute, whose length
/// is 16 bit and counts its own 4 octet header.
pub const PAYLOAD_MAX: u32 = 65531;

/// One packet that was received into linear memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The queue's number for it, by which the verdict names it.
    pub id: u32,
    /// Address of the first octet of the IP header.
    pub offset: u32,
    /// Octets.
    pub length: u32,
    /// `abi::hook`.
    pub hook: u32,
    /// Index of the interface it came in by (PREROUTING, LOCAL_IN, FORWARD) or leaves by.
    pub interface: u32,
    /// The packet's mark.
    pub mark: u32,
    /// `abi::packet_flag` bits.
    pub flags: u32,
    /// User of the local socket, with `packet_flag::UID`.
    pub uid: u32,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Drop,
    /// As it was.
    Accept,
    /// With the octets at this address.
    Rewritten {
        offset: u32,
        length: u32,
        /// It gets the mark of packets that leave by us, and is routed by it.
        marked: bool,
    },
    /// To another queue, as it was.
    Queue(u16),
}

/// A packet with its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub id: u32,
    pub decision: Decision,
}

/// One packet that the engine made itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub offset: u32,
    pub length: u32,
    /// `abi::direction`.
    pub direction: u32,
}

/// One operation on the kernel's sets of tuples, see `abi::set_operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetOperation {
    pub kind: u8,
    /// 4 or 6.
    pub family: u8,
    pub port: u16,
    pub opener: [u8; 16],
    pub other: [u8; 16],
}

/// What the device counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Receives that reported an overrun of the queue's socket (only where NETLINK_NO_ENOBUFS is off).
    pub overruns: u64,
    /// Messages that were no packet, or a packet that could not be parsed; the latter is dropped.
    pub malformed: u64,
    /// Verdicts that the kernel refused; the packet is dropped, or gone already.
    pub verdict_errors: u64,
    /// Packets that the kernel dropped because the queue was full.
    pub queue_full_drops: u64,
    /// Packets that the kernel dropped because the socket's buffer was full.
    pub queue_socket_drops: u64,
    /// Packets waiting in the kernel's queue now.
    pub queue_waiting: u64,
    /// Packets sent by raw sockets.
    pub raw_sent: u64,
    /// Packets that a raw socket refused.
    pub raw_errors: u64,
    /// errno of the last of them, 0 = none.
    pub raw_last_error: u64,
    /// Set operations sent.
    pub set_operations: u64,
    /// Set operations that the kernel refused.
    pub set_errors: u64,
    /// Its last error number, 0 = none; above 4095 an IPSET_ERR_ code.
    pub set_last_error: u64,
}

/// A packet source and sink.
pub trait Device: Send {
    /// Readable when packets wait.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Receives at most `max` packets without waiting, appends them to `packets`, each in its slot of
    /// the batch region. Returns whether there may be more.
    fn receive(&mut self, memory: &mut [u8], max: usize, packets: &mut Vec<Received>) -> Result<bool>;

    /// Gives verdicts. `verdicts` must be in the order in which the packets were received and hold
    /// every packet received since the last call.
    fn decide(&mut self, memory: &mut [u8], verdicts: &[Verdict]);

    /// Sends packets that the engine made. Never fails as a whole: errors are counted.
    fn send(&mut self, memory: &[u8], packets: &[Outgoing]);

    /// Changes the kernel's sets; done when it returns.
    fn apply_sets(&mut self, operations: &[SetOperation]);

    /// Counters since the start.
    fn counters(&mut self) -> DeviceCounters;
}
