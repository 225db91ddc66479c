//! quietest-rust: keeps off the paths that others are using, in Rust.
//!
//! Promise: new data goes by the usable path on which the *other* classes move least, once that is less than on the
//! present one by `margin_kbps` for `hold_ms`; between equals the class's order of preference decides. A path that is
//! lost or to be left is left at once; backup paths come last; every usable path is joined. Meant for a class of
//! background transfers.
//!
//! Why so: measurements of a path cover all classes, so the class's own traffic must be taken out, else it would chase
//! itself from path to path. Its own rate is what `acked_bytes` says, of the last second or smoothed over some,
//! whichever is more: what is taken for its own by mistake keeps it where it is. The margin covers what is left.
#![no_std]

use shunt_policy::abi::{event, path_flag, path_state, reason, Intent, Path, Table, UNKNOWN_U32};
use shunt_policy::{export_policy, Policy, View};

export_policy!(Quietest);

/// In the order of policy.json.
const MARGIN_KBPS: usize = 0;
const HOLD_MS: usize = 1;

/// The policy's own reason.
const QUIETER: u16 = 256;

const SECOND_US: u64 = 1_000_000;

#[derive(Clone, Copy)]
#[repr(C)]
struct Quietest {
    /// When the class's octets were last counted, and how many there were.
    counted_us: u64,
    counted: u64,
    /// What the class itself moves.
    own_kbps: u64,
    /// Which path is quieter, since when.
    leader_id: u64,
    since_us: u64,
}

impl Policy for Quietest {
    const TAG: u32 = 0x7465_7571;
    const START: Self = Quietest { counted_us: 0, counted: 0, own_kbps: 0, leader_id: 0, since_us: 0 };

    fn decide(&mut self, view: &View, intent: &mut Intent) -> Result<(), i32> {
        self.measure(view.table());
        let (target, why) = self.choose(view, intent);
        intent.active_path_id = target.unwrap_or(UNKNOWN_U32);
        intent.reason = why;
        for (index, path) in view.paths().enumerate() {
            if usable(path) && Some(path.id) != target {
                intent.standby_mask |= 1 << index;
            }
        }
        Ok(())
    }
}

impl Quietest {
    /// The class's own rate: up at once, down by a quarter a second.
    fn measure(&mut self, table: &Table) {
        let past_us = table.now_us.wrapping_sub(self.counted_us);
        if self.counted_us == 0 || past_us > 60 * SECOND_US {
            (self.counted_us, self.counted) = (table.now_us, table.acked_bytes);
        } else if past_us >= SECOND_US {
            let kbps = table.acked_bytes.saturating_sub(self.counted).min(1 << 40) * 8_000 / past_us;
            self.own_kbps = kbps.max((3 * self.own_kbps + kbps) / 4);
            (self.counted_us, self.counted) = (table.now_us, table.acked_bytes);
        }
    }

    /// What others move on this path; backup paths count as busier than any.
    fn load(&self, view: &View, path: &Path) -> u64 {
        let rate = if path.acked_rate_kbps == UNKNOWN_U32 { 0 } else { u64::from(path.acked_rate_kbps) };
        let own = if path.id == view.table().active_path_id { self.own_kbps } else { 0 };
        let backup = u64::from(path.flags & path_flag::BACKUP != 0) << 40;
        backup + rate.saturating_sub(own)
    }

    fn choose(&mut self, view: &View, intent: &mut Intent) -> (Option<u32>, u16) {
        let table = view.table();
        let quietest = |state: u8| {
            view.paths().filter(|path| usable(path) && path.state >= state).min_by_key(|path| self.load(view, path))
        };
        let ready = quietest(path_state::ESTABLISHED);
        let any = ready.or_else(|| quietest(path_state::UP)).map(|path| path.id);
        let Some((_, current)) = view.find(table.active_path_id) else {
            return (any, if any.is_some() { QUIETER } else { reason::NO_PATH });
        };
        if current.flags & path_flag::PINNED != 0 {
            return (Some(current.id), reason::KEEP);
        }
        if table.event == event::REFUSED {
            self.leader_id = 0;
            return (Some(current.id).filter(|_| !lost(current)), reason::HOLDING);
        }
        if lost(current) {
            return (any, if any.is_some() { reason::PATH_LOST } else { reason::NO_PATH });
        }
        let Some(ready) = ready else { return (Some(current.id), reason::ONLY_PATH) };
        if !usable(current) {
            return (Some(ready.id), reason::DRAIN);
        }
        let margin = view.setting(MARGIN_KBPS).max(0) as u64;
        if self.load(view, ready) + margin >= self.load(view, current) {
            self.leader_id = 0;
            return (Some(current.id), reason::KEEP);
        }
        if self.leader_id != u64::from(ready.id) || self.since_us > table.now_us {
            (self.leader_id, self.since_us) = (u64::from(ready.id), table.now_us);
        }
        let due_us = self.since_us + view.setting(HOLD_MS).max(0) as u64 * 1000;
        if table.now_us >= due_us {
            return (Some(ready.id), QUIETER);
        }
        intent.wake_at_us = due_us;
        (Some(current.id), reason::HOLDING)
    }
}

fn lost(path: &Path) -> bool {
    matches!(path.state, path_state::DOWN | path_state::STALE) || path.flags & path_flag::CAPTIVE != 0
}

fn usable(path: &Path) -> bool {
    !lost(path) && path.flags & path_flag::DRAINING == 0
}
