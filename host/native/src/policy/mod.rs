//! The policy sandbox: modules that somebody else wrote decide where connections go, and can do nothing else.
//!
//! 1. `compile` runs in a child process that limits itself; `inspect` refuses what is not a policy before anything of
//!    it is compiled. Machine code comes back through a pipe, and no other is ever loaded.
//! 2. `thread` is where all instances live: never Node's thread, never a shard's. Its wasmtime Engine is its own, so
//!    its epochs and its Config (`limits`) have nothing to do with the data path's.
//! 3. `instance` calls into a module within a budget (`meter`), gives it two harmless imports (`imports`), and believes
//!    nothing that it returns. What goes wrong is a `fault` of one instance, which is then dead.

pub mod compile;
mod fault;
mod imports;
mod inspect;
mod instance;
mod limits;
mod meter;
mod text;
mod thread;

mod addon;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod inspect_tests;
#[cfg(test)]
mod instance_tests;
