//! One direction of a link: what happens to a frame from its arrival to its departure.
//!
//! 1. `arrive` counts it, then drops, changes or answers it (blackhole, loss, MTU, middleboxes);
//! 2. `regroup` holds it for a moment if segments are to be put together;
//! 3. `admit` passes it through the virtual queue: a rate is an instant until which the line is busy, not a timer;
//! 4. `depart` hands out what is due.
//!
//! Time is an argument everywhere (CLOCK_MONOTONIC, ns), so the tests run in virtual time.

use crate::coalesce::Coalescer;
use crate::counters::{Counters, Flows};
use crate::icmp;
use crate::middlebox;
use crate::packet::{ETHERNET, TcpView, flag, ip_length};
use crate::params::Params;
use crate::rng::Rng;
use crate::strip::{strip, strip_syn};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A frame on its way.
struct Pending {
    due_ns: u64,
    /// Arrival number; keeps frames of the same instant in order.
    order: u64,
    frame: Vec<u8>,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        // Reversed: BinaryHeap yields the largest, we want the earliest.
        (other.due_ns, other.order).cmp(&(self.due_ns, self.order))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pending {}

/// State of one direction.
pub struct Direction {
    params: Params,
    rng: Rng,
    /// Common to both directions of a link.
    flow_seed: u64,
    /// What was counted; read and reset by the control socket.
    pub counters: Counters,
    /// TCP flows seen.
    pub flows: Flows,
    coalescer: Coalescer,
    pending: BinaryHeap<Pending>,
    next_order: u64,
    /// Until when the line is busy with what was admitted.
    busy_until_ns: u64,
    /// Departure of the last frame that was not held back: later ones do not overtake it.
    last_due_ns: u64,
    /// Emptied frame buffers, to save allocations.
    spare: Vec<Vec<u8>>,
}

fn ms_to_ns(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

/// Time to send `bytes` at `mbit` Mbit/s, ns.
fn line_ns(bytes: u64, mbit: f64) -> u64 {
    (bytes as f64 * 8e3 / mbit) as u64
}

fn has_mptcp_syn(frame: &[u8], view: &TcpView) -> bool {
    view.flags(frame) & flag::SYN != 0 && view.mptcp(frame).is_some()
}

impl Direction {
    /// A plain wire. `flow_seed` must be the same in both directions of a link.
    pub fn new(seed: u64, flow_seed: u64) -> Direction {
        Direction {
            params: Params::default(),
            rng: Rng::new(seed),
            flow_seed,
            counters: Counters::default(),
            flows: Flows::default(),
            coalescer: Coalescer::default(),
            pending: BinaryHeap::new(),
            next_order: 0,
            busy_until_ns: 0,
            last_due_ns: 0,
            spare: Vec::new(),
        }
    }

    /// The parameters in force.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Replaces the parameters. Frames already under way keep their departure; the backlog keeps its bytes.
    pub fn set_params(&mut self, now_ns: u64, params: Params) {
        let (old, new) = (self.params.rate_mbit, params.rate_mbit);
        if old != new {
            let wait_ns = self.busy_until_ns.saturating_sub(now_ns);
            let scaled = if old > 0.0 && new > 0.0 { (wait_ns as f64 * old / new) as u64 } else { 0 };
            self.busy_until_ns = now_ns + scaled;
        }
        self.params = params;
    }

    /// Forgets counters and flows, not frames.
    pub fn reset_counters(&mut self) {
        self.counters = Counters::default();
        self.flows = Flows::default();
    }

    /// An empty buffer for a frame.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(2048))
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, mut frame: Vec<u8>) {
        if self.spare.len() < 4096 {
            frame.clear();
            self.spare.push(frame);
        }
    }

    /// A frame entered the link. Returns an answer to its sender, if there is one.
    pub fn arrive(&mut self, now_ns: u64, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let view = TcpView::parse(&frame);
        self.counters.entered.add(&frame, view.as_ref());
        if let Some(view) = &view {
            self.counters.tcp.note(now_ns, &frame, view, &mut self.flows);
        }
        if self.params.blackhole {
            self.counters.drops.blackhole += 1;
            self.recycle(frame);
            return None;
        }
        if self.rng.percent(self.params.loss_percent) {
            self.counters.drops.loss += 1;
            self.recycle(frame);
            return None;
        }
        if self.params.drop_mptcp_syn && view.is_some_and(|v| has_mptcp_syn(&frame, &v)) {
            self.counters.drops.syn += 1;
            self.recycle(frame);
            return None;
        }
        let mtu = self.params.mtu;
        if mtu > 0 && ip_length(&frame).unwrap_or(frame.len() - ETHERNET) > mtu {
            self.counters.drops.mtu += 1;
            let answer = if self.params.mtu_icmp { icmp::too_big(&frame, mtu) } else { None };
            self.recycle(frame);
            return answer;
        }
        let pieces = if view.is_some() { self.meddle(&mut frame) } else { Vec::new() };
        if self.rng.percent(self.params.duplicate_percent) {
            self.counters.duplicated += 1;
            let mut copy = self.buffer();
            copy.extend_from_slice(&frame);
            self.admit(now_ns, copy);
        }
        self.regroup(now_ns, frame);
        pieces.into_iter().for_each(|piece| self.regroup(now_ns, piece));
        None
    }

    /// Does to a TCP segment what middleboxes do. Returns the pieces behind the first when it was cut.
    fn meddle(&mut self, frame: &mut Vec<u8>) -> Vec<Vec<u8>> {
        let Some(view) = TcpView::parse(frame) else { return Vec::new() };
        self.counters.stripped += u64::from(strip(&self.params, frame, &view));
        // Stripping may have moved the payload.
        let Some(view) = TcpView::parse(frame) else { return Vec::new() };
        self.counters.stripped += u64::from(strip_syn(&self.params, frame, &view));
        let Some(view) = TcpView::parse(frame) else { return Vec::new() };
        middlebox::clamp_mss(frame, &view, self.params.mss_clamp);
        if self.params.randomise_sequence {
            middlebox::randomise(frame, &view, self.flow_seed);
        }
        if view.payload_len() > 0 && self.rng.percent(self.params.alter_percent) {
            middlebox::alter(frame, &view);
            self.counters.altered += 1;
        }
        middlebox::split(frame, &view, self.params.split_bytes, self.params.split_bare)
    }

    /// Lets a segment wait for its successor, if that is asked for; whatever need not wait goes on.
    fn regroup(&mut self, now_ns: u64, frame: Vec<u8>) {
        let max = self.params.coalesce_bytes;
        if max == 0 && self.coalescer.is_empty() {
            self.admit(now_ns, frame);
            return;
        }
        let mut ready = Vec::new();
        self.counters.coalesced += u64::from(self.coalescer.pass(now_ns, max, frame, &mut ready));
        ready.into_iter().for_each(|frame| self.admit(now_ns, frame));
    }

    /// What has waited long enough goes on.
    fn release(&mut self, now_ns: u64) {
        while let Some(frame) = self.coalescer.expired(now_ns) {
            self.admit(now_ns, frame);
        }
    }

    /// Passes a frame through the queue and onto the delay line.
    fn admit(&mut self, now_ns: u64, frame: Vec<u8>) {
        let rate = self.params.rate_mbit;
        if rate > 0.0 {
            let start_ns = self.busy_until_ns.max(now_ns);
            let wait_ns = start_ns - now_ns;
            let (limit_ns, limit_bytes) = (ms_to_ns(self.params.queue_ms), self.params.queue_bytes);
            let too_late = limit_ns > 0 && wait_ns > limit_ns;
            let too_much = limit_bytes > 0 && wait_ns > line_ns(limit_bytes, rate);
            if too_late || too_much {
                self.counters.drops.queue += 1;
                self.recycle(frame);
                return;
            }
            self.counters.queue_peak_ms = self.counters.queue_peak_ms.max(wait_ns as f64 / 1e6);
            self.busy_until_ns = start_ns + line_ns(frame.len() as u64, rate);
        }
        let jitter_ms = if self.params.jitter_ms > 0.0 { self.rng.unit() * self.params.jitter_ms } else { 0.0 };
        let sent_ns = if rate > 0.0 { self.busy_until_ns } else { now_ns };
        let mut due_ns = (sent_ns + ms_to_ns(self.params.delay_ms + jitter_ms)).max(self.last_due_ns);
        if self.rng.percent(self.params.reorder_percent) {
            self.counters.reordered += 1;
            due_ns += ms_to_ns(self.params.reorder_delay_ms);
        } else {
            self.last_due_ns = due_ns;
        }
        self.pending.push(Pending { due_ns, order: self.next_order, frame });
        self.next_order += 1;
    }

    /// When the next frame departs.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.pending.peek().map(|p| p.due_ns).into_iter().chain(self.coalescer.next_due_ns()).min()
    }

    /// Appends up to `max` frames that are due, in order of departure, to `due`.
    pub fn depart(&mut self, now_ns: u64, max: usize, due: &mut Vec<Vec<u8>>) {
        self.release(now_ns);
        while due.len() < max && self.pending.peek().is_some_and(|p| p.due_ns <= now_ns) {
            due.push(self.pending.pop().expect("peeked").frame);
        }
    }

    /// Counts frames that were handed to the outgoing interface, the first `sent` of which it took, and frees them.
    pub fn departed(&mut self, due: &mut Vec<Vec<u8>>, sent: usize) {
        for (index, frame) in due.drain(..).enumerate() {
            if index < sent {
                self.counters.out.add(&frame, TcpView::parse(&frame).as_ref());
            } else {
                self.counters.drops.send_error += 1;
            }
            self.recycle(frame);
        }
    }
}

#[cfg(test)]
#[path = "direction_tests.rs"]
mod tests;
