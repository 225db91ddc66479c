//! A link: two interfaces, a direction each way, and what both have in common.

use crate::direction::Direction;
use crate::nat::Nat;
use crate::params::Params;
use crate::pcap::Pcap;
use crate::ring::{Interface, SEND_BATCH};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// Frames taken from one interface before the others get their turn.
const RECEIVE_BUDGET: usize = 256;

/// Names of the two directions on the control socket: from the first end to the second, and back.
pub const DIRECTIONS: [&str; 2] = ["forward", "backward"];

/// Two interfaces joined by an emulated path.
pub struct Link {
    /// Name on the control socket.
    pub name: String,
    ends: [Interface; 2],
    directions: [Direction; 2],
    pcap: Option<Pcap>,
    nat: Option<Nat>,
    ring_drops: [u64; 2],
    due: Vec<Vec<u8>>,
}

impl Link {
    /// Joins two interfaces of the current network namespace.
    pub fn open(name: &str, ends: [&str; 2], seed: u64) -> std::io::Result<Link> {
        Ok(Link {
            name: name.to_owned(),
            ends: [Interface::open(ends[0])?, Interface::open(ends[1])?],
            directions: [Direction::new(seed, seed), Direction::new(seed ^ 0x5bd1_e995, seed)],
            pcap: None,
            nat: None,
            ring_drops: [0; 2],
            due: Vec::with_capacity(SEND_BATCH),
        })
    }

    /// File descriptors to wait for.
    pub fn fds(&self) -> [libc::c_int; 2] {
        [self.ends[0].fd(), self.ends[1].fd()]
    }

    /// When the next frame departs, in either direction.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.directions.iter().filter_map(Direction::next_due_ns).min()
    }

    /// Takes what has arrived at both ends. True when the budget ran out before the frames did.
    pub fn receive(&mut self, now_ns: u64) -> bool {
        let mut more = false;
        for side in 0..2 {
            let mut budget = RECEIVE_BUDGET;
            while budget > 0 {
                let mut frame = self.directions[side].buffer();
                if !self.ends[side].receive(&mut frame) {
                    self.directions[side].recycle(frame);
                    break;
                }
                if self.pcap.as_mut().is_some_and(|p| p.write(now_ns, &frame).is_err()) {
                    self.pcap = None; // The disk is full; the network is not to blame.
                }
                budget -= 1;
                if !self.translate(side, &mut frame) {
                    self.directions[side].recycle(frame);
                } else if let Some(answer) = self.directions[side].arrive(now_ns, frame) {
                    self.ends[side].send(&[answer]);
                }
            }
            more |= budget == 0;
        }
        more
    }

    /// Lets the translator see a frame that arrives. The link works on outside addresses in both directions, so frames
    /// on their way in are translated when they leave it. False when the frame ends here.
    fn translate(&mut self, side: usize, frame: &mut [u8]) -> bool {
        let Some(nat) = self.nat.as_mut() else { return true };
        if side == 0 {
            nat.outbound(frame);
            return true;
        }
        let answer = nat.arp(frame);
        if let Some(answer) = &answer {
            self.ends[side].send(std::slice::from_ref(answer));
        }
        answer.is_none()
    }

    /// Puts a translator with this address into the link; without an address it goes. With the address it has already,
    /// it forgets its mappings.
    pub fn translate_as(&mut self, address: Option<Ipv4Addr>) {
        match (&mut self.nat, address) {
            (Some(nat), Some(address)) if nat.address() == address => nat.rebind(),
            (nat, address) => *nat = address.map(Nat::new),
        }
    }

    /// Sends what is due, both ways.
    pub fn send(&mut self, now_ns: u64) {
        for side in 0..2 {
            loop {
                self.directions[side].depart(now_ns, SEND_BATCH, &mut self.due);
                if self.due.is_empty() {
                    break;
                }
                if let Some(nat) = self.nat.as_mut().filter(|_| side == 1) {
                    self.due.retain_mut(|frame| nat.inbound(frame));
                }
                let sent = self.ends[1 - side].send(&self.due);
                self.directions[side].departed(&mut self.due, sent);
            }
        }
    }

    /// Changes parameters of one direction, or of both.
    pub fn set(&mut self, now_ns: u64, direction: Option<usize>, change: &Map<String, Value>) -> Result<(), String> {
        let sides = direction.map_or(0..2, |side| side..side + 1);
        let merged: Result<Vec<Params>, String> =
            sides.clone().map(|side| self.directions[side].params().merged(change)).collect();
        for (side, params) in sides.zip(merged?) {
            self.directions[side].set_params(now_ns, params);
        }
        Ok(())
    }

    /// Parameters of both directions.
    pub fn params(&self) -> Value {
        self.both(|d| json!(d.params()))
    }

    /// Counters of both directions.
    pub fn counters(&mut self) -> Value {
        for side in 0..2 {
            self.ring_drops[side] += self.ends[side].ring_drops();
        }
        let mut value = self.both(|d| json!(d.counters));
        for (side, name) in DIRECTIONS.iter().enumerate() {
            value[name]["drops"]["ring"] = json!(self.ring_drops[side]);
            value[name]["drops"]["oversize"] = json!(self.ends[side].oversize);
            let unknown = self.nat.as_ref().filter(|_| side == 1).map_or(0, |nat| nat.unknown);
            value[name]["drops"]["nat"] = json!(unknown);
        }
        value
    }

    /// TCP flows of both directions.
    pub fn flows(&self) -> Value {
        self.both(|d| json!(d.flows.list()))
    }

    /// Starts counting from zero.
    pub fn reset(&mut self) {
        self.directions.iter_mut().for_each(Direction::reset_counters);
        self.ends.iter_mut().for_each(|end| end.oversize = 0);
        self.counters();
        self.ring_drops = [0; 2];
    }

    /// Starts a capture, or ends the one that runs.
    pub fn capture(&mut self, path: Option<&str>) -> Result<(), String> {
        let old = self.pcap.take();
        old.map_or(Ok(()), Pcap::finish).map_err(|e| e.to_string())?;
        if let Some(path) = path {
            self.pcap = Some(Pcap::create(path).map_err(|e| format!("{path}: {e}"))?);
        }
        Ok(())
    }

    fn both(&self, view: impl Fn(&Direction) -> Value) -> Value {
        json!({ DIRECTIONS[0]: view(&self.directions[0]), DIRECTIONS[1]: view(&self.directions[1]) })
    }
}
