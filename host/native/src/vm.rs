//! wasmtime: compiled code, instances, the engine's imports, and the rule that a trapped instance is dead.
//!
//! - `Code` is one wasmtime Engine with one Module; instances of it may live on any thread.
//! - `Instance` owns a Store and a memory of fixed size (initial = maximum, so its base never moves).
//! - A call that takes longer than its limit traps: a ticker thread raises the epoch while calls are
//!   made and sleeps otherwise. Only processor time counts, so that a thread which had to wait for
//!   its turn, or was stopped, is not taken for one that hangs.
//! - wasmtime lets a trapped instance be called again; `Instance` does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, Mac};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use wasmtime::{
    Caller, Config, Engine, Linker, Memory, MemoryType, Module, ProfilingStrategy, Store, StoreContextMut, TypedFunc,
    UpdateDeadline, Val, WasmBacktrace, WasmBacktraceDetails, WasmCoreDump,
};

use crate::error::{Error, Result, Trap};

/// Octets of a wasm page.
pub const PAGE: usize = 65536;
/// Length of one epoch.
const EPOCH: Duration = Duration::from_millis(25);
/// Epochs an ordinary call may last: more than 100 ms. After at most 125 ms of it the processor time
/// is looked at for the first time, and 100 ms of that later the call ends.
const CALL_EPOCHS: u64 = 5;
/// Epochs init() and the start function may last: 30 s, since a large capacity touches much memory.
const INIT_EPOCHS: u64 = 1200;

/// How a module is compiled. The default is the data path's.
#[derive(Clone, Copy, Default)]
pub struct CodeOptions {
    /// Writes /tmp/perf-PID.map, so that perf names the engine's functions.
    pub perf_map: bool,
    /// Bounds checks in code instead of guard pages and signals: 4–25 % slower; for a process in
    /// which somebody else's SIGSEGV handler does not pass on what is not its own.
    pub explicit_checks: bool,
}

/// A compiled module with its epoch ticker.
pub struct Code {
    engine: Engine,
    module: Module,
    ticker: Arc<Ticker>,
}

impl Code {
    /// Compiles `wasm`. Takes 0.1–1 s, so never on Node's thread in the daemon.
    pub fn compile(wasm: &[u8], options: CodeOptions) -> Result<Code> {
        let mut config = Config::new();
        config
            .memory_reservation(4 << 30)
            .memory_may_move(false)
            .memory_init_cow(false)
            .signals_based_traps(!options.explicit_checks)
            .epoch_interruption(true)
            .coredump_on_trap(true)
            .wasm_backtrace_details(WasmBacktraceDetails::Disable);
        if options.perf_map {
            config.profiler(ProfilingStrategy::PerfMap);
        }
        let failed = |what: &str, error: wasmtime::Error| Error::Module { what: what.into(), cause: one_line(&error) };
        let engine = Engine::new(&config).map_err(|e| failed("cannot set up wasmtime", e))?;
        let module = Module::new(&engine, wasm).map_err(|e| failed("cannot compile the module", e))?;
        let ticker = Ticker::start(&engine)?;
        Ok(Code { engine, module, ticker })
    }

    /// Makes an instance with `octets` of memory, rounded up to whole pages.
    pub fn instantiate(&self, octets: usize) -> Result<Instance> {
        let failed = |error: wasmtime::Error| Error::Module {
            what: "cannot instantiate the module".into(),
            cause: one_line(&error),
        };
        let pages = u32::try_from(octets.div_ceil(PAGE)).ok().filter(|pages| *pages <= 65536).ok_or_else(|| {
            Error::Options(format!(
                "{octets} octets of engine memory asked for, 4 GiB is the limit; lower the capacity"
            ))
        })?;
        let mut store = Store::new(&self.engine, State { memory: None, epochs: INIT_EPOCHS, late_since: None });
        let memory = Memory::new(&mut store, MemoryType::new(pages, Some(pages))).map_err(failed)?;
        store.data_mut().memory = Some(memory);
        store.set_epoch_deadline(INIT_EPOCHS);
        store.epoch_deadline_callback(overdue);
        let mut linker = Linker::new(&self.engine);
        linker.define(&store, "env", "memory", memory).map_err(failed)?;
        link_crypto(&mut linker).map_err(failed)?;
        self.ticker.call_begins();
        let instance = linker.instantiate(&mut store, &self.module).map_err(failed)?;
        Ok(Instance { store, memory, instance, ticker: self.ticker.clone(), poisoned: false })
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.ticker.stop();
    }
}

/// What the imported functions see.
struct State {
    memory: Option<Memory>,
    /// Epochs the current call may last.
    epochs: u64,
    /// The thread's processor time when that was over for the first time.
    late_since: Option<Duration>,
}

/// Called when a call has lasted for its epochs by the clock: whether it also had the processor for so long is known
/// at the next look only, since asking at every call's beginning would cost more than most calls.
fn overdue(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let used = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    let state = store.data_mut();
    match state.late_since {
        None => {
            state.late_since = Some(used);
            Ok(UpdateDeadline::Continue(state.epochs - 1))
        }
        Some(since) if used - since < EPOCH * (state.epochs - 1) as u32 => Ok(UpdateDeadline::Continue(1)),
        Some(_) => Err(wasmtime::Trap::Interrupt.into()),
    }
}

/// One instance with its memory.
pub struct Instance {
    store: Store<State>,
    memory: Memory,
    instance: wasmtime::Instance,
    ticker: Arc<Ticker>,
    poisoned: bool,
}

impl Instance {
    /// The linear memory. The borrow ends before the next call, so nothing aliases it meanwhile.
    pub fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// The linear memory, writable.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// Asks for huge pages and touches the first `octets`, so that no packet pays for a page fault.
    /// Huge pages are a wish: a kernel without them changes nothing but speed.
    pub fn prefault(&mut self, octets: usize) {
        let memory = self.memory_mut();
        let (base, len) = (memory.as_mut_ptr(), memory.len());
        // Safety: base and len are those of a live, exclusively borrowed mapping that starts on a
        // page; both advices leave its contents alone.
        let populated = unsafe {
            libc::madvise(base.cast(), len, libc::MADV_HUGEPAGE);
            libc::madvise(base.cast(), octets.min(len), libc::MADV_POPULATE_WRITE) == 0
        };
        if !populated {
            // Kernels before 5.14: write what is there back, one octet per page.
            for octet in memory.iter_mut().take(octets).step_by(4096) {
                let value = std::hint::black_box(*octet);
                *octet = value;
            }
        }
    }

    /// Looks up an export of one argument. Fails if it is missing or of another type.
    pub fn function(&mut self, name: &str) -> Result<TypedFunc<u32, u32>> {
        self.typed(name)
    }

    /// Looks up an export without arguments.
    pub fn function0(&mut self, name: &str) -> Result<TypedFunc<(), u32>> {
        self.typed(name)
    }

    fn typed<P: wasmtime::WasmParams>(&mut self, name: &str) -> Result<TypedFunc<P, u32>> {
        self.instance
            .get_typed_func(&mut self.store, name)
            .map_err(|error| Error::Module { what: format!("the module's export {name}()"), cause: one_line(&error) })
    }

    /// Calls `function`. A trap or more than 100 ms kills the instance.
    pub fn call<P: wasmtime::WasmParams>(
        &mut self,
        name: &str,
        function: &TypedFunc<P, u32>,
        arguments: P,
    ) -> Result<u32> {
        self.guarded(name, CALL_EPOCHS, |store| function.call(store, arguments))
    }

    /// Calls `function` with the time limit of init(), 30 s.
    pub fn call_init(&mut self, function: &TypedFunc<u32, u32>, argument: u32) -> Result<u32> {
        self.guarded("init", INIT_EPOCHS, |store| function.call(store, argument))
    }

    /// Calls any export of 32-bit integers by name; an export without result gives 0.
    pub fn call_by_name(&mut self, name: &str, arguments: &[i32]) -> Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).ok_or_else(|| Error::Module {
            what: format!("the module's export {name}()"),
            cause: "there is none".into(),
        })?;
        let arguments: Vec<Val> = arguments.iter().map(|value| Val::I32(*value)).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        self.guarded(name, CALL_EPOCHS, |store| function.call(store, &arguments, &mut results))?;
        Ok(results.first().and_then(Val::i32).unwrap_or(0))
    }

    fn guarded<T>(
        &mut self,
        name: &str,
        epochs: u64,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        self.ticker.call_begins();
        self.store.set_epoch_deadline(epochs);
        let state = self.store.data_mut();
        (state.epochs, state.late_since) = (epochs, None);
        call(&mut self.store).map_err(|source| {
            self.poisoned = true;
            Error::Trap(Box::new(describe(name, epochs, source)))
        })
    }

    /// The coredump of the call that killed this instance, in the WebAssembly tool conventions'
    /// format. Copies all of memory that is not zero, so never on a data path thread.
    pub fn coredump(&mut self, trap: &Trap) -> Option<Vec<u8>> {
        let dump = trap.source.downcast_ref::<WasmCoreDump>()?;
        Some(dump.serialize(&mut self.store, "engine"))
    }
}

fn describe(call: &str, epochs: u64, source: wasmtime::Error) -> Trap {
    let message = match source.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => {
            format!("it took longer than {} ms", EPOCH.as_millis() as u64 * (epochs - 1))
        }
        Some(trap) => trap.to_string(),
        None => source.root_cause().to_string(),
    };
    let backtrace = source.downcast_ref::<WasmBacktrace>().map(|frames| frames.to_string()).unwrap_or_default();
    Trap { call: call.to_string(), message, backtrace, source }
}

/// An error's chain of causes in one line.
fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    causes.join(": ").replace('\n', " ")
}

/// Raises the epoch of one Engine every 25 ms while calls are made; parks otherwise, so that an
/// idle daemon does not wake the processor.
struct Ticker {
    calls: AtomicU64,
    parked: AtomicBool,
    stopped: AtomicBool,
    thread: std::sync::OnceLock<thread::Thread>,
}

impl Ticker {
    fn start(engine: &Engine) -> Result<Arc<Ticker>> {
        let ticker = Arc::new(Ticker {
            calls: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let (engine, shared) = (engine.clone(), ticker.clone());
        let handle = thread::Builder::new()
            .name("shunt-epoch".into())
            .stack_size(64 << 10)
            .spawn(move || shared.run(&engine))
            .map_err(|error| Error::io("cannot start the epoch thread", error))?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    fn run(&self, engine: &Engine) {
        // A call in progress does not count up, so the ticker goes on for as many quiet epochs as
        // the longest call may last before it parks.
        let mut quiet = 0;
        let mut seen = 0;
        while !self.stopped.load(Ordering::Acquire) {
            thread::sleep(EPOCH);
            engine.increment_epoch();
            let calls = self.calls.load(Ordering::SeqCst);
            quiet = if calls == seen { quiet + 1 } else { 0 };
            seen = calls;
            if quiet > INIT_EPOCHS {
                self.parked.store(true, Ordering::SeqCst);
                if self.calls.load(Ordering::SeqCst) == seen && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
                quiet = 0;
            }
        }
    }

    fn call_begins(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// `crypto.sha256(ptr, len, out)` and `crypto.hmac_sha256(keyPtr, keyLen, msgPtr, msgLen, out)`;
/// `out` takes 32 octets. A range outside memory traps.
fn link_crypto(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap("crypto", "sha256", |caller: Caller<'_, State>, ptr: u32, len: u32, out: u32| {
        with_memory(caller, |memory| {
            let digest: [u8; 32] = Sha256::digest(range(memory, ptr, len)?).into();
            write_digest(memory, out, &digest)
        })
    })?;
    linker.func_wrap(
        "crypto",
        "hmac_sha256",
        |caller: Caller<'_, State>, key: u32, key_len: u32, msg: u32, msg_len: u32, out: u32| {
            with_memory(caller, |memory| {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(range(memory, key, key_len)?).map_err(wasmtime::Error::new)?;
                mac.update(range(memory, msg, msg_len)?);
                let digest: [u8; 32] = mac.finalize().into_bytes().into();
                write_digest(memory, out, &digest)
            })
        },
    )?;
    Ok(())
}

fn with_memory(
    mut caller: Caller<'_, State>,
    work: impl FnOnce(&mut [u8]) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    let memory = caller.data().memory.ok_or_else(|| wasmtime::format_err!("no memory"))?;
    work(memory.data_mut(&mut caller))
}

fn range(memory: &[u8], ptr: u32, len: u32) -> wasmtime::Result<&[u8]> {
    let start = ptr as usize;
    memory.get(start..start + len as usize).ok_or_else(|| outside(ptr, len))
}

fn write_digest(memory: &mut [u8], out: u32, digest: &[u8; 32]) -> wasmtime::Result<()> {
    let start = out as usize;
    let target = memory.get_mut(start..start + 32).ok_or_else(|| outside(out, 32))?;
    target.copy_from_slice(digest);
    Ok(())
}

fn outside(ptr: u32, len: u32) -> wasmtime::Error {
    wasmtime::format_err!("crypto call with {len} octets at {ptr:#x}, outside memory")
}
