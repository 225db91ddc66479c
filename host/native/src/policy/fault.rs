//! Why an instance died.

use std::fmt;

/// What kind of mistake ended an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The budget of instructions is used up.
    Fuel,
    /// The budget of processor time is used up.
    Time,
    /// The module ended itself, or did what WebAssembly does not allow.
    Trap,
    /// It does not keep to the ABI.
    Abi,
    /// It ended after it had been refused more memory.
    Memory,
}

impl Kind {
    /// The name that host/engine/sandbox.ts knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fuel => "fuel",
            Kind::Time => "time",
            Kind::Trap => "trap",
            Kind::Abi => "abi",
            Kind::Memory => "memory",
        }
    }
}

/// The end of an instance: `message` is one line that says the cause and the remedy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub message: String,
}

impl Fault {
    /// A breach of the ABI.
    pub fn abi(message: impl Into<String>) -> Fault {
        Fault { kind: Kind::Abi, message: message.into() }
    }

    /// A trap.
    pub fn trap(message: impl Into<String>) -> Fault {
        Fault { kind: Kind::Trap, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
