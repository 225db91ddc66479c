//! Budgets: what one operation of an instance may use, and the watchdog behind them.
//!
//! Fuel is counted by the compiled code itself, so it ends an operation at the same place on every run. Time is the
//! backstop for what fuel cannot count, such as cache misses: a watchdog thread raises the Engine's epoch when an
//! operation has lasted too long by the clock; the operation then looks at its processor time and goes on if the
//! machine was merely busy with others.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};

use super::imports::{LogLine, State};
use super::limits::{FUEL, Metering, TIME_MAX};
use crate::error::{Error, Result};

/// How soon the watchdog looks again at an operation that it found late.
const AGAIN: Duration = Duration::from_millis(10);

/// What an operation cost and logged, whether or not it was served.
#[derive(Default)]
pub struct Report {
    /// 0 without fuel metering.
    pub fuel: u64,
    /// By the clock.
    pub nanoseconds: u64,
    pub log: Vec<LogLine>,
    /// Lines beyond LOG_LINES_MAX.
    pub log_dropped: u32,
}

/// Holds operations of one Engine to their budgets, one at a time.
pub struct Meter {
    metering: Metering,
    watchdog: Option<Arc<Watchdog>>,
}

impl Meter {
    /// Starts the watchdog, if time is metered.
    pub fn start(engine: &Engine, metering: Metering) -> Result<Meter> {
        let watchdog = if metering.epoch { Some(Watchdog::start(engine)?) } else { None };
        Ok(Meter { metering, watchdog })
    }

    /// Prepares a new store: without this its first call would end at once.
    pub fn prepare(&self, store: &mut Store<State>) {
        if self.metering.epoch {
            store.epoch_deadline_callback(overdue);
        }
    }

    /// Runs `work` with a full budget.
    pub fn run<T>(&self, store: &mut Store<State>, work: impl FnOnce(&mut Store<State>) -> T) -> (T, Report) {
        store.data_mut().begin(thread_time());
        if self.metering.fuel {
            store.set_fuel(FUEL).expect("the Engine counts fuel");
        }
        if let Some(watchdog) = &self.watchdog {
            store.set_epoch_deadline(1);
            watchdog.begins();
        }
        let began = Instant::now();
        let result = work(store);
        let nanoseconds = began.elapsed().as_nanos() as u64;
        if let Some(watchdog) = &self.watchdog {
            watchdog.ends();
        }
        let fuel = if self.metering.fuel { FUEL - store.get_fuel().expect("the Engine counts fuel") } else { 0 };
        let (log, log_dropped) = store.data_mut().take_log();
        (result, Report { fuel, nanoseconds, log, log_dropped })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.stop();
        }
    }
}

/// Called when the epoch was raised during an operation, rightly or because another one ended just before.
fn overdue(store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    if thread_time().saturating_sub(store.data().began) < TIME_MAX {
        return Ok(UpdateDeadline::Continue(1));
    }
    Err(wasmtime::Trap::Interrupt.into())
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Raises the epoch of one Engine when an operation lasts; parks while there is none, so that an idle daemon does not
/// wake the processor, and is not woken for each of many operations in a row.
struct Watchdog {
    start: Instant,
    /// When the operation under way began, nanoseconds since `start`; 0 = there is none.
    began: AtomicU64,
    parked: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<thread::Thread>,
}

impl Watchdog {
    fn start(engine: &Engine) -> Result<Arc<Watchdog>> {
        let watchdog = Arc::new(Watchdog {
            start: Instant::now(),
            began: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let (engine, shared) = (engine.clone(), watchdog.clone());
        let handle = thread::Builder::new()
            .name("shunt-policy-w".into())
            .stack_size(64 << 10)
            .spawn(move || shared.watch(&engine))
            .map_err(|error| Error::io("cannot start the policies' watchdog", error))?;
        let _ = watchdog.thread.set(handle.thread().clone());
        Ok(watchdog)
    }

    fn watch(&self, engine: &Engine) {
        while !self.stopped.load(Ordering::SeqCst) {
            let began = self.began.load(Ordering::SeqCst);
            if began == 0 {
                self.parked.store(true, Ordering::SeqCst);
                if self.began.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
                continue;
            }
            let due = Duration::from_nanos(began) + TIME_MAX;
            let left = due.saturating_sub(self.start.elapsed());
            if left.is_zero() {
                engine.increment_epoch();
            }
            thread::park_timeout(if left.is_zero() { AGAIN } else { left });
        }
    }

    fn begins(&self) {
        self.began.store((self.start.elapsed().as_nanos() as u64).max(1), Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn ends(&self) {
        self.began.store(0, Ordering::SeqCst);
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
