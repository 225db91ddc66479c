//! The data path's thread: waits for packets, requests and deadlines, and drives a `Shard`.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::abi;
use crate::device::{Device, DeviceCounters};
use crate::engine::{Engine, EngineOptions};
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::raw::Marks;
use crate::sets::SetNames;
use crate::shard::{Failure, Listener, Shard, ShardCounters};
use crate::spare::Nursery;
use crate::vm::{Code, CodeOptions};

/// What a data path is made with.
pub struct Options {
    /// Path of engine.wasm.
    pub wasm: PathBuf,
    pub queue: u16,
    /// Packets per call at most, 1 … BATCH_MAX.
    pub batch: usize,
    pub engine: EngineOptions,
    pub sets: Option<SetNames>,
    pub marks: Marks,
    pub coredump_dir: Option<PathBuf>,
    pub code: CodeOptions,
}

/// Counters of all parts at one moment.
pub struct Counters {
    pub shard: ShardCounters,
    pub device: DeviceCounters,
    /// The engine's counter region.
    pub engine: Vec<u8>,
    /// Connections, subflows, free runs and lost events of the engine's header.
    pub header: [u32; 4],
}

/// Takes an answer, on the data path's thread.
pub type Reply<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// What the host may ask of a running data path.
pub enum Request {
    /// Whole command records.
    Command(Vec<u8>),
    Snapshot(Reply<Vec<Vec<u8>>>),
    Statistics(Reply<Vec<u8>>),
    Counters(Reply<Counters>),
    StartTrace(String, Reply<()>),
    StopTrace(Reply<u64>),
    /// Answered when queue and sockets are closed.
    Stop(Reply<()>),
}

/// The host's end of a running data path.
pub struct Handle {
    requests: Sender<Request>,
    wake: Arc<OwnedFd>,
}

impl Handle {
    /// Passes `request` on; false if the data path has ended, and the request is gone.
    pub fn send(&self, request: Request) -> bool {
        let sent = self.requests.send(request).is_ok();
        // The counter of an eventfd only overflows after 2^64 unread writes.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        sent
    }
}

/// Starts the thread. `ready` hears when the queue is bound and the engine runs, or why not.
pub fn start(options: Options, listener: Box<dyn Listener>, ready: Reply<()>) -> Result<Handle> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| Error::io("cannot make an eventfd", error.into()))?;
    let wake = Arc::new(wake);
    let (requests, inbox) = channel();
    let handle = Handle { requests, wake: wake.clone() };
    thread::Builder::new()
        .name(format!("shunt-{}", options.engine.shard))
        .stack_size(4 << 20)
        .spawn(move || run(options, listener, &inbox, &wake, ready))
        .map_err(|error| Error::io("cannot start the data path's thread", error))?;
    Ok(handle)
}

fn run(options: Options, listener: Box<dyn Listener>, inbox: &Receiver<Request>, wake: &OwnedFd, ready: Reply<()>) {
    let shard = match catch(|| set_up(options, listener)) {
        Ok(shard) => shard,
        Err(error) => return ready(Err(error)),
    };
    ready(Ok(()));
    let mut service = Service { shard, snapshots: VecDeque::new() };
    let outcome = catch(|| service.serve(inbox, wake));
    let stopped = match outcome {
        Ok(reply) => Some(reply),
        Err(error) => {
            let message = format!("the data path has ended: {error}; queued packets now follow the bypass rule");
            service.shard.report(Failure::new("fatal", message));
            None
        }
    };
    let trace = service.shard.stop_trace().map(|_| ());
    drop(service);
    if let Some(reply) = stopped {
        reply(trace);
    }
}

/// Turns a panic, which is a mistake of ours, into an error, so that the host hears of it.
fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        Err(Error::io("the data path panicked, please report it", io::Error::other(text.to_string())))
    })
}

fn set_up(options: Options, listener: Box<dyn Listener>) -> Result<Shard<Kernel>> {
    let wasm = std::fs::read(&options.wasm)
        .map_err(|error| Error::io(format!("cannot read {}, run \"make build\"", options.wasm.display()), error))?;
    let code = Arc::new(Code::compile(&wasm, options.code)?);
    let engine = Engine::new(&code, &options.engine)?;
    let nursery = Nursery::start(code, options.engine, options.coredump_dir)?;
    // Last: from here on packets wait for us.
    let device = Kernel::open(options.queue, options.marks, options.sets)?;
    Ok(Shard::new(engine, device, nursery, listener, options.batch))
}

/// A snapshot under way: one page per round, so that packets do not wait for all of it.
struct Snapshot {
    pages: Vec<Vec<u8>>,
    cursor: u32,
    reply: Reply<Vec<Vec<u8>>>,
}

struct Service<D: Device> {
    shard: Shard<D>,
    snapshots: VecDeque<Snapshot>,
}

impl<D: Device> Service<D> {
    /// Works until a stop is asked for; returns whom to tell.
    fn serve(&mut self, inbox: &Receiver<Request>, wake: &OwnedFd) -> Result<Reply<()>> {
        let mut more = false;
        loop {
            let deadline = self.shard.tick_if_due()?;
            let readable = more || {
                let flush = self.shard.flush_trace();
                let timeout = if self.snapshots.is_empty() {
                    deadline.into_iter().chain(flush).min()
                } else {
                    Some(Duration::ZERO)
                };
                wait(self.shard.device(), wake, timeout)?
            };
            if let Some(reply) = self.handle_all(inbox)? {
                return Ok(reply);
            }
            more = readable && self.shard.serve_batch()?;
            self.next_snapshot_page()?;
        }
    }

    /// Serves what has been asked for; returns whom to tell if that was the end.
    fn handle_all(&mut self, inbox: &Receiver<Request>) -> Result<Option<Reply<()>>> {
        let mut next = inbox.try_recv().ok();
        if next.is_none() {
            return Ok(None);
        }
        let before = processor_time();
        while let Some(request) = next {
            if let Some(reply) = self.handle(request)? {
                return Ok(Some(reply));
            }
            next = inbox.try_recv().ok();
        }
        self.shard.note_held(processor_time() - before);
        Ok(None)
    }

    fn handle(&mut self, request: Request) -> Result<Option<Reply<()>>> {
        match request {
            Request::Command(records) => self.shard.command(&records)?,
            Request::Snapshot(reply) => {
                self.snapshots.push_back(Snapshot { pages: Vec::new(), cursor: 0, reply });
            }
            Request::Statistics(reply) => match self.shard.snapshot_page(abi::STATISTICS_CURSOR) {
                Ok((page, _)) => reply(Ok(page)),
                Err(error) => refuse(reply, error)?,
            },
            Request::Counters(reply) => {
                let (shard, device, engine, header) = self.shard.counters();
                reply(Ok(Counters { shard, device, engine, header }));
            }
            Request::StartTrace(path, reply) => reply(self.shard.start_trace(&path)),
            Request::StopTrace(reply) => reply(self.shard.stop_trace()),
            Request::Stop(reply) => return Ok(Some(reply)),
        }
        Ok(None)
    }

    fn next_snapshot_page(&mut self) -> Result<()> {
        let Some(mut snapshot) = self.snapshots.pop_front() else { return Ok(()) };
        let before = processor_time();
        let page = self.shard.snapshot_page(snapshot.cursor);
        self.shard.note_held(processor_time() - before);
        match page {
            Ok((page, next)) => {
                snapshot.pages.push(page);
                snapshot.cursor = next;
                if next == 0 {
                    (snapshot.reply)(Ok(snapshot.pages));
                } else {
                    self.snapshots.push_front(snapshot);
                }
                Ok(())
            }
            Err(error) => refuse(snapshot.reply, error),
        }
    }
}

/// What this thread has used of a processor: a machine with other things to do does not make it longer.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The snapshot's own refusal is its caller's; an engine that cannot be replaced is ours.
fn refuse<T>(reply: Reply<T>, error: Error) -> Result<()> {
    match error {
        Error::Status { .. } | Error::Module { .. } => {
            reply(Err(error));
            Ok(())
        }
        error => Err(error),
    }
}

/// Waits for packets, a request or the time-out. Returns whether packets may be there.
fn wait(device: &impl Device, wake: &OwnedFd, timeout: Option<Duration>) -> Result<bool> {
    let queue = device.fd();
    let mut fds = [PollFd::new(&queue, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
    let timeout = timeout
        .map(|duration| Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(Error::io("cannot wait for packets", error.into())),
    }
    if !fds[1].revents().is_empty() {
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    Ok(!fds[0].revents().is_empty())
}
