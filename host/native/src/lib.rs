//! The addon's face to Node. `host/engine/` is its only importer and has the types of what is here
//! in `addon.ts`; the work is done in the modules below, which know nothing of Node (but `replay`).

mod abi;
mod datapath;
mod device;
mod engine;
mod error;
mod kernel;
mod netlink;
mod nfqueue;
pub mod policy;
mod radio;
mod raw;
mod replay;
mod sets;
mod shard;
mod spare;
mod trace;
mod vm;

#[cfg(test)]
mod radio_tests;
#[cfg(test)]
mod shard_tests;

use napi::bindgen_prelude::{AsyncTask, Buffer, Function, Object, Task, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsDeferred, Status};
use napi_derive::napi;

use datapath::{Counters, Handle, Reply, Request};
use error::{Error, Result};
use shard::{Failure, Listener};

/// Calls that may wait for Node before events are lost; each carries all events of one batch.
const CALLS_WAITING_MAX: usize = 4096;
/// What has ended when requests to a data path are lost.
const DATA_PATH: &str = "the data path";

impl From<Error> for napi::Error {
    fn from(error: Error) -> napi::Error {
        napi::Error::from_reason(error.to_string())
    }
}

/// Numbers for the engine's config, see EngineConfig in assembly/abi.ts; zero = its default.
#[napi(object)]
pub struct NativeEngineOptions {
    pub connections: u32,
    pub subflows: u32,
    pub runs: u32,
    pub role: u32,
    pub half_open_max: u32,
    pub port_first: u32,
    pub port_last: u32,
    pub flags: u32,
    pub syn_mpc_retries: u32,
    pub rejoin_grace_ms: u32,
    pub subflows_per_connection_max: u32,
}

/// Names of the ipsets.
#[napi(object)]
pub struct NativeSetNames {
    pub converted4: String,
    pub converted6: String,
    pub bypass4: String,
    pub bypass6: String,
}

/// What a data path is made with.
#[napi(object)]
pub struct NativeOptions {
    pub wasm: String,
    pub queue: u32,
    pub batch: u32,
    pub engine: NativeEngineOptions,
    pub sets: Option<NativeSetNames>,
    pub mark_wire: u32,
    pub mark_host: u32,
    pub coredump_dir: Option<String>,
    pub perf_map: Option<bool>,
    pub explicit_checks: Option<bool>,
}

/// `shard::Failure`.
#[napi(object)]
pub struct NativeFailure {
    pub kind: String,
    pub message: String,
    pub backtrace: String,
    pub coredump: Option<String>,
}

/// Counters: the engine's region as it is, the rest as name and value.
#[napi(object)]
pub struct NativeCounters {
    pub engine: Buffer,
    pub names: Vec<String>,
    pub values: Vec<f64>,
}

/// `radio::Radio`.
#[napi(object)]
pub struct NativeRadio {
    pub name: String,
    pub associated: bool,
    pub signal_dbm: Option<i32>,
    pub bitrate_kbps: Option<u32>,
    pub beacons_lost: Option<u32>,
}

/// Asks the kernel on a thread of Node's pool: it answers at once, but nothing here bounds how soon.
pub struct ReadRadios;

impl Task for ReadRadios {
    type Output = Option<Vec<radio::Radio>>;
    type JsValue = Option<Vec<NativeRadio>>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        radio::read().map_err(|error| napi::Error::from_reason(error.to_string()))
    }

    fn resolve(&mut self, _: Env, radios: Self::Output) -> napi::Result<Self::JsValue> {
        let native = |radio: radio::Radio| NativeRadio {
            name: radio.name,
            associated: radio.link.is_some(),
            signal_dbm: radio.link.and_then(|link| link.signal_dbm).map(i32::from),
            bitrate_kbps: radio.link.and_then(|link| link.bitrate_kbps),
            beacons_lost: radio.link.and_then(|link| link.beacons_lost),
        };
        Ok(radios.map(|list| list.into_iter().map(native).collect()))
    }
}

/// The machine's Wi-Fi interfaces that use an access point, or could. null: this kernel has no nl80211.
#[napi]
pub fn read_radios() -> AsyncTask<ReadRadios> {
    AsyncTask::new(ReadRadios)
}

type EventsFunction = ThreadsafeFunction<Buffer, (), Buffer, Status, false, false, CALLS_WAITING_MAX>;
type FailureFunction = ThreadsafeFunction<NativeFailure, (), NativeFailure, Status, false>;
type Deferred<T> = JsDeferred<T, Box<dyn FnOnce(Env) -> napi::Result<T> + Send>>;

struct NodeListener {
    events: EventsFunction,
    failure: FailureFunction,
}

impl Listener for NodeListener {
    fn events(&self, records: Vec<u8>) -> bool {
        self.events.call(records.into(), ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok
    }

    fn failure(&self, failure: Failure) {
        let failure = NativeFailure {
            kind: failure.kind.into(),
            message: failure.message,
            backtrace: failure.backtrace,
            coredump: failure.coredump.map(|path| path.display().to_string()),
        };
        self.failure.call(failure, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// One shard's data path on a thread of its own.
#[napi]
pub struct DataPath {
    handle: Option<Handle>,
}

#[napi]
impl DataPath {
    #[napi(constructor)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> DataPath {
        DataPath { handle: None }
    }

    /// Starts the thread. The promise is fulfilled when the queue is bound and the engine runs, and
    /// rejected with cause and remedy otherwise. `on_events` gets whole EventRecords.
    #[napi]
    pub fn start<'env>(
        &mut self,
        env: &'env Env,
        options: NativeOptions,
        on_events: Function<'env, Buffer, ()>,
        on_failure: Function<'env, NativeFailure, ()>,
    ) -> napi::Result<Object<'env>> {
        if self.handle.is_some() {
            let text = "this data path has been started before; make a new one".to_string();
            return Err(Error::Options(text).into());
        }
        let options = checked(options)?;
        let events = on_events.build_threadsafe_function().max_queue_size::<CALLS_WAITING_MAX>().build()?;
        let failure = on_failure.build_threadsafe_function().build()?;
        let listener = Box::new(NodeListener { events, failure });
        let (promise, reply) = promise(env, |()| ())?;
        self.handle = Some(datapath::start(options, listener, reply)?);
        Ok(promise)
    }

    /// Gives whole Command records to the engine; answers come as events.
    #[napi]
    pub fn command(&self, records: Uint8Array) -> napi::Result<()> {
        if records.is_empty() || !records.len().is_multiple_of(abi::COMMAND_SIZE as usize) {
            let text = format!("{} octets are no whole command records", records.len());
            return Err(Error::Options(text).into());
        }
        if self.ask(Request::Command(records.to_vec())) { Ok(()) } else { Err(Error::Stopped(DATA_PATH).into()) }
    }

    /// All records of a snapshot, in pages. The records of one page are of one moment.
    #[napi]
    pub fn snapshot<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let buffers = |pages: Vec<Vec<u8>>| pages.into_iter().map(Buffer::from).collect::<Vec<_>>();
        let (promise, reply) = promise(env, buffers)?;
        self.ask(Request::Snapshot(reply));
        Ok(promise)
    }

    /// The records of paths and classes, of one moment.
    #[napi]
    pub fn statistics<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise(env, Buffer::from)?;
        self.ask(Request::Statistics(reply));
        Ok(promise)
    }

    /// `NativeCounters`.
    #[napi]
    pub fn counters<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise(env, native_counters)?;
        self.ask(Request::Counters(reply));
        Ok(promise)
    }

    /// Appends trace records to a new file from now on.
    #[napi]
    pub fn start_trace<'env>(&self, env: &'env Env, path: String) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise(env, |()| ())?;
        self.ask(Request::StartTrace(path, reply));
        Ok(promise)
    }

    /// Closes the trace file. Fulfilled with the number of records in it.
    #[napi]
    pub fn stop_trace<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise(env, |records: u64| records as f64)?;
        self.ask(Request::StopTrace(reply));
        Ok(promise)
    }

    /// Ends the thread; fulfilled when queue and sockets are closed.
    #[napi]
    pub fn stop<'env>(&mut self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (promise, reply) = promise(env, |()| ())?;
        self.ask(Request::Stop(reply));
        self.handle = None;
        Ok(promise)
    }

    /// False if the data path has ended. A request that is dropped rejects its promise, so methods
    /// that return one need not look.
    fn ask(&self, request: Request) -> bool {
        self.handle.as_ref().is_some_and(|handle| handle.send(request))
    }
}

impl Drop for DataPath {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.send(Request::Stop(Box::new(|_| {})));
        }
    }
}

/// A promise of the data path's, see `promise_of`.
fn promise<'env, T, V>(
    env: &'env Env,
    convert: impl FnOnce(T) -> V + Send + 'static,
) -> napi::Result<(Object<'env>, Reply<T>)>
where
    T: Send + 'static,
    V: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    promise_of(env, DATA_PATH, convert)
}

/// A promise and the reply that settles it. A reply that is dropped unused, because the thread `of`
/// ended with the request still in its inbox, rejects.
fn promise_of<'env, T, V>(
    env: &'env Env,
    of: &'static str,
    convert: impl FnOnce(T) -> V + Send + 'static,
) -> napi::Result<(Object<'env>, Reply<T>)>
where
    T: Send + 'static,
    V: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    struct Settle<V: napi::bindgen_prelude::ToNapiValue + 'static>(&'static str, Option<Deferred<V>>);
    impl<V: napi::bindgen_prelude::ToNapiValue + 'static> Drop for Settle<V> {
        fn drop(&mut self) {
            if let Some(deferred) = self.1.take() {
                deferred.reject(Error::Stopped(self.0).into());
            }
        }
    }
    let (deferred, promise): (Deferred<V>, _) = env.create_deferred()?;
    let mut settle = Settle(of, Some(deferred));
    let reply: Reply<T> = Box::new(move |result| {
        let Some(deferred) = settle.1.take() else { return };
        match result {
            Ok(value) => deferred.resolve(Box::new(move |_| Ok(convert(value)))),
            Err(error) => deferred.reject(error.into()),
        }
    });
    Ok((promise, reply))
}

fn checked(options: NativeOptions) -> Result<datapath::Options> {
    let queue = u16::try_from(options.queue)
        .map_err(|_| Error::Options(format!("queue is {}, expected 0 … 65535", options.queue)))?;
    if !(1..=abi::BATCH_MAX).contains(&options.batch) {
        let text = format!("batch is {}, expected 1 … {}", options.batch, abi::BATCH_MAX);
        return Err(Error::Options(text));
    }
    let e = options.engine;
    Ok(datapath::Options {
        wasm: options.wasm.into(),
        queue,
        batch: options.batch as usize,
        engine: engine::EngineOptions {
            connections: e.connections,
            subflows: e.subflows,
            runs: e.runs,
            role: e.role,
            half_open_max: e.half_open_max,
            port_first: e.port_first,
            port_last: e.port_last,
            flags: e.flags,
            syn_mpc_retries: e.syn_mpc_retries,
            rejoin_grace_ms: e.rejoin_grace_ms,
            subflows_per_connection_max: e.subflows_per_connection_max,
            shard: 0,
            shard_count: 1,
        },
        sets: options.sets.map(|names| sets::SetNames {
            converted4: names.converted4,
            converted6: names.converted6,
            bypass4: names.bypass4,
            bypass6: names.bypass6,
        }),
        marks: raw::Marks { wire: options.mark_wire, host: options.mark_host },
        coredump_dir: options.coredump_dir.map(Into::into),
        code: vm::CodeOptions {
            perf_map: options.perf_map.unwrap_or(false),
            explicit_checks: options.explicit_checks.unwrap_or(false),
        },
    })
}

fn native_counters(counters: Counters) -> NativeCounters {
    let (s, d, [connections, subflows, runs_free, events_lost]) = (counters.shard, counters.device, counters.header);
    let pairs = [
        ("batches", s.batches),
        ("packets", s.packets),
        ("bytes", s.bytes),
        ("verdicts", s.verdicts),
        ("outbox_packets", s.outbox_packets),
        ("native_ticks", s.ticks),
        ("commands", s.commands),
        ("held_us", s.held_us),
        ("held_longest_us", s.held_longest_us),
        ("traps", s.traps),
        ("status_errors", s.status_errors),
        ("impossible_verdicts", s.impossible_verdicts),
        ("events_undelivered", s.events_undelivered),
        ("queue_overruns", d.overruns),
        ("queue_malformed", d.malformed),
        ("verdict_errors", d.verdict_errors),
        ("queue_full_drops", d.queue_full_drops),
        ("queue_socket_drops", d.queue_socket_drops),
        ("queue_waiting", d.queue_waiting),
        ("raw_sent", d.raw_sent),
        ("raw_errors", d.raw_errors),
        ("raw_last_error", d.raw_last_error),
        ("set_operations", d.set_operations),
        ("set_errors", d.set_errors),
        ("set_last_error", d.set_last_error),
        ("connections", connections.into()),
        ("subflows", subflows.into()),
        ("runs_free", runs_free.into()),
        ("events_lost", events_lost.into()),
    ];
    NativeCounters {
        engine: counters.engine.into(),
        names: pairs.iter().map(|(name, _)| (*name).to_string()).collect(),
        values: pairs.iter().map(|(_, value)| *value as f64).collect(),
    }
}
