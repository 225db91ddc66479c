//! The addon's one error type. Every message is one line that says the cause and the remedy.

use std::fmt;
use std::io;

/// Why something in the addon failed.
#[derive(Debug)]
pub enum Error {
    /// An option that cannot be used; the text says which and what was expected.
    Options(String),
    /// The kernel refused for want of CAP_NET_ADMIN or CAP_NET_RAW.
    Permission { what: String, capability: &'static str },
    /// Another socket holds the NFQUEUE number; the port id is the holder's process id as a rule.
    QueueBusy { queue: u16, holder: Option<u32> },
    /// The kernel has no NFQUEUE.
    NoNfqueue(io::Error),
    /// A module that cannot be compiled or instantiated.
    Module { what: String, cause: String },
    /// A call that ended in a trap or took too long. The instance is dead.
    Trap(Box<Trap>),
    /// A call on an instance that has trapped before.
    Poisoned,
    /// The engine answered with a status other than OK.
    Status { call: &'static str, status: u32 },
    /// Any other refusal of the operating system.
    Io { what: String, source: io::Error },
    /// The thread of this name has ended.
    Stopped(&'static str),
}

/// A dead call: what was called, why it ended, where.
#[derive(Debug)]
pub struct Trap {
    /// The export that was called.
    pub call: String,
    /// The cause in one line.
    pub message: String,
    /// The wasm frames, innermost first, one per line; may be empty.
    pub backtrace: String,
    /// wasmtime's own error, which holds the coredump.
    pub source: wasmtime::Error,
}

/// The addon's result type.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an operating system error with what was being done.
    pub fn io(what: impl Into<String>, source: io::Error) -> Error {
        Error::Io { what: what.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Options(text) => f.write_str(text),
            Error::Permission { what, capability } => write!(
                f,
                "{what}: not permitted; run as root, or give the process {capability} in this network namespace"
            ),
            Error::QueueBusy { queue, holder } => write!(
                f,
                "NFQUEUE {queue} is held by {}; stop it, or choose another queue",
                holder.map_or_else(|| "another process".into(), holder_name)
            ),
            Error::NoNfqueue(source) => write!(
                f,
                "this kernel has no NFQUEUE ({source}); load nfnetlink_queue, or use a kernel with \
                 CONFIG_NETFILTER_NETLINK_QUEUE"
            ),
            Error::Module { what, cause } => {
                write!(f, "{what}: {cause}; rebuild the module with this version's sources")
            }
            Error::Trap(trap) => {
                write!(f, "engine call {}() ended: {}; the instance is dead, use a new one", trap.call, trap.message)
            }
            Error::Poisoned => f.write_str("this instance has trapped before and refuses calls; use a new one"),
            Error::Status { call, status } => write!(
                f,
                "engine call {call}() refused with status {status} ({}); check capacity and engine options, or rebuild \
                 engine and addon together",
                status_name(*status)
            ),
            Error::Io { what, source } => write!(f, "{what}: {source}"),
            Error::Stopped(thread) => write!(f, "{thread} is not running; start a new one"),
        }
    }
}

impl std::error::Error for Error {}

/// A netlink port id is the process id of its holder unless that has several sockets.
fn holder_name(port_id: u32) -> String {
    match std::fs::read_to_string(format!("/proc/{port_id}/comm")) {
        Ok(name) => format!("process {port_id} ({})", name.trim_end()),
        Err(_) => format!("a socket with port id {port_id}, see /proc/net/netfilter/nfnetlink_queue"),
    }
}

fn status_name(status: u32) -> &'static str {
    use crate::abi::status as s;
    match status {
        s::OK => "OK",
        s::BAD_ABI => "BAD_ABI",
        s::BAD_CONFIG => "BAD_CONFIG",
        s::NO_MEMORY => "NO_MEMORY",
        s::BAD_COUNT => "BAD_COUNT",
        s::NOT_BUILT => "NOT_BUILT",
        _ => "unknown",
    }
}
