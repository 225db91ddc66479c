//! One shard: an engine, a device, and what moves between them. Its thread is in `datapath`.
//!
//! After each call into the engine, in this order:
//!
//! 1. set operations, so that a tuple stands in the kernel's sets before any packet of the call leaves;
//! 2. verdicts: conntrack must have confirmed a SYN that we consume before our SYN/ACK leaves, and of
//!    a split packet the verdict carries the first part;
//! 3. the outbox;
//! 4. trace records and events.

use std::path::PathBuf;
use std::time::Duration;

use crate::abi::{self, engine_header};
use crate::device::{Device, DeviceCounters, Outgoing, Received, SetOperation, Verdict};
use crate::engine::{Engine, Remembered, now_us};
use crate::error::{Error, Result, Trap};
use crate::spare::{Corpse, Nursery};
use crate::trace::TraceFile;

/// Octets of a batch, about. The kernel copies each packet twice, in and out: what came in should still be in the
/// second-level cache when it leaves. Batches of 32 super-packets are a tenth slower than of 8 (docs/PERFORMANCE.md).
const BATCH_OCTETS: usize = 256 * 1024;
/// Fewer would cost more system calls than the cache saves.
const BATCH_LEAST: usize = 4;
/// Engines that may die in a row without a batch finished in between: the last resort against a
/// set of paths or preferences that kills every engine which is given it.
const TRAPS_IN_A_ROW_MAX: u32 = 8;

/// Receives what a shard has to say, on the shard's thread; must not block.
pub trait Listener: Send {
    /// Whole event records. False if they could not be passed on.
    fn events(&self, records: Vec<u8>) -> bool;
    fn failure(&self, failure: Failure);
}

/// Something went wrong that the host should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// "trap": an engine died, the spare took over. "trace": the trace file could not be written and
    /// was closed. "fatal": the data path has ended.
    pub kind: &'static str,
    pub message: String,
    /// Wasm frames of a trap, one per line.
    pub backtrace: String,
    /// Where the coredump is being written; `.batch` beside it.
    pub coredump: Option<PathBuf>,
}

impl Failure {
    /// A failure that is told in one line.
    pub fn new(kind: &'static str, message: String) -> Failure {
        Failure { kind, message, backtrace: String::new(), coredump: None }
    }
}

/// What a shard counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// process() calls.
    pub batches: u64,
    pub packets: u64,
    /// Octets of those packets.
    pub bytes: u64,
    pub verdicts: u64,
    pub outbox_packets: u64,
    pub ticks: u64,
    pub commands: u64,
    /// Processor time that commands and reads took in all, and at most between two looks at the queue, µs: so long may
    /// a packet have waited for what somebody (an operator, a policy) wanted of the engine.
    pub held_us: u64,
    pub held_longest_us: u64,
    /// Engines that died.
    pub traps: u64,
    /// Calls that answered with a status other than OK.
    pub status_errors: u64,
    /// Verdicts that could not be given as the engine asked; the packets were dropped.
    pub impossible_verdicts: u64,
    /// Event records that Node was too slow to take.
    pub events_undelivered: u64,
}

/// One shard.
pub struct Shard<D: Device> {
    engine: Engine,
    device: D,
    nursery: Nursery,
    listener: Box<dyn Listener>,
    /// Packets of one batch at most, by the configuration.
    batch: usize,
    /// And by the length of those that came last.
    room: usize,
    remembered: Remembered,
    trace: Option<TraceFile>,
    counters: ShardCounters,
    traps_in_a_row: u32,
    received: Vec<Received>,
    verdicts: Vec<Verdict>,
    outgoing: Vec<Outgoing>,
    operations: Vec<SetOperation>,
}

impl<D: Device> Shard<D> {
    /// Joins the parts. `batch` is how many packets one call gets at most, 1 … BATCH_MAX.
    pub fn new(engine: Engine, device: D, nursery: Nursery, listener: Box<dyn Listener>, batch: usize) -> Shard<D> {
        Shard {
            engine,
            device,
            nursery,
            listener,
            batch,
            room: batch,
            remembered: Remembered::default(),
            trace: None,
            counters: ShardCounters::default(),
            traps_in_a_row: 0,
            received: Vec::with_capacity(abi::BATCH_MAX as usize),
            verdicts: Vec::with_capacity(abi::BATCH_MAX as usize),
            outgoing: Vec::with_capacity(abi::OUTBOX_MAX as usize),
            operations: Vec::with_capacity(abi::SET_OPERATION_MAX as usize),
        }
    }

    pub fn device(&self) -> &D {
        &self.device
    }

    /// Commands and reads took this much processor time since the queue was looked at last.
    pub fn note_held(&mut self, time: Duration) {
        let us = time.as_micros() as u64;
        self.counters.held_us += us;
        self.counters.held_longest_us = self.counters.held_longest_us.max(us);
    }

    /// Tells the host.
    pub fn report(&self, failure: Failure) {
        self.listener.failure(failure);
    }

    /// Receives one batch, if there is one, and deals with it. Returns whether there may be more.
    /// Fails if the queue or the last engine is gone.
    pub fn serve_batch(&mut self) -> Result<bool> {
        self.received.clear();
        let memory = self.engine.instance.memory_mut();
        let more = self.device.receive(memory, self.room, &mut self.received)?;
        if !self.received.is_empty() {
            let octets: usize = self.received.iter().map(|p| p.length as usize).sum();
            self.room = room_for(self.received.len(), octets, self.batch);
            self.counters.batches += 1;
            self.counters.packets += self.received.len() as u64;
            self.counters.bytes += octets as u64;
            let outcome = self.engine.process(&self.received);
            self.finish(outcome)?;
            self.received.clear();
        }
        Ok(more)
    }

    /// Calls tick() if it is due. Returns how long until it is, None = never.
    pub fn tick_if_due(&mut self) -> Result<Option<Duration>> {
        let deadline = self.engine.deadline_us();
        if deadline == u64::MAX {
            return Ok(None);
        }
        let now = now_us();
        if deadline > now {
            return Ok(Some(Duration::from_micros(deadline - now)));
        }
        self.counters.ticks += 1;
        let outcome = self.engine.tick();
        self.finish(outcome)?;
        let left = self.engine.deadline_us().saturating_sub(now_us());
        Ok(Some(Duration::from_micros(left)))
    }

    /// Gives whole command records to the engine.
    pub fn command(&mut self, records: &[u8]) -> Result<()> {
        let size = abi::COMMAND_SIZE as usize;
        for record in records.chunks_exact(size) {
            self.remembered.note(record);
        }
        for chunk in records.chunks(size * abi::COMMAND_MAX as usize) {
            self.counters.commands += (chunk.len() / size) as u64;
            let outcome = self.engine.command(chunk);
            self.finish(outcome)?;
        }
        Ok(())
    }

    /// One page of a snapshot and the next cursor, 0 = that was all.
    pub fn snapshot_page(&mut self, cursor: u32) -> Result<(Vec<u8>, u32)> {
        match self.engine.snapshot(cursor) {
            Ok((abi::status::OK, page, next)) => Ok((page, next)),
            Ok((status, ..)) => Err(Error::Status { call: "snapshot", status }),
            Err(error) => {
                let text = error.to_string();
                self.fail_over(error)?;
                Err(Error::Module { what: "snapshot".into(), cause: text })
            }
        }
    }

    /// Counters of shard and device, and the engine's counter region and header.
    pub fn counters(&mut self) -> (ShardCounters, DeviceCounters, Vec<u8>, [u32; 4]) {
        let region = self.engine.octets(abi::COUNTERS, abi::COUNTER_MAX * 8).to_vec();
        let header =
            [engine_header::CONNECTIONS, engine_header::SUBFLOWS, engine_header::RUNS_FREE, engine_header::EVENTS_LOST]
                .map(|field| self.engine.header(field));
        (self.counters, self.device.counters(), region, header)
    }

    /// Starts a trace, ending one that runs.
    pub fn start_trace(&mut self, path: &str) -> Result<()> {
        self.stop_trace()?;
        let file =
            TraceFile::create(path).map_err(|error| Error::io(format!("cannot make trace file {path}"), error))?;
        self.trace = Some(file);
        Ok(())
    }

    /// Ends the trace. Returns its records, 0 if none ran.
    pub fn stop_trace(&mut self) -> Result<u64> {
        self.trace
            .take()
            .map_or(Ok(0), |trace| trace.finish().map_err(|error| Error::io("cannot finish the trace file", error)))
    }

    /// Writes the trace out if that is due. Returns when it is due next.
    pub fn flush_trace(&mut self) -> Option<Duration> {
        let result = self.trace.as_mut()?.flush_if_due();
        self.check_trace(result).flatten()
    }

    fn check_trace<T>(&mut self, result: std::io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.trace = None;
                let message = format!("cannot write the trace file: {error}; tracing has stopped");
                self.listener.failure(Failure::new("trace", message));
            })
            .ok()
    }

    /// Carries out what a call left behind, or replaces the engine that died in it.
    fn finish(&mut self, outcome: Result<u32>) -> Result<()> {
        match outcome {
            Ok(status) => {
                self.counters.status_errors += u64::from(status != abi::status::OK);
                self.traps_in_a_row = 0;
                self.carry_out(true);
                Ok(())
            }
            Err(error) => self.fail_over(error),
        }
    }

    /// Steps 1–4 of the head of this file. Without `outbox`, of a dead engine, only finished verdicts
    /// count: what it made itself may be half made.
    fn carry_out(&mut self, outbox: bool) {
        self.operations.clear();
        self.engine.set_operations(&mut self.operations);
        if !self.operations.is_empty() {
            self.device.apply_sets(&self.operations);
        }
        self.verdicts.clear();
        self.counters.impossible_verdicts += self.engine.verdicts(&self.received, &mut self.verdicts);
        if !self.verdicts.is_empty() {
            self.counters.verdicts += self.verdicts.len() as u64;
            self.device.decide(self.engine.instance.memory_mut(), &self.verdicts);
        }
        if outbox {
            self.outgoing.clear();
            self.engine.outbox(&mut self.outgoing);
            if !self.outgoing.is_empty() {
                self.counters.outbox_packets += self.outgoing.len() as u64;
                self.device.send(self.engine.instance.memory(), &self.outgoing);
            }
        }
        if let Some(trace) = &mut self.trace {
            let result = trace.append(self.engine.trace());
            self.check_trace(result);
        }
        let events = self.engine.drain_events();
        let count = events.len() as u64 / u64::from(abi::EVENT_SIZE);
        if count > 0 && !self.listener.events(events) {
            self.counters.events_undelivered += count;
        }
    }

    /// Has the fresh engine end the connections that it inherited.
    fn salvage(&mut self) -> Result<()> {
        loop {
            let status = self.engine.salvage()?;
            self.carry_out(true);
            if status != abi::status::MORE {
                return Ok(());
            }
        }
    }

    /// Sends the finished verdicts of the dead engine (the rest are DROP), lets the spare take over
    /// with the paths and preferences of the old one, and tells the host.
    fn fail_over(&mut self, error: Error) -> Result<()> {
        let Error::Trap(trap) = error else { return Err(error) };
        self.carry_out(false);
        self.counters.traps += 1;
        self.traps_in_a_row += 1;
        if self.traps_in_a_row > TRAPS_IN_A_ROW_MAX {
            return Err(Error::Trap(trap));
        }
        let spare = self.nursery.take()?;
        let engine = std::mem::replace(&mut self.engine, spare);
        // What killed salvage() would kill it again.
        let salvaging = trap.call != "salvage";
        if salvaging {
            self.engine.inherit(&engine);
        }
        let failure = describe(&trap);
        let packets = std::mem::take(&mut self.received);
        let coredump = self.nursery.bury(Corpse { engine, trap, packets });
        self.listener.failure(Failure { coredump, ..failure });
        if salvaging && let Err(error) = self.salvage() {
            return self.fail_over(error);
        }
        let commands = self.remembered.octets();
        for chunk in commands.chunks((abi::COMMAND_SIZE * abi::COMMAND_MAX) as usize) {
            let outcome = self.engine.command(chunk);
            // Not finish(): a command that works does not mean that packets do.
            match outcome {
                Ok(_) => self.carry_out(true),
                Err(error) => return self.fail_over(error),
            }
        }
        Ok(())
    }
}

/// Packets that the next batch may have, `most` at most, where the last one had `packets` of `octets` together.
pub(crate) fn room_for(packets: usize, octets: usize, most: usize) -> usize {
    (BATCH_OCTETS * packets / octets.max(1)).clamp(BATCH_LEAST.min(most), most)
}

fn describe(trap: &Trap) -> Failure {
    Failure {
        kind: "trap",
        message: format!(
            "the engine died in {}(): {}; its connections were reset, a fresh engine took over",
            trap.call, trap.message
        ),
        backtrace: trap.backtrace.clone(),
        coredump: None,
    }
}
