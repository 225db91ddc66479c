//! A shard between an engine in wat and a device in memory: what leaves it, in which order, also
//! when the engine dies.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, eventfd};

use crate::abi::{self, descriptor, engine_header};
use crate::device::{Decision, Device, DeviceCounters, Outgoing, Received, SetOperation, Verdict};
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, Result};
use crate::shard::{Failure, Listener, Shard, room_for};
use crate::spare::Nursery;
use crate::vm::{Code, CodeOptions};

/// What the device and the listener saw, in order.
#[derive(Debug, PartialEq)]
enum Seen {
    Sets(Vec<SetOperation>),
    Verdicts(Vec<Verdict>),
    Sent(usize),
    Failure(Failure),
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// Gives the same batch of marks again and again.
struct Fake {
    fd: OwnedFd,
    marks: Vec<u32>,
    log: Log,
}

impl Device for Fake {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn receive(&mut self, memory: &mut [u8], max: usize, packets: &mut Vec<Received>) -> Result<bool> {
        for (index, mark) in self.marks.drain(..).take(max).enumerate() {
            let offset = abi::BATCH + index as u32 * abi::SLOT_SIZE + abi::SLOT_HEADROOM;
            memory[offset as usize] = 0x45;
            let id = index as u32 + 1;
            packets.push(Received { id, offset, length: 40, hook: 3, interface: 1, mark, flags: 0, uid: 0 });
        }
        Ok(false)
    }

    fn decide(&mut self, _memory: &mut [u8], verdicts: &[Verdict]) {
        self.log.lock().unwrap().push(Seen::Verdicts(verdicts.to_vec()));
    }

    fn send(&mut self, _memory: &[u8], packets: &[Outgoing]) {
        self.log.lock().unwrap().push(Seen::Sent(packets.len()));
    }

    fn apply_sets(&mut self, operations: &[SetOperation]) {
        self.log.lock().unwrap().push(Seen::Sets(operations.to_vec()));
    }

    fn counters(&mut self) -> DeviceCounters {
        DeviceCounters::default()
    }
}

struct Ear(Log);

impl Listener for Ear {
    fn events(&self, _records: Vec<u8>) -> bool {
        true
    }

    fn failure(&self, failure: Failure) {
        self.0.lock().unwrap().push(Seen::Failure(failure));
    }
}

/// An engine whose verdict for a packet is its mark; it traps at mark 99 and loops at mark 98. The
/// rewritten packet of verdict 2 is as long as the interface index says times 2^16. Every process()
/// leaves a set operation and an outbox packet.
fn engine_wat() -> String {
    format!(
        r#"(module
  (import "env" "memory" (memory 1))
  (func (export "init") (param i32) (result i32)
    (i64.store (i32.const {deadline}) (i64.const -1)) (i32.const 0))
  (func (export "tick") (result i32) (i32.const 0))
  (func (export "salvage") (result i32) (i32.const 0))
  (func (export "snapshot") (param i32) (result i32) (i32.const 5))
  (func (export "command") (param i32) (result i32) (i32.const 0))
  (func (export "process") (param $count i32) (result i32) (local $d i32)
    (i32.store (i32.const {set_count}) (i32.const 1))
    (i32.store8 (i32.const {sets}) (i32.const 1))
    (i32.store (i32.const {outbox_count}) (i32.const 1))
    (local.set $d (i32.const {descriptors}))
    (loop $next
      (if (i32.eq (i32.load offset={mark} (local.get $d)) (i32.const 99)) (then unreachable))
      (if (i32.eq (i32.load offset={mark} (local.get $d)) (i32.const 98)) (then (loop $ever (br $ever))))
      (i32.store offset={verdict} (local.get $d) (i32.load offset={mark} (local.get $d)))
      (i32.store offset={out_offset} (local.get $d) (i32.load offset={offset} (local.get $d)))
      (i32.store offset={out_length} (local.get $d) (i32.const 60))
      (local.set $d (i32.add (local.get $d) (i32.const {size})))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.const 0)))"#,
        deadline = abi::HEADER + engine_header::NEXT_DEADLINE_US,
        set_count = abi::HEADER + engine_header::SET_OPERATION_COUNT,
        sets = abi::SET_OPERATIONS,
        outbox_count = abi::HEADER + engine_header::OUTBOX_COUNT,
        descriptors = abi::DESCRIPTORS,
        size = abi::DESCRIPTOR_SIZE,
        mark = descriptor::MARK,
        verdict = descriptor::VERDICT,
        offset = descriptor::OFFSET,
        out_offset = descriptor::OUT_OFFSET,
        out_length = descriptor::OUT_LENGTH,
    )
}

fn shard(marks: &[u32]) -> (Shard<Fake>, Log) {
    let wasm = wat::parse_str(engine_wat()).unwrap();
    let code = Arc::new(Code::compile(&wasm, CodeOptions::default()).unwrap());
    let options = EngineOptions::default();
    let engine = Engine::new(&code, &options).unwrap();
    let nursery = Nursery::start(code, options, None).unwrap();
    let log = Log::default();
    let fd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let device = Fake { fd, marks: marks.to_vec(), log: log.clone() };
    (Shard::new(engine, device, nursery, Box::new(Ear(log.clone())), 64), log)
}

fn decisions(seen: &Seen) -> Vec<Decision> {
    match seen {
        Seen::Verdicts(verdicts) => verdicts.iter().map(|verdict| verdict.decision).collect(),
        other => panic!("no verdicts but {other:?}"),
    }
}

const FIRST_SLOT: u32 = abi::BATCH + abi::SLOT_HEADROOM;

#[test]
fn sets_then_verdicts_then_outbox() {
    let (mut shard, log) = shard(&[1, 0, 3, 7]);
    shard.serve_batch().unwrap();
    let log = log.lock().unwrap();
    assert!(matches!(&log[0], Seen::Sets(operations) if operations.len() == 1 && operations[0].kind == 1));
    let expected = [Decision::Accept, Decision::Drop, Decision::Queue(0), Decision::Drop];
    assert_eq!(decisions(&log[1]), expected);
    assert_eq!(log[2], Seen::Sent(1));
    assert_eq!(log.len(), 3);
}

#[test]
fn a_rewritten_packet_is_named_by_its_place() {
    let (mut shard, log) = shard(&[2]);
    shard.serve_batch().unwrap();
    let log = log.lock().unwrap();
    assert_eq!(decisions(&log[1]), [Decision::Rewritten { offset: FIRST_SLOT, length: 60, marked: false }]);
}

#[test]
fn a_dead_engine_leaves_its_finished_verdicts_and_no_outbox() {
    let (mut shard, log) = shard(&[1, 1, 99, 1]);
    shard.serve_batch().unwrap();
    let log = log.lock().unwrap();
    assert!(matches!(&log[0], Seen::Sets(_)));
    let expected = [Decision::Accept, Decision::Accept, Decision::Drop, Decision::Drop];
    assert_eq!(decisions(&log[1]), expected);
    assert!(
        matches!(&log[2], Seen::Failure(failure) if failure.kind == "trap" && failure.message.contains("process()"))
    );
    assert_eq!(log.len(), 3);
}

#[test]
fn an_endless_loop_is_a_trap_and_the_spare_serves() {
    let (mut shard, log) = shard(&[98]);
    shard.serve_batch().unwrap();
    assert_eq!(shard.counters().0.traps, 1);
    assert!(matches!(&log.lock().unwrap()[2], Seen::Failure(failure) if failure.message.contains("100 ms")));
    // The spare is a fresh instance: what the dead one counted is gone, and calls work.
    shard.command(&[0; abi::COMMAND_SIZE as usize]).unwrap();
    assert_eq!(shard.counters().0.status_errors, 0);
}

#[test]
fn a_refused_snapshot_is_its_callers_error_only() {
    let (mut shard, _) = shard(&[]);
    assert!(matches!(shard.snapshot_page(0), Err(Error::Status { call: "snapshot", status: 5 })));
}

#[test]
fn capacity_decides_the_memory() {
    let options = EngineOptions { connections: 1000, subflows: 4000, runs: 10_000, ..Default::default() };
    let octets = options.memory_size().unwrap();
    let needed = abi::SLABS_START + abi::SLABS_FIXED_COST + 704_000 + 2_048_000 + 320_000;
    assert_eq!(octets as u32, needed.next_multiple_of(65536));
    let options = EngineOptions { connections: u32::MAX, ..Default::default() };
    assert!(options.memory_size().unwrap_err().to_string().contains("lower connections"));
}

#[test]
fn a_batch_of_long_packets_is_small_enough_for_the_cache() {
    assert_eq!(room_for(32, 32 * 100, 32), 32, "acknowledgements");
    assert_eq!(room_for(32, 32 * 1500, 32), 32, "segments");
    assert_eq!(room_for(8, 8 * 64 * 1024, 32), 4, "super-packets");
    assert_eq!(room_for(8, 8 * 26 * 1024, 32), 9, "both");
    assert_eq!(room_for(2, 2 * 64 * 1024, 2), 2, "never more than the configuration allows");
}
