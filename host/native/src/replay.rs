//! A bare instance under test: raw memory, any export, no packets. For the twin test, which holds
//! wasmtime and V8 to the same bytes, and for the engine's micro-benchmark.

use std::time::Instant;

use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;

use crate::vm::{Code, CodeOptions, Instance};

/// An instance of any module that imports `env.memory` and `crypto.*` at most.
#[napi]
pub struct Replay {
    instance: Instance,
    /// Keeps the epoch ticker alive.
    _code: Code,
}

#[napi]
impl Replay {
    /// Compiles `wasm` and instantiates it with `memorySize` octets, rounded up to 64 KiB.
    /// `explicitChecks` compiles bounds checks in code instead of guard pages and signals.
    #[napi(constructor)]
    pub fn new(wasm: Uint8Array, memory_size: u32, explicit_checks: Option<bool>) -> napi::Result<Replay> {
        let options = CodeOptions { explicit_checks: explicit_checks.unwrap_or(false), perf_map: false };
        let code = Code::compile(&wasm, options)?;
        let instance = code.instantiate(memory_size as usize)?;
        Ok(Replay { instance, _code: code })
    }

    /// Writes octets into memory. Throws outside of it.
    #[napi]
    pub fn write(&mut self, offset: u32, octets: Uint8Array) -> napi::Result<()> {
        let start = offset as usize;
        let target = self.instance.memory_mut().get_mut(start..start + octets.len());
        target.ok_or_else(|| outside(offset, octets.len()))?.copy_from_slice(&octets);
        Ok(())
    }

    /// A copy of `length` octets of memory. Throws outside of it.
    #[napi]
    pub fn read(&self, offset: u32, length: u32) -> napi::Result<Buffer> {
        let (start, length) = (offset as usize, length as usize);
        let octets = self.instance.memory().get(start..start + length);
        Ok(octets.ok_or_else(|| outside(offset, length))?.to_vec().into())
    }

    /// Calls an export with 32-bit integers. Throws on a trap, after 100 ms, and ever after.
    #[napi]
    pub fn call(&mut self, name: String, arguments: Option<Vec<i32>>) -> napi::Result<i32> {
        Ok(self.instance.call_by_name(&name, &arguments.unwrap_or_default())?)
    }

    /// Calls an export of one argument `iterations` times. Returns nanoseconds for all of them.
    #[napi]
    pub fn bench(&mut self, name: String, argument: u32, iterations: u32) -> napi::Result<f64> {
        let function = self.instance.function(&name)?;
        let start = Instant::now();
        for _ in 0..iterations {
            self.instance.call(&name, &function, argument)?;
        }
        Ok(start.elapsed().as_nanos() as f64)
    }
}

fn outside(offset: u32, length: usize) -> napi::Error {
    napi::Error::from_reason(format!("{length} octets at {offset:#x} are outside memory"))
}
