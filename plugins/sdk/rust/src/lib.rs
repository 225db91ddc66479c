//! What a policy in Rust uses: the ABI's records, safe access to its regions, and the exports.
//!
//! A policy is a `Copy` value, its state, that implements [`Policy`]; `export_policy!(Name)` makes the module's exports.
//! No allocator and no `std`: the regions are of fixed size.
#![no_std]

pub mod abi;
pub mod regions;

use abi::{Intent, Path, Table};

/// A policy and what it remembers from one decision to the next. It is handed on to the instance that follows.
pub trait Policy: Copy + 'static {
    /// Marks saved state as this policy's and of this layout: change it with the layout.
    const TAG: u32;
    /// What it knows before its first decision.
    const START: Self;
    /// Reads the table and fills the intent, which is empty. An error is an `abi::status`.
    fn decide(&mut self, view: &View, intent: &mut Intent) -> Result<(), i32>;
}

/// The table of one decision, and the settings.
pub struct View {
    table: *const Table,
    settings: &'static [i64],
}

impl View {
    /// The setting at this place in policy.json's list; 0 if the host gave fewer.
    pub fn setting(&self, index: usize) -> i64 {
        self.settings.get(index).copied().unwrap_or(0)
    }

    /// The table's head.
    pub fn table(&self) -> &Table {
        // Safety: made by regions::view() from the table region, which nobody writes to while a call lasts.
        unsafe { &*self.table }
    }

    /// The path records, in the class's order of preference.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        (0..usize::from(self.table().path_count)).filter_map(|index| regions::path(self, index))
    }

    /// Place and record of path `id`.
    pub fn find(&self, id: u32) -> Option<(usize, &Path)> {
        self.paths().enumerate().find(|(_, path)| path.id == id)
    }
}

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
