//! The program shunt-policy-compile: a module on stdin, machine code on stdout, or one line on stderr and exit code 1.
//! It limits itself before it reads an octet, since a few KiB can cost a compiler minutes: 16 KiB can be made to take
//! 0.8 s, 45 KiB more than 25 s. Whoever it runs out of its limits for is told so by its parent.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

use super::limits::{self, MODULE_MAX, Metering};
use super::{inspect, text};

/// Seconds of processor time; a second later the kernel kills without asking.
const CPU_SECONDS: u64 = 5;
/// Octets of address space.
const ADDRESS_SPACE: u64 = 1 << 30;

/// The whole program.
pub fn main() -> ExitCode {
    // What a panic says is not for the parent, which shows the first line of stderr.
    std::panic::set_hook(Box::new(|panic| eprintln!("the compiler failed ({}); please report it", one_line(panic))));
    match metering(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn metering(words: impl Iterator<Item = String>) -> Result<Metering, String> {
    let mut metering = Metering { fuel: true, epoch: true };
    for word in words {
        match word.as_str() {
            "--no-fuel" => metering.fuel = false,
            "--no-epoch" => metering.epoch = false,
            _ => return Err(format!("unknown option {word}; use shunt-policy-compile [--no-fuel] [--no-epoch]")),
        }
    }
    Ok(metering)
}

fn run(metering: Metering) -> Result<(), String> {
    confine().map_err(|error| format!("the policy compiler cannot limit itself: {error}; please report it"))?;
    let mut wasm = Vec::new();
    // One octet too many is enough to know.
    let mut input = io::stdin().lock().take(MODULE_MAX as u64 + 1);
    input.read_to_end(&mut wasm).map_err(|error| format!("cannot read the module: {error}"))?;
    let code = compile(&wasm, metering)?;
    io::stdout().lock().write_all(&code).map_err(|error| format!("cannot pass the machine code on: {error}"))
}

/// Checks and compiles a module. The error is one line: the cause and how to build it right.
pub fn compile(wasm: &[u8], metering: Metering) -> Result<Vec<u8>, String> {
    inspect::check(wasm)?;
    let failed = |error: wasmtime::Error| {
        let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
        format!("it cannot be compiled: {}; build it for WebAssembly 2.0", text::escaped(&causes.join(": ")))
    };
    let engine = limits::engine(metering).map_err(failed)?;
    engine.precompile_module(wasm).map_err(failed)
}

/// From here on: little time and memory, no file, no core file, and after everybody else.
fn confine() -> io::Result<()> {
    let limit =
        |resource, current, maximum| setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) });
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Cpu, CPU_SECONDS, CPU_SECONDS + 1)?;
    limit(Resource::As, ADDRESS_SPACE, ADDRESS_SPACE)?;
    limit(Resource::Fsize, 0, 0)?;
    limit(Resource::Nofile, 0, 0)?;
    nice(10)?;
    Ok(())
}

fn one_line(panic: &std::panic::PanicHookInfo<'_>) -> String {
    text::escaped(&panic.to_string())
}
