//! An Ethernet interface as two queues: frames in through a memory-mapped TPACKET_V2 ring, frames out by `sendmmsg`.
//!
//! A ring rather than `recvmmsg`, because its size does not count against the receive buffer limit, which an
//! unprivileged namespace cannot raise: at 500 Mbit/s that limit is 4 ms of packets, less than one time slice.

use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of ring per interface.
const RING_BYTES: usize = 16 << 20;
/// Ring blocks; a block is physically contiguous memory, so it is kept small.
const BLOCK_BYTES: usize = 1 << 16;
/// Room before the frame in a ring slot: `tpacket2_hdr`, `sockaddr_ll`, alignment.
const SLOT_HEADER: usize = 96;
/// What may have been sent and not yet been looked at by the receiving stack, bytes as the kernel counts them. Its own
/// 208 KiB are some ninety frames: on a busy machine, where the receiver's CPU has other work for some milliseconds,
/// each burst beyond that would be lost.
static SEND_BUFFER: libc::c_int = 32 << 20;
/// Frames per `sendmmsg`.
pub const SEND_BATCH: usize = 64;

/// An interface, opened in promiscuous mode.
pub struct Interface {
    socket: OwnedFd,
    ring: *mut u8,
    slot_bytes: usize,
    slots: usize,
    next: usize,
    /// Frames that did not fit a slot: an interface above with segmentation offload on.
    pub oversize: u64,
}

fn check(result: libc::c_int, what: &str, name: &str) -> Result<libc::c_int> {
    if result >= 0 {
        return Ok(result);
    }
    let error = Error::last_os_error();
    Err(Error::new(error.kind(), format!("{name}: {what}: {error}")))
}

/// Raises the send buffer: as far as wanted where that is allowed, else as far as any socket may.
fn raise_send_buffer(fd: &OwnedFd) {
    for option in [libc::SO_SNDBUF, libc::SO_SNDBUFFORCE] {
        let (at, len) = ((&raw const SEND_BUFFER).cast(), size_of_val(&SEND_BUFFER) as libc::socklen_t);
        // SAFETY: `at` points to `len` readable bytes for the duration of the call. A refusal leaves what there was.
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, at, len) };
    }
}

fn set_option<T>(fd: &OwnedFd, option: libc::c_int, value: &T, name: &str, what: &str) -> Result<()> {
    let (at, len) = (ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `at` points to `len` readable bytes for the duration of the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, option, at, len) }, what, name)?;
    Ok(())
}

/// Index and MTU of an interface.
fn lookup(fd: &OwnedFd, name: &str) -> Result<(libc::c_int, usize)> {
    // SAFETY: ifreq is plain data, all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    let c_name = CString::new(name).map_err(|_| Error::other("interface name holds a zero byte"))?;
    // SAFETY: `c_name` is a terminated string.
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) } as libc::c_int;
    check(if index == 0 { -1 } else { 0 }, "no such interface", name)?;
    // SAFETY: `request` is a valid ifreq, which SIOCGIFMTU fills in.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFMTU, &mut request) }, "SIOCGIFMTU", name)?;
    // SAFETY: SIOCGIFMTU has written this member of the union.
    Ok((index, unsafe { request.ifr_ifru.ifru_mtu } as usize))
}

impl Interface {
    /// Opens an interface of the current network namespace.
    pub fn open(name: &str) -> Result<Interface> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers; protocol 0 receives nothing until bind() names the interface.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) }, "packet socket", name)?;
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        raise_send_buffer(&socket);
        let (index, mtu) = lookup(&socket, name)?;
        set_option(&socket, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as libc::c_int), name, "V2")?;
        set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1i32, name, "PACKET_IGNORE_OUTGOING")?;
        set_option(&socket, libc::PACKET_QDISC_BYPASS, &1i32, name, "PACKET_QDISC_BYPASS")?;
        let promiscuous = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set_option(&socket, libc::PACKET_ADD_MEMBERSHIP, &promiscuous, name, "promiscuous mode")?;
        let slot_bytes = (SLOT_HEADER + mtu + 18).next_power_of_two().clamp(2048, BLOCK_BYTES);
        let slots = RING_BYTES / slot_bytes;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: (RING_BYTES / BLOCK_BYTES) as u32,
            tp_frame_size: slot_bytes as u32,
            tp_frame_nr: slots as u32,
        };
        set_option(&socket, libc::PACKET_RX_RING, &request, name, "receive ring")?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping of the ring just requested; the kernel checks the size.
        let ring = unsafe { libc::mmap(ptr::null_mut(), RING_BYTES, protection, flags, socket.as_raw_fd(), 0) };
        check(if ring == libc::MAP_FAILED { -1 } else { 0 }, "mmap", name)?;
        // SAFETY: sockaddr_ll is plain data, all zeroes is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        (address.sll_family, address.sll_protocol, address.sll_ifindex) = (libc::AF_PACKET as u16, all, index);
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `address` is a sockaddr_ll of `len` bytes.
        check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) }, "bind", name)?;
        Ok(Interface { socket, ring: ring.cast(), slot_bytes, slots, next: 0, oversize: 0 })
    }

    /// For `ppoll`.
    pub fn fd(&self) -> libc::c_int {
        self.socket.as_raw_fd()
    }

    /// Appends the next frame to `frame`. False when the ring is empty.
    pub fn receive(&mut self, frame: &mut Vec<u8>) -> bool {
        loop {
            // SAFETY: `next` < `slots`, so the slot lies inside the mapping.
            let slot = unsafe { self.ring.add(self.next * self.slot_bytes) };
            // SAFETY: a slot starts with its status word, which the kernel writes concurrently; hence atomic.
            let status = unsafe { AtomicU32::from_ptr(slot.cast()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return false;
            }
            // SAFETY: TP_STATUS_USER means the kernel has finished this header and leaves the slot to us.
            let header = unsafe { &*slot.cast::<libc::tpacket2_hdr>() };
            let whole = header.tp_snaplen == header.tp_len;
            if whole {
                let (at, len) = (usize::from(header.tp_mac), header.tp_snaplen as usize);
                assert!(at + len <= self.slot_bytes);
                // SAFETY: inside the slot, as just checked, and not written until the status goes back.
                frame.extend_from_slice(unsafe { std::slice::from_raw_parts(slot.add(at), len) });
            } else {
                self.oversize += 1;
            }
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.slots;
            if whole {
                return true;
            }
        }
    }

    /// Sends up to [`SEND_BATCH`] frames in order; returns how many the interface took.
    pub fn send(&self, frames: &[Vec<u8>]) -> usize {
        let count = frames.len().min(SEND_BATCH);
        let mut vectors = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SEND_BATCH];
        // SAFETY: mmsghdr is plain data, all zeroes is a valid value.
        let mut messages: [libc::mmsghdr; SEND_BATCH] = unsafe { std::mem::zeroed() };
        for ((frame, vector), message) in frames.iter().zip(&mut vectors).zip(&mut messages) {
            *vector = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }
        let mut sent = 0;
        while sent < count {
            let (at, left) = (messages[sent..].as_mut_ptr(), (count - sent) as u32);
            // SAFETY: `left` messages at `at`, whose vectors point into `frames`; sending only reads them.
            let result = unsafe { libc::sendmmsg(self.fd(), at, left, libc::MSG_DONTWAIT) };
            if result <= 0 {
                break;
            }
            sent += result as usize;
        }
        sent
    }

    /// Frames the kernel could not put into the ring since the last call.
    pub fn ring_drops(&self) -> u64 {
        let mut stats = [0u32; 2];
        let mut len = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: tpacket_stats is two u32; `len` says so.
        let result = unsafe {
            let at = stats.as_mut_ptr().cast();
            libc::getsockopt(self.fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, at, &mut len)
        };
        if result == 0 { u64::from(stats[1]) } else { 0 }
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open`, unmapped once.
        unsafe { libc::munmap(self.ring.cast(), RING_BYTES) };
    }
}
