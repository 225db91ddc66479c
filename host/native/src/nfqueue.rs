//! NFQUEUE over netlink, without libnetfilter.
//!
//! 1. `Queue::open` binds a queue: whole packets, super-packets unsegmented (GSO), never FAIL_OPEN.
//! 2. `receive` has the kernel write up to 64 messages straight into the slots of the batch region;
//!    `parse` finds the packet in each. Nothing is copied.
//! 3. `decide` sends verdicts, a rewritten packet straight from where the engine left it. Runs of
//!    equal verdicts without payload become one batch verdict, which stands for every id up to its
//!    own that has no verdict yet: right only because verdicts go out in the order of the ids, and
//!    the kernel carries each out before it reads the next.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::abi::{self, hook, packet_flag};
use crate::device::{Decision, DeviceCounters, PAYLOAD_MAX, Received, Verdict};
use crate::error::{Error, Result};
use crate::netlink::{self, Builder, HEADER, Socket, align4};

const NFNL_SUBSYS_QUEUE: u16 = 3;
const MSG_PACKET: u16 = NFNL_SUBSYS_QUEUE << 8;
const MSG_VERDICT: u16 = NFNL_SUBSYS_QUEUE << 8 | 1;
const MSG_CONFIG: u16 = NFNL_SUBSYS_QUEUE << 8 | 2;
const MSG_VERDICT_BATCH: u16 = NFNL_SUBSYS_QUEUE << 8 | 3;
const CFG_CMD: u16 = 1;
const CFG_PARAMS: u16 = 2;
const CFG_QUEUE_MAXLEN: u16 = 3;
const CFG_MASK: u16 = 4;
const CFG_FLAGS: u16 = 5;
const CMD_BIND: u8 = 1;
const CMD_PF_UNBIND: u8 = 4;
const COPY_PACKET: u8 = 2;
const F_FAIL_OPEN: u32 = 1;
const F_GSO: u32 = 4;
const F_UID_GID: u32 = 8;
const ATTR_PACKET_HDR: u16 = 1;
const ATTR_VERDICT_HDR: u16 = 2;
const ATTR_MARK: u16 = 3;
const ATTR_IFINDEX_INDEV: u16 = 5;
const ATTR_IFINDEX_OUTDEV: u16 = 6;
const ATTR_PAYLOAD: u16 = 10;
const ATTR_CAP_LEN: u16 = 13;
const ATTR_SKB_INFO: u16 = 14;
const ATTR_UID: u16 = 16;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NF_QUEUE: u32 = 3;

/// Packets that may wait in the kernel; above it drops.
const QUEUE_LENGTH: u32 = 16384;
/// Receive buffer asked for: 1,000 super-packets.
const RECEIVE_BUFFER: usize = 64 << 20;
const BATCH: usize = abi::BATCH_MAX as usize;
/// Octets of a verdict without payload: nlmsghdr, nfgenmsg, verdict attribute.
const VERDICT_PLAIN: usize = HEADER + 12;
/// Octets before a verdict's payload at most: besides a mark attribute and the payload attribute's header.
const VERDICT_HEAD: usize = VERDICT_PLAIN + 8 + 4;

/// One bound queue.
pub struct Queue {
    socket: Socket,
    number: u16,
    /// What rewritten packets are marked with that leave.
    mark: u32,
    vectors: Box<Vectors>,
    messages: Vec<Message>,
    counters: DeviceCounters,
}

/// What recvmmsg and sendmmsg are given. Kept so that it need not be zeroed for each call.
struct Vectors {
    headers: [libc::mmsghdr; BATCH],
    iovecs: [[libc::iovec; 3]; BATCH],
}

// Safety: the pointers inside are set anew, on the calling thread, before each system call that
// reads them; in between they are never followed.
unsafe impl Send for Vectors {}

/// One verdict message: its head, and the payload's place in memory (empty without payload).
struct Message {
    head: [u8; VERDICT_HEAD],
    head_length: usize,
    offset: usize,
    length: usize,
    id: u32,
}

impl Queue {
    /// Binds queue `number` in the network namespace of the calling thread. `mark`: of rewritten packets that leave.
    pub fn open(number: u16, mark: u32) -> Result<Queue> {
        let socket = Socket::open().map_err(Error::NoNfqueue)?;
        socket.set_receive_buffer(RECEIVE_BUFFER);
        set_no_enobufs(&socket);
        configure(&socket, number)?;
        // Safety: all-zero is a valid value of these C structs (null pointers, zero lengths).
        let vectors = unsafe { Box::<Vectors>::new_zeroed().assume_init() };
        let messages = Vec::with_capacity(BATCH);
        Ok(Queue { socket, number, mark, vectors, messages, counters: DeviceCounters::default() })
    }

    /// Readable when packets wait.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// See `Device::receive`. `max` is at most `BATCH_MAX`.
    pub fn receive(&mut self, memory: &mut [u8], max: usize, packets: &mut Vec<Received>) -> Result<bool> {
        let max = max.min(BATCH);
        let count = match self.receive_messages(memory, max) {
            Ok(count) => count,
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => return Ok(false),
                Some(libc::ENOBUFS) => {
                    self.counters.overruns += 1;
                    return Ok(true);
                }
                _ => return Err(Error::io("cannot receive from the packet queue", error)),
            },
        };
        self.messages.clear();
        for index in 0..count {
            let start = slot(index);
            let length = self.vectors.headers[index].msg_len as usize;
            match parse(&memory[start..start + length]) {
                Parsed::Packet(mut packet) => {
                    packet.offset += start as u32;
                    packets.push(packet);
                }
                Parsed::Malformed(id) => {
                    self.counters.malformed += 1;
                    // Without a verdict it would wait in the kernel for ever.
                    self.messages.push(plain(self.number, MSG_VERDICT, id, NF_DROP));
                }
                Parsed::Error(0) => {}
                Parsed::Error(_) => self.counters.verdict_errors += 1,
                Parsed::Other => self.counters.malformed += 1,
            }
        }
        self.send_messages(memory);
        Ok(count == max)
    }

    fn receive_messages(&mut self, memory: &mut [u8], max: usize) -> io::Result<usize> {
        assert!(memory.len() >= slot(BATCH), "memory holds the batch region");
        let base = memory.as_mut_ptr();
        for index in 0..max {
            self.vectors.iovecs[index][0] = libc::iovec {
                iov_base: base.wrapping_add(slot(index)).cast(),
                iov_len: (abi::SLOT_SIZE - abi::SLOT_HEADROOM) as usize,
            };
            let header = &mut self.vectors.headers[index].msg_hdr;
            header.msg_iov = self.vectors.iovecs[index].as_mut_ptr();
            header.msg_iovlen = 1;
        }
        // Safety: each of the `max` iovecs names a part of `memory`, which is borrowed exclusively
        // for the whole call; the headers point to iovecs that live in `self`.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_fd().as_raw_fd(),
                self.vectors.headers.as_mut_ptr(),
                max as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// See `Device::decide`.
    pub fn decide(&mut self, memory: &mut [u8], verdicts: &[Verdict]) {
        for chunk in verdicts.chunks(BATCH) {
            encode(self.number, self.mark, chunk, &mut self.messages);
            self.send_messages(memory);
        }
    }

    /// Sends all messages in order. One that the kernel refuses is replaced by a drop.
    fn send_messages(&mut self, memory: &mut [u8]) {
        let mut first = 0;
        while first < self.messages.len() {
            match self.send_from(memory, first) {
                Ok(count) => first += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.counters.verdict_errors += 1;
                    let message = &mut self.messages[first];
                    if message.length == 0 {
                        first += 1;
                    } else {
                        *message = plain(self.number, MSG_VERDICT, message.id, NF_DROP);
                    }
                }
            }
        }
    }

    fn send_from(&mut self, memory: &mut [u8], first: usize) -> io::Result<usize> {
        const PADDING: [u8; 4] = [0; 4];
        let base = memory.as_mut_ptr();
        let messages = &mut self.messages[first..];
        for (index, message) in messages.iter_mut().enumerate() {
            assert!(message.offset + message.length <= memory.len(), "checked by the data path");
            let part = |pointer: *mut u8, length: usize| libc::iovec { iov_base: pointer.cast(), iov_len: length };
            self.vectors.iovecs[index] = [
                part(message.head.as_mut_ptr(), message.head_length),
                part(base.wrapping_add(message.offset), message.length),
                part(PADDING.as_ptr().cast_mut(), align4(message.length) - message.length),
            ];
            let header = &mut self.vectors.headers[index].msg_hdr;
            header.msg_iov = self.vectors.iovecs[index].as_mut_ptr();
            header.msg_iovlen = if message.length == 0 { 1 } else { 3 };
        }
        let count = messages.len() as u32;
        // Safety: the iovecs name heads in `self.messages`, parts of `memory` (bounds asserted
        // above) and a constant; all outlive the call, and the kernel only reads them.
        let sent =
            unsafe { libc::sendmmsg(self.socket.as_fd().as_raw_fd(), self.vectors.headers.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Own counters and those of /proc/net/netfilter/nfnetlink_queue.
    pub fn counters(&mut self) -> DeviceCounters {
        if let Some(row) = proc_row(self.number) {
            self.counters.queue_waiting = row.waiting;
            self.counters.queue_full_drops = row.dropped;
            self.counters.queue_socket_drops = row.user_dropped;
        }
        self.counters
    }
}

/// Address of the slot in which message `index` of a batch is received.
fn slot(index: usize) -> usize {
    abi::BATCH as usize + index * abi::SLOT_SIZE as usize + abi::SLOT_HEADROOM as usize
}

/// An overrun drops packets, which /proc counts; the error would only cost a system call.
fn set_no_enobufs(socket: &Socket) {
    let on: libc::c_int = 1;
    // Safety: the option's value is an int that outlives the call. A refusal is harmless.
    unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_NO_ENOBUFS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

fn configure(socket: &Socket, number: u16) -> Result<()> {
    let bind = |builder: &mut Builder| {
        builder.attribute(CFG_CMD, &[CMD_BIND, 0, 0, 0]);
        builder.attribute(CFG_QUEUE_MAXLEN, &QUEUE_LENGTH.to_be_bytes());
        builder.attribute(CFG_FLAGS, &(F_GSO | F_UID_GID).to_be_bytes());
        // FAIL_OPEN is in the mask only: explicitly off.
        builder.attribute(CFG_MASK, &(F_GSO | F_UID_GID | F_FAIL_OPEN).to_be_bytes());
    };
    // Last, since packets come from here on; without ACK, so that no answer mixes with them.
    let copy = |builder: &mut Builder| {
        let range = PAYLOAD_MAX.to_be_bytes();
        builder.attribute(CFG_PARAMS, &[range[0], range[1], range[2], range[3], COPY_PACKET]);
    };
    match request(socket, number, true, bind) {
        Ok(0) => request(socket, number, false, copy).map(|_| ()),
        Ok(error) => return Err(bind_error(socket, number, error)),
        Err(error) => Err(error),
    }
    .map_err(|error| Error::io(format!("cannot bind NFQUEUE {number}"), error))
}

/// Sends one configuration message. Returns the errno of the kernel's answer, 0 = success or not asked.
fn request(socket: &Socket, number: u16, answer: bool, attributes: impl FnOnce(&mut Builder)) -> io::Result<i32> {
    let mut builder = Builder::default();
    builder.begin(MSG_CONFIG, if answer { netlink::NLM_F_ACK } else { 0 }, 0, number);
    attributes(&mut builder);
    builder.end();
    socket.send(builder.octets())?;
    if !answer {
        return Ok(0);
    }
    let mut buffer = [0; 1024];
    let length = socket.receive(&mut buffer, true)?;
    let error = netlink::message(&buffer[..length]).and_then(|(_, body)| netlink::error_number(body));
    Ok(error.unwrap_or(libc::EPROTO))
}

fn bind_error(socket: &Socket, queue: u16, number: i32) -> Error {
    // The kernel says EPERM both without the capability and for a queue that another socket holds.
    // The command PF_UNBIND does nothing, but only with the capability.
    let permitted =
        || matches!(request(socket, queue, true, |b| b.attribute(CFG_CMD, &[CMD_PF_UNBIND, 0, 0, 0])), Ok(0));
    match number {
        libc::EPERM if !permitted() => {
            Error::Permission { what: format!("binding NFQUEUE {queue}"), capability: "CAP_NET_ADMIN" }
        }
        libc::EPERM | libc::EBUSY => Error::QueueBusy { queue, holder: proc_row(queue).map(|row| row.port_id) },
        libc::ENOENT | libc::EPROTONOSUPPORT | libc::EINVAL | libc::EOPNOTSUPP => {
            Error::NoNfqueue(io::Error::from_raw_os_error(number))
        }
        _ => Error::io(format!("cannot bind NFQUEUE {queue}"), io::Error::from_raw_os_error(number)),
    }
}

struct ProcRow {
    port_id: u32,
    waiting: u64,
    dropped: u64,
    user_dropped: u64,
}

/// The queue's line in the calling thread's network namespace; none if nobody holds it.
fn proc_row(queue: u16) -> Option<ProcRow> {
    let text = fs::read_to_string("/proc/thread-self/net/netfilter/nfnetlink_queue").ok()?;
    text.lines().find_map(|line| {
        let columns: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        match columns[..] {
            [number, port_id, waiting, _, _, dropped, user_dropped, ..] if number == u64::from(queue) => {
                Some(ProcRow { port_id: port_id as u32, waiting, dropped, user_dropped })
            }
            _ => None,
        }
    })
}

/// What a received datagram is.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// A packet; its offset counts from the start of the datagram.
    Packet(Received),
    /// A packet, by its id, whose payload is missing.
    Malformed(u32),
    /// The kernel's answer to a request of ours, 0 = success.
    Error(i32),
    Other,
}

/// Reads one datagram of the queue's socket.
fn parse(datagram: &[u8]) -> Parsed {
    let Some((kind, body)) = netlink::message(datagram) else { return Parsed::Other };
    if kind == netlink::NLMSG_ERROR {
        return netlink::error_number(body).map_or(Parsed::Other, Parsed::Error);
    }
    if kind != MSG_PACKET || datagram.len() < HEADER {
        return Parsed::Other;
    }
    let mut packet = Received::default();
    let mut id = None;
    let (mut indev, mut outdev) = (0, 0);
    let number = |payload: &[u8]| {
        payload.get(0..4).map_or(0, |octets| u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]))
    };
    for (attribute, position, payload) in netlink::attributes(&body[4..]) {
        match attribute {
            ATTR_PACKET_HDR if payload.len() >= 7 => {
                id = Some(number(payload));
                packet.hook = u32::from(payload[6]);
            }
            ATTR_MARK => packet.mark = number(payload),
            ATTR_IFINDEX_INDEV => indev = number(payload),
            ATTR_IFINDEX_OUTDEV => outdev = number(payload),
            ATTR_SKB_INFO => packet.flags |= number(payload) & 7,
            ATTR_CAP_LEN => packet.flags |= packet_flag::TRUNCATED,
            ATTR_UID if payload.len() == 4 => {
                packet.uid = number(payload);
                packet.flags |= packet_flag::UID;
            }
            ATTR_PAYLOAD => {
                packet.offset = (HEADER + position) as u32;
                packet.length = payload.len() as u32;
            }
            _ => {}
        }
    }
    let Some(id) = id else { return Parsed::Other };
    packet.id = id;
    packet.interface = match packet.hook {
        hook::LOCAL_OUT | hook::POSTROUTING => outdev,
        _ => indev,
    };
    if packet.length == 0 { Parsed::Malformed(id) } else { Parsed::Packet(packet) }
}

/// Turns verdicts into messages, in order; runs of equal ones without payload into one.
fn encode(queue: u16, mark: u32, verdicts: &[Verdict], messages: &mut Vec<Message>) {
    messages.clear();
    let mut rest = verdicts;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|verdict| verdict.decision == first.decision).count();
        let (length, message) = match first.decision {
            Decision::Rewritten { offset, length, marked } => {
                (1, with_payload(queue, first.id, offset, length, marked.then_some(mark)))
            }
            decision if run > 1 => (run, plain(queue, MSG_VERDICT_BATCH, rest[run - 1].id, verdict_number(decision))),
            decision => (1, plain(queue, MSG_VERDICT, first.id, verdict_number(decision))),
        };
        messages.push(message);
        rest = &rest[length..];
    }
}

fn verdict_number(decision: Decision) -> u32 {
    match decision {
        Decision::Drop => NF_DROP,
        Decision::Accept | Decision::Rewritten { .. } => NF_ACCEPT,
        Decision::Queue(queue) => NF_QUEUE | u32::from(queue) << 16,
    }
}

fn plain(queue: u16, kind: u16, id: u32, verdict: u32) -> Message {
    let mut head = [0; VERDICT_HEAD];
    head[..HEADER].copy_from_slice(&netlink::header(VERDICT_PLAIN as u32, kind, 0, 0, queue));
    head[20..22].copy_from_slice(&12u16.to_ne_bytes());
    head[22..24].copy_from_slice(&ATTR_VERDICT_HDR.to_ne_bytes());
    head[24..28].copy_from_slice(&verdict.to_be_bytes());
    head[28..32].copy_from_slice(&id.to_be_bytes());
    Message { head, head_length: VERDICT_PLAIN, offset: 0, length: 0, id }
}

fn with_payload(queue: u16, id: u32, offset: u32, length: u32, mark: Option<u32>) -> Message {
    let mut message = plain(queue, MSG_VERDICT, id, NF_ACCEPT);
    let mut end = VERDICT_PLAIN;
    if let Some(mark) = mark {
        message.head[end..end + 2].copy_from_slice(&8u16.to_ne_bytes());
        message.head[end + 2..end + 4].copy_from_slice(&ATTR_MARK.to_ne_bytes());
        message.head[end + 4..end + 8].copy_from_slice(&mark.to_be_bytes());
        end += 8;
    }
    message.head[end..end + 2].copy_from_slice(&((length + 4) as u16).to_ne_bytes());
    message.head[end + 2..end + 4].copy_from_slice(&ATTR_PAYLOAD.to_ne_bytes());
    end += 4;
    let total = (end + align4(length as usize)) as u32;
    message.head[0..4].copy_from_slice(&total.to_ne_bytes());
    Message { head_length: end, offset: offset as usize, length: length as usize, ..message }
}

#[cfg(test)]
#[path = "nfqueue_tests.rs"]
mod tests;
