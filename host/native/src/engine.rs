//! The engine's ABI over an `Instance`: sizes the memory, writes the config, sets time and entropy
//! before each call, reads what a call left behind. Knows records and addresses, no packets' paths.

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::TypedFunc;

use crate::abi::{self, class_rule, command, descriptor, engine_config, engine_header, outbox_entry, status};
use crate::device::{Decision, Outgoing, PAYLOAD_MAX, Received, SetOperation, Verdict};
use crate::error::{Error, Result};
use crate::vm::{Code, Instance, PAGE};

/// What an engine is made with. Zero means the engine's own default.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    pub connections: u32,
    pub subflows: u32,
    pub runs: u32,
    pub role: u32,
    pub half_open_max: u32,
    pub port_first: u32,
    pub port_last: u32,
    /// `abi::config_flag` bits.
    pub flags: u32,
    pub syn_mpc_retries: u32,
    pub rejoin_grace_ms: u32,
    pub subflows_per_connection_max: u32,
    pub shard: u32,
    pub shard_count: u32,
}

impl EngineOptions {
    /// Octets of memory that the capacity needs, whole pages. Fails above the 4 GiB of wasm.
    pub fn memory_size(&self) -> Result<usize> {
        let cost = |count: u32, each: u32| u64::from(count) * u64::from(each);
        let octets = u64::from(abi::SLABS_START)
            + u64::from(abi::SLABS_FIXED_COST)
            + cost(self.connections, abi::CONNECTION_COST)
            + cost(self.subflows, abi::SUBFLOW_COST)
            + cost(self.runs, abi::RUN_COST);
        let rounded = octets.next_multiple_of(PAGE as u64);
        if rounded > 1 << 32 {
            return Err(Error::Options(format!(
                "the capacity asked for needs {} MiB of engine memory, 4096 is the limit; \
                 lower connections, subflows or runs",
                rounded >> 20
            )));
        }
        Ok(rounded as usize)
    }
}

/// An initialised engine.
pub struct Engine {
    pub instance: Instance,
    process: TypedFunc<u32, u32>,
    tick: TypedFunc<(), u32>,
    command: TypedFunc<u32, u32>,
    snapshot: TypedFunc<u32, u32>,
    salvage: TypedFunc<(), u32>,
}

impl Engine {
    /// Instantiates, prefaults the constant part of the memory and calls init().
    pub fn new(code: &Code, options: &EngineOptions) -> Result<Engine> {
        let mut instance = code.instantiate(options.memory_size()?)?;
        instance.prefault(abi::SLABS_START as usize);
        let init = instance.function("init")?;
        let mut engine = Engine {
            process: instance.function("process")?,
            tick: instance.function0("tick")?,
            command: instance.function("command")?,
            snapshot: instance.function("snapshot")?,
            salvage: instance.function0("salvage")?,
            instance,
        };
        engine.write_config(options);
        engine.prepare();
        let answer = engine.instance.call_init(&init, abi::CONFIG_SIZE)?;
        if answer != status::OK {
            return Err(Error::Status { call: "init", status: answer });
        }
        Ok(engine)
    }

    fn write_config(&mut self, options: &EngineOptions) {
        for (offset, value) in [
            (engine_config::ABI_VERSION, abi::ABI_VERSION),
            (engine_config::ROLE, options.role),
            (engine_config::CONNECTIONS, options.connections),
            (engine_config::SUBFLOWS, options.subflows),
            (engine_config::RUNS, options.runs),
            (engine_config::HALF_OPEN_MAX, options.half_open_max),
            (engine_config::PORT_FIRST, options.port_first),
            (engine_config::PORT_LAST, options.port_last),
            (engine_config::FLAGS, options.flags),
            (engine_config::SYN_MPC_RETRIES, options.syn_mpc_retries),
            (engine_config::REJOIN_GRACE_MS, options.rejoin_grace_ms),
            (engine_config::SUBFLOWS_PER_CONNECTION_MAX, options.subflows_per_connection_max),
            (engine_config::SHARD, options.shard),
            (engine_config::SHARD_COUNT, options.shard_count),
        ] {
            self.set_u32(abi::CONFIG + offset, value);
        }
    }

    /// The u32 at `address`, which must lie in the constant part of memory.
    pub fn u32(&self, address: u32) -> u32 {
        let start = address as usize;
        u32::from_le_bytes(self.instance.memory()[start..start + 4].try_into().expect("4 octets"))
    }

    fn u64(&self, address: u32) -> u64 {
        u64::from(self.u32(address)) | u64::from(self.u32(address + 4)) << 32
    }

    fn set_u32(&mut self, address: u32, value: u32) {
        let start = address as usize;
        self.instance.memory_mut()[start..start + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The octets at `address`; they must lie in the constant part of memory.
    pub fn octets(&self, address: u32, length: u32) -> &[u8] {
        let start = address as usize;
        &self.instance.memory()[start..start + length as usize]
    }

    /// A header field.
    pub fn header(&self, field: u32) -> u32 {
        self.u32(abi::HEADER + field)
    }

    /// When tick() is due, in microseconds of `now_us`; u64::MAX = never.
    pub fn deadline_us(&self) -> u64 {
        self.u64(abi::HEADER + engine_header::NEXT_DEADLINE_US)
    }

    /// Sets what the engine expects before every call: time, entropy, and counts of outputs at zero,
    /// so that a call which traps early does not leave those of the call before.
    fn prepare(&mut self) {
        let now = now_us();
        let start = (abi::HEADER + engine_header::NOW_US) as usize;
        self.instance.memory_mut()[start..start + 8].copy_from_slice(&now.to_le_bytes());
        self.set_u32(abi::HEADER + engine_header::OUTBOX_COUNT, 0);
        self.set_u32(abi::HEADER + engine_header::SET_OPERATION_COUNT, 0);
        self.set_u32(abi::HEADER + engine_header::TRACE_COUNT, 0);
        let left = self.header(engine_header::ENTROPY_COUNT).min(abi::ENTROPY_SIZE);
        if left < abi::ENTROPY_SIZE * 3 / 4 {
            self.top_up_entropy(left);
        }
    }

    fn top_up_entropy(&mut self, left: u32) {
        let (start, end) = (abi::ENTROPY + left, abi::ENTROPY + abi::ENTROPY_SIZE);
        let target = &mut self.instance.memory_mut()[start as usize..end as usize];
        // An engine without entropy passes SYNs as plain TCP: an error here is no failure.
        if let Ok(filled) = getrandom(target, GetRandomFlags::empty()) {
            self.set_u32(abi::HEADER + engine_header::ENTROPY_COUNT, left + filled as u32);
        }
    }

    /// process() over `packets`, whose octets are in memory. Every verdict is set to DROP first, so
    /// that a trap leaves DROP with those that were not reached.
    pub fn process(&mut self, packets: &[Received]) -> Result<u32> {
        self.prepare();
        let size = abi::DESCRIPTOR_SIZE as usize;
        let start = abi::DESCRIPTORS as usize;
        let region = &mut self.instance.memory_mut()[start..start + packets.len() * size];
        for (record, packet) in region.chunks_exact_mut(size).zip(packets) {
            record.fill(0);
            for (offset, value) in [
                (descriptor::OFFSET, packet.offset),
                (descriptor::LENGTH, packet.length),
                (descriptor::HOOK, packet.hook),
                (descriptor::INTERFACE, packet.interface),
                (descriptor::MARK, packet.mark),
                (descriptor::FLAGS, packet.flags),
                (descriptor::UID, packet.uid),
                (descriptor::VERDICT, abi::verdict::DROP),
            ] {
                put_u32(record, offset, value);
            }
        }
        self.instance.call("process", &self.process, packets.len() as u32)
    }

    /// tick().
    pub fn tick(&mut self) -> Result<u32> {
        self.prepare();
        self.instance.call("tick", &self.tick, ())
    }

    /// command() with whole records, at most COMMAND_MAX of them.
    pub fn command(&mut self, records: &[u8]) -> Result<u32> {
        self.prepare();
        let start = abi::COMMANDS as usize;
        self.instance.memory_mut()[start..start + records.len()].copy_from_slice(records);
        let count = records.len() as u32 / abi::COMMAND_SIZE;
        self.instance.call("command", &self.command, count)
    }

    /// Takes over the counters and the slabs of a dead engine of the same options, for `salvage`.
    pub fn inherit(&mut self, dead: &Engine) {
        let (start, end) = (abi::SLABS_START as usize, self.header(engine_header::SLABS_END) as usize);
        if end < start || end != dead.header(engine_header::SLABS_END) as usize {
            return; // its header is damaged: so is the rest
        }
        let counters = abi::COUNTERS as usize;
        for range in [counters..counters + abi::COUNTER_MAX as usize * 8, start..end] {
            self.instance.memory_mut()[range.clone()].copy_from_slice(&dead.instance.memory()[range]);
        }
    }

    /// salvage(): MORE as long as there is more to end.
    pub fn salvage(&mut self) -> Result<u32> {
        self.prepare();
        self.instance.call("salvage", &self.salvage, ())
    }

    /// One page of a snapshot: (status, records, next cursor; 0 = that was all).
    pub fn snapshot(&mut self, cursor: u32) -> Result<(u32, Vec<u8>, u32)> {
        self.prepare();
        let answer = self.instance.call("snapshot", &self.snapshot, cursor)?;
        let length = self.header(engine_header::SNAPSHOT_LENGTH).min(abi::SNAPSHOT_SIZE);
        let page = self.octets(abi::SNAPSHOT, length).to_vec();
        Ok((answer, page, self.header(engine_header::SNAPSHOT_NEXT)))
    }

    /// The verdicts of the last process(), appended in order. Returns how many were impossible (a
    /// payload verdict for a truncated packet, octets outside memory, an unknown verdict): DROP.
    pub fn verdicts(&self, packets: &[Received], verdicts: &mut Vec<Verdict>) -> u64 {
        let limit = self.instance.memory().len() as u64;
        let size = abi::DESCRIPTOR_SIZE;
        let region = self.octets(abi::DESCRIPTORS, packets.len() as u32 * size);
        let mut impossible = 0;
        for (record, packet) in region.chunks_exact(size as usize).zip(packets) {
            let decision = decision(record, packet, limit).unwrap_or_else(|| {
                impossible += 1;
                Decision::Drop
            });
            verdicts.push(Verdict { id: packet.id, decision });
        }
        impossible
    }

    /// The outbox of the last call, appended in order.
    pub fn outbox(&self, packets: &mut Vec<Outgoing>) {
        let count = self.header(engine_header::OUTBOX_COUNT).min(abi::OUTBOX_MAX);
        let region = self.octets(abi::OUTBOX, count * abi::OUTBOX_ENTRY_SIZE);
        packets.extend(region.chunks_exact(abi::OUTBOX_ENTRY_SIZE as usize).map(|record| Outgoing {
            offset: get_u32(record, outbox_entry::OFFSET),
            length: get_u32(record, outbox_entry::LENGTH),
            direction: get_u32(record, outbox_entry::DIRECTION),
        }));
    }

    /// The set operations of the last call, appended in order.
    pub fn set_operations(&self, operations: &mut Vec<SetOperation>) {
        use crate::abi::set_operation as s;
        let count = self.header(engine_header::SET_OPERATION_COUNT).min(abi::SET_OPERATION_MAX);
        let region = self.octets(abi::SET_OPERATIONS, count * abi::SET_OPERATION_SIZE);
        let address = |record: &[u8], field: u32| -> [u8; 16] {
            record[field as usize..field as usize + 16].try_into().expect("16 octets")
        };
        operations.extend(region.chunks_exact(abi::SET_OPERATION_SIZE as usize).map(|record| SetOperation {
            kind: record[s::KIND as usize],
            family: record[s::FAMILY as usize],
            port: get_u16(record, s::PORT),
            opener: address(record, s::OPENER),
            other: address(record, s::OTHER),
        }));
    }

    /// The trace records of the last call.
    pub fn trace(&self) -> &[u8] {
        let count = self.header(engine_header::TRACE_COUNT).min(abi::TRACE_MAX);
        self.octets(abi::TRACE, count * abi::TRACE_RECORD_SIZE)
    }

    /// Takes the unread events out of the ring, oldest first.
    pub fn drain_events(&mut self) -> Vec<u8> {
        let head = self.header(engine_header::EVENT_HEAD);
        let tail = self.header(engine_header::EVENT_TAIL);
        let unread = head.wrapping_sub(tail).min(abi::EVENT_MAX);
        let mut events = Vec::with_capacity((unread * abi::EVENT_SIZE) as usize);
        for index in 0..unread {
            let slot = head.wrapping_sub(unread).wrapping_add(index) % abi::EVENT_MAX;
            let address = abi::EVENTS + slot * abi::EVENT_SIZE;
            events.extend_from_slice(self.octets(address, abi::EVENT_SIZE));
        }
        self.set_u32(abi::HEADER + engine_header::EVENT_TAIL, head);
        events
    }
}

fn decision(record: &[u8], packet: &Received, limit: u64) -> Option<Decision> {
    match get_u32(record, descriptor::VERDICT) {
        abi::verdict::DROP => Some(Decision::Drop),
        abi::verdict::ACCEPT => Some(Decision::Accept),
        abi::verdict::ACCEPT_REWRITTEN => {
            let offset = get_u32(record, descriptor::OUT_OFFSET);
            let length = get_u32(record, descriptor::OUT_LENGTH);
            let fits = u64::from(offset) + u64::from(length) <= limit;
            let possible =
                fits && (1..=PAYLOAD_MAX).contains(&length) && packet.flags & abi::packet_flag::TRUNCATED == 0;
            // A mark that it has already is somebody else's, who routes by it.
            let marked = packet.hook == abi::hook::LOCAL_OUT && packet.mark == 0;
            possible.then_some(Decision::Rewritten { offset, length, marked })
        }
        abi::verdict::QUEUE => u16::try_from(get_u32(record, descriptor::QUEUE)).ok().map(Decision::Queue),
        _ => None,
    }
}

/// Commands that shape an engine for as long as it lives (paths, classes and their rules): the latest
/// of each, so that a spare can be given the same.
#[derive(Default)]
pub struct Remembered(Vec<[u8; abi::COMMAND_SIZE as usize]>);

impl Remembered {
    /// Takes note of one command record.
    pub fn note(&mut self, record: &[u8]) {
        use crate::abi::command_kind as kind;
        let Ok(mut copy) = <[u8; abi::COMMAND_SIZE as usize]>::try_from(record) else { return };
        let (code, path) = (command_code(record), get_u32(record, command::PATH));
        let class = get_u32(record, command::CLASS);
        match code {
            kind::PATH_SET | kind::PATH_REMOVE => {
                self.0.retain(|old| command_code(old) != kind::PATH_SET || get_u32(old, command::PATH) != path)
            }
            kind::CLASS_SET => {
                let of_class = |old: &[u8]| get_u32(old, command::CLASS) == class;
                let void = |old: &[u8]| matches!(command_code(old), kind::CLASS_SET | kind::CLASS_INTENT);
                self.0.retain(|old| !(of_class(old) && void(old)))
            }
            kind::CLASS_INTENT => {
                self.0.retain(|old| command_code(old) != kind::CLASS_INTENT || get_u32(old, command::CLASS) != class)
            }
            kind::CLASS_RULE if get_u32(record, class_rule::INDEX) == 0 => {
                self.0.retain(|old| command_code(old) != kind::CLASS_RULE)
            }
            kind::CLASS_RULE => {}
            _ => return,
        }
        let none_left = code == kind::CLASS_RULE && get_u32(record, class_rule::COUNT) == 0;
        if code != kind::PATH_REMOVE && !none_left {
            // Nobody waits for an answer to the repetition.
            copy[command::ID as usize..command::ID as usize + 4].fill(0);
            self.0.push(copy);
        }
    }

    /// All of them in the order given, as octets for `Engine::command` (in pieces).
    pub fn octets(&self) -> Vec<u8> {
        self.0.concat()
    }
}

fn command_code(record: &[u8]) -> u32 {
    u32::from(get_u16(record, command::KIND))
}

fn get_u16(record: &[u8], field: u32) -> u16 {
    let field = field as usize;
    u16::from_le_bytes([record[field], record[field + 1]])
}

fn get_u32(record: &[u8], field: u32) -> u32 {
    let field = field as usize;
    u32::from_le_bytes(record[field..field + 4].try_into().expect("4 octets"))
}

fn put_u32(record: &mut [u8], field: u32, value: u32) {
    let field = field as usize;
    record[field..field + 4].copy_from_slice(&value.to_le_bytes());
}

/// The engine's clock: CLOCK_MONOTONIC in microseconds.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::command_kind as kind;

    fn command(code: u32, fields: &[(u32, u32)]) -> Vec<u8> {
        let mut record = vec![0; abi::COMMAND_SIZE as usize];
        for (field, value) in [(command::ID, 9), (command::KIND, code)].iter().chain(fields) {
            put_u32(&mut record, *field, *value);
        }
        record
    }

    /// (kind, class, index of the rule, id) of what is remembered of these commands.
    fn remembered(records: &[Vec<u8>]) -> Vec<(u32, u32, u32, u32)> {
        let mut all = Remembered::default();
        records.iter().for_each(|record| all.note(record));
        let octets = all.octets();
        let fields = |record: &[u8]| {
            let field = |offset| get_u32(record, offset);
            let index = if command_code(record) == kind::CLASS_RULE { field(class_rule::INDEX) } else { 0 };
            (command_code(record), field(command::CLASS), index, field(command::ID))
        };
        octets.chunks_exact(abi::COMMAND_SIZE as usize).map(fields).collect()
    }

    fn rule(class: u32, index: u32, count: u32) -> Vec<u8> {
        command(kind::CLASS_RULE, &[(command::CLASS, class), (class_rule::INDEX, index), (class_rule::COUNT, count)])
    }

    #[test]
    fn a_spare_is_given_the_rules_that_are_in_force() {
        let first = [rule(1, 0, 2), rule(2, 1, 2)];
        let expected = |class, index| (kind::CLASS_RULE, class, index, 0);
        assert_eq!(remembered(&first), [expected(1, 0), expected(2, 1)]);
        let others = [&first[..], &[rule(3, 0, 1)]].concat();
        assert_eq!(remembered(&others), [expected(3, 0)]);
        assert_eq!(remembered(&[&first[..], &[rule(0, 0, 0)]].concat()), []);
    }

    #[test]
    fn a_spare_is_given_the_latest_of_each_class() {
        let set = |class| command(kind::CLASS_SET, &[(command::CLASS, class)]);
        let expected = |class| (kind::CLASS_SET, class, 0, 0);
        assert_eq!(remembered(&[set(0), set(1), set(0)]), [expected(1), expected(0)]);
        assert_eq!(remembered(&[command(kind::HANDOVER, &[])]), []);
        let wish = |class| command(kind::CLASS_INTENT, &[(command::CLASS, class)]);
        let expected_wish = |class| (kind::CLASS_INTENT, class, 0, 0);
        assert_eq!(remembered(&[set(1), wish(1), wish(2), wish(1)]), [expected(1), expected_wish(2), expected_wish(1)]);
        assert_eq!(remembered(&[wish(2), wish(1), set(1)]), [expected_wish(2), expected(1)]);
    }
}
