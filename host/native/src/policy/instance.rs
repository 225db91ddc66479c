//! One policy at work: its calls, and what is believed of what it returns, which is nothing.

use std::ops::Range;

use wasmtime::{Engine, Linker, Memory, Module, Store, TypedFunc, WasmBacktrace, WasmParams, WasmResults};

use super::fault::{Fault, Kind};
use super::imports::{self, State};
use super::limits::{ABI_MINOR, FUEL, INPUT_MAX, INTENT_SIZE, MEMORY_MAX, Metering, STATE_MAX, TIME_MAX};
use super::meter::{Meter, Report};
use super::text;
use crate::error::{Error, Result as AddonResult};

/// What region() is asked for.
#[derive(Clone, Copy)]
enum Region {
    Config = 0,
    Table = 1,
    Intents = 2,
    State = 3,
}

/// What an operation gave, and what it cost either way.
pub type Outcome<T> = (Result<T, Fault>, Report);

/// What all instances share: the Engine, the imports, the budgets.
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Linker<State>,
    meter: Meter,
}

impl Sandbox {
    /// Makes the policies' Engine and starts its watchdog.
    pub fn new(metering: Metering) -> AddonResult<Sandbox> {
        let failed =
            |error: wasmtime::Error| Error::Module { what: "cannot set up the sandbox".into(), cause: chain(&error) };
        let engine = super::limits::engine(metering).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(failed)?;
        let meter = Meter::start(&engine, metering)?;
        Ok(Sandbox { engine, linker, meter })
    }

    /// Makes an instance of `code`, which must be what our own compiler returned, and puts it to work: start function,
    /// `_initialize`, the ABI's version, init() with `settings`, load() with `state` if both are there.
    pub fn load(&self, code: &[u8], settings: &[u8], state: Option<&[u8]>) -> Outcome<Instance> {
        // Safety: host/engine/sandbox.ts passes what the child process compile.rs wrote, and nothing else.
        let module = match unsafe { Module::deserialize(&self.engine, code) } {
            Ok(module) => module,
            Err(error) => {
                let message = format!("its machine code cannot be used: {}; compile it again", chain(&error));
                return (Err(Fault::abi(message)), Report::default());
            }
        };
        let mut store = Store::new(&self.engine, State::default());
        store.limiter(|state| state);
        self.meter.prepare(&mut store);
        let (begun, report) = self.meter.run(&mut store, |store| self.begin(store, &module, settings, state));
        let instance = begun.map(|(exports, state_loaded)| Instance { store, exports, state_loaded, dead: false });
        (instance, report)
    }

    fn begin(
        &self,
        store: &mut Store<State>,
        module: &Module,
        settings: &[u8],
        state: Option<&[u8]>,
    ) -> Result<(Exports, bool), Fault> {
        let instance =
            self.linker.instantiate(&mut *store, module).map_err(|error| ended("its start", &error, store))?;
        let exports = Exports::find(&instance, store)?;
        if let Some(initialize) = optional::<(), ()>(&instance, store, "_initialize")? {
            call(store, "_initialize", &initialize, ())?;
        }
        exports.check_version(&instance, store)?;
        let init = required::<u32, u32>(&instance, store, "init")?;
        let len = exports.put(store, Region::Config, settings)?;
        match call(store, "init", &init, len)? {
            0 => {}
            code => {
                let text = format!("init() refused its settings with code {}; check the class's settings", code as i32);
                return Err(Fault::abi(text));
            }
        }
        let Some(state) = state else { return Ok((exports, false)) };
        let Some(load) = optional::<u32, u32>(&instance, store, "load")? else { return Ok((exports, false)) };
        let len = exports.put(store, Region::State, state)?;
        let loaded = call(store, "load", &load, len)? == 0;
        Ok((exports, loaded))
    }
}

/// One policy of one class. Its first fault kills it.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    /// load() took the state that it was given.
    pub state_loaded: bool,
    dead: bool,
}

impl Instance {
    /// Shows it `table` and an intent of zeros, so that no wish outlives its decision; gives what decide() returned,
    /// and the intent, which is zeros unless that was 0.
    pub fn decide(&mut self, sandbox: &Sandbox, table: &[u8]) -> Outcome<(u32, [u8; INTENT_SIZE])> {
        self.operate(sandbox, |store, exports| {
            exports.put(store, Region::Table, table)?;
            exports.put(store, Region::Intents, &[0; INTENT_SIZE])?;
            let status = call(store, "decide", &exports.decide, ())?;
            let mut intent = [0; INTENT_SIZE];
            if status == 0 {
                let range = exports.region(store, Region::Intents, INTENT_SIZE)?;
                intent.copy_from_slice(&exports.memory.data(&*store)[range]);
            }
            Ok((status, intent))
        })
    }

    /// What its successor shall know; empty if there is nothing.
    pub fn save(&mut self, sandbox: &Sandbox) -> Outcome<Vec<u8>> {
        self.operate(sandbox, |store, exports| {
            let Some(save) = &exports.save else { return Ok(Vec::new()) };
            let len = call(store, "save", save, ())? as usize;
            if len > STATE_MAX {
                let text = format!(
                    "save() returned a length of {}; a state has {STATE_MAX} octets at most, shorten it",
                    len as i32
                );
                return Err(Fault::abi(text));
            }
            if len == 0 {
                return Ok(Vec::new());
            }
            let range = exports.region(store, Region::State, len)?;
            Ok(exports.memory.data(&*store)[range].to_vec())
        })
    }

    /// Octets of its memory.
    pub fn memory_size(&self) -> usize {
        self.exports.memory.data_size(&self.store)
    }

    fn operate<T>(
        &mut self,
        sandbox: &Sandbox,
        work: impl FnOnce(&mut Store<State>, &Exports) -> Result<T, Fault>,
    ) -> Outcome<T> {
        if self.dead {
            let fault = Fault::trap("this instance has ended before; load a new one");
            return (Err(fault), Report::default());
        }
        let exports = &self.exports;
        let (result, report) = sandbox.meter.run(&mut self.store, |store| work(store, exports));
        // wasmtime would take further calls, but what they find is half done.
        self.dead = result.is_err();
        (result, report)
    }
}

struct Exports {
    memory: Memory,
    region: TypedFunc<(u32, u32), u32>,
    decide: TypedFunc<(), u32>,
    save: Option<TypedFunc<(), u32>>,
}

impl Exports {
    fn find(instance: &wasmtime::Instance, store: &mut Store<State>) -> Result<Exports, Fault> {
        let memory = instance.get_memory(&mut *store, "memory").ok_or_else(|| missing("memory"))?;
        Ok(Exports {
            memory,
            region: required(instance, store, "region")?,
            decide: required(instance, store, "decide")?,
            save: optional(instance, store, "save")?,
        })
    }

    fn check_version(&self, instance: &wasmtime::Instance, store: &mut Store<State>) -> Result<(), Fault> {
        let version = required::<(), u32>(instance, store, "shunt_policy_abi_1")?;
        let minor = call(store, "shunt_policy_abi_1", &version, ())?;
        if (0..=ABI_MINOR).contains(&minor) {
            return Ok(());
        }
        let text = format!(
            "it needs ABI 1.{minor}, this host has 1.{ABI_MINOR}; update Shunt, or build it with the SDK of this version"
        );
        Err(Fault::abi(text))
    }

    /// Copies `octets` to where the module wants them. Returns their number.
    fn put(&self, store: &mut Store<State>, region: Region, octets: &[u8]) -> Result<u32, Fault> {
        let max = if matches!(region, Region::State) { STATE_MAX } else { INPUT_MAX };
        if octets.len() > max {
            let text = format!("{} octets for region {}; {max} is the limit", octets.len(), region as u32);
            return Err(Fault::abi(text));
        }
        if !octets.is_empty() {
            let range = self.region(store, region, octets.len())?;
            self.memory.data_mut(&mut *store)[range].copy_from_slice(octets);
        }
        Ok(octets.len() as u32)
    }

    /// Asks where a region is. The answer is good until the next call only: memory may grow, and the module may lie.
    fn region(&self, store: &mut Store<State>, region: Region, size: usize) -> Result<Range<usize>, Fault> {
        let kind = region as u32;
        let address = call(store, "region", &self.region, (kind, size as u32))?;
        let memory = self.memory.data_size(&*store);
        let start = address as usize;
        let wrong = if address == 0 {
            "that it has none".to_string()
        } else if !start.is_multiple_of(8) {
            format!("{address:#x}, which is not aligned to 8 octets")
        } else if start + size > memory {
            format!("{address:#x}, outside of its memory of {memory} octets")
        } else {
            return Ok(start..start + size);
        };
        let remedy = "return the address of a static buffer of at least that size, aligned to 8";
        Err(Fault::abi(format!("region({kind}, {size}) said {wrong}; {remedy}")))
    }
}

fn required<P: WasmParams, R: WasmResults>(
    instance: &wasmtime::Instance,
    store: &mut Store<State>,
    name: &str,
) -> Result<TypedFunc<P, R>, Fault> {
    optional(instance, store, name)?.ok_or_else(|| missing(name))
}

fn optional<P: WasmParams, R: WasmResults>(
    instance: &wasmtime::Instance,
    store: &mut Store<State>,
    name: &str,
) -> Result<Option<TypedFunc<P, R>>, Fault> {
    let Some(function) = instance.get_func(&mut *store, name) else { return Ok(None) };
    let typed = function.typed(&*store);
    typed.map(Some).map_err(|_| Fault::abi(format!("its export {name} has the wrong type; compile it again")))
}

/// `inspect` refuses such a module, so this is machine code of another version's compiler.
fn missing(name: &str) -> Fault {
    Fault::abi(format!("its export {name} is missing; compile it again"))
}

fn call<P: WasmParams, R: WasmResults>(
    store: &mut Store<State>,
    name: &str,
    function: &TypedFunc<P, R>,
    arguments: P,
) -> Result<R, Fault> {
    function.call(&mut *store, arguments).map_err(|error| ended(&format!("{name}()"), &error, store))
}

/// What wasmtime's error means for the author of a policy.
fn ended(call: &str, error: &wasmtime::Error, store: &Store<State>) -> Fault {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        let kind = if store.data().refused && fault.kind == Kind::Trap { Kind::Memory } else { fault.kind };
        return Fault { kind, message: format!("{call} {}", fault.message) };
    }
    let trap = error.downcast_ref::<wasmtime::Trap>();
    let (kind, cause) = match trap {
        Some(wasmtime::Trap::OutOfFuel) => (
            Kind::Fuel,
            format!("used more than {FUEL} units of fuel; look for an endless loop, or let it do less per decision"),
        ),
        Some(wasmtime::Trap::Interrupt) => {
            (Kind::Time, format!("took longer than {} ms; let it do less per decision", TIME_MAX.as_millis()))
        }
        _ if store.data().refused => {
            let max = MEMORY_MAX >> 20;
            (Kind::Memory, format!("ended after it was refused memory; it can have {max} MiB, free or reuse some"))
        }
        Some(wasmtime::Trap::StackOverflow) => {
            (Kind::Trap, "overflowed its stack; look for a recursion without end".to_string())
        }
        Some(trap) => {
            let text = trap.to_string();
            let cause = text.trim_start_matches("wasm trap: ");
            (Kind::Trap, format!("trapped: {cause}{}; try it with `shunt policy test`", place(error)))
        }
        None => (Kind::Trap, format!("failed: {}; try it with `shunt policy test`", chain(error))),
    };
    Fault { kind, message: format!("{call} {cause}") }
}

/// The function in which a trap happened, if it has a name.
fn place(error: &wasmtime::Error) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let name = frames.first().and_then(|frame| frame.func_name());
    name.map(|name| format!(" in {}", text::name(name))).unwrap_or_default()
}

/// An error's chain of causes in one line.
fn chain(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    text::escaped(&causes.join(": "))
}
