//! All that a policy can call: `shunt.log`, and `env.abort`, which AssemblyScript wants. Both only leave a line.

use std::time::Duration;

use wasmtime::{Caller, Extern, Linker, ResourceLimiter};

use super::fault::Fault;
use super::limits::{LOG_FUEL, LOG_LINE_MAX, LOG_LINES_MAX, MEMORY_MAX, TABLE_MAX};
use super::text;

/// Level of a line that abort() leaves; those of `shunt.log` are the module's choice.
const LEVEL_ERROR: u32 = 3;

/// A line that a policy logged, fit to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    pub level: u32,
    pub text: String,
}

/// What belongs to one instance beside its memory.
#[derive(Default)]
pub struct State {
    /// The thread's processor time when the operation under way began.
    pub began: Duration,
    /// The operation under way was refused memory or table elements.
    pub refused: bool,
    log: Vec<LogLine>,
    log_dropped: u32,
}

impl State {
    /// Forgets the operation before.
    pub fn begin(&mut self, now: Duration) {
        *self = State { began: now, ..State::default() };
    }

    /// The lines of the operation, and how many were too many.
    pub fn take_log(&mut self) -> (Vec<LogLine>, u32) {
        (std::mem::take(&mut self.log), std::mem::take(&mut self.log_dropped))
    }

    fn log(&mut self, level: u32, text: &str) {
        if self.log.len() < LOG_LINES_MAX {
            self.log.push(LogLine { level, text: text::escaped(text) });
        } else {
            self.log_dropped = self.log_dropped.saturating_add(1);
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.refused |= desired > MEMORY_MAX;
        Ok(desired <= MEMORY_MAX)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.refused |= desired > TABLE_MAX;
        Ok(desired <= TABLE_MAX)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }
}

/// Defines the imports. `inspect` has refused modules with any other.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap("shunt", "log", log)?;
    linker.func_wrap("env", "abort", abort)?;
    Ok(())
}

fn log(mut caller: Caller<'_, State>, level: u32, ptr: u32, len: u32) -> wasmtime::Result<()> {
    charge(&mut caller)?;
    let octets = octets(&mut caller, ptr, len).ok_or_else(|| {
        Fault::abi(format!("logged {len} octets at {ptr:#x}, outside of its memory; pass the address of the text"))
    })?;
    let text = String::from_utf8_lossy(&octets[..octets.len().min(LOG_LINE_MAX)]).into_owned();
    caller.data_mut().log(level, &text);
    Ok(())
}

fn abort(mut caller: Caller<'_, State>, message: u32, file: u32, line: u32, column: u32) -> wasmtime::Result<()> {
    let message = script_string(&mut caller, message).unwrap_or_else(|| "abort()".into());
    let file = script_string(&mut caller, file).unwrap_or_else(|| "its source".into());
    let text = text::escaped(&format!("{message}, in {file}:{line}:{column}"));
    caller.data_mut().log(LEVEL_ERROR, &text);
    Err(Fault::trap(format!("gave up: {text}; correct what it says")).into())
}

/// Takes the price of a line, so that a flood of them ends with the fuel, however long a line takes here.
fn charge(caller: &mut Caller<'_, State>) -> wasmtime::Result<()> {
    // Without fuel metering there is none to read.
    let Ok(fuel) = caller.get_fuel() else { return Ok(()) };
    let Some(left) = fuel.checked_sub(LOG_FUEL) else {
        caller.set_fuel(0)?;
        return Err(wasmtime::Trap::OutOfFuel.into());
    };
    caller.set_fuel(left)
}

/// Octets of the caller's memory, if they lie in it.
fn octets<'a>(caller: &'a mut Caller<'_, State>, ptr: u32, len: u32) -> Option<&'a [u8]> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return None };
    let start = ptr as usize;
    memory.data(&*caller).get(start..start.checked_add(len as usize)?)
}

/// An AssemblyScript string: UTF-16, its length in octets in the four before it. None if there is none.
fn script_string(caller: &mut Caller<'_, State>, ptr: u32) -> Option<String> {
    let header = octets(caller, ptr.checked_sub(4)?, 4)?;
    let len = u32::from_le_bytes(header.try_into().ok()?).min(LOG_LINE_MAX as u32);
    let units: Vec<u16> =
        octets(caller, ptr, len)?.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}
