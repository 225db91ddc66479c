//! What a policy may be and may use, in one place, and the wasmtime Config that holds it to that.

use std::time::Duration;

use wasmtime::wasmparser::WasmFeatures;
use wasmtime::{Config, Engine, OperatorCost, WasmBacktraceDetails};

/// Octets of a module.
pub const MODULE_MAX: usize = 256 << 10;
/// Octets of linear memory, whatever maximum the module declares.
pub const MEMORY_MAX: usize = 16 << 20;
/// Elements of its one table.
pub const TABLE_MAX: usize = 10_000;
/// Octets of call stack.
pub const STACK_MAX: usize = 128 << 10;
/// Instructions (about) of one operation: of loading, of a decision, of saving.
pub const FUEL: u64 = 20_000_000;
/// Processor time of one operation. Fuel ends nearly all of them earlier, and at the same place on every run.
pub const TIME_MAX: Duration = Duration::from_millis(50);

/// The minor version of ABI 1 that this host speaks.
pub const ABI_MINOR: u32 = 0;
/// Octets of an intent record.
pub const INTENT_SIZE: usize = 64;
/// Octets of a saved state.
pub const STATE_MAX: usize = 4 << 10;
/// Octets of a table or of settings that the host can pass; a full table has 64 + 32 × 64.
pub const INPUT_MAX: usize = 64 << 10;

/// Octets of a log line, lines of one operation, and what each of them costs beside the call.
pub const LOG_LINE_MAX: usize = 256;
pub const LOG_LINES_MAX: usize = 10;
pub const LOG_FUEL: u64 = 1000;

/// WebAssembly 2.0. What came after it brings nothing to a policy: memories that can be shared, are 64 bits wide or
/// many; tail calls, exceptions, garbage collection; arithmetic whose results differ between processors.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2;

/// Which budgets calls have. The daemon has both; the benchmark measures what each costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metering {
    pub fuel: bool,
    pub epoch: bool,
}

/// The policies' Engine. Compiler and policy thread must make it alike, or wasmtime refuses the code.
pub fn engine(metering: Metering) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_features(!FEATURES, false)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(metering.fuel)
        .operator_cost(costs())
        .epoch_interruption(metering.epoch)
        .max_wasm_stack(STACK_MAX)
        .memory_reservation(4 << 30)
        .memory_may_move(false)
        // Else the compiler would build the image of a memory: 16 MiB for one octet at its end.
        .memory_init_cow(false)
        // Registering it takes a lock of the whole process, and policies are swapped under load.
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    Engine::new(&config)
}

/// wasmtime's own costs, one per instruction and one per octet of a bulk operation; but growing, which leaves the
/// module, costs as much as it takes, so that fuel runs out before time does.
fn costs() -> OperatorCost {
    OperatorCost { MemoryGrow: u8::MAX, TableGrow: u8::MAX, ..OperatorCost::new() }
}
