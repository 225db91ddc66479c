//! The path model in virtual time.

use super::*;
use crate::packet::{build::tcp4, flag};

const MS: u64 = 1_000_000;

fn direction(change: impl FnOnce(&mut Params)) -> Direction {
    let mut direction = Direction::new(1, 1);
    let mut params = Params::default();
    change(&mut params);
    direction.set_params(0, params);
    direction
}

/// A data segment of 1,000 bytes in all, marked with `index` in its sequence number.
fn segment(index: u32) -> Vec<u8> {
    tcp4(flag::ACK, index, &[], &[0; 1000 - 54])
}

/// Lets time run and returns (departure in ns, index) of every frame.
fn drain(direction: &mut Direction) -> Vec<(u64, u32)> {
    let mut all = Vec::new();
    while let Some(at) = direction.next_due_ns() {
        let mut due = Vec::new();
        direction.depart(at, usize::MAX, &mut due);
        all.extend(due.iter().map(|f| (at, TcpView::parse(f).unwrap().sequence(f))));
        let sent = due.len();
        direction.departed(&mut due, sent);
    }
    all
}

fn indices(departures: &[(u64, u32)]) -> Vec<u32> {
    departures.iter().map(|d| d.1).collect()
}

#[test]
fn delay_is_exact_and_order_is_kept_under_jitter() {
    let mut constant = direction(|p| p.delay_ms = 10.0);
    constant.arrive(3, segment(0));
    assert_eq!(drain(&mut constant), [(10 * MS + 3, 0)]);

    let mut jittery = direction(|p| (p.delay_ms, p.jitter_ms) = (10.0, 5.0));
    (0..200).for_each(|i| assert!(jittery.arrive(u64::from(i) * MS / 10, segment(i)).is_none()));
    let departures = drain(&mut jittery);
    assert_eq!(indices(&departures), (0..200).collect::<Vec<_>>());
    assert!(departures.iter().all(|(at, i)| (10 * MS..15 * MS + MS / 10).contains(&(at - u64::from(*i) * MS / 10))));
}

#[test]
fn rate_spaces_frames_and_the_queue_limit_drops_the_tail() {
    // 1,000 bytes at 8 Mbit/s take 1 ms.
    let mut limited = direction(|p| (p.rate_mbit, p.queue_ms) = (8.0, 4.5));
    (0..10).for_each(|i| assert!(limited.arrive(0, segment(i)).is_none()));
    let expected: Vec<_> = (0..5).map(|i| ((u64::from(i) + 1) * MS, i)).collect();
    assert_eq!(drain(&mut limited), expected);
    assert_eq!((limited.counters.drops.queue, limited.counters.queue_peak_ms), (5, 4.0));

    let mut bytes = direction(|p| (p.rate_mbit, p.queue_bytes) = (8.0, 2000));
    (0..10).for_each(|i| assert!(bytes.arrive(0, segment(i)).is_none()));
    assert_eq!(drain(&mut bytes).len(), 3);
}

#[test]
fn a_new_rate_takes_over_the_backlog() {
    let mut changed = direction(|p| p.rate_mbit = 8.0);
    (0..4).for_each(|i| assert!(changed.arrive(0, segment(i)).is_none()));
    changed.set_params(0, Params { rate_mbit: 80.0, ..Params::default() });
    changed.arrive(0, segment(4));
    // The four are on the delay line already; the fifth waits for 4,000 bytes at the new rate but overtakes nothing.
    assert_eq!(drain(&mut changed).last(), Some(&(4 * MS, 4)));
    assert_eq!(changed.busy_until_ns, MS / 2);
}

#[test]
fn held_back_frames_are_overtaken() {
    let mut reordering = direction(|p| (p.reorder_percent, p.reorder_delay_ms) = (20.0, 1.0));
    (0..1000).for_each(|i| assert!(reordering.arrive(u64::from(i) * MS / 10, segment(i)).is_none()));
    let order = indices(&drain(&mut reordering));
    let inversions = order.windows(2).filter(|w| w[0] > w[1]).count();
    assert_eq!(order.len(), 1000);
    assert!((100..300).contains(&inversions), "{inversions}");
    assert!((150..250).contains(&reordering.counters.reordered));
}

#[test]
fn loss_duplicates_and_blackhole_are_counted() {
    let mut lossy = direction(|p| (p.loss_percent, p.duplicate_percent) = (10.0, 5.0));
    (0..10_000).for_each(|i| assert!(lossy.arrive(0, segment(i)).is_none()));
    let delivered = drain(&mut lossy).len() as u64;
    let counters = &lossy.counters;
    assert!((900..1100).contains(&counters.drops.loss), "{}", counters.drops.loss);
    assert_eq!(delivered, 10_000 - counters.drops.loss + counters.duplicated);
    assert_eq!((counters.entered.packets, counters.out.packets), (10_000, delivered));

    let mut dead = direction(|p| p.blackhole = true);
    assert!(dead.arrive(0, segment(0)).is_none());
    assert_eq!((drain(&mut dead).len(), dead.counters.drops.blackhole), (0, 1));
}

#[test]
fn too_big_is_answered_or_swallowed() {
    let mut loud = direction(|p| p.mtu = 985);
    assert!(loud.arrive(0, segment(0)).is_some());
    let mut silent = direction(|p| (p.mtu, p.mtu_icmp) = (985, false));
    assert!(silent.arrive(0, segment(0)).is_none());
    assert_eq!((silent.counters.drops.mtu, drain(&mut silent).len()), (1, 0));
    let mut fits = direction(|p| p.mtu = 986);
    assert!(fits.arrive(0, segment(0)).is_none());
    assert_eq!(drain(&mut fits).len(), 1);
}

#[test]
fn a_segment_waits_a_moment_for_its_successor() {
    let mut joining = direction(|p| (p.coalesce_bytes, p.delay_ms) = (3000, 5.0));
    (0..3).for_each(|i| assert!(joining.arrive(u64::from(i), segment(i * 946)).is_none()));
    assert_eq!(joining.next_due_ns(), Some(MS));
    assert_eq!(drain(&mut joining), [(6 * MS, 0)]);
    assert_eq!((joining.counters.coalesced, joining.counters.out.payload_bytes), (2, 3 * 946));
}

#[test]
fn a_syn_with_an_mptcp_option_may_be_unwelcome() {
    let capable = [30, 4, 0x01, 0x01];
    let mut strict = direction(|p| p.drop_mptcp_syn = true);
    for frame in [tcp4(flag::SYN, 1, &capable, b""), tcp4(flag::SYN | flag::ACK, 2, &capable, b"")] {
        assert!(strict.arrive(0, frame).is_none());
    }
    assert!(strict.arrive(0, tcp4(flag::SYN, 3, &[], b"")).is_none());
    assert!(strict.arrive(0, tcp4(flag::ACK, 4, &capable, b"x")).is_none());
    assert_eq!((indices(&drain(&mut strict)), strict.counters.drops.syn), (vec![3, 4], 2));
}
