//! The real device: one NFQUEUE, raw sockets, ipsets.

use std::os::fd::BorrowedFd;

use crate::device::{Device, DeviceCounters, Outgoing, Received, SetOperation, Verdict};
use crate::error::{Error, Result};
use crate::nfqueue::Queue;
use crate::raw::{Marks, RawSockets};
use crate::sets::{SetNames, Sets};

/// The kernel, as one shard sees it.
pub struct Kernel {
    queue: Queue,
    raw: RawSockets,
    sets: Option<Sets>,
}

impl Kernel {
    /// Binds queue `number` and opens the sockets, in the calling thread's network namespace.
    /// The queue before the sets: a process's first netlink socket has its process id as port id, by
    /// which /proc names the queue's holder.
    pub fn open(number: u16, marks: Marks, sets: Option<SetNames>) -> Result<Kernel> {
        let raw = RawSockets::open(marks).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Error::Permission {
                what: "opening a raw socket with a mark".into(),
                capability: "CAP_NET_RAW and CAP_NET_ADMIN",
            },
            _ => Error::io("cannot open a raw socket", error),
        })?;
        let queue = Queue::open(number, marks.wire)?;
        let sets = sets
            .map(Sets::open)
            .transpose()
            .map_err(|error| Error::io("cannot open a netlink socket for ipset", error))?;
        Ok(Kernel { queue, raw, sets })
    }
}

impl Device for Kernel {
    fn fd(&self) -> BorrowedFd<'_> {
        self.queue.fd()
    }

    fn receive(&mut self, memory: &mut [u8], max: usize, packets: &mut Vec<Received>) -> Result<bool> {
        self.queue.receive(memory, max, packets)
    }

    fn decide(&mut self, memory: &mut [u8], verdicts: &[Verdict]) {
        self.queue.decide(memory, verdicts);
    }

    fn send(&mut self, memory: &[u8], packets: &[Outgoing]) {
        self.raw.send(memory, packets);
    }

    fn apply_sets(&mut self, operations: &[SetOperation]) {
        if let Some(sets) = &mut self.sets {
            sets.apply(operations);
        }
    }

    fn counters(&mut self) -> DeviceCounters {
        let mut counters = self.queue.counters();
        counters.raw_sent = self.raw.sent;
        counters.raw_errors = self.raw.errors;
        counters.raw_last_error = self.raw.last_error as u64;
        if let Some(sets) = &self.sets {
            counters.set_operations = sets.operations;
            counters.set_errors = sets.errors;
            counters.set_last_error = sets.last_error as u64;
        }
        counters
    }
}
